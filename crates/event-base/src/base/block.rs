//! Deleting an event for certain: not before its callback has ended, in whatever thread that runs.
//!
//! A call begins when the event is handed out and ends with the loop's next step: the next
//! [`next`](Base::next) or [`leave`](Base::leave).
//! Who waits for the end says so in a bit that the loop looks at after each callback anyway, so a call that
//! nobody waits for costs nothing. (libevent waits on a condition variable without looking again why it was
//! woken; here each wait is for one call, told by its number, and a spurious wake-up only waits again.)

use std::sync::Arc;

use super::control::Attention;
use super::{Base, Inner};
use crate::error::Error;
use crate::event::{EventId, State};
use crate::sync::{Condition, Guard};

/// Threads that wait for a callback to end.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    /// Made by the first who waits.
    ended: Option<Arc<Condition>>,
    /// Counts the calls that somebody waited for.
    calls: u64,
}

impl Inner {
    /// The callback under way ended, or nobody can tell any more when it does.
    #[inline]
    pub(super) fn tell_waiters(&mut self) {
        if self.control.attention.contains(Attention::WAITED_FOR) {
            self.end_call();
        }
    }

    #[cold]
    fn end_call(&mut self) {
        self.control.attention -= Attention::WAITED_FOR;
        self.waiters.calls += 1;
        if let Some(ended) = &self.waiters.ended {
            ended.notify_all();
        }
    }

    fn is_called_elsewhere(&self, id: EventId) -> bool {
        self.pass.running() == Some(id) && !self.run.is_owner()
    }
}

impl Base {
    /// Makes an event not pending and not active, as [`del`](Self::del), and returns only once a callback of it
    /// that was running in another thread has ended (`event_del_block`). In the thread that runs the loop,
    /// which cannot wait for itself, it returns at once.
    ///
    /// A call ends with the loop's next step: [`next`](Self::next) or [`leave`](Self::leave), which a panic in
    /// [`run`](Self::run)'s callback calls as well. What the callback itself adds again is pending afterwards. Waits, too, for the last call of an
    /// event that is gone already, such as one of [`once`](Self::once).
    ///
    /// Two threads that wait for each other's callbacks from inside their own wait for ever, as with any lock.
    ///
    /// # Errors
    /// [`Error::Closed`] if the event does not exist, or the base was closed: then the callback may still be
    /// running. [`Error::WrongThread`].
    pub fn del_block(&self, id: EventId) -> Result<(), Error> {
        let mut inner = self.open()?;
        let found = inner.table.find(id);
        if let Ok(index) = found
            && !inner.table.at(index).state.contains(State::FINALIZING)
        {
            inner.delete(index);
            inner.request_wake_if_empty();
        }
        self.wait_for_call(inner, id, found.map(|_| ()))
    }

    /// Deletes an event for good, as [`free`](Self::free), and returns only once a callback of it that was
    /// running in another thread has ended. What the callback uses may be given up then.
    ///
    /// # Errors
    /// As [`del_block`](Self::del_block).
    pub fn free_block(&self, id: EventId) -> Result<(), Error> {
        let mut inner = self.open()?;
        let found = inner.table.find(id);
        if let Ok(index) = found {
            inner.delete(index);
            inner.table.remove(index);
            inner.request_wake_if_empty();
        }
        self.wait_for_call(inner, id, found.map(|_| ()))
    }

    fn wait_for_call(
        &self,
        mut inner: Guard<'_, Inner>,
        id: EventId,
        found: Result<(), Error>,
    ) -> Result<(), Error> {
        if !inner.is_called_elsewhere(id) {
            self.unlock(inner);
            return found;
        }
        let ended = Arc::clone(inner.waiters.ended.get_or_insert_default());
        let call = inner.waiters.calls;
        inner.control.attention |= Attention::WAITED_FOR;
        while inner.waiters.calls == call {
            inner = ended.wait(inner);
        }
        if inner.closed { Err(Error::Closed) } else { Ok(()) }
    }
}
