//! Running the loop inside the loop of a host.
//!
//! The host watches [`Base::descriptor`] and, when it is readable, calls [`Base::next`] with
//! [`Wait::Never`](crate::Wait::Never) until it returns [`Step::Idle`](crate::Step::Idle). From then on the base
//! counts as asleep: a kernel timer behind the same descriptor expires at the first deadline, and whatever would
//! wake a sleeping loop makes the descriptor readable.
//!
//! If the backend has no descriptor, the host makes the wait itself after each [`Step::Idle`](crate::Step::Idle):
//! [`Base::start_wait`].

use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use crate::backend::{Internal, Waiter};
use crate::base::{Base, Inner};
use crate::error::Error;
use crate::sys::fd::with_fd;
use crate::sys::notify::Notifier;
use crate::time::{Clock, Nanos};

/// What a host has requested.
#[derive(Debug, Default)]
pub(super) struct Host {
    epoch: u32,
    /// The deadline that the kernel's timer is set to.
    armed: Option<Nanos>,
    /// The descriptor of the host's own loop.
    watched: Option<RawFd>,
    /// Whether the host requested the descriptor, and with it the timer.
    pub(super) is_timed: bool,
    /// Whether a [`HostWait`] was started and not finished.
    pub(super) waits: bool,
}

impl Host {
    /// The kernel's object was replaced, and the timer with it.
    pub(super) fn renewed(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
        self.armed = None;
    }
}

/// The wait of a base, which any thread can make while the base stays on its thread.
///
/// Must be returned with [`Base::finish_wait`].
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
    /// Sleeps until a descriptor is ready, a deadline has passed, or the base was woken; may end early. A wait that
    /// has found something returns immediately when it is made again.
    ///
    /// # Errors
    /// [`Error::System`] if the wait fails; the next [`Base::next`] fails in the same way.
    pub fn wait(&mut self) -> Result<(), Error> {
        if self.waiter.len() > 0 {
            return Ok(());
        }
        let left = self.deadline.map(|deadline| self.clock.until(deadline));
        self.waiter.wait(left.map(Duration::from_nanos))
    }

    /// A handle that ends the wait early.
    #[must_use]
    pub fn ender(&self) -> WaitEnder {
        WaitEnder { notifier: Arc::clone(&self.notifier) }
    }
}

impl WaitEnder {
    /// Ends the wait, or the next one if none is in progress.
    pub fn end(&self) {
        self.notifier.notify();
    }
}

impl Base {
    /// The descriptor that is readable while the base has something to do; `None` for a backend that has none.
    /// It belongs to the base and keeps its number until the base is closed.
    ///
    /// # Errors
    /// [`Error::System`] if the kernel has no descriptor left for the timer that keeps deadlines, or for the
    /// notifier of a base without locks, which are created here.
    pub fn descriptor(&self) -> Result<Option<RawFd>, Error> {
        self.try_with(|inner| {
            if !inner.kernel.has_notifier() {
                inner.kernel.install_notifier()?;
            }
            inner.kernel.backend()?.open_timer()?;
            inner.kernel.host.is_timed = true;
            // The loop may have fallen asleep before there was a timer to set.
            inner.kernel.host.armed = None;
            inner.arm_host_timer()?;
            Ok(inner.kernel.backend()?.descriptor())
        })
    }

    /// How often the kernel's object behind [`descriptor`](Self::descriptor) was replaced. After each
    /// replacement a host must register the descriptor again.
    pub fn descriptor_epoch(&self) -> Result<u32, Error> {
        self.with(|inner| inner.kernel.host.epoch)
    }

    /// Returns the wait that follows [`Step::Idle`](crate::Step::Idle), for a host to make: needed if the backend has
    /// no [`descriptor`](Self::descriptor), and possible with every other backend too. Until it is
    /// [returned](Self::finish_wait) the base takes no step; changes made meanwhile, on any thread, apply to it.
    ///
    /// # Errors
    /// [`Error::Reentrant`] while another wait was not returned; [`Error::System`] if the kernel has no
    /// descriptor left for the notifier of a base without locks, which is created here.
    pub fn start_wait(&self) -> Result<HostWait, Error> {
        self.try_with(|inner| {
            if inner.kernel.host.waits {
                return Err(Error::Reentrant);
            }
            let notifier = match &inner.kernel.notifier {
                Some(notifier) => Arc::clone(notifier),
                None => inner.kernel.install_notifier()?,
            };
            inner.flush_changes();
            let deadline = if inner.events.has_work() { Some(0) } else { inner.next_deadline() };
            // After an idle step it sleeps already, and each change since then requested a wake-up.
            if !inner.kernel.is_asleep() {
                inner.kernel.begin_sleep(deadline);
            }
            let waiter = inner.kernel.backend()?.start_wait();
            inner.kernel.host.waits = true;
            Ok(HostWait { waiter, deadline, clock: inner.time.clock(), notifier })
        })
    }

    /// Returns a wait with what it found; the next [`next`](Self::next) continues from there.
    ///
    /// # Errors
    /// [`Error::Closed`] too if another base started the wait, or this one did before a fork.
    pub fn finish_wait(&self, wait: HostWait) -> Result<(), Error> {
        self.try_with(|inner| {
            if !inner.kernel.notifier.as_ref().is_some_and(|own| Arc::ptr_eq(own, &wait.notifier)) {
                return Err(Error::Closed);
            }
            inner.kernel.host.waits = false;
            inner.kernel.end_sleep();
            inner.time.forget();
            inner.collect(&wait.waiter);
            inner.kernel.backend()?.finish_wait(wait.waiter);
            inner.settle_lost();
            Ok(())
        })
    }

    /// Makes a blocking [`next`](Self::next) return [`Step::Host`](crate::Step::Host) when `descriptor`, that of
    /// the host's own loop, becomes readable (edge-triggered).
    ///
    /// # Errors
    /// [`Error::System`] with `epoll_ctl` or `kevent`.
    pub fn watch_host(&self, descriptor: BorrowedFd<'_>) -> Result<(), Error> {
        self.try_with(|inner| {
            inner.kernel.backend()?.watch_internal(descriptor, Internal::Host)?;
            inner.kernel.host.watched = Some(descriptor.as_raw_fd());
            Ok(())
        })
    }

    /// Undoes [`watch_host`](Self::watch_host). Only then can a host watch [`descriptor`](Self::descriptor):
    /// two epoll sets that watch each other are refused with `ELOOP` (`epoll_ctl(2)`).
    pub fn unwatch_host(&self) -> Result<(), Error> {
        self.try_with(|inner| {
            if let Some(descriptor) = inner.kernel.host.watched.take() {
                let backend = inner.kernel.backend()?;
                with_fd(descriptor, |fd| backend.unwatch_internal(fd));
            }
            Ok(())
        })
    }

    /// Makes the next call of [`next`](Self::next) by the running loop return [`Step::Host`](crate::Step::Host), and
    /// wakes the loop, as if the host's own loop had work. Without effect while no loop runs. Any thread.
    pub fn interrupt(&self) -> Result<(), Error> {
        self.with(|inner| {
            if inner.run.is_running() {
                inner.run.note_host_work();
                inner.kernel.request_wake();
            }
        })
    }

    /// Makes [`descriptor`](Self::descriptor) readable, and ends a blocking wait. Any thread.
    pub fn wake(&self) -> Result<(), Error> {
        let notifier = self.with(Inner::notifier_to_write)?;
        if let Some(notifier) = notifier {
            notifier.notify();
        }
        Ok(())
    }
}

impl Inner {
    /// Ends a step that did not wait: from here on the host waits.
    pub(in crate::base) fn fall_asleep(&mut self) -> Result<(), Error> {
        let deadline = self.arm_host_timer()?;
        self.time.forget();
        self.kernel.begin_sleep(deadline);
        Ok(())
    }

    /// Sets the kernel's timer to the first deadline.
    fn arm_host_timer(&mut self) -> Result<Option<Nanos>, Error> {
        let deadline = self.next_deadline();
        let due = deadline.map(|deadline| self.time.due(deadline));
        if due != self.kernel.host.armed {
            self.kernel.backend()?.arm_timer(due)?;
            self.kernel.host.armed = due;
        }
        Ok(deadline)
    }

    /// Replaces the kernel's object and registers everything with the new one.
    pub(in crate::base) fn renew_backend(&mut self) -> Result<(), Error> {
        let backend = self.kernel.backend.as_mut().ok_or(Error::Closed)?;
        backend.renew()?;
        self.kernel.host.renewed();
        if let Some(notifier) = &self.kernel.notifier {
            notifier.install()?;
            if let Some(descriptor) = notifier.descriptor() {
                backend.watch_internal(descriptor, Internal::Notifier)?;
            }
        }
        self.events.register_signals(backend)?;
        let result = self.register_descriptors();
        self.watch_host_again()?;
        result
    }

    pub(super) fn watch_host_again(&mut self) -> Result<(), Error> {
        let Some(descriptor) = self.kernel.host.watched else { return Ok(()) };
        let backend = self.kernel.backend()?;
        with_fd(descriptor, |fd| backend.watch_internal(fd, Internal::Host))
    }
}
