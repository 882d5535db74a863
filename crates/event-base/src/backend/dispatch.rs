//! The operations of [`Method`] and [`MethodWaiter`], forwarded to the backend that a base uses.
//!
//! They are functions of the enums and not implementations of the traits. So the compiler reports an operation that is
//! missing here, instead of using the trait's default.

use std::os::fd::{BorrowedFd, RawFd};
use std::time::Duration;

use super::choice::{Backend, Waiter, dispatch};
use super::method::{Method, MethodWaiter};
use super::{Applied, Change, Internal, Readiness};
use crate::error::Error;
use crate::flags::Features;
use crate::sys::notify::Notifier;
use crate::time::Nanos;

impl Backend {
    pub(crate) fn name(&self) -> &'static str {
        dispatch!(self, Backend, method => method.name())
    }

    pub(crate) fn features(&self) -> Features {
        dispatch!(self, Backend, method => method.features())
    }

    pub(crate) fn has_exclusive(&self) -> bool {
        dispatch!(self, Backend, method => method.has_exclusive())
    }

    pub(crate) fn has_descriptors(&self) -> bool {
        dispatch!(self, Backend, method => method.has_descriptors())
    }

    pub(crate) fn descriptor(&self) -> Option<RawFd> {
        dispatch!(self, Backend, method => method.descriptor())
    }

    pub(crate) fn change(&mut self, change: &Change) -> Result<Applied, Error> {
        dispatch!(self, Backend, method => method.change(change))
    }

    #[inline]
    pub(crate) fn flush(&mut self) -> bool {
        dispatch!(self, Backend, method => method.flush())
    }

    #[inline]
    pub(crate) fn take_lost(&mut self) -> Option<u64> {
        dispatch!(self, Backend, method => method.take_lost())
    }

    pub(crate) fn watch_internal(&mut self, fd: BorrowedFd<'_>, internal: Internal) -> Result<(), Error> {
        dispatch!(self, Backend, method => method.watch_internal(fd, internal))
    }

    pub(crate) fn unwatch_internal(&mut self, fd: BorrowedFd<'_>) {
        dispatch!(self, Backend, method => method.unwatch_internal(fd));
    }

    #[cfg_attr(event_base_model, allow(dead_code, reason = "a model has a notifier of its own"))]
    pub(crate) fn open_notifier(&mut self) -> Option<Notifier> {
        dispatch!(self, Backend, method => method.open_notifier())
    }

    pub(crate) fn reports_signals(&self) -> bool {
        dispatch!(self, Backend, method => method.reports_signals())
    }

    pub(crate) fn watch_signal(&mut self, number: i32) -> Result<(), Error> {
        dispatch!(self, Backend, method => method.watch_signal(number))
    }

    pub(crate) fn unwatch_signal(&mut self, number: i32) {
        dispatch!(self, Backend, method => method.unwatch_signal(number));
    }

    pub(crate) fn open_timer(&mut self) -> Result<(), Error> {
        dispatch!(self, Backend, method => method.open_timer())
    }

    pub(crate) fn arm_timer(&mut self, deadline: Option<Nanos>) -> Result<(), Error> {
        dispatch!(self, Backend, method => method.arm_timer(deadline))
    }

    pub(crate) fn renew(&mut self) -> Result<(), Error> {
        dispatch!(self, Backend, method => method.renew())
    }

    pub(crate) fn renew_after_fork(&mut self) -> Result<(), Error> {
        dispatch!(self, Backend, method => method.renew_after_fork())
    }

    /// The notifier of a model, which the scripted backend waits for.
    #[cfg(event_base_model)]
    pub(crate) fn wake_flag(&self) -> std::sync::Arc<crate::sync::WakeFlag> {
        match self {
            Backend::Scripted(method) => method.wake_flag(),
            _ => unreachable!("a model has a scripted backend"),
        }
    }
}

impl Waiter {
    #[inline]
    pub(crate) fn wait(&mut self, timeout: Option<Duration>) -> Result<(), Error> {
        dispatch!(self, Waiter, waiter => waiter.wait(timeout))
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        dispatch!(self, Waiter, waiter => waiter.len())
    }

    #[inline]
    pub(crate) fn get(&self, index: usize) -> Readiness {
        dispatch!(self, Waiter, waiter => waiter.get(index))
    }

    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        dispatch!(self, Waiter, waiter => waiter.is_full())
    }
}
