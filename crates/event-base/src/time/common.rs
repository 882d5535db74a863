//! Common timeouts: a queue, first in, first out, for each duration that was registered.
//!
//! Rules:
//! - Timers of one duration expire in the order in which they were armed, so a queue needs no sorting: arming,
//!   arming again and disarming change a few links, however many timers there are.
//! - The first timer of each queue has an entry in a heap of its own, which has at most one entry for each queue.
//! - A queue does not accept a deadline earlier than that of its last timer. Such deadlines exist because timeouts
//!   count from different times: from the start of a period, before the callbacks of this pass, or from the current
//!   time of another thread. Such a timer is armed in the heap of single timers, and in the queue the next time.

use super::Nanos;
use super::heap::Entry;
use super::timer::{Links, NONE, Timer, TimerTable};
use super::timers::TimerQueue;

/// The maximum number of queues, as in libevent: a number fits into a byte.
const MOST_QUEUES: usize = 256;

/// The timers of one duration.
#[derive(Debug)]
struct Queue {
    duration: Nanos,
    head: u32,
    tail: u32,
    /// Armed with the deadline and order of the head while there is one.
    timer: Timer,
}

impl TimerTable for Vec<Queue> {
    fn timer(&mut self, slot: u32) -> &mut Timer {
        &mut self[slot as usize].timer
    }
}

/// The queues, and the heap of their first timers.
#[derive(Debug, Default)]
pub(super) struct CommonQueues {
    queues: Vec<Queue>,
    heads: TimerQueue,
}

impl CommonQueues {
    /// The number of the queue for `duration`, which is created if there is none; `None` if there are too many.
    pub(super) fn number(&mut self, duration: Nanos) -> Option<u8> {
        let known = self.queues.iter().position(|queue| queue.duration == duration);
        let number = known.unwrap_or(self.queues.len());
        if number == MOST_QUEUES {
            return None;
        }
        if known.is_none() {
            self.queues.push(Queue { duration, head: NONE, tail: NONE, timer: Timer::default() });
        }
        Some(number as u8)
    }

    pub(super) fn duration(&self, number: u8) -> Nanos {
        self.queues[usize::from(number)].duration
    }

    /// Whether the queue accepts `deadline` at its end.
    pub(super) fn accepts(&self, timers: &mut impl TimerTable, number: u8, deadline: Nanos) -> bool {
        match self.queues[usize::from(number)].tail {
            NONE => true,
            last => timers.timer(last).last_deadline() <= deadline,
        }
    }

    /// Arms a timer that is neither in a queue nor in the heap, at the end of a queue that accepts its deadline.
    pub(super) fn append(
        &mut self,
        timers: &mut impl TimerTable,
        number: u8,
        slot: u32,
        (deadline, order): (Nanos, u32),
    ) {
        let queue = &mut self.queues[usize::from(number)];
        let last = std::mem::replace(&mut queue.tail, slot);
        let timer = timers.timer(slot);
        timer.set(deadline, order);
        timer.enter_queue(number, Links { prev: last, next: NONE });
        if last == NONE {
            queue.head = slot;
            self.heads.arm(&mut self.queues, number.into(), (deadline, order));
        } else {
            let timer = timers.timer(last);
            timer.set_links(Links { next: slot, ..timer.links() });
        }
    }

    /// Takes the timer of `slot` out of the queue it is in, and disarms it.
    pub(super) fn remove(&mut self, timers: &mut impl TimerTable, slot: u32) {
        let timer = timers.timer(slot);
        let Some(number) = timer.queue() else { return };
        let Links { prev, next } = timer.links();
        timer.disarm();
        timer.leave();
        let queue = &mut self.queues[usize::from(number)];
        if next == NONE {
            queue.tail = prev;
        } else {
            let timer = timers.timer(next);
            timer.set_links(Links { prev, ..timer.links() });
        }
        if prev != NONE {
            let timer = timers.timer(prev);
            timer.set_links(Links { next, ..timer.links() });
            return;
        }
        queue.head = next;
        if next == NONE {
            self.heads.disarm(&mut self.queues, number.into());
        } else {
            let head = timers.timer(next);
            self.heads.arm(&mut self.queues, number.into(), (head.last_deadline(), head.order()));
        }
    }

    /// The earliest deadline of all queues; the slot of the entry is the number of the queue.
    #[inline]
    pub(super) fn first(&mut self) -> Option<Entry> {
        self.heads.first(&mut self.queues)
    }

    /// Takes the first timer out of a queue that is not empty.
    pub(super) fn pop(&mut self, timers: &mut impl TimerTable, number: u32) -> u32 {
        let head = self.queues[number as usize].head;
        self.remove(timers, head);
        head
    }

    /// Appends the slots of all queues to `slots`, each queue from its head.
    pub(super) fn armed(&self, timers: &mut impl TimerTable, slots: &mut Vec<u32>) {
        for queue in &self.queues {
            let mut slot = queue.head;
            while slot != NONE {
                slots.push(slot);
                slot = timers.timer(slot).links().next;
            }
        }
    }

    /// Whether the links of each queue agree, its deadlines ascend, and its head is in the heap.
    pub(super) fn is_sound(&mut self, timers: &mut impl TimerTable) -> bool {
        let is_sound = (0..=u8::MAX).zip(&self.queues).all(|(number, queue)| {
            let (mut slot, mut last, mut earliest) = (queue.head, NONE, 0);
            while slot != NONE {
                let timer = timers.timer(slot);
                let due = timer.last_deadline();
                let is_next = timer.links().prev == last && due >= earliest;
                if !is_next || timer.queue() != Some(number) || !timer.is_armed() {
                    return false;
                }
                if last == NONE && queue.timer.deadline() != Some(due) {
                    return false;
                }
                (last, earliest) = (slot, due);
                slot = timer.links().next;
            }
            queue.tail == last && queue.timer.is_armed() == (queue.head != NONE)
        });
        is_sound && self.heads.is_sound(&mut self.queues)
    }

    /// The slots of a queue from its head, compared with those from its tail.
    #[cfg(test)]
    pub(super) fn slots(&self, timers: &mut impl TimerTable, number: u8) -> Vec<u32> {
        let queue = &self.queues[usize::from(number)];
        let mut walk = |end, step: fn(Links) -> u32| {
            let first = (end != NONE).then_some(end);
            std::iter::successors(first, |slot| {
                Some(step(timers.timer(*slot).links())).filter(|slot| *slot != NONE)
            })
            .collect::<Vec<_>>()
        };
        let slots = walk(queue.head, |links| links.next);
        let mut back = walk(queue.tail, |links| links.prev);
        back.reverse();
        assert_eq!(slots, back);
        slots
    }
}
