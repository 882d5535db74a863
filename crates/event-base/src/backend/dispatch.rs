//! The operations of [`Method`] and [`MethodWaiter`], forwarded to the backend that a base uses.
//!
//! They are functions of the types and not implementations of the traits. So the compiler reports an operation that is
//! missing here, instead of using the trait's default. The only operation that does more is the change of a registration:
//! it refuses the descriptors of the base itself, in place of every backend.

use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

use nix::errno::Errno;

use super::choice::{Kind, Waiter, dispatch};
use super::method::{Method, MethodWaiter};
use super::{Applied, Change, Internal, Readiness};
use crate::config::Config;
use crate::error::Error;
use crate::flags::Features;
use crate::sys::notify::Notifier;
use crate::time::Nanos;

/// The backend of a base.
#[derive(Debug)]
pub(crate) struct Backend {
    kind: Kind,
    /// The descriptors that were passed to [`watch_internal`](Self::watch_internal).
    own: Vec<RawFd>,
}

impl Backend {
    /// Opens the first backend that `config` and the environment allow (`event_base_new_with_config`).
    pub(crate) fn select(config: &Config) -> Result<Self, Error> {
        Ok(Backend { kind: Kind::select(config)?, own: Vec::new() })
    }

    /// See [`Method::start_wait`].
    #[inline]
    pub(crate) fn start_wait(&mut self) -> Waiter {
        self.kind.start_wait()
    }

    /// See [`Method::finish_wait`]. A waiter of another backend is dropped.
    #[inline]
    pub(crate) fn finish_wait(&mut self, waiter: Waiter) {
        self.kind.finish_wait(waiter);
    }

    pub(crate) fn name(&self) -> &'static str {
        dispatch!(&self.kind, Kind, method => method.name())
    }

    pub(crate) fn features(&self) -> Features {
        dispatch!(&self.kind, Kind, method => method.features())
    }

    pub(crate) fn has_exclusive(&self) -> bool {
        dispatch!(&self.kind, Kind, method => method.has_exclusive())
    }

    pub(crate) fn has_descriptors(&self) -> bool {
        dispatch!(&self.kind, Kind, method => method.has_descriptors())
    }

    pub(crate) fn descriptor(&self) -> Option<RawFd> {
        dispatch!(&self.kind, Kind, method => method.descriptor())
    }

    /// See [`Method::change`]. A descriptor of the base itself is not one of an event, also if user code has had a
    /// descriptor of this number before.
    ///
    /// # Errors
    /// As [`Method::change`]; `EBADF` for a descriptor of the base.
    pub(crate) fn change(&mut self, change: &Change) -> Result<Applied, Error> {
        if self.own.contains(&change.fd) || dispatch!(&self.kind, Kind, method => method.owns(change.fd)) {
            if change.wanted().is_empty() {
                return Ok(Applied::Done);
            }
            if !change.registered.is_empty() {
                return Ok(Applied::Gone);
            }
            let syscall = dispatch!(&self.kind, Kind, method => syscall(method));
            return Err(Error::system(Errno::EBADF, syscall, Some(change.fd)));
        }
        dispatch!(&mut self.kind, Kind, method => method.change(change))
    }

    #[inline]
    pub(crate) fn flush(&mut self) -> bool {
        dispatch!(&mut self.kind, Kind, method => method.flush())
    }

    #[inline]
    pub(crate) fn take_lost(&mut self) -> Option<u64> {
        dispatch!(&mut self.kind, Kind, method => method.take_lost())
    }

    pub(crate) fn watch_internal(&mut self, fd: BorrowedFd<'_>, internal: Internal) -> Result<(), Error> {
        dispatch!(&mut self.kind, Kind, method => method.watch_internal(fd, internal))?;
        let number = fd.as_raw_fd();
        // The descriptors of a script are numbers without a file.
        if self.has_descriptors() && !self.own.contains(&number) {
            self.own.push(number);
        }
        Ok(())
    }

    pub(crate) fn unwatch_internal(&mut self, fd: BorrowedFd<'_>) {
        self.own.retain(|number| *number != fd.as_raw_fd());
        dispatch!(&mut self.kind, Kind, method => method.unwatch_internal(fd));
    }

    #[cfg_attr(event_base_model, allow(dead_code, reason = "a model has a notifier of its own"))]
    pub(crate) fn open_notifier(&mut self) -> Option<Notifier> {
        dispatch!(&mut self.kind, Kind, method => method.open_notifier())
    }

    pub(crate) fn reports_signals(&self) -> bool {
        dispatch!(&self.kind, Kind, method => method.reports_signals())
    }

    pub(crate) fn watch_signal(&mut self, number: i32) -> Result<(), Error> {
        dispatch!(&mut self.kind, Kind, method => method.watch_signal(number))
    }

    pub(crate) fn unwatch_signal(&mut self, number: i32) {
        dispatch!(&mut self.kind, Kind, method => method.unwatch_signal(number));
    }

    pub(crate) fn open_timer(&mut self) -> Result<(), Error> {
        dispatch!(&mut self.kind, Kind, method => method.open_timer())
    }

    pub(crate) fn arm_timer(&mut self, deadline: Option<Nanos>) -> Result<(), Error> {
        dispatch!(&mut self.kind, Kind, method => method.arm_timer(deadline))
    }

    pub(crate) fn renew(&mut self) -> Result<(), Error> {
        self.own.clear();
        dispatch!(&mut self.kind, Kind, method => method.renew())
    }

    pub(crate) fn renew_after_fork(&mut self) -> Result<(), Error> {
        self.own.clear();
        dispatch!(&mut self.kind, Kind, method => method.renew_after_fork())
    }

    /// The notifier of a model, which the scripted backend waits for.
    #[cfg(event_base_model)]
    pub(crate) fn wake_flag(&self) -> std::sync::Arc<crate::sync::WakeFlag> {
        match &self.kind {
            Kind::Scripted(method) => method.wake_flag(),
            _ => unreachable!("a model has a scripted backend"),
        }
    }
}

/// The name of the system call that a backend waits with.
fn syscall<M: Method>(_: &M) -> &'static str {
    <M::Waiter as MethodWaiter>::SYSCALL
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
