//! The pass: which events are dispatched in it, and what ends it.

use super::control::Attention;
use crate::base::Inner;
use crate::event::{EventId, Ready};
use crate::time::{Nanos, nanos};

/// The current pass.
#[derive(Debug, Default)]
pub(super) struct Pass {
    /// Counts passes; wraps.
    number: u32,
    /// Events dispatched since the number last changed.
    dispatched: u32,
    is_open: bool,
    /// The queue being dispatched.
    priority: u8,
    /// Callbacks so far.
    pub(super) count: u32,
    max_callbacks: Option<u32>,
    end: Option<Nanos>,
    /// Whether there is a limit of either kind.
    is_limited: bool,
    running: Option<EventId>,
}

impl Pass {
    pub(super) fn close(&mut self) {
        self.is_open = false;
        self.running = None;
    }
}

impl super::Run {
    /// The event whose callback runs.
    #[inline]
    pub(in crate::base) fn running(&self) -> Option<EventId> {
        self.pass.running
    }

    #[inline]
    pub(in crate::base) fn pass_number(&self) -> u32 {
        self.pass.number
    }

    /// The number of the pass to record for an event that was created `age` dispatches ago: the current one while
    /// callbacks run, unless the event was created before the pass began.
    pub(in crate::base) fn pass_of_new(&self, age: u32) -> u32 {
        if self.pass.is_open && age < self.pass.dispatched {
            self.pass.number
        } else {
            self.pass.number.wrapping_sub(1)
        }
    }

    /// Whether an event that was last dispatched in pass number `pass` was dispatched in the open one.
    #[inline]
    pub(in crate::base) fn was_dispatched(&self, pass: u32) -> bool {
        self.pass.is_open && pass == self.pass.number
    }

    /// Called when an event of `priority` becomes active: ends the pass if that is more urgent than its own.
    #[inline]
    pub(in crate::base) fn preempt(&mut self, priority: u8) {
        if self.pass.is_open && priority < self.pass.priority {
            self.control.attention |= Attention::NEXT_PASS;
        }
    }

    /// The base has no less urgent priority than `lowest` any more.
    pub(in crate::base) fn limit_priority(&mut self, lowest: u8) {
        self.pass.priority = self.pass.priority.min(lowest);
    }

    /// The callback of an event starts.
    #[inline]
    pub(in crate::base) fn begin_call(&mut self, id: EventId) {
        self.pass.count += 1;
        self.pass.dispatched = self.pass.dispatched.saturating_add(1);
        self.pass.running = Some(id);
    }
}

impl Inner {
    /// Events created from here on belong to a new pass.
    pub(super) fn count_pass(&mut self) {
        self.report.count_pass();
        let pass = &mut self.run.pass;
        pass.number = pass.number.wrapping_add(1);
        pass.dispatched = 0;
    }

    /// Begins to dispatch active events (`event_process_active`).
    pub(super) fn open_pass(&mut self) {
        let priority = self.events.most_urgent().unwrap_or_default();
        let limits = self.run.limits;
        let applies = priority >= limits.min_priority;
        let interval = limits.interval.filter(|_| applies);
        let end = interval.map(|interval| self.time.refresh().saturating_add(nanos(interval)));
        // A base with timing reads the clock after each callback, as if there were a limit.
        let end = end.or(self.report.is_timed().then_some(Nanos::MAX));
        let max_callbacks = limits.callbacks.filter(|_| applies);
        let pass = &mut self.run.pass;
        *pass = Pass {
            number: pass.number,
            dispatched: pass.dispatched,
            is_open: true,
            priority,
            count: 0,
            max_callbacks,
            end,
            is_limited: max_callbacks.is_some() || end.is_some(),
            running: None,
        };
    }

    /// [`next_due`](Self::next_due), not inlined, for the first event of a pass.
    #[inline(never)]
    pub(super) fn first_due(&mut self) -> Option<Ready> {
        self.next_due()
    }

    /// The next event to dispatch: an orphan first, then those of the pass.
    #[inline(always)]
    pub(super) fn next_due(&mut self) -> Option<Ready> {
        if let Some(orphan) = self.next_orphaned_transient() {
            return Some(orphan);
        }
        self.next_ready()
    }

    /// The next event of this pass (`event_process_active_single_queue`).
    #[inline(always)]
    fn next_ready(&mut self) -> Option<Ready> {
        if !self.run.pass.is_open {
            return None;
        }
        if let Some(ran) = self.run.pass.running.take() {
            // One test for each reason to end the pass, all of which are rare.
            if !self.run.control.attention.is_empty() || self.run.pass.is_limited || !self.is_current() {
                if self.is_pass_cut_short(ran) {
                    self.close_pass();
                    return None;
                }
                if self.run.control.attention.contains(Attention::REPEATS) {
                    return Some(self.call_again());
                }
            }
        } else if let Some(now) = self.start_watch() {
            self.report.begin_callback(now);
        }
        let Some(index) = self.events.pop(self.run.pass.priority) else {
            self.run.pass.close();
            return None;
        };
        Some(self.dispatch(index))
    }

    /// Whether the pass ends before its queue is empty.
    #[inline(never)]
    fn is_pass_cut_short(&mut self, ran: EventId) -> bool {
        let is_requested = !self.run.control.attention.is_empty() && self.attend();
        let pass = &self.run.pass;
        let (end, max_callbacks, count) = (pass.end, pass.max_callbacks, pass.count);
        end.is_some_and(|end| self.is_time_up(ran, end))
            || is_requested
            || !self.is_current()
            || max_callbacks.is_some_and(|most| count >= most)
    }

    /// Handles what was requested during the callback; returns whether that ends the pass.
    fn attend(&mut self) -> bool {
        self.notify_waiters();
        !(self.run.control.attention - Attention::REPEATS).is_empty()
    }

    /// Ends the pass; calls that are left of a signal event are dispatched in the next one.
    pub(super) fn close_pass(&mut self) {
        self.put_repeats_back();
        self.run.pass.close();
    }
}
