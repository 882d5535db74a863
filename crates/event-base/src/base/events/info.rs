//! Reading the state of events.

use std::ops::ControlFlow;
use std::time::Duration;

use crate::base::{Base, Inner};
use crate::error::Error;
use crate::event::{EventId, EventInfo, REPEATS, State};
use crate::flags::What;

impl Inner {
    fn info(&mut self, index: u32) -> EventInfo {
        let id = self.events.table.id(index);
        let record = self.events.table.at(index).clone();
        let mut pending = What::empty();
        pending.set(What::TIMEOUT, record.state.contains(State::TIMEOUT));
        if record.state.contains(State::INSERTED) {
            pending |= record.what & What::REGISTERED;
        }
        let is_active = record.state.intersects(State::QUEUED);
        EventInfo {
            id,
            fd: record.fd,
            what: record.what,
            pending,
            // The record keeps a result longer than the event is active.
            active: if is_active { record.result - REPEATS } else { What::empty() },
            is_active,
            priority: record.priority,
            expires_at: record
                .timer
                .deadline()
                .map(|deadline| Duration::from_nanos(self.time.to_wall(deadline))),
            data: record.data,
        }
    }
}

impl Base {
    /// Every event that is pending or active, once: those on descriptors in the order of the descriptors,
    /// those for signals in the order of the signals, then timers by deadline, then those that are only active
    /// (`event_base_foreach_event`).
    ///
    /// A copy: the base may be used while the caller iterates over it.
    pub fn events(&self) -> Result<Vec<EventInfo>, Error> {
        self.with(|inner| {
            let mut events = Vec::with_capacity(inner.events.table.live());
            for fd in 0..inner.events.fds.len() {
                for index in inner.events.fds.on(&mut inner.events.table, fd) {
                    events.push(inner.info(index));
                }
            }
            for index in inner.events.signals.on_all(&mut inner.events.table) {
                events.push(inner.info(index));
            }
            let inserted = events.len();
            for index in inner.events.table.indices() {
                let state = inner.events.table.at(index).state;
                if state.intersects(State::LISTED) && !state.contains(State::INSERTED) {
                    events.push(inner.info(index));
                }
            }
            events[inserted..].sort_by_key(|event| event.expires_at.unwrap_or(Duration::MAX));
            events
        })
    }

    /// Calls `visit` with each of the [events](Self::events), in their order, until it breaks
    /// (`event_base_foreach_event`). Returns what it returned last.
    ///
    /// `visit` receives copies and runs without the lock: it may use the base.
    pub fn for_each<B>(
        &self,
        visit: impl FnMut(EventInfo) -> ControlFlow<B>,
    ) -> Result<ControlFlow<B>, Error> {
        Ok(self.events()?.into_iter().try_for_each(visit))
    }

    /// The state of one event (`event_get_assignment` and the getters beside it).
    pub fn info(&self, id: EventId) -> Result<EventInfo, Error> {
        self.try_with(|inner| {
            let index = inner.events.table.find(id)?;
            Ok(inner.info(index))
        })
    }

    /// The number of events that exist, pending or not. For tests.
    #[cfg(feature = "test-util")]
    pub fn live_events(&self) -> Result<usize, Error> {
        self.with(|inner| inner.events.table.live())
    }

    /// Which bits of `mask` the event is pending or active for (`event_pending`).
    pub fn pending(&self, id: EventId, mask: What) -> Result<What, Error> {
        self.try_with(|inner| {
            let index = inner.events.table.find(id)?;
            let record = inner.events.table.at(index);
            let mut what = What::empty();
            if record.state.contains(State::INSERTED) {
                what |= record.what & What::REGISTERED;
            }
            if record.state.intersects(State::QUEUED) {
                what |= record.result;
            }
            if record.state.contains(State::TIMEOUT) {
                what |= What::TIMEOUT;
            }
            Ok(what & mask & (What::IO | What::TIMEOUT | What::SIGNAL))
        })
    }

    /// Whether the event is neither pending nor active.
    pub fn is_idle(&self, id: EventId) -> Result<bool, Error> {
        self.try_with(|inner| {
            let index = inner.events.table.find(id)?;
            Ok(!inner.events.table.at(index).state.intersects(State::LISTED))
        })
    }

    /// When the event times out, as time since 1970; `None` if no deadline is set.
    pub fn expires_at(&self, id: EventId) -> Result<Option<Duration>, Error> {
        self.try_with(|inner| {
            let index = inner.events.table.find(id)?;
            let deadline = inner.events.table.at(index).timer.deadline();
            Ok(deadline.map(|deadline| Duration::from_nanos(inner.time.to_wall(deadline))))
        })
    }
}
