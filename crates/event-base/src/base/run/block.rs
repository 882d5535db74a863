//! Deleting an event and waiting until its callback has ended on the thread that runs the loop.
//!
//! A call begins when the event is dispatched and ends with the loop's next step: the next [`next`](Base::next) or
//! [`leave`](Base::leave). A thread that waits for the end sets a bit that the loop tests after each callback anyway,
//! so a call without waiters costs nothing. (libevent waits on a condition variable and does not check why it was
//! woken; here each wait is for one call, identified by its number, and a spurious wake-up only waits again.)

use std::sync::Arc;

use super::control::Attention;
use crate::base::{Base, Inner};
use crate::error::Error;
use crate::event::{EventId, State};
use crate::sync::{Condition, Guard};

/// Threads that wait for a callback to end.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    /// Created by the first thread that waits.
    ended: Option<Arc<Condition>>,
    /// Counts the calls that threads waited for.
    calls: u64,
}

impl Inner {
    /// The running callback has ended, or its end cannot be observed any more.
    #[inline]
    pub(in crate::base) fn notify_waiters(&mut self) {
        if self.run.control.attention.contains(Attention::WAITED_FOR) {
            self.end_call();
        }
    }

    #[cold]
    fn end_call(&mut self) {
        self.run.control.attention -= Attention::WAITED_FOR;
        self.run.waiters.calls += 1;
        if let Some(ended) = &self.run.waiters.ended {
            ended.notify_all();
        }
    }

    /// Whether a callback of the event is running on another thread. A fork does not copy that thread.
    fn is_called_elsewhere(&self, id: EventId) -> bool {
        self.run.running() == Some(id) && !self.run.is_owner() && !self.is_forked()
    }
}

impl Base {
    /// Makes an event not pending and not active, as [`del`](Self::del), and returns only once a callback of it
    /// that was running on another thread has ended (`event_del_block`). On the thread that runs the loop,
    /// which cannot wait for itself, it returns immediately.
    ///
    /// A call ends with the loop's next step: [`next`](Self::next) or [`leave`](Self::leave), which
    /// [`run`](Self::run) also calls if its callback panics. An event that the callback itself adds again is pending
    /// afterwards. Also waits for the last call of an event that no longer exists, such as one of
    /// [`once`](Self::once).
    ///
    /// If the callbacks of two loops delete each other's event with this function, they deadlock.
    ///
    /// # Errors
    /// [`Error::Closed`] if the event does not exist, or the base was closed: then the callback may still be
    /// running.
    pub fn del_block(&self, id: EventId) -> Result<(), Error> {
        let mut inner = self.open_to_delete()?;
        let deleted = inner.delete_by_id(id, State::FINALIZING);
        self.wait_for_call(inner, id, deleted)
    }

    /// Deletes an event permanently, as [`free`](Self::free), and returns only once a callback of it that was
    /// running on another thread has ended. Then what the callback uses may be released.
    ///
    /// # Errors
    /// As [`del_block`](Self::del_block).
    pub fn free_block(&self, id: EventId) -> Result<(), Error> {
        let mut inner = self.open_to_delete()?;
        let freed = inner.free_by_id(id);
        self.wait_for_call(inner, id, freed)
    }

    fn wait_for_call(
        &self,
        mut inner: Guard<'_, Inner>,
        id: EventId,
        deleted: Result<(), Error>,
    ) -> Result<(), Error> {
        if !inner.is_called_elsewhere(id) {
            self.unlock(inner);
            return deleted;
        }
        let ended = Arc::clone(inner.run.waiters.ended.get_or_insert_default());
        let call = inner.run.waiters.calls;
        inner.run.control.attention |= Attention::WAITED_FOR;
        while inner.run.waiters.calls == call {
            inner = ended.wait(inner);
        }
        if inner.closed { Err(Error::Closed) } else { Ok(()) }
    }
}
