//! Events that are due, and whose turn it is.
//!
//! A pass serves the most urgent queue that has events, in the order they became active, and leaves the others
//! to the next pass, which polls first.
//!
//! A pass is finite. An event that is made active by a callback joins the pass, unless it was already handed
//! out, or made, in this pass: then it waits for the next one. So events that activate themselves or each
//! other cannot keep descriptors, timers and exits from being looked at. (libevent runs them for ever.)

use super::control::Attention;
use super::{Base, Inner};
use crate::error::Error;
use crate::event::{EventId, NONE, REPEATS, Ready, State};
use crate::flags::What;
use crate::time::{Nanos, nanos};

/// Deferred activations in one pass; more wait for the next (libevent's `MAX_DEFERREDS_QUEUED`).
const MAX_DEFERRED: u32 = 32;

/// The pass under way.
#[derive(Debug, Default)]
pub(super) struct Pass {
    /// Counts passes; wraps.
    number: u32,
    /// Events handed out since the number last changed.
    handed_out: u32,
    open: bool,
    /// The queue being served.
    pub(super) priority: u8,
    /// Callbacks so far.
    pub(super) count: u32,
    max_callbacks: Option<u32>,
    end: Option<Nanos>,
    /// There is a limit of either kind.
    limited: bool,
    running: Option<EventId>,
}

impl Pass {
    pub(super) fn running(&self) -> Option<EventId> {
        self.running
    }

    /// The pass that an event belongs to which was made `age` hand-outs ago: this one while callbacks run, unless
    /// that was before it began.
    pub(super) fn made_in(&self, age: u32) -> u32 {
        if self.open && age < self.handed_out { self.number } else { self.number.wrapping_sub(1) }
    }

    pub(super) fn note_call(&mut self, id: EventId) {
        self.count += 1;
        self.handed_out = self.handed_out.saturating_add(1);
        self.running = Some(id);
    }

    pub(super) fn close(&mut self) {
        self.open = false;
        self.running = None;
    }
}

impl Inner {
    /// Makes an event active, or adds to the result of one that is (`event_active_nolock_`).
    #[inline]
    pub(super) fn make_active(&mut self, index: u32, what: What) {
        let record = self.table.at(index);
        let is_idle = !record.state.intersects(State::QUEUED.union(State::ANY_FINALIZING));
        if !is_idle || (self.pass.open && record.pass == self.pass.number) {
            self.make_active_again(index, what);
            return;
        }
        record.result = what;
        if self.pass.open && record.priority < self.pass.priority {
            self.control.attention |= Attention::NEXT_PASS;
        }
        self.queue_now(index);
    }

    /// The same for one that is active already, or had its turn in this pass.
    fn make_active_again(&mut self, index: u32, what: What) {
        let record = self.table.at(index);
        let (state, priority) = (record.state, record.priority);
        if state.intersects(State::ANY_FINALIZING) {
            return;
        }
        if state.intersects(State::QUEUED) {
            record.result |= what;
        } else {
            record.result = what;
        }
        let had_its_turn = self.pass.open && record.pass == self.pass.number;
        if state.contains(State::ACTIVE) || (had_its_turn && state.contains(State::ACTIVE_LATER)) {
            return;
        }
        if self.pass.open && priority < self.pass.priority {
            self.control.attention |= Attention::NEXT_PASS;
        }
        if state.contains(State::ACTIVE_LATER) {
            self.withdraw(index);
        }
        if had_its_turn { self.queue_later(index) } else { self.queue_now(index) }
    }

    /// Makes an event active in the next pass (`event_active_later_`); one that is active already stays so.
    fn make_active_later(&mut self, index: u32, what: What) {
        let record = self.table.at(index);
        if record.state.intersects(State::ANY_FINALIZING) {
            return;
        }
        if record.state.intersects(State::QUEUED) {
            record.result |= what;
            return;
        }
        record.result = what;
        self.queue_later(index);
    }

    #[inline]
    fn queue_now(&mut self, index: u32) {
        let priority = self.table.at(index).priority;
        self.queues.by_priority[usize::from(priority)].append(&mut self.table, index);
        self.list(index, State::ACTIVE);
        self.request_wake();
    }

    fn queue_later(&mut self, index: u32) {
        self.queues.later.append(&mut self.table, index);
        self.list(index, State::ACTIVE_LATER);
        self.request_wake();
    }

    /// Takes an event out of the queue it is in, if any. Its result stays.
    #[inline]
    pub(super) fn withdraw(&mut self, index: u32) {
        if self.unlist(index, State::ACTIVE) {
            let priority = self.table.at(index).priority;
            self.queues.by_priority[usize::from(priority)].unlink(&mut self.table, index);
        } else if self.unlist(index, State::ACTIVE_LATER) {
            self.queues.later.unlink(&mut self.table, index);
        }
    }

    /// Moves what waited for this pass to the queues of its priorities.
    pub(super) fn promote_later(&mut self) {
        self.queues.deferred = 0;
        while self.queues.later.head != NONE {
            let index = self.queues.later.head;
            self.withdraw(index);
            self.queue_now(index);
        }
    }

    /// Begins to hand out what is active (`event_process_active`).
    pub(super) fn open_pass(&mut self) {
        let priority = self.queues.first().unwrap_or_default();
        let limited = priority >= self.limits.min_priority;
        let interval = self.limits.interval.filter(|_| limited);
        let end = interval.map(|interval| self.time.refresh().saturating_add(nanos(interval)));
        // A base that is timed looks at the clock after each callback, as if there were a limit.
        let end = end.or(self.measures.is_timed().then_some(Nanos::MAX));
        let max_callbacks = self.limits.callbacks.filter(|_| limited);
        self.pass = Pass {
            number: self.pass.number,
            handed_out: self.pass.handed_out,
            open: true,
            priority,
            count: 0,
            max_callbacks,
            end,
            limited: max_callbacks.is_some() || end.is_some(),
            running: None,
        };
    }

    /// Events made from here on belong to a new pass.
    pub(super) fn count_pass(&mut self) {
        self.measures.passes += 1;
        self.pass.number = self.pass.number.wrapping_add(1);
        self.pass.handed_out = 0;
    }

    /// The next event of this pass (`event_process_active_single_queue`).
    #[inline(always)]
    pub(super) fn next_ready(&mut self) -> Option<Ready> {
        if !self.pass.open {
            return None;
        }
        if let Some(ran) = self.pass.running.take() {
            // One test each of what hardly ever is.
            if !self.control.attention.is_empty() || self.pass.limited || !self.is_current() {
                if self.is_pass_cut_short(ran) {
                    self.close_pass();
                    return None;
                }
                if self.control.attention.contains(Attention::REPEATS) {
                    return Some(self.call_again());
                }
            }
        } else if let Some(now) = self.start_watch() {
            self.measures.callback_began(now);
        }
        let queue = &mut self.queues.by_priority[usize::from(self.pass.priority)];
        let Some(index) = queue.pop(&mut self.table) else {
            self.pass.close();
            return None;
        };
        self.unlist(index, State::ACTIVE);
        Some(self.hand_out(index))
    }

    /// What is looked at after each callback, where there is anything to look at.
    #[inline(never)]
    fn is_pass_cut_short(&mut self, ran: EventId) -> bool {
        let is_asked = !self.control.attention.is_empty() && self.attend();
        self.pass.end.is_some_and(|end| self.is_time_up(ran, end))
            || is_asked
            || !self.is_current()
            || self.pass.max_callbacks.is_some_and(|most| self.pass.count >= most)
    }

    /// Something was asked for during the callback: whether that ends the pass.
    fn attend(&mut self) -> bool {
        self.tell_waiters();
        !(self.control.attention - Attention::REPEATS).is_empty()
    }

    /// Ends the pass; calls that are still due are left to the next one.
    pub(super) fn close_pass(&mut self) {
        if self.control.attention.contains(Attention::REPEATS) {
            self.put_calls_back();
        }
        self.pass.close();
    }

    /// What is done with an event just before its callback, once it is out of its queue.
    #[inline(always)]
    fn hand_out(&mut self, index: u32) -> Ready {
        let id = self.table.id(index);
        let record = self.table.at(index);
        record.pass = self.pass.number;
        let (fd, data, state, what) = (record.fd, record.data, record.state, record.what);
        record.state = state - State::FINALIZING_KEPT;
        let queued = std::mem::take(&mut record.result);
        let result = queued - REPEATS;
        self.measures.count_result(result);
        if what.contains(What::PERSIST) && record.has_period() {
            self.rearm(index, result);
        } else if state.intersects(State::TIMEOUT | State::INSERTED) && !what.contains(What::PERSIST) {
            self.delete(index);
        }
        let is_special = state.intersects(State::TRANSIENT | State::FINALIZING) | queued.contains(REPEATS);
        let released = is_special && self.settle_handed_out(index, queued);
        self.pass.note_call(id);
        Ready { id, fd, what: result, data, released, orphaned: false }
    }

    /// Notes that an event is to be handed out more often. Answers whether it released any other.
    #[inline]
    fn settle_handed_out(&mut self, index: u32, result: What) -> bool {
        if result.contains(REPEATS) {
            self.begin_calls(index, result - REPEATS);
            return false;
        }
        self.release_transient(index)
    }

    /// Releases an event that was handed out for the last time, unless it was added again.
    pub(super) fn release_transient(&mut self, index: u32) -> bool {
        let released = !self.table.at(index).state.intersects(State::LISTED);
        if released {
            self.table.remove(index);
        }
        released
    }

    /// The next transient event that was orphaned and is still nobody's.
    #[cold]
    pub(super) fn next_departed(&mut self) -> Option<Ready> {
        self.tell_waiters();
        self.settle_callback();
        while let Some(id) = self.departed.pop() {
            let Some(record) = self.table.get(id) else { continue };
            if !record.state.intersects(State::LISTED) {
                let (fd, data) = (record.fd, record.data);
                self.table.remove(id.index);
                return Some(Ready { id, fd, what: What::empty(), data, released: true, orphaned: true });
            }
        }
        None
    }
}

impl Base {
    /// Makes an event active, pending or not, with `what` as its result (`event_active`).
    ///
    /// If it is active already, `what` is added to its result. An event more urgent than the one whose
    /// callback runs ends the pass, so that it comes next. Any thread.
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::WrongThread`].
    pub fn activate(&self, id: EventId, what: What) -> Result<(), Error> {
        self.try_with(|inner| {
            let index = inner.table.find(id)?;
            inner.make_active(index, what - REPEATS);
            Ok(())
        })
    }

    /// Makes an event active in the next pass, after descriptors and timers were looked at
    /// (`event_active_later_`). Any thread.
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::WrongThread`].
    pub fn activate_later(&self, id: EventId, what: What) -> Result<(), Error> {
        self.try_with(|inner| {
            let index = inner.table.find(id)?;
            inner.make_active_later(index, what - REPEATS);
            Ok(())
        })
    }

    /// Makes an event active now, or in the next pass if more than 32 were deferred in this one
    /// (`event_deferred_cb_schedule_`). Any thread.
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::WrongThread`].
    pub fn defer(&self, id: EventId, what: What) -> Result<(), Error> {
        self.try_with(|inner| {
            let index = inner.table.find(id)?;
            if inner.queues.deferred > MAX_DEFERRED {
                inner.make_active_later(index, what - REPEATS);
            } else {
                let queued = inner.table.at(index).state.intersects(State::QUEUED);
                inner.make_active(index, what - REPEATS);
                inner.queues.deferred += u32::from(!queued);
            }
            Ok(())
        })
    }

    /// Makes active the events on `fd` that wait for one of the interests in `what`; with TIMEOUT in `what`,
    /// those on `fd` that have a deadline instead (`event_base_active_by_fd`). An `fd` without events is no
    /// error. Any thread.
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::WrongThread`].
    pub fn activate_by_fd(&self, fd: std::os::fd::RawFd, what: What) -> Result<(), Error> {
        self.with(|inner| {
            if what.contains(What::TIMEOUT) {
                for index in inner.table.indices() {
                    let record = inner.table.at(index);
                    let is_signal = record.what.contains(What::SIGNAL);
                    if record.fd == fd && !is_signal && record.state.contains(State::TIMEOUT) {
                        inner.make_active(index, What::TIMEOUT);
                    }
                }
                return;
            }
            for index in inner.fds.on(&mut inner.table, fd) {
                let interests = inner.table.at(index).what;
                if interests.intersects(what.io()) {
                    inner.make_active(index, interests & what.io());
                }
            }
        })
    }
}
