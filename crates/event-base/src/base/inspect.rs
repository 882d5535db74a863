//! Counters, and a look at the events.

use std::ops::ControlFlow;
use std::time::Duration;

use super::{Base, Inner};
use crate::error::Error;
use crate::event::{EventId, EventInfo, State};
use crate::flags::{CountFlags, What};

/// How many events are where, and how many there ever were.
#[derive(Debug, Default)]
pub(super) struct Counts {
    now: [usize; 3],
    most: [usize; 3],
}

/// The order of the counters.
const FLAGS: [CountFlags; 3] = [CountFlags::ACTIVE, CountFlags::VIRTUAL, CountFlags::ADDED];
const ACTIVE: usize = 0;
const VIRTUAL: usize = 1;
const ADDED: usize = 2;

impl Counts {
    fn up(&mut self, counter: usize) {
        self.now[counter] += 1;
        self.most[counter] = self.most[counter].max(self.now[counter]);
    }

    fn down(&mut self, counter: usize) {
        self.now[counter] = self.now[counter].saturating_sub(1);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.now == [0; 3]
    }

    pub(super) fn added(&self) -> usize {
        self.now[ADDED]
    }

    pub(super) fn active(&self) -> usize {
        self.now[ACTIVE]
    }
}

impl Inner {
    /// Notes that the event is in one more list. One membership is one count, as in libevent: an event that
    /// waits for a descriptor and for a deadline counts twice.
    #[inline]
    pub(super) fn list(&mut self, index: u32, list: State) {
        let state = &mut self.table.at(index).state;
        if !state.contains(list) {
            *state |= list;
            self.counts.up(ADDED);
            if State::QUEUED.contains(list) {
                self.counts.up(ACTIVE);
            }
        }
    }

    /// Notes that the event is in one list less; answers whether it was there.
    #[inline]
    pub(super) fn unlist(&mut self, index: u32, list: State) -> bool {
        let state = &mut self.table.at(index).state;
        let was_there = state.contains(list);
        if was_there {
            *state -= list;
            self.counts.down(ADDED);
            if State::QUEUED.contains(list) {
                self.counts.down(ACTIVE);
            }
        }
        was_there
    }

    fn info(&mut self, index: u32) -> EventInfo {
        let id = self.table.id(index);
        let record = self.table.at(index).clone();
        let mut pending = What::empty();
        pending.set(What::TIMEOUT, record.state.contains(State::TIMEOUT));
        if record.state.contains(State::INSERTED) {
            pending |= record.what.io();
        }
        let is_active = record.state.intersects(State::QUEUED);
        EventInfo {
            id,
            fd: record.fd,
            what: record.what,
            pending,
            // A result outlives the queue it was for.
            active: if is_active { record.result } else { What::empty() },
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
    /// The sum of the counters in `flags` (`event_base_get_num_events`).
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::WrongThread`].
    pub fn count_events(&self, flags: CountFlags) -> Result<usize, Error> {
        self.with(|inner| {
            FLAGS
                .iter()
                .zip(inner.counts.now)
                .filter(|(flag, _)| flags.contains(**flag))
                .map(|(_, n)| n)
                .sum()
        })
    }

    /// The sum of the highest values that the counters in `flags` ever had; with `clear` they begin again
    /// from zero (`event_base_get_max_events`).
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::WrongThread`].
    pub fn max_events(&self, flags: CountFlags, clear: bool) -> Result<usize, Error> {
        self.with(|inner| {
            let mut sum = 0;
            for (flag, most) in FLAGS.iter().zip(&mut inner.counts.most) {
                if flags.contains(*flag) {
                    sum += *most;
                    if clear {
                        *most = 0;
                    }
                }
            }
            sum
        })
    }

    /// Keeps the loop from being empty until [`release`](Self::release) is called as often
    /// (`event_base_add_virtual_`).
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::WrongThread`].
    pub fn retain(&self) -> Result<(), Error> {
        self.with(|inner| inner.counts.up(VIRTUAL))
    }

    /// Takes one [`retain`](Self::retain) back (`event_base_del_virtual_`). More than there were are ignored.
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::WrongThread`].
    pub fn release(&self) -> Result<(), Error> {
        self.with(|inner| {
            inner.counts.down(VIRTUAL);
            inner.request_wake_if_empty();
        })
    }

    /// Every event that is pending or active, once: those on descriptors in the order of the descriptors,
    /// then timers by deadline, then those that are only active (`event_base_foreach_event`).
    ///
    /// A copy: the base may be used while it is looked through.
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::WrongThread`].
    pub fn events(&self) -> Result<Vec<EventInfo>, Error> {
        self.with(|inner| {
            let mut events = Vec::with_capacity(inner.table.live());
            for fd in 0..inner.fds.len() {
                for index in inner.fds.on(&mut inner.table, fd) {
                    events.push(inner.info(index));
                }
            }
            let inserted = events.len();
            for index in inner.table.indices() {
                let state = inner.table.at(index).state;
                if state.intersects(State::LISTED) && !state.contains(State::INSERTED) {
                    events.push(inner.info(index));
                }
            }
            events[inserted..].sort_by_key(|event| event.expires_at.unwrap_or(Duration::MAX));
            events
        })
    }

    /// Shows `visit` each of the [events](Self::events), in their order, until it says stop
    /// (`event_base_foreach_event`). The answer is what it said last.
    ///
    /// It is shown a copy, without the lock: the base may be used meanwhile.
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::WrongThread`].
    pub fn for_each<B>(
        &self,
        visit: impl FnMut(EventInfo) -> ControlFlow<B>,
    ) -> Result<ControlFlow<B>, Error> {
        Ok(self.events()?.into_iter().try_for_each(visit))
    }

    /// What there is to know about one event (`event_get_assignment` and the getters beside it).
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::WrongThread`].
    pub fn info(&self, id: EventId) -> Result<EventInfo, Error> {
        self.try_with(|inner| {
            let index = inner.table.find(id)?;
            Ok(inner.info(index))
        })
    }

    /// Events that exist, pending or not.
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::WrongThread`].
    pub fn live_events(&self) -> Result<usize, Error> {
        self.with(|inner| inner.table.live())
    }

    /// The event handed out last, while its callback runs; `None` outside callbacks, on other threads, and
    /// once the event is gone (`event_base_get_running_event`).
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::WrongThread`].
    pub fn running_event(&self) -> Result<Option<EventId>, Error> {
        self.with(|inner| {
            let running = inner.run.is_owner().then_some(inner.pass.running()).flatten();
            running.filter(|id| inner.table.get(*id).is_some())
        })
    }
}
