//! Dispatching a signal event several times (`event_signal_closure`).
//!
//! A signal event is dispatched once for each time its signal arrived, in a row. During these calls it is in no
//! queue, so what its callback does to it stays in effect: added again it stays pending, made active again it is
//! dispatched again in the next pass. Deleting it drops the calls that are left. If the pass ends before them, it is
//! put in front of its queue.

use super::control::Attention;
use crate::base::Inner;
use crate::event::{NONE, Ready};
use crate::flags::What;

/// The calls that are left of the event dispatched last. Valid while [`Attention::REPEATS`] is set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Repeats {
    /// The event's slot.
    index: u32,
    left: u64,
    result: What,
}

impl Default for Repeats {
    fn default() -> Self {
        Repeats { index: NONE, left: 0, result: What::empty() }
    }
}

impl super::Run {
    /// An event was just dispatched with `result`, and is to be dispatched `left` times more.
    #[cold]
    pub(in crate::base) fn begin_repeats(&mut self, index: u32, left: u64, result: What) {
        self.repeats = Repeats { index, left, result };
        self.control.attention.set(Attention::REPEATS, left > 0);
    }

    /// Whether calls are left of the event, which was dispatched last.
    pub(in crate::base) fn repeats(&self, index: u32) -> bool {
        self.control.attention.contains(Attention::REPEATS) && self.repeats.index == index
    }

    /// Drops the calls that are left of an event.
    pub(in crate::base) fn end_repeats(&mut self, index: u32) {
        if self.repeats(index) {
            self.control.attention -= Attention::REPEATS;
        }
    }
}

impl Inner {
    /// Dispatches the event again that was dispatched last. Not inlined, so that the path to other events is short.
    #[inline(never)]
    pub(super) fn call_again(&mut self) -> Ready {
        let Repeats { index, left, result } = self.run.repeats;
        self.run.repeats.left = left - 1;
        let is_last = left == 1;
        self.report.count_result(result);
        self.run.control.attention.set(Attention::REPEATS, !is_last);
        let ready = self.events.ready(index, result);
        let released = is_last && self.events.release_transient(index);
        self.run.begin_call(ready.id);
        Ready { released, ..ready }
    }

    /// The pass ends: if calls are left, puts the event in front of its queue.
    pub(super) fn put_repeats_back(&mut self) {
        if self.run.control.attention.contains(Attention::REPEATS) {
            let Repeats { index, left, result } = self.run.repeats;
            self.run.control.attention -= Attention::REPEATS;
            self.events.put_back(index, left, result);
        }
    }
}
