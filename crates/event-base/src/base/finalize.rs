//! Finalizing: an event is deleted at once and handed out once more, so that what its callback uses can be let go
//! where nothing uses it any more.

use super::{Base, Inner};
use crate::error::Error;
use crate::event::{EventId, State};
use crate::flags::What;

impl Inner {
    fn finalize(&mut self, index: u32, finalizing: State) {
        if self.table.at(index).state.intersects(State::ANY_FINALIZING) {
            return;
        }
        self.delete(index);
        self.make_active(index, What::FINALIZE);
        self.table.at(index).state |= finalizing;
    }
}

impl Base {
    /// Deletes an event and has it handed out once more, with FINALIZE as its result, after which it is
    /// gone (`event_free_finalize`). Nothing else can happen to it meanwhile. Any thread.
    ///
    /// One that is being [finalized and kept](Self::finalize_keep) already will be gone, too.
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::WrongThread`].
    pub fn finalize(&self, id: EventId) -> Result<(), Error> {
        self.try_with(|inner| {
            let index = inner.table.find(id)?;
            let state = &mut inner.table.at(index).state;
            if state.contains(State::FINALIZING_KEPT) {
                *state = (*state - State::FINALIZING_KEPT) | State::FINALIZING;
            }
            inner.finalize(index, State::FINALIZING);
            Ok(())
        })
    }

    /// The same, but the event stays (`event_finalize`): from when it is handed out with FINALIZE it is idle and
    /// can be used again, assigned, added and finalized, in its finalizer already. A
    /// [transient](crate::EventSpec::transient) one is gone all the same. Any thread.
    ///
    /// On one that is being finalized already this changes nothing.
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::WrongThread`].
    pub fn finalize_keep(&self, id: EventId) -> Result<(), Error> {
        self.try_with(|inner| {
            let index = inner.table.find(id)?;
            inner.finalize(index, State::FINALIZING_KEPT);
            Ok(())
        })
    }
}
