//! Taking events out of their queues: what happens to an event just before its callback.

use crate::base::{Base, Inner};
use crate::error::Error;
use crate::event::{EventId, Period, REPEATS, Ready, State};
use crate::flags::What;

impl super::Events {
    /// Takes the first event of a queue out of it.
    #[inline]
    pub(in crate::base) fn pop(&mut self, priority: u8) -> Option<u32> {
        let index = self.queues.of(priority).pop(&mut self.table)?;
        self.unlist(index, State::ACTIVE);
        Some(index)
    }

    /// Releases a transient event that was dispatched for the last time; returns whether it was released, which it
    /// is not if it was added again.
    pub(in crate::base) fn release_transient(&mut self, index: u32) -> bool {
        let record = self.table.at(index);
        let is_released = record.state.intersects(State::TRANSIENT | State::FINALIZING)
            && !record.state.intersects(State::LISTED);
        if is_released {
            self.table.remove(index);
        }
        is_released
    }

    /// What is dispatched of an event, with `what` as its result.
    #[inline]
    pub(in crate::base) fn ready(&mut self, index: u32, what: What) -> Ready {
        let id = self.table.id(index);
        let record = self.table.at(index);
        Ready { id, fd: record.fd, what, data: record.data, released: false, orphaned: false }
    }
}

impl Inner {
    /// Prepares an event that was taken out of its queue, and returns what is dispatched.
    #[inline(always)]
    pub(in crate::base) fn dispatch(&mut self, index: u32) -> Ready {
        let id = self.events.table.id(index);
        let record = self.events.table.at(index);
        record.pass = self.run.pass_number();
        let (fd, data, state, what) = (record.fd, record.data, record.state, record.what);
        record.state = state - State::FINALIZING_KEPT;
        let queued = std::mem::take(&mut record.result);
        let result = queued - REPEATS;
        self.report.count_result(result);
        if what.contains(What::PERSIST) && record.has_period() {
            self.rearm(index, result);
        } else if state.intersects(State::TIMEOUT | State::INSERTED) && !what.contains(What::PERSIST) {
            self.delete(index);
        }
        let is_special = state.intersects(State::TRANSIENT | State::FINALIZING) | queued.contains(REPEATS);
        let released = is_special && self.settle_dispatched(index, queued);
        self.run.begin_call(id);
        Ready { id, fd, what: result, data, released, orphaned: false }
    }

    /// Records that an event is to be dispatched several times, or releases one that is dispatched for the last
    /// time; returns whether it was released.
    #[inline]
    fn settle_dispatched(&mut self, index: u32, queued: What) -> bool {
        if queued.contains(REPEATS) {
            let left = self.events.signals.take_calls(index);
            self.run.begin_repeats(index, left, queued - REPEATS);
            return false;
        }
        self.events.release_transient(index)
    }

    /// Sets the next deadline of a persistent event that was added with a timeout (`event_persist_closure`).
    ///
    /// A timer keeps its phase: the next deadline counts from the one that passed. Readiness and manual
    /// activation begin a new period now. Periods that were missed altogether are skipped.
    ///
    /// An interval of zero fires once in every pass; libevent fires it once and never again.
    fn rearm(&mut self, index: u32, result: What) {
        let record = self.events.table.at(index);
        let Some(period) = record.period() else { return };
        let fired = record.timer.last_deadline();
        let interval = match period {
            Period::Own(interval) => interval,
            Period::Common(number) => self.events.deadlines.common_duration(number),
        };
        let now = self.time.now();
        // A timer that was activated by hand with TIMEOUT did not reach its deadline; libevent counts from there
        // all the same, which doubles the interval.
        let from = if result.contains(What::TIMEOUT) && fired <= now { fired } else { now };
        let mut next = from.saturating_add(interval);
        if next < now {
            next = now.saturating_add(interval);
        }
        self.events.list(index, State::TIMEOUT);
        match period {
            Period::Own(_) => self.events.deadlines.arm(&mut self.events.table, index, next),
            Period::Common(number) => {
                self.events.deadlines.arm_common(&mut self.events.table, index, number, next);
            }
        }
    }

    /// The next orphaned transient event that was not added again, ahead of the queues.
    #[inline]
    pub(in crate::base) fn next_orphaned_transient(&mut self) -> Option<Ready> {
        if self.events.orphaned_transients.is_empty() { None } else { self.take_orphaned_transient() }
    }

    #[cold]
    fn take_orphaned_transient(&mut self) -> Option<Ready> {
        self.notify_waiters();
        self.settle_callback();
        while let Some(id) = self.events.orphaned_transients.pop() {
            let Some(record) = self.events.table.get(id) else { continue };
            if !record.state.intersects(State::LISTED) {
                let ready = self.events.ready(id.index, What::empty());
                self.events.table.remove(id.index);
                return Some(Ready { released: true, orphaned: true, ..ready });
            }
        }
        None
    }
}

impl Base {
    /// The event dispatched last, while its callback runs; `None` outside callbacks, on other threads, and once
    /// the event was freed (`event_base_get_running_event`).
    pub fn running_event(&self) -> Result<Option<EventId>, Error> {
        self.with(|inner| {
            let running = inner.run.is_owner().then_some(inner.run.running()).flatten();
            running.filter(|id| inner.events.exists(*id))
        })
    }
}
