//! Which timer is next: the policy over the heap.
//!
//! Rules:
//! - The state of a timer is in its [`Timer`], which the owner of the slot stores. A heap entry only guarantees that
//!   the timer does not expire before the entry's deadline.
//! - Disarming clears the deadline and leaves the entry where it is. Arming again with a later deadline, the usual
//!   operation of idle timeouts, only writes the new deadline. Neither accesses the heap; the entry is corrected
//!   when it reaches the top.
//! - Arming again with an earlier deadline pushes a second entry; the order of the first one no longer matches the
//!   timer's stamp, and it is dropped when it reaches the top.
//! - Invalid entries are counted. When they are three quarters of all, the heap is rebuilt, so memory is bounded by
//!   four times the armed timers, and the cost of the rebuild by the number of timers that were disarmed.
//!
//! The caller passes an order with each arming; equal deadlines expire in that order.
//!
//! [`Timer`]: super::Timer

use super::Nanos;
use super::heap::{Entry, Heap};
use super::timer::TimerTable;

/// Invalid entries that are tolerated in a heap of any size.
pub(super) const IDLE_ENTRIES: usize = 64;

/// The queue of deadlines. Its timers are in no other queue.
#[derive(Debug, Default)]
pub(super) struct TimerQueue {
    heap: Heap,
    idle: usize,
}

impl TimerQueue {
    /// Arms the timer of `slot`, or moves it if it is armed, to a deadline and an order.
    pub(super) fn arm(&mut self, timers: &mut impl TimerTable, slot: u32, armed: (Nanos, u32)) {
        if !self.postpone(timers, slot, armed) {
            self.push(timers, slot, armed);
        }
    }

    /// Arms the timer with the entry it has. If it has none, or one with a later deadline, does nothing and returns
    /// `false`.
    #[inline]
    pub(super) fn postpone(
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

    /// Arms the timer with a new entry.
    pub(super) fn push(&mut self, timers: &mut impl TimerTable, slot: u32, (deadline, order): (Nanos, u32)) {
        let timer = timers.timer(slot);
        self.idle += usize::from(timer.has_entry() && timer.is_armed());
        timer.set(deadline, order);
        timer.enter_heap();
        self.heap.push(Entry::new(deadline, order, slot));
        self.rebuild_if_idle(timers);
    }

    /// Disarms the timer of `slot`; without effect if it is not armed.
    pub(super) fn disarm(&mut self, timers: &mut impl TimerTable, slot: u32) {
        let timer = timers.timer(slot);
        if !timer.is_armed() {
            return;
        }
        timer.disarm();
        // The most frequent case: the timer that was armed last is disarmed, and its entry can be dropped.
        if self.heap.last().is_some_and(|last| last.slot() == slot && timer.owns_entry(last.order())) {
            timer.leave();
            self.heap.pop_last();
            return;
        }
        self.idle += 1;
        self.rebuild_if_idle(timers);
    }

    /// Disarms the timer of `slot` and invalidates its entry, so that it can be armed in a common timeout.
    pub(super) fn abandon(&mut self, timers: &mut impl TimerTable, slot: u32) {
        self.disarm(timers, slot);
        timers.timer(slot).leave();
    }

    /// The earliest deadline, with the order and the slot of its timer.
    #[inline]
    pub(super) fn first(&mut self, timers: &mut impl TimerTable) -> Option<Entry> {
        while let Some(top) = self.heap.top() {
            let timer = timers.timer(top.slot());
            if !timer.owns_entry(top.order()) {
                self.idle -= 1;
                self.heap.pop();
            } else if !timer.is_armed() {
                timer.leave();
                self.idle -= 1;
                self.heap.pop();
            } else if timer.owns_entry(timer.order()) {
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
        let is_valid = |entry: &Entry| {
            let timer = timers.timer(entry.slot());
            timer.is_armed() && timer.owns_entry(entry.order())
        };
        self.heap.entries().filter(is_valid).map(Entry::slot).collect()
    }

    /// Whether the heap is ordered, no entry is later than its timer, and the count of invalid entries is right.
    pub(super) fn is_sound(&self, timers: &mut impl TimerTable) -> bool {
        let mut is_early_enough = |entry: &Entry| {
            let timer = timers.timer(entry.slot());
            !timer.owns_entry(entry.order()) || !timer.is_armed() || timer.last_deadline() >= entry.deadline()
        };
        self.heap.is_ordered()
            && self.heap.entries().all(|entry| is_early_enough(&entry))
            && self.heap.len() - self.armed(timers).len() == self.idle
    }

    fn rebuild_if_idle(&mut self, timers: &mut impl TimerTable) {
        if self.idle <= IDLE_ENTRIES || self.idle * 4 <= self.heap.len() * 3 {
            return;
        }
        self.heap.rebuild(|entry| {
            let timer = timers.timer(entry.slot());
            if !timer.owns_entry(entry.order()) {
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

    /// Entries of the heap, and how many of them are invalid.
    #[cfg(test)]
    pub(super) fn entries(&self) -> (usize, usize) {
        (self.heap.len(), self.idle)
    }
}
