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
//! Equal deadlines come out in the order in which they were armed.

use super::Nanos;
use super::heap::{Entry, Heap};

/// Entries standing for nothing that are put up with however small the heap is.
const IDLE_ENTRIES: usize = 64;

/// The timer part of a slot. All zero: never armed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Timer {
    /// When it is due; meaningful while armed.
    deadline: Nanos,
    /// The deadline its heap entry bears; meaningful while `stamp` is not 0.
    entry_deadline: Nanos,
    /// When it was armed, counted; 0 while it is not.
    order: u32,
    /// The order its heap entry bears; 0 while there is none.
    stamp: u32,
}

impl Timer {
    /// When it is due, if it is armed.
    pub(crate) fn deadline(&self) -> Option<Nanos> {
        (self.order != 0).then_some(self.deadline)
    }

    /// When it is due, or was when it was last armed.
    pub(crate) fn last_deadline(&self) -> Nanos {
        self.deadline
    }
}

/// Where the timers of the slots are kept.
pub(crate) trait TimerTable {
    /// The timer of `slot`, which is one that was armed before.
    fn timer(&mut self, slot: u32) -> &mut Timer;
}

/// The queue of deadlines.
#[derive(Debug, Default)]
pub(crate) struct TimerQueue {
    heap: Heap,
    orders: u32,
    idle: usize,
}

impl TimerQueue {
    /// Arms the timer of `slot`, or moves it if it is armed.
    pub(crate) fn arm(&mut self, timers: &mut impl TimerTable, slot: u32, deadline: Nanos) {
        let order = self.next_order();
        let timer = timers.timer(slot);
        let was_armed = timer.order != 0;
        timer.deadline = deadline;
        timer.order = order;
        if timer.stamp != 0 && deadline >= timer.entry_deadline {
            self.idle -= usize::from(!was_armed);
            return;
        }
        self.idle += usize::from(timer.stamp != 0 && was_armed);
        timer.entry_deadline = deadline;
        timer.stamp = order;
        self.heap.push(Entry::new(deadline, order, slot));
        self.rebuild_if_idle(timers);
    }

    /// Disarms the timer of `slot`; nothing happens if it is not armed.
    pub(crate) fn disarm(&mut self, timers: &mut impl TimerTable, slot: u32) {
        let timer = timers.timer(slot);
        if timer.order == 0 {
            return;
        }
        timer.order = 0;
        // A timer that is set and cleared again before any other, the commonest case, leaves no trace.
        if self.heap.last().is_some_and(|last| last.slot() == slot && last.order() == timer.stamp) {
            timer.stamp = 0;
            self.heap.pop_last();
            return;
        }
        self.idle += 1;
        self.rebuild_if_idle(timers);
    }

    /// The earliest deadline.
    pub(crate) fn next_deadline(&mut self, timers: &mut impl TimerTable) -> Option<Nanos> {
        while let Some(top) = self.heap.top() {
            let timer = timers.timer(top.slot());
            if timer.stamp != top.order() {
                self.idle -= 1;
                self.heap.pop();
            } else if timer.order == 0 {
                timer.stamp = 0;
                self.idle -= 1;
                self.heap.pop();
            } else if timer.order != timer.stamp {
                timer.stamp = timer.order;
                timer.entry_deadline = timer.deadline;
                self.heap.replace_top(Entry::new(timer.deadline, timer.order, top.slot()));
            } else {
                return Some(top.deadline());
            }
        }
        None
    }

    /// Takes out the earliest timer that is due at `now`; it is disarmed.
    pub(crate) fn pop_due(&mut self, timers: &mut impl TimerTable, now: Nanos) -> Option<u32> {
        if self.next_deadline(timers)? > now {
            return None;
        }
        let slot = self.heap.top()?.slot();
        let timer = timers.timer(slot);
        timer.order = 0;
        timer.stamp = 0;
        self.heap.pop();
        Some(slot)
    }

    /// The slots of all armed timers, each once, in the order of the heap's array.
    pub(crate) fn armed(&self, timers: &mut impl TimerTable) -> Vec<u32> {
        let bears_it = |entry: &Entry| {
            let timer = timers.timer(entry.slot());
            timer.order != 0 && timer.stamp == entry.order()
        };
        self.heap.entries().filter(bears_it).map(Entry::slot).collect()
    }

    /// Whether the heap is one, each armed timer is in it, and what stands for nothing is counted.
    pub(crate) fn is_sound(&self, timers: &mut impl TimerTable) -> bool {
        let mut promised = |entry: &Entry| {
            let timer = timers.timer(entry.slot());
            timer.stamp != entry.order() || timer.order == 0 || timer.deadline >= entry.deadline()
        };
        self.heap.is_ordered()
            && self.heap.entries().all(|entry| promised(&entry))
            && self.heap.len() - self.armed(timers).len() == self.idle
    }

    fn next_order(&mut self) -> u32 {
        // Wraps after four thousand million armings. Only the order between deadlines that are equal to
        // the nanosecond and armed that far apart could suffer.
        self.orders = self.orders.checked_add(1).unwrap_or(1);
        self.orders
    }

    fn rebuild_if_idle(&mut self, timers: &mut impl TimerTable) {
        if self.idle <= IDLE_ENTRIES || self.idle * 4 <= self.heap.len() * 3 {
            return;
        }
        self.heap.rebuild(|entry| {
            let timer = timers.timer(entry.slot());
            if timer.stamp != entry.order() {
                return None;
            }
            timer.stamp = timer.order;
            timer.entry_deadline = timer.deadline;
            (timer.order != 0).then(|| Entry::new(timer.deadline, timer.order, entry.slot()))
        });
        self.idle = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    impl TimerTable for Vec<Timer> {
        fn timer(&mut self, slot: u32) -> &mut Timer {
            &mut self[slot as usize]
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Arm(u32, u64),
        Disarm(u32),
        Expire(u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        prop::collection::vec(
            prop_oneof![
                5 => (0..40_u32, 0..30_u64).prop_map(|(slot, by)| Step::Arm(slot, by)),
                3 => (0..40_u32).prop_map(Step::Disarm),
                1 => (0..12_u64).prop_map(Step::Expire),
            ],
            1..400,
        )
    }

    proptest! {
        /// Against a plain list sorted by deadline and order of arming.
        #[test]
        fn agrees_with_a_sorted_list(steps in steps()) {
            let mut timers = vec![Timer::default(); 40];
            let mut queue = TimerQueue::default();
            let mut list: Vec<(u64, usize, u32)> = Vec::new();
            let mut now = 0;
            for (count, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Arm(slot, by) => {
                        queue.arm(&mut timers, slot, now + by);
                        list.retain(|entry| entry.2 != slot);
                        list.push((now + by, count, slot));
                    }
                    Step::Disarm(slot) => {
                        queue.disarm(&mut timers, slot);
                        list.retain(|entry| entry.2 != slot);
                    }
                    Step::Expire(by) => {
                        now += by;
                        list.sort_unstable();
                        let due = list.iter().take_while(|entry| entry.0 <= now).count();
                        let expected: Vec<u32> = list.drain(..due).map(|entry| entry.2).collect();
                        let popped: Vec<u32> =
                            std::iter::from_fn(|| queue.pop_due(&mut timers, now)).collect();
                        prop_assert_eq!(popped, expected);
                    }
                }
                prop_assert_eq!(queue.next_deadline(&mut timers), list.iter().map(|entry| entry.0).min());
                prop_assert!(queue.heap.len() <= 4 * list.len() + 2 * IDLE_ENTRIES + 2);
                prop_assert_eq!(queue.heap.len() - queue.idle, list.len());
            }
        }
    }

    #[test]
    fn equal_deadlines_come_out_in_the_order_of_arming() {
        let mut timers = vec![Timer::default(); 100];
        let mut queue = TimerQueue::default();
        for slot in 0..100 {
            queue.arm(&mut timers, slot, 7);
        }
        queue.arm(&mut timers, 0, 7);
        let popped: Vec<u32> = std::iter::from_fn(|| queue.pop_due(&mut timers, 7)).collect();
        assert_eq!(popped, (1..100).chain([0]).collect::<Vec<_>>());
    }

    #[test]
    fn a_timer_that_is_put_off_for_ever_costs_no_memory() {
        let mut timers = vec![Timer::default(); 2];
        let mut queue = TimerQueue::default();
        for round in 0..100_000 {
            queue.arm(&mut timers, 0, 1_000 + round);
            queue.arm(&mut timers, 1, 1_000_000 - round);
        }
        assert!(queue.heap.len() <= 2 * IDLE_ENTRIES + 4, "{}", queue.heap.len());
    }
}
