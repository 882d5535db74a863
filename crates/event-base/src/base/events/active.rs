//! Making events active.
//!
//! A pass is finite. An event that a callback makes active joins the pass, unless it was already dispatched or created
//! in this pass: then it waits for the next one. So events that activate themselves or each other do not keep the loop
//! from polling descriptors, timers and exits. (In libevent such a pass does not end.)

use std::os::fd::RawFd;

use crate::backend::Readiness;
use crate::base::{Base, Inner};
use crate::error::Error;
use crate::event::{EventId, EventSpec, List, NONE, REPEATS, Source, State};
use crate::flags::What;

/// Deferred activations in one pass; more wait for the next (libevent's `MAX_DEFERREDS_QUEUED`).
const MAX_DEFERRED: u32 = 32;

impl Inner {
    /// Makes an event active, or adds to the result of one that is (`event_active_nolock_`). Returns whether it was
    /// queued by this.
    #[inline]
    pub(super) fn make_active(&mut self, index: u32, what: What) -> bool {
        let record = self.events.table.at(index);
        let is_idle = !record.state.intersects(State::QUEUED.union(State::ANY_FINALIZING));
        if !is_idle || self.run.was_dispatched(record.pass) {
            return self.make_active_again(index, what);
        }
        record.result = what;
        self.run.preempt(record.priority);
        self.queue_now(index);
        true
    }

    /// [`make_active`](Self::make_active) for an event that is active already, or was dispatched in this pass.
    fn make_active_again(&mut self, index: u32, what: What) -> bool {
        let record = self.events.table.at(index);
        let (state, priority) = (record.state, record.priority);
        if state.intersects(State::ANY_FINALIZING) {
            return false;
        }
        let was_queued = state.intersects(State::QUEUED);
        if was_queued {
            record.result |= what;
        } else {
            record.result = what;
        }
        let was_dispatched = self.run.was_dispatched(record.pass);
        if state.contains(State::ACTIVE) || (was_dispatched && was_queued) {
            return false;
        }
        self.run.preempt(priority);
        if was_queued {
            self.events.withdraw(index);
        }
        if was_dispatched {
            self.queue_later(index)
        } else {
            self.queue_now(index)
        }
        !was_queued
    }

    /// Makes an event active in the next pass (`event_active_later_`); one that is active already stays so. Returns
    /// whether it was queued by this.
    fn make_active_later(&mut self, index: u32, what: What) -> bool {
        let record = self.events.table.at(index);
        if record.state.intersects(State::ANY_FINALIZING) {
            return false;
        }
        if record.state.intersects(State::QUEUED) {
            record.result |= what;
            return false;
        }
        record.result = what;
        self.queue_later(index);
        true
    }

    /// Creates an event and makes it active.
    pub(super) fn create_and_activate(&mut self, spec: &EventSpec, what: What) -> Result<EventId, Error> {
        let id = self.create(spec)?;
        self.make_active(id.index, what);
        Ok(id)
    }

    /// Makes an event active, in the next pass if too many were deferred in this one. Returns whether it was queued by
    /// this.
    fn make_deferred(&mut self, index: u32, what: What) -> bool {
        if self.events.queues.deferred > MAX_DEFERRED {
            return self.make_active_later(index, what);
        }
        let is_new = self.make_active(index, what);
        self.events.queues.deferred += u32::from(is_new);
        is_new
    }

    #[inline]
    fn queue_now(&mut self, index: u32) {
        self.events.queue(index);
        self.kernel.request_wake();
    }

    fn queue_later(&mut self, index: u32) {
        self.events.queues.later.append(&mut self.events.table, index);
        self.events.list(index, State::ACTIVE_LATER);
        self.kernel.request_wake();
    }

    /// Makes active the events of a descriptor that the kernel reported ready; returns whether the registration
    /// exists.
    pub(in crate::base) fn make_ready(&mut self, readiness: Readiness) -> bool {
        let Some(mut index) = self.events.fds.first(readiness.token) else { return false };
        while index != NONE {
            let next = List::<Source>::next(&mut self.events.table, index);
            let result = self.events.table.at(index).what & readiness.what;
            if result.intersects(What::IO) {
                self.make_active(index, result);
            }
            index = next;
        }
        true
    }

    /// Moves the events that were deferred to this pass to the queues of their priorities.
    pub(in crate::base) fn promote_later(&mut self) {
        self.events.queues.deferred = 0;
        while !self.events.queues.later.is_empty() {
            let index = self.events.queues.later.first();
            self.events.withdraw(index);
            self.queue_now(index);
        }
    }
}

impl super::Events {
    /// Appends an event to the queue of its priority.
    #[inline]
    fn queue(&mut self, index: u32) {
        let priority = self.table.at(index).priority;
        self.queues.of(priority).append(&mut self.table, index);
        self.list(index, State::ACTIVE);
    }

    /// Takes an event out of the queue it is in, if any. Its result stays.
    #[inline]
    pub(super) fn withdraw(&mut self, index: u32) {
        if self.unlist(index, State::ACTIVE) {
            let priority = self.table.at(index).priority;
            self.queues.of(priority).remove(&mut self.table, index);
        } else if self.unlist(index, State::ACTIVE_LATER) {
            self.queues.later.remove(&mut self.table, index);
        }
    }
}

impl Base {
    /// Makes an event active, pending or not, with `what` as its result (`event_active`). Returns whether it was queued
    /// by this call: it was neither active nor being finalized.
    ///
    /// If it is active already, `what` is added to its result. An event more urgent than the one whose
    /// callback runs ends the pass, so that it is dispatched next. Any thread.
    pub fn activate(&self, id: EventId, what: What) -> Result<bool, Error> {
        self.try_with(|inner| {
            let index = inner.events.table.find(id)?;
            Ok(inner.make_active(index, what - REPEATS))
        })
    }

    /// Makes an event active in the next pass, after descriptors and timers were polled (`event_active_later_`).
    /// Returns whether it was queued by this call. Any thread.
    pub fn activate_later(&self, id: EventId, what: What) -> Result<bool, Error> {
        self.try_with(|inner| {
            let index = inner.events.table.find(id)?;
            Ok(inner.make_active_later(index, what - REPEATS))
        })
    }

    /// Makes an event active now, or in the next pass if more than 32 were deferred in this one
    /// (`event_deferred_cb_schedule_`). Returns whether it was queued by this call. Any thread.
    pub fn defer(&self, id: EventId, what: What) -> Result<bool, Error> {
        self.try_with(|inner| {
            let index = inner.events.table.find(id)?;
            Ok(inner.make_deferred(index, what - REPEATS))
        })
    }

    /// Creates an event and makes it active, in one call: with [`EventSpec::priority`] at any priority, and with
    /// [`EventSpec::transient`] without keeping its id. Any thread.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn create_and_activate(&self, spec: EventSpec, what: What) -> Result<EventId, Error> {
        self.try_with(|inner| inner.create_and_activate(&spec, what - REPEATS))
    }

    /// Creates an event and [defers](Self::defer) it, in one call. Any thread.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn create_and_defer(&self, spec: EventSpec, what: What) -> Result<EventId, Error> {
        self.try_with(|inner| {
            let id = inner.create(&spec)?;
            inner.make_deferred(id.index, what - REPEATS);
            Ok(id)
        })
    }

    /// Makes active the events on `fd` that wait for one of the interests in `what`; with TIMEOUT in `what`,
    /// those on `fd` that have a deadline instead (`event_base_active_by_fd`). An `fd` without events is not an
    /// error. Any thread.
    pub fn activate_by_fd(&self, fd: RawFd, what: What) -> Result<(), Error> {
        self.with(|inner| {
            if what.contains(What::TIMEOUT) {
                for index in inner.events.table.indices() {
                    let record = inner.events.table.at(index);
                    let is_signal = record.what.contains(What::SIGNAL);
                    if record.fd == fd && !is_signal && record.state.contains(State::TIMEOUT) {
                        inner.make_active(index, What::TIMEOUT);
                    }
                }
                return;
            }
            for index in inner.events.fds.on(&mut inner.events.table, fd) {
                let interests = inner.events.table.at(index).what;
                if interests.intersects(what.io()) {
                    inner.make_active(index, interests & what.io());
                }
            }
        })
    }
}
