//! Finalizing: an event is deleted immediately and dispatched once more, so that what its callback uses can be
//! released when no callback uses it any more.

use crate::base::{Base, Inner};
use crate::error::Error;
use crate::event::{EventId, State};
use crate::flags::What;

impl Inner {
    fn finalize(&mut self, index: u32, finalizing: State) {
        if self.events.table.at(index).state.intersects(State::ANY_FINALIZING) {
            return;
        }
        self.delete(index);
        self.make_active(index, What::FINALIZE);
        self.events.table.at(index).state |= finalizing;
    }
}

impl Base {
    /// Deletes an event and dispatches it once more, with FINALIZE as its result, after which it no longer
    /// exists (`event_free_finalize`). No other operation affects it meanwhile. Any thread.
    ///
    /// One that is being [finalized and kept](Self::finalize_keep) already is freed as well.
    pub fn finalize(&self, id: EventId) -> Result<(), Error> {
        self.try_to_delete(|inner| {
            let index = inner.events.table.find(id)?;
            let state = &mut inner.events.table.at(index).state;
            if state.contains(State::FINALIZING_KEPT) {
                *state = (*state - State::FINALIZING_KEPT) | State::FINALIZING;
            }
            inner.finalize(index, State::FINALIZING);
            Ok(())
        })
    }

    /// The same, but the event stays (`event_finalize`): once it is dispatched with FINALIZE it is idle and can
    /// be assigned, added and finalized again, also in its finalizer. A [transient](crate::EventSpec::transient)
    /// one is freed all the same. Any thread.
    ///
    /// Without effect on one that is being finalized already.
    pub fn finalize_keep(&self, id: EventId) -> Result<(), Error> {
        self.try_to_delete(|inner| {
            let index = inner.events.table.find(id)?;
            inner.finalize(index, State::FINALIZING_KEPT);
            Ok(())
        })
    }
}
