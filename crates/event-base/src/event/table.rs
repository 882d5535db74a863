//! The events of a base, in slots that are reused.

use bitflags::bitflags;

use super::EventSpec;
use super::id::{EventId, MAX_SLOTS, SlotId};
use crate::error::Error;
use crate::flags::What;
use crate::time::{Nanos, Timer, TimerTable};

/// The end of a list of slots.
pub(crate) const NONE: u32 = u32::MAX;

bitflags! {
    /// Which lists an event is in (`EVLIST_*`), and what the base does to it later.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub(crate) struct State: u8 {
        /// A deadline is set.
        const TIMEOUT = 0x01;
        /// In the descriptor map.
        const INSERTED = 0x02;
        /// In the queue of its priority.
        const ACTIVE = 0x08;
        /// In the queue of the next pass.
        const ACTIVE_LATER = 0x20;
        /// Deleted; it is dispatched once more, as a finalizer, and freed.
        const FINALIZING = 0x40;
        /// The same, but it is not freed and can be used again.
        const FINALIZING_KEPT = 0x10;
        /// Freed when it is dispatched and then in no list: see [`EventSpec::transient`].
        const TRANSIENT = 0x80;
        /// The slot is in use.
        const LIVE = 0x04;
    }
}

/// A bit that only the result of a queued event contains: the event is to be dispatched more than once.
pub(crate) const REPEATS: What = What::PERSIST;

impl State {
    /// In the queue of its priority or in that of the next pass.
    pub(crate) const QUEUED: State = State::ACTIVE.union(State::ACTIVE_LATER);
    /// No operation affects it until its finalizer has run.
    pub(crate) const ANY_FINALIZING: State = State::FINALIZING.union(State::FINALIZING_KEPT);
    /// In any list.
    pub(crate) const LISTED: State = State::QUEUED.union(State::TIMEOUT).union(State::INSERTED);
}

/// One event. It fits one cache line, because firing a timer accesses its record twice, in random order.
#[derive(Debug, Clone)]
#[repr(align(64))]
pub(crate) struct Record {
    pub(crate) timer: Timer,
    /// The period of a persistent event that was added with a timeout: nanoseconds, [`COMMON`] with the number
    /// of a queue, or [`NO_INTERVAL`].
    interval: Nanos,
    pub(crate) data: u64,
    pub(crate) fd: i32,
    generation: u32,
    /// Its neighbours in the active queue it is in. In a free slot, `next` is the next free slot.
    pub(crate) queue_links: Links,
    /// The number of the pass in which it was last dispatched, or created.
    pub(crate) pass: u32,
    pub(crate) what: What,
    pub(crate) result: What,
    pub(crate) state: State,
    pub(crate) priority: u8,
}

/// No period: 2^64 - 1 nanoseconds, 584 years.
const NO_INTERVAL: Nanos = Nanos::MAX;
/// The period is that of a common timeout, whose number is in the low bits. As a time it would be 292 years.
const COMMON: Nanos = 1 << 63;

/// How a persistent event is armed again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Period {
    /// After this time.
    Own(Nanos),
    /// In the common timeout of that number.
    Common(u8),
}

impl Record {
    pub(crate) fn has_period(&self) -> bool {
        self.interval != NO_INTERVAL
    }

    /// Replaces the specification of an idle event.
    pub(crate) fn assign(&mut self, spec: &EventSpec, priority: u8) {
        self.interval = NO_INTERVAL;
        self.data = spec.data;
        self.fd = spec.fd;
        self.what = spec.what;
        self.result = What::empty();
        self.priority = priority;
        self.state.set(State::TRANSIENT, spec.transient);
    }

    pub(crate) fn period(&self) -> Option<Period> {
        self.has_period().then_some(if self.interval < COMMON {
            Period::Own(self.interval)
        } else {
            Period::Common(self.interval as u8)
        })
    }

    pub(crate) fn set_period(&mut self, period: Option<Period>) {
        self.interval = match period {
            None => NO_INTERVAL,
            Some(Period::Own(interval)) => interval.min(COMMON - 1),
            Some(Period::Common(number)) => COMMON + Nanos::from(number),
        };
    }
}

/// The slots before and behind an event in one list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Links {
    pub(crate) prev: u32,
    pub(crate) next: u32,
}

const UNLINKED: Links = Links { prev: NONE, next: NONE };

/// The slots.
#[derive(Debug)]
pub(crate) struct Table {
    records: Vec<Record>,
    /// The neighbours of each event in the list of its descriptor or signal. Not in the record, because timers have
    /// none.
    source_links: Vec<Links>,
    free: u32,
    live: usize,
}

impl Default for Table {
    fn default() -> Self {
        Table { records: Vec::new(), source_links: Vec::new(), free: NONE, live: 0 }
    }
}

impl Table {
    pub(crate) fn insert(&mut self, spec: &EventSpec, priority: u8, pass: u32) -> Result<EventId, Error> {
        let mut record = Record {
            timer: Timer::default(),
            interval: NO_INTERVAL,
            data: spec.data,
            fd: spec.fd,
            generation: 1,
            queue_links: UNLINKED,
            pass,
            what: spec.what,
            result: What::empty(),
            state: if spec.transient { State::LIVE | State::TRANSIENT } else { State::LIVE },
            priority,
        };
        let index = self.free;
        if let Some(slot) = self.records.get_mut(index as usize) {
            self.free = slot.queue_links.next;
            record.generation = slot.generation;
            // The heap may still hold an entry for this slot, so its timer is kept.
            record.timer = slot.timer;
            *slot = record;
            self.live += 1;
            return Ok(self.id(index));
        }
        let index = self.records.len() as u32;
        if index >= MAX_SLOTS {
            return Err(Error::OutOfRange("the number of events"));
        }
        self.records.push(record);
        self.source_links.push(UNLINKED);
        self.live += 1;
        Ok(self.id(index))
    }

    /// Frees a slot that is in no list.
    pub(crate) fn remove(&mut self, index: u32) {
        let free = self.free;
        let record = self.at(index);
        debug_assert!(!record.state.intersects(State::LISTED));
        record.state = State::empty();
        record.generation += 1;
        if record.generation <= SlotId::MAX_GENERATION {
            record.queue_links.next = free;
            self.free = index;
        }
        self.live -= 1;
    }

    pub(crate) fn id(&self, index: u32) -> EventId {
        EventId { index, generation: self.records[index as usize].generation }
    }

    /// The record of a slot that is in use.
    pub(crate) fn at(&mut self, index: u32) -> &mut Record {
        &mut self.records[index as usize]
    }

    pub(crate) fn source_links(&mut self, index: u32) -> &mut Links {
        &mut self.source_links[index as usize]
    }

    pub(crate) fn get(&self, id: EventId) -> Option<&Record> {
        self.records
            .get(id.index as usize)
            .filter(|record| record.generation == id.generation && record.state.contains(State::LIVE))
    }

    /// The slot of `id`.
    ///
    /// # Errors
    /// [`Error::Closed`] if the event does not exist.
    pub(crate) fn find(&self, id: EventId) -> Result<u32, Error> {
        self.get(id).map(|_| id.index).ok_or(Error::Closed)
    }

    /// How many events exist.
    pub(crate) fn live(&self) -> usize {
        self.live
    }

    pub(crate) fn indices(&self) -> std::ops::Range<u32> {
        0..self.records.len() as u32
    }
}

impl TimerTable for Table {
    fn timer(&mut self, slot: u32) -> &mut Timer {
        &mut self.at(slot).timer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reused_slot_has_another_generation() {
        let mut table = Table::default();
        let first = table.insert(&EventSpec::timer(), 0, 0).unwrap();
        table.remove(first.index);
        let second = table.insert(&EventSpec::timer(), 0, 0).unwrap();
        assert_eq!(first.index, second.index);
        assert_ne!(first, second);
        assert_eq!(table.find(first), Err(Error::Closed));
        assert_eq!(table.find(second), Ok(second.index));
        assert_eq!(table.live(), 1);
    }

    #[test]
    fn a_slot_is_not_reused_after_its_last_generation() {
        let mut table = Table::default();
        let first = table.insert(&EventSpec::timer(), 0, 0).unwrap();
        table.at(first.index).generation = SlotId::MAX_GENERATION;
        table.remove(first.index);
        let second = table.insert(&EventSpec::timer(), 0, 0).unwrap();
        assert_ne!(first.index, second.index);
    }

    #[test]
    fn a_record_stores_every_kind_of_period() {
        let mut table = Table::default();
        let id = table.insert(&EventSpec::timer(), 0, 0).unwrap();
        let record = table.at(id.index);
        assert_eq!(record.period(), None);
        let kinds = [0, 1, COMMON - 1].map(Period::Own).into_iter().chain([0, 255].map(Period::Common));
        for period in kinds.map(Some).chain([None]) {
            record.set_period(period);
            assert_eq!((record.period(), record.has_period()), (period, period.is_some()));
        }
        record.set_period(Some(Period::Own(Nanos::MAX)));
        assert_eq!(
            record.period(),
            Some(Period::Own(COMMON - 1)),
            "a period that is too long becomes the longest"
        );
    }

    #[test]
    fn a_record_is_one_cache_line() {
        assert_eq!(size_of::<Record>(), 64);
    }
}
