//! After a fork.
//!
//! A child inherits the descriptors of the kernel's objects, not objects of its own: adding to the epoll set,
//! writing to the eventfd or setting the timerfd would be felt by the parent. So in a child every call fails
//! until [`Base::reinit`] has made new objects, or [`Base::close`] has given the old ones up; neither speaks to
//! the old ones beyond closing the child's descriptors of them.

use super::run::Run;
use super::{Base, Inner};
use crate::error::Error;
use crate::sys::fork;

impl Base {
    /// Makes the kernel's objects anew and registers every event with them (`event_reinit`): what a forked child
    /// does before it uses a base of its parent's. The parent's base is not touched, and goes on.
    ///
    /// What was pending at the fork is pending in both processes, and what was active is active in both. A loop
    /// that another thread was running ended with that thread, which a fork does not take along; one that
    /// this thread runs goes on. [`descriptor`](Self::descriptor) keeps its number, unless a thread was
    /// waiting on it at the fork, and [`descriptor_epoch`](Self::descriptor_epoch) changes.
    ///
    /// In a process that was not forked it does the same, and nobody notices but a host, which has to watch the
    /// descriptor again.
    ///
    /// A child of a process with several threads can do less than any other (see fork(2)). If a thread
    /// was inside a call on this base at the fork, the base cannot be used in the child.
    ///
    /// # Errors
    /// [`Error::System`] if the kernel has no descriptor left: the base is as unusable as before then, and it can
    /// be tried again. Else the first refusal to register something, with all the rest registered; a
    /// descriptor that was closed is not one. [`Error::Reentrant`] while another thread of this process waits in the loop,
    /// [`Error::Forked`] if the fork left the lock of the base taken, [`Error::Closed`],
    /// [`Error::WrongThread`].
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
            if self.sleep.is_asleep() && !self.run.is_owner() {
                return Err(Error::Reentrant);
            }
            let first = self.renew_backend();
            self.look_again();
            return first;
        }
        self.end_lost_loop();
        let Some(backend) = &mut self.backend else { return Err(Error::Closed) };
        backend.renew_after_fork()?;
        self.host.renewed();
        let first = self.fds.register_all(&mut self.table, backend, &mut self.orphans);
        self.settle_orphans();
        // Only now is anything else opened: under the number of a descriptor that the user closed it would pass
        // for that.
        if self.notifier.is_some() {
            _ = self.install_notifier()?;
        }
        if self.host.is_timed {
            self.backend()?.open_timer()?;
        }
        self.process = fork::generation();
        self.look_again();
        // Signals that the backend does not take care of itself are set up again here.
        first.and(self.watch_host_again())
    }

    /// Before a child closes the base: what is the parent's too is given up without a word to the kernel.
    pub(super) fn disown(&mut self) {
        self.end_lost_loop();
        self.sleep.end();
        self.backend = None;
        self.notifier = None;
    }

    /// A fork takes no thread along but the one that forks.
    fn end_lost_loop(&mut self) {
        self.host.waits = false;
        if self.is_running() && !self.run.is_owner() {
            self.end_pass();
            self.time.forget();
            self.run = Run::default();
        }
    }

    /// A host that waits does so for nothing until the next turn.
    fn look_again(&mut self) {
        self.sleep.forget_request();
        self.request_wake();
    }
}
