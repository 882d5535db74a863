//! Being driven by a host that has a loop of its own.
//!
//! The host watches [`Base::descriptor`] and, when it is readable, calls [`Base::next`] with
//! [`Wait::Never`](super::Wait::Never). Between turns the base counts as asleep: deadlines are kept by a
//! kernel timer behind the same descriptor, and whatever would wake a sleeping loop makes it readable.
//!
//! A backend without a descriptor gives its wait away instead: [`Base::start_wait`], after each
//! [`Step::Idle`](super::Step::Idle).

use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use super::{Base, Inner};
use crate::backend::{Internal, Waiter};
use crate::error::Error;
use crate::sys::fd::with_fd;
use crate::sys::notify::Notifier;
use crate::time::{Clock, Nanos};

/// What is known of the host.
#[derive(Debug, Default)]
pub(super) struct Host {
    epoch: u32,
    /// What the kernel's timer is set to.
    armed: Option<Nanos>,
    /// The descriptor of the host's own loop.
    watched: Option<RawFd>,
    /// It asked for the descriptor, and so for the timer behind it.
    pub(super) is_timed: bool,
    /// A [`HostWait`] is out.
    pub(super) waits: bool,
}

impl Host {
    /// The kernel's object was made anew, and the timer with it.
    pub(super) fn renewed(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
        self.armed = None;
    }
}

/// A base's wait, to be made on any thread while the base itself stays where it is.
///
/// Must be given back with [`Base::finish_wait`].
#[derive(Debug)]
pub struct HostWait {
    waiter: Waiter,
    deadline: Option<Nanos>,
    clock: Arc<dyn Clock>,
    notifier: Arc<Notifier>,
}

/// Ends a [`HostWait`]. Any thread.
#[derive(Clone, Debug)]
pub struct WaitEnder {
    notifier: Arc<Notifier>,
}

impl HostWait {
    /// Sleeps until something is ready, a deadline has passed, or the base was woken; may end early.
    ///
    /// # Errors
    /// [`Error::System`] if the wait fails; the next [`Base::next`] meets the same.
    pub fn wait(&mut self) -> Result<(), Error> {
        let left = self.deadline.map(|deadline| self.clock.until(deadline));
        self.waiter.wait(left.map(Duration::from_nanos))
    }

    /// What ends the wait before its time.
    #[must_use]
    pub fn ender(&self) -> WaitEnder {
        WaitEnder { notifier: Arc::clone(&self.notifier) }
    }
}

impl WaitEnder {
    /// Ends the wait, or the next one if none is under way.
    pub fn end(&self) {
        self.notifier.notify();
    }
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
            inner.host.is_timed = true;
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

    /// Gives the wait away that follows a turn which came to [`Step::Idle`](super::Step::Idle): for hosts of
    /// a base whose backend has no [`descriptor`](Self::descriptor), and works with every other. Until it is
    /// [given back](Self::finish_wait) the base takes no turn; changes made meanwhile, on any thread, take
    /// effect on it.
    ///
    /// # Errors
    /// [`Error::Reentrant`] while another wait is out; [`Error::System`] if there is no descriptor left for the
    /// notifier of a base without locks, which is made here; [`Error::Closed`], [`Error::WrongThread`].
    pub fn start_wait(&self) -> Result<HostWait, Error> {
        self.try_with(|inner| {
            if inner.host.waits {
                return Err(Error::Reentrant);
            }
            let notifier = match &inner.notifier {
                Some(notifier) => Arc::clone(notifier),
                None => inner.install_notifier()?,
            };
            inner.flush_changes(false);
            let is_due = inner.has_ready() || inner.counts.active() > 0;
            let deadline = if is_due { Some(0) } else { inner.next_deadline() };
            // After an idle turn it sleeps already, and whatever happened since then asked for a wake-up.
            if !inner.sleep.is_asleep() {
                inner.sleep.begin(deadline);
            }
            let waiter = inner.backend()?.start_wait();
            inner.host.waits = true;
            Ok(HostWait { waiter, deadline, clock: inner.time.clock(), notifier })
        })
    }

    /// Takes a wait back, with what it found; the next [`next`](Self::next) goes on from there.
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::WrongThread`].
    pub fn finish_wait(&self, wait: HostWait) -> Result<(), Error> {
        self.try_with(|inner| {
            inner.host.waits = false;
            inner.sleep.end();
            inner.time.forget();
            inner.collect(&wait.waiter);
            inner.backend()?.finish_wait(wait.waiter);
            inner.settle_lost();
            Ok(())
        })
    }

    /// Lets a blocking [`next`](Self::next) return [`Step::Host`](super::Step::Host) when `descriptor`, the
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

    /// Lets the next [`next`](Self::next) of the loop under way return [`Step::Host`](super::Step::Host), and
    /// wakes it, as if the host's own loop had work. Nothing happens while no loop runs. Any thread.
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::WrongThread`].
    pub fn interrupt(&self) -> Result<(), Error> {
        self.with(|inner| {
            if inner.is_running() {
                inner.run.host = true;
                inner.request_wake();
            }
        })
    }

    /// Makes [`descriptor`](Self::descriptor) readable, and ends a blocking wait. Any thread.
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::WrongThread`].
    pub fn wake(&self) -> Result<(), Error> {
        let notifier = self.with(Inner::take_notifier)?;
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
        let due = deadline.map(|deadline| self.time.due(deadline));
        if due != self.host.armed {
            self.backend()?.arm_timer(due)?;
            self.host.armed = due;
        }
        Ok(deadline)
    }

    /// Gives the base the means to be woken.
    pub(super) fn install_notifier(&mut self) -> Result<Arc<Notifier>, Error> {
        let backend = self.backend()?;
        #[cfg(not(event_base_model))]
        let notifier = match backend.open_notifier() {
            Some(notifier) => notifier,
            None => Notifier::new()?,
        };
        #[cfg(event_base_model)]
        let notifier = Notifier::Bell(backend.bell());
        if let Some(descriptor) = notifier.descriptor() {
            backend.watch_internal(descriptor, Internal::Notifier)?;
        }
        let notifier = Arc::new(notifier);
        self.notifier = Some(Arc::clone(&notifier));
        Ok(notifier)
    }

    /// Replaces the kernel's object and registers everything with the new one.
    pub(super) fn renew_backend(&mut self) -> Result<(), Error> {
        let Some(backend) = &mut self.backend else { return Err(Error::Closed) };
        backend.renew()?;
        self.host.renewed();
        if let Some(notifier) = &self.notifier {
            notifier.install()?;
            if let Some(descriptor) = notifier.descriptor() {
                backend.watch_internal(descriptor, Internal::Notifier)?;
            }
        }
        self.signals.register_all(backend)?;
        let result = self.fds.register_all(&mut self.table, backend, &mut self.orphans);
        self.settle_orphans();
        self.watch_host_again()?;
        result
    }

    pub(super) fn watch_host_again(&mut self) -> Result<(), Error> {
        let Some(descriptor) = self.host.watched else { return Ok(()) };
        let backend = self.backend()?;
        with_fd(descriptor, |fd| backend.watch_internal(fd, Internal::Host))
    }
}
