//! Priorities: how many a base has, and which one an event has.

use super::queues::Queues;
use crate::base::Base;
use crate::error::Error;
use crate::event::{EventId, State};

impl Base {
    /// Sets the number of priorities, 1 to [`MAX_PRIORITIES`](crate::MAX_PRIORITIES)
    /// (`event_base_priority_init`). Events of a priority that no longer exists get the least urgent one.
    ///
    /// # Errors
    /// [`Error::Active`] while any event is active, [`Error::OutOfRange`] for 0.
    pub fn set_priorities(&self, count: u8) -> Result<(), Error> {
        self.try_with(|inner| {
            if count == 0 {
                return Err(Error::OutOfRange("the number of priorities"));
            }
            let events = &mut inner.events;
            if events.counts.active() > 0 {
                return Err(Error::Active);
            }
            events.queues = Queues { deferred: events.queues.deferred, ..Queues::new(count) };
            // An open pass checks its queue once more.
            inner.run.limit_priority(count - 1);
            for index in events.table.indices() {
                let record = events.table.at(index);
                record.priority = record.priority.min(count - 1);
            }
            Ok(())
        })
    }

    /// The number of priorities (`event_base_get_npriorities`).
    pub fn priorities(&self) -> Result<u8, Error> {
        self.with(|inner| inner.events.queues.priorities())
    }

    /// The event's priority (`event_get_priority`).
    pub fn priority(&self, id: EventId) -> Result<u8, Error> {
        self.try_with(|inner| {
            let index = inner.events.table.find(id)?;
            Ok(inner.events.table.at(index).priority)
        })
    }

    /// Changes an event's priority (`event_priority_set`).
    ///
    /// # Errors
    /// [`Error::Active`] while the event is active, [`Error::OutOfRange`] for a priority that the base does not
    /// have.
    pub fn set_priority(&self, id: EventId, priority: u8) -> Result<(), Error> {
        self.try_with(|inner| {
            let index = inner.events.table.find(id)?;
            if priority >= inner.events.queues.priorities() {
                return Err(Error::OutOfRange("the priority"));
            }
            let record = inner.events.table.at(index);
            if record.state.contains(State::ACTIVE) {
                return Err(Error::Active);
            }
            record.priority = priority;
            Ok(())
        })
    }
}
