//! Priorities: how many a base has, and which an event has.

use super::Base;
use super::queues::Queue;
use crate::error::Error;
use crate::event::{EventId, State};

impl Base {
    /// Sets the number of priorities, 1 to [`MAX_PRIORITIES`](crate::MAX_PRIORITIES)
    /// (`event_base_priority_init`). Events of a priority that no longer exists get the least urgent one.
    ///
    /// # Errors
    /// [`Error::Active`] while any event is active, [`Error::OutOfRange`] for 0, [`Error::Closed`],
    /// [`Error::WrongThread`].
    pub fn set_priorities(&self, count: u8) -> Result<(), Error> {
        self.try_with(|inner| {
            if count == 0 {
                return Err(Error::OutOfRange("the number of priorities"));
            }
            if inner.counts.active() > 0 {
                return Err(Error::Active);
            }
            inner.queues.by_priority = vec![Queue::EMPTY; usize::from(count)];
            // The pass under way, if any, looks into its queue once more.
            inner.pass.priority = inner.pass.priority.min(count - 1);
            for index in inner.table.indices() {
                let record = inner.table.at(index);
                record.priority = record.priority.min(count - 1);
            }
            Ok(())
        })
    }

    /// The number of priorities (`event_base_get_npriorities`).
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::WrongThread`].
    pub fn priorities(&self) -> Result<u8, Error> {
        self.with(|inner| inner.queues.priorities())
    }

    /// The event's priority (`event_get_priority`).
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::WrongThread`].
    pub fn priority(&self, id: EventId) -> Result<u8, Error> {
        self.try_with(|inner| {
            let index = inner.table.find(id)?;
            Ok(inner.table.at(index).priority)
        })
    }

    /// Changes an event's priority (`event_priority_set`).
    ///
    /// # Errors
    /// [`Error::Active`] while the event is active, [`Error::OutOfRange`] for a priority the base does not
    /// have, [`Error::Closed`], [`Error::WrongThread`].
    pub fn set_priority(&self, id: EventId, priority: u8) -> Result<(), Error> {
        self.try_with(|inner| {
            let index = inner.table.find(id)?;
            if priority >= inner.queues.priorities() {
                return Err(Error::OutOfRange("the priority"));
            }
            let record = inner.table.at(index);
            if record.state.contains(State::ACTIVE) {
                return Err(Error::Active);
            }
            record.priority = priority;
            Ok(())
        })
    }
}
