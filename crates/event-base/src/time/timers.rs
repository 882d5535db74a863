//! Which timer is next: the policy over the heap.
//!
//! Ground rules:
//! - The truth about a timer is its [`Timer`], kept by the owner of the slot. A heap entry is a promise that
//!   the slot need not be looked at before the entry's deadline, no more.
//! - Disarming forgets the deadline and leaves the entry where it is. Re-arming to a later time, which is
//!   what idle timeouts do all day, only writes the new deadline. Either way the entry is put right when it
//!   reaches the top, so neither touches the heap.
//! - Re-arming to an earlier time pushes a second entry; the first one no longer bears the timer's stamp and
//!   is dropped when it surfaces.
//! - Entries that stand for nothing are counted. When they are three quarters of all the heap is rebuilt, so
//!   memory is bounded by four times the armed timers, and the cost of the rebuild by what was disarmed.
//!
//! Whoever arms a timer says in which order; equal deadlines come out in that order.
//!
//! [`Timer`]: super::Timer

use super::Nanos;
use super::heap::{Entry, Heap};
use super::timer::TimerTable;

/// Entries standing for nothing that are put up with however small the heap is.
pub(super) const IDLE_ENTRIES: usize = 64;

/// The queue of deadlines. Its timers are in no other.
#[derive(Debug, Default)]
pub(super) struct TimerQueue {
    heap: Heap,
    idle: usize,
}

impl TimerQueue {
    /// Arms the timer of `slot`, or moves it if it is armed, to a deadline and an order.
    pub(super) fn arm(&mut self, timers: &mut impl TimerTable, slot: u32, armed: (Nanos, u32)) {
        if !self.put_off(timers, slot, armed) {
            self.push(timers, slot, armed);
        }
    }

    /// Arms the timer under the entry it has. Answers `false`, and does nothing, if it has none or one that is
    /// too late.
    #[inline]
    pub(super) fn put_off(
        &mut self,
        timers: &mut impl TimerTable,
        slot: u32,
        (deadline, order): (Nanos, u32),
    ) -> bool {
        let timer = timers.timer(slot);
        if !timer.has_entry() || deadline < timer.entry_deadline() {
            return false;
        }
        self.idle -= usize::from(!timer.is_armed());
        timer.set(deadline, order);
        true
    }

    /// Arms the timer under a new entry.
    pub(super) fn push(&mut self, timers: &mut impl TimerTable, slot: u32, (deadline, order): (Nanos, u32)) {
        let timer = timers.timer(slot);
        self.idle += usize::from(timer.has_entry() && timer.is_armed());
        timer.set(deadline, order);
        timer.enter_heap();
        self.heap.push(Entry::new(deadline, order, slot));
        self.rebuild_if_idle(timers);
    }

    /// Disarms the timer of `slot`; nothing happens if it is not armed.
    pub(super) fn disarm(&mut self, timers: &mut impl TimerTable, slot: u32) {
        let timer = timers.timer(slot);
        if !timer.is_armed() {
            return;
        }
        timer.disarm();
        // A timer that is set and cleared again before any other, the commonest case, leaves no trace.
        if self.heap.last().is_some_and(|last| last.slot() == slot && timer.bears(last.order())) {
            timer.leave();
            self.heap.pop_last();
            return;
        }
        self.idle += 1;
        self.rebuild_if_idle(timers);
    }

    /// Disarms the timer of `slot` and lets go of its entry, so that it can be kept elsewhere.
    pub(super) fn abandon(&mut self, timers: &mut impl TimerTable, slot: u32) {
        self.disarm(timers, slot);
        timers.timer(slot).leave();
    }

    /// The earliest deadline, with the order and the slot of its timer.
    #[inline]
    pub(super) fn first(&mut self, timers: &mut impl TimerTable) -> Option<Entry> {
        while let Some(top) = self.heap.top() {
            let timer = timers.timer(top.slot());
            if !timer.bears(top.order()) {
                self.idle -= 1;
                self.heap.pop();
            } else if !timer.is_armed() {
                timer.leave();
                self.idle -= 1;
                self.heap.pop();
            } else if timer.bears(timer.order()) {
                return Some(top);
            } else {
                timer.enter_heap();
                let entry = Entry::new(timer.last_deadline(), timer.order(), top.slot());
                self.heap.replace_top(entry);
            }
        }
        None
    }

    /// Takes out the timer of `slot`, which is the [first](Self::first); it is disarmed.
    pub(super) fn pop(&mut self, timers: &mut impl TimerTable, slot: u32) {
        let timer = timers.timer(slot);
        timer.disarm();
        timer.leave();
        self.heap.pop();
    }

    /// The slots of all timers armed in the heap, each once, in the order of the heap's array.
    pub(super) fn armed(&self, timers: &mut impl TimerTable) -> Vec<u32> {
        let stands_for_it = |entry: &Entry| {
            let timer = timers.timer(entry.slot());
            timer.is_armed() && timer.bears(entry.order())
        };
        self.heap.entries().filter(stands_for_it).map(Entry::slot).collect()
    }

    /// Whether the heap is one, no entry is later than its timer, and what stands for nothing is counted.
    pub(super) fn is_sound(&self, timers: &mut impl TimerTable) -> bool {
        let mut promised = |entry: &Entry| {
            let timer = timers.timer(entry.slot());
            !timer.bears(entry.order()) || !timer.is_armed() || timer.last_deadline() >= entry.deadline()
        };
        self.heap.is_ordered()
            && self.heap.entries().all(|entry| promised(&entry))
            && self.heap.len() - self.armed(timers).len() == self.idle
    }

    fn rebuild_if_idle(&mut self, timers: &mut impl TimerTable) {
        if self.idle <= IDLE_ENTRIES || self.idle * 4 <= self.heap.len() * 3 {
            return;
        }
        self.heap.rebuild(|entry| {
            let timer = timers.timer(entry.slot());
            if !timer.bears(entry.order()) {
                return None;
            }
            if !timer.is_armed() {
                timer.leave();
                return None;
            }
            timer.enter_heap();
            Some(Entry::new(timer.last_deadline(), timer.order(), entry.slot()))
        });
        self.idle = 0;
    }

    /// Entries of the heap, and how many of them stand for nothing.
    #[cfg(test)]
    pub(super) fn entries(&self) -> (usize, usize) {
        (self.heap.len(), self.idle)
    }
}
