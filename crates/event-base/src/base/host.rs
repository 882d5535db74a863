//! Being driven by a host that has a loop of its own.
//!
//! The host watches [`Base::descriptor`] and, when it is readable, calls [`Base::turn`] with
//! [`Wait::Never`](super::Wait::Never). Between turns the base counts as asleep: deadlines are kept by a
//! kernel timer behind the same descriptor, and whatever would wake a sleeping loop makes it readable.

use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use super::{Base, Inner, watch_notifier};
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
    /// It belongs to the base and keeps its number until the base is gone.
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::WrongThread`]; [`Error::System`] if there is no descriptor left for the
    /// notifier of a base without locks, which is made here.
    pub fn descriptor(&self) -> Result<Option<RawFd>, Error> {
        self.try_with(|inner| {
            if self.shared.notifier.get().is_none() {
                let notifier = Notifier::new()?;
                watch_notifier(inner, &notifier)?;
                // A base without locks has one user, who is here.
                _ = self.shared.notifier.set(notifier);
            }
            Ok(inner.backend.descriptor())
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
    /// [`Error::System`] with `epoll_ctl`, [`Error::Closed`], [`Error::WrongThread`].
    pub fn watch_host(&self, descriptor: BorrowedFd<'_>) -> Result<(), Error> {
        self.try_with(|inner| {
            inner.backend.watch_internal(descriptor, Internal::Host)?;
            inner.host.watched = Some(descriptor.as_raw_fd());
            Ok(())
        })
    }

    /// Makes [`descriptor`](Self::descriptor) readable, and ends a blocking wait. Any thread.
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::WrongThread`].
    pub fn wake(&self) -> Result<(), Error> {
        drop(self.open()?);
        if let Some(notifier) = self.shared.notifier.get() {
            notifier.notify();
        }
        Ok(())
    }
}

impl Inner {
    /// Ends a turn that did not wait: from here on the host waits.
    pub(super) fn fall_asleep(&mut self) -> Result<(), Error> {
        let deadline = self.next_deadline();
        if deadline != self.host.armed {
            self.backend.arm_timer(deadline)?;
            self.host.armed = deadline;
        }
        self.time.forget();
        self.sleep.begin(deadline);
        Ok(())
    }
}

impl Base {
    /// Replaces the kernel's object and registers everything with the new one.
    pub(super) fn renew_backend(&self, inner: &mut Inner) -> Result<(), Error> {
        inner.backend.renew()?;
        inner.host.epoch = inner.host.epoch.wrapping_add(1);
        inner.host.armed = None;
        if let Some(notifier) = self.shared.notifier.get() {
            watch_notifier(inner, notifier)?;
        }
        if let Some(descriptor) = inner.host.watched {
            with_fd(descriptor, |fd| inner.backend.watch_internal(fd, Internal::Host))?;
        }
        let result = inner.fds.register_all(&mut inner.table, &mut inner.backend, &mut inner.orphans);
        inner.settle_orphans();
        result
    }
}
