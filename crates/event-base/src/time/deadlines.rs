//! The deadlines of a base: single timers in a heap, those of common timeouts in queues.
//!
//! Equal deadlines expire in the order in which they were armed, in whichever structure they are.

use super::Nanos;
use super::common::CommonQueues;
use super::timer::{LAST_ORDER, TimerTable};
use super::timers::TimerQueue;

/// All deadlines of a base.
#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    single: TimerQueue,
    common: CommonQueues,
    orders: u32,
}

impl Deadlines {
    /// Arms the timer of `slot`, or moves it if it is armed.
    pub(crate) fn arm(&mut self, timers: &mut impl TimerTable, slot: u32, deadline: Nanos) {
        let armed = (deadline, self.next_order());
        if self.single.postpone(timers, slot, armed) {
            return;
        }
        self.common.remove(timers, slot);
        self.single.push(timers, slot, armed);
    }

    /// The number of the queue for `duration`; `None` if there are too many queues.
    pub(crate) fn common(&mut self, duration: Nanos) -> Option<u8> {
        self.common.number(duration)
    }

    /// The duration of a queue.
    pub(crate) fn common_duration(&self, number: u8) -> Nanos {
        self.common.duration(number)
    }

    /// Arms the timer of `slot` in a queue, or moves it there if it is armed.
    pub(crate) fn arm_common(
        &mut self,
        timers: &mut impl TimerTable,
        slot: u32,
        number: u8,
        deadline: Nanos,
    ) {
        let armed = (deadline, self.next_order());
        self.common.remove(timers, slot);
        if self.common.accepts(timers, number, deadline) {
            self.single.abandon(timers, slot);
            self.common.append(timers, number, slot, armed);
        } else {
            self.single.arm(timers, slot, armed);
        }
    }

    /// Disarms the timer of `slot`; without effect if it is not armed.
    pub(crate) fn disarm(&mut self, timers: &mut impl TimerTable, slot: u32) {
        if timers.timer(slot).queue().is_some() {
            self.common.remove(timers, slot);
        } else {
            self.single.disarm(timers, slot);
        }
    }

    /// The slots of all armed timers, each once: the heap's array first, then the queues of common timeouts.
    pub(crate) fn armed(&self, timers: &mut impl TimerTable) -> Vec<u32> {
        let mut slots = self.single.armed(timers);
        self.common.armed(timers, &mut slots);
        slots
    }

    /// Whether the structures that hold timers agree with each other.
    pub(crate) fn is_sound(&mut self, timers: &mut impl TimerTable) -> bool {
        self.single.is_sound(timers) && self.common.is_sound(timers)
    }

    /// The earliest deadline.
    pub(crate) fn next_deadline(&mut self, timers: &mut impl TimerTable) -> Option<Nanos> {
        let single = self.single.first(timers).map(|entry| entry.deadline());
        let common = self.common.first().map(|entry| entry.deadline());
        match (single, common) {
            (Some(single), Some(common)) => Some(single.min(common)),
            (single, common) => single.or(common),
        }
    }

    /// Takes out and disarms the earliest timer whose deadline is `now` or before.
    pub(crate) fn pop_due(&mut self, timers: &mut impl TimerTable, now: Nanos) -> Option<u32> {
        let single = self.single.first(timers);
        if let Some(common) = self.common.first()
            && single.is_none_or(|single| common < single)
        {
            return (common.deadline() <= now).then(|| self.common.pop(timers, common.slot()));
        }
        let slot = single.filter(|entry| entry.deadline() <= now)?.slot();
        self.single.pop(timers, slot);
        Some(slot)
    }

    fn next_order(&mut self) -> u32 {
        // Wraps after 2^32 - 257 armings. Only deadlines that are equal to the nanosecond and were armed that far
        // apart can expire in the wrong order.
        self.orders = if self.orders == LAST_ORDER { 1 } else { self.orders + 1 };
        self.orders
    }
}

#[cfg(test)]
mod tests {
    use super::super::timer::Timer;
    use super::super::timers::IDLE_ENTRIES;
    use super::*;
    use proptest::prelude::*;

    const SLOTS: u32 = 40;

    impl TimerTable for Vec<Timer> {
        fn timer(&mut self, slot: u32) -> &mut Timer {
            &mut self[slot as usize]
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Arm(u32, u64),
        /// In the queue of that number, with a deadline that counts from that long ago.
        ArmCommon(u32, u8, u64),
        Disarm(u32),
        Expire(u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let ago = prop_oneof![4 => Just(0), 1 => 0..6_u64];
        prop::collection::vec(
            prop_oneof![
                5 => (0..SLOTS, 0..30_u64).prop_map(|(slot, by)| Step::Arm(slot, by)),
                5 => (0..SLOTS, 0..4_u8, ago).prop_map(|(slot, queue, ago)| Step::ArmCommon(slot, queue, ago)),
                3 => (0..SLOTS).prop_map(Step::Disarm),
                2 => (0..12_u64).prop_map(Step::Expire),
            ],
            1..400,
        )
    }

    /// Checks the links of every queue; returns how many timers are in queues.
    fn assert_linked(deadlines: &Deadlines, timers: &mut Vec<Timer>) -> usize {
        let mut linked = 0;
        for number in 0..4 {
            let slots = deadlines.common.slots(timers, number);
            linked += slots.len();
            let due = |slot: &u32| (timers[*slot as usize].last_deadline(), timers[*slot as usize].order());
            assert!(slots.iter().map(due).is_sorted(), "queue {number}");
            assert!(slots.iter().all(|slot| timers[*slot as usize].queue() == Some(number)));
        }
        linked
    }

    proptest! {
        /// Compares with a list sorted by deadline and order of arming.
        #[test]
        fn agrees_with_a_sorted_list(steps in steps()) {
            let mut timers = vec![Timer::default(); SLOTS as usize];
            let mut deadlines = Deadlines::default();
            let durations = [0, 5, 10, 20];
            for (number, duration) in (0..).zip(durations) {
                prop_assert_eq!(deadlines.common(duration), Some(number));
            }
            let mut list: Vec<(u64, usize, u32)> = Vec::new();
            let mut now = 10;
            for (count, step) in steps.into_iter().enumerate() {
                let mut list_again = |slot, deadline| {
                    list.retain(|entry| entry.2 != slot);
                    list.push((deadline, count, slot));
                };
                match step {
                    Step::Arm(slot, by) => {
                        deadlines.arm(&mut timers, slot, now + by);
                        list_again(slot, now + by);
                    }
                    Step::ArmCommon(slot, number, ago) => {
                        let deadline = now - ago + durations[usize::from(number)];
                        deadlines.arm_common(&mut timers, slot, number, deadline);
                        list_again(slot, deadline);
                    }
                    Step::Disarm(slot) => {
                        deadlines.disarm(&mut timers, slot);
                        list.retain(|entry| entry.2 != slot);
                    }
                    Step::Expire(by) => {
                        now += by;
                        list.sort_unstable();
                        let due = list.iter().take_while(|entry| entry.0 <= now).count();
                        let expected: Vec<u32> = list.drain(..due).map(|entry| entry.2).collect();
                        let popped: Vec<u32> =
                            std::iter::from_fn(|| deadlines.pop_due(&mut timers, now)).collect();
                        prop_assert_eq!(popped, expected);
                    }
                }
                prop_assert_eq!(deadlines.next_deadline(&mut timers), list.iter().map(|entry| entry.0).min());
                for slot in 0..SLOTS {
                    let deadline = list.iter().find(|entry| entry.2 == slot).map(|entry| entry.0);
                    prop_assert_eq!(timers[slot as usize].deadline(), deadline);
                }
                prop_assert!(deadlines.is_sound(&mut timers));
                let queued = assert_linked(&deadlines, &mut timers);
                let (entries, idle) = deadlines.single.entries();
                prop_assert!(entries <= 4 * list.len() + 2 * IDLE_ENTRIES + 2);
                prop_assert_eq!(entries - idle + queued, list.len());
            }
        }
    }

    #[test]
    fn equal_deadlines_expire_in_the_order_of_arming() {
        let mut timers = vec![Timer::default(); 100];
        let mut deadlines = Deadlines::default();
        let queues = [2, 3].map(|duration| deadlines.common(duration).unwrap());
        for slot in 0..100 {
            match slot % 3 {
                0 => deadlines.arm(&mut timers, slot, 7),
                kind => deadlines.arm_common(&mut timers, slot, queues[kind as usize - 1], 7),
            }
        }
        deadlines.arm(&mut timers, 0, 7);
        deadlines.arm_common(&mut timers, 1, queues[1], 7);
        let popped: Vec<u32> = std::iter::from_fn(|| deadlines.pop_due(&mut timers, 7)).collect();
        assert_eq!(popped, (2..100).chain([0, 1]).collect::<Vec<_>>());
    }

    #[test]
    fn a_timer_that_is_postponed_again_and_again_takes_no_memory() {
        let mut timers = vec![Timer::default(); 3];
        let mut deadlines = Deadlines::default();
        let queue = deadlines.common(5).unwrap();
        for round in 0..100_000 {
            deadlines.arm(&mut timers, 0, 1_000 + round);
            deadlines.arm(&mut timers, 1, 1_000_000 - round);
            if round % 2 == 0 {
                deadlines.arm_common(&mut timers, 2, queue, 1_000_000 + round);
            } else {
                deadlines.arm(&mut timers, 2, 1_000_000 - round);
            }
        }
        assert!(deadlines.single.entries().0 <= 2 * IDLE_ENTRIES + 4, "{:?}", deadlines.single.entries());
    }

    #[test]
    fn orders_restart_at_one_below_the_numbers_of_queues() {
        let mut timers = vec![Timer::default(); 3];
        let mut deadlines = Deadlines { orders: LAST_ORDER - 1, ..Deadlines::default() };
        for slot in 0..3 {
            deadlines.arm(&mut timers, slot, u64::from(slot));
            assert_eq!(timers[slot as usize].queue(), None);
        }
        assert_eq!(timers[1].order(), 1);
        let popped: Vec<u32> = std::iter::from_fn(|| deadlines.pop_due(&mut timers, 9)).collect();
        assert_eq!(popped, [0, 1, 2]);
    }

    #[test]
    fn there_are_256_queues_and_each_duration_has_one() {
        let mut deadlines = Deadlines::default();
        for duration in 0..256 {
            assert_eq!(deadlines.common(duration), Some(duration as u8));
        }
        assert_eq!(deadlines.common(256), None);
        assert_eq!(deadlines.common(77), Some(77));
        assert_eq!(deadlines.common_duration(77), 77);
    }
}
