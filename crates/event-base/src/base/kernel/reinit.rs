//! Using a base after a fork.
//!
//! A child inherits descriptors of the kernel's objects, not objects of its own: changing the epoll set, writing
//! to the eventfd or setting the timerfd would affect the parent. So calls fail in a child until
//! [`Base::reinit`] has created new objects, or [`Base::close`] has closed the child's descriptors of the old
//! ones. Neither changes the old objects in any other way. Calls that delete something work before: they change only
//! what `reinit` registers.

use crate::base::{Base, Inner};
use crate::error::Error;
use crate::sys::fork;

impl Base {
    /// Replaces the kernel's objects and registers every event with the new ones (`event_reinit`). A forked child
    /// calls it before it uses a base of its parent. The base of the parent is not affected.
    ///
    /// What was pending at the fork is pending in both processes, and what was active is active in both. A loop
    /// that another thread ran ended with that thread, which a fork does not copy; one that this thread runs
    /// continues. [`descriptor`](Self::descriptor) keeps its number, unless a thread was waiting on it at the
    /// fork or a [`HostWait`](crate::HostWait) was not returned, and [`descriptor_epoch`](Self::descriptor_epoch)
    /// changes.
    ///
    /// In a process that was not forked it does the same; only a host has to register the descriptor again.
    ///
    /// The child of a process with several threads is restricted, see `fork(2)`. If a thread was inside a call
    /// on this base at the fork, the base cannot be used in the child.
    ///
    /// # Errors
    /// [`Error::System`] if the kernel has no descriptor left: the base stays unusable, and the call can be
    /// repeated. Otherwise the first error from registering an event, with all others registered; a descriptor
    /// that was closed is not an error. [`Error::Reentrant`] while another thread of this process waits in the
    /// loop, unless that is a [`HostWait`](crate::HostWait), which ends; [`Error::Forked`] if the lock of the base was
    /// held at the fork.
    pub fn reinit(&self) -> Result<(), Error> {
        let mut inner = self.shared.state.lock()?;
        if inner.closed {
            return Err(Error::Closed);
        }
        let result = inner.reinit();
        if inner.is_current() {
            self.shared.state.adopt();
        }
        self.unlock(inner);
        result
    }
}

impl Inner {
    fn reinit(&mut self) -> Result<(), Error> {
        if self.is_current() {
            let is_wait_away = self.kernel.is_wait_away();
            if self.kernel.is_asleep() && !self.run.is_owner() && !is_wait_away {
                return Err(Error::Reentrant);
            }
            if is_wait_away && let Some(notifier) = &self.kernel.notifier {
                // The wait is on the old object, which a filter of a kqueue does not end once it was replaced.
                notifier.notify();
            }
            let first = self.renew_backend();
            self.wake_host();
            return first;
        }
        self.end_lost_loop();
        self.kernel.backend()?.renew_after_fork()?;
        self.kernel.host.renewed();
        let first = self.register_descriptors();
        // Other descriptors are opened only now: one could get the number of a descriptor that user code closed,
        // and would be registered in its place.
        if self.kernel.has_notifier() {
            self.kernel.install_notifier()?;
        }
        if self.kernel.host.is_timed {
            self.kernel.backend()?.open_timer()?;
        }
        self.reinit_signals()?;
        self.process = fork::generation();
        self.wake_host();
        first.and(self.watch_host_again())
    }

    /// Before a child closes the base: closes its descriptors of the parent's objects without changing these.
    pub(in crate::base) fn disown(&mut self) {
        self.end_lost_loop();
        self.kernel.end_sleep();
        self.kernel.release();
    }

    /// A fork copies only the thread that forks.
    fn end_lost_loop(&mut self) {
        self.kernel.host.waits = false;
        if self.run.is_running() && !self.run.is_owner() {
            self.end_pass();
            self.time.forget();
            self.run.abandon();
        }
    }

    /// Wakes a host, which waits on the old objects until the next step.
    fn wake_host(&mut self) {
        self.kernel.sleep.forget_requests();
        self.kernel.request_wake();
    }
}
