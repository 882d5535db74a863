//! Being driven by a host that has a loop of its own.
//!
//! The host watches [`Base::descriptor`] and, when it is readable, calls [`Base::turn`] with
//! [`Wait::Never`](super::Wait::Never). Between turns the base counts as asleep: deadlines are kept by a
//! kernel timer behind the same descriptor, and whatever would wake a sleeping loop makes it readable.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;

use super::{Base, Inner};
use crate::backend::Internal;
use crate::error::Error;
use crate::sys::fd::with_fd;
use crate::sys::notify::Notifier;
use crate::time::Nanos;

/// What is known of the host.
#[derive(Debug, Default)]
pub(super) struct Host {
    epoch: u32,
    /// What the kernel's timer is set to.
    armed: Option<Nanos>,
    /// The descriptor of the host's own loop.
    watched: Option<RawFd>,
}

impl Base {
    /// The descriptor that is readable while the base wants a turn; `None` for a backend that has none.
    /// It belongs to the base and keeps its number until the base is closed.
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::WrongThread`]; [`Error::System`] if there is no descriptor left for the
    /// timer that keeps deadlines, or the notifier of a base without locks, which are made here.
    pub fn descriptor(&self) -> Result<Option<RawFd>, Error> {
        self.try_with(|inner| {
            if inner.notifier.is_none() {
                inner.install_notifier()?;
            }
            inner.backend()?.open_timer()?;
            // The loop may have fallen asleep before there was a timer to set.
            inner.host.armed = None;
            inner.arm_host_timer()?;
            Ok(inner.backend()?.descriptor())
        })
    }

    /// Counts how often the kernel's object behind [`descriptor`](Self::descriptor) was made anew: after
    /// each time a host must begin to watch it again.
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::WrongThread`].
    pub fn descriptor_epoch(&self) -> Result<u32, Error> {
        self.with(|inner| inner.host.epoch)
    }

    /// Lets a blocking [`turn`](Self::turn) return [`Turn::Host`](super::Turn::Host) when `descriptor`, the
    /// one of the host's own loop, becomes readable (edge-triggered).
    ///
    /// # Errors
    /// [`Error::System`] with `epoll_ctl` or `kevent`, [`Error::Closed`], [`Error::WrongThread`].
    pub fn watch_host(&self, descriptor: BorrowedFd<'_>) -> Result<(), Error> {
        self.try_with(|inner| {
            inner.backend()?.watch_internal(descriptor, Internal::Host)?;
            inner.host.watched = Some(descriptor.as_raw_fd());
            Ok(())
        })
    }

    /// Takes [`watch_host`](Self::watch_host) back. A host can watch [`descriptor`](Self::descriptor) only
    /// then: the kernel refuses two that watch each other.
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::WrongThread`].
    pub fn unwatch_host(&self) -> Result<(), Error> {
        self.try_with(|inner| {
            if let Some(descriptor) = inner.host.watched.take() {
                let backend = inner.backend()?;
                with_fd(descriptor, |fd| backend.unwatch_internal(fd));
            }
            Ok(())
        })
    }

    /// Makes [`descriptor`](Self::descriptor) readable, and ends a blocking wait. Any thread.
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::WrongThread`].
    pub fn wake(&self) -> Result<(), Error> {
        let notifier = self.open()?.notifier.clone();
        if let Some(notifier) = notifier {
            notifier.notify();
        }
        Ok(())
    }
}

impl Inner {
    /// Ends a turn that did not wait: from here on the host waits.
    pub(super) fn fall_asleep(&mut self) -> Result<(), Error> {
        let deadline = self.arm_host_timer()?;
        self.time.forget();
        self.sleep.begin(deadline);
        Ok(())
    }

    /// Sets the kernel's timer to the first deadline.
    fn arm_host_timer(&mut self) -> Result<Option<Nanos>, Error> {
        let deadline = self.next_deadline();
        if deadline != self.host.armed {
            self.backend()?.arm_timer(deadline)?;
            self.host.armed = deadline;
        }
        Ok(deadline)
    }

    /// Gives the base the means to be woken.
    pub(super) fn install_notifier(&mut self) -> Result<(), Error> {
        let notifier = Notifier::new()?;
        self.backend()?.watch_internal(notifier.as_fd(), Internal::Notifier)?;
        self.notifier = Some(Arc::new(notifier));
        Ok(())
    }

    /// Replaces the kernel's object and registers everything with the new one.
    pub(super) fn renew_backend(&mut self) -> Result<(), Error> {
        let Some(backend) = &mut self.backend else { return Err(Error::Closed) };
        backend.renew()?;
        self.host.epoch = self.host.epoch.wrapping_add(1);
        self.host.armed = None;
        if let Some(notifier) = &self.notifier {
            backend.watch_internal(notifier.as_fd(), Internal::Notifier)?;
        }
        if let Some(descriptor) = self.host.watched {
            with_fd(descriptor, |fd| backend.watch_internal(fd, Internal::Host))?;
        }
        self.signals.register_all(backend)?;
        let result = self.fds.register_all(&mut self.table, backend, &mut self.orphans);
        self.settle_orphans();
        result
    }
}
