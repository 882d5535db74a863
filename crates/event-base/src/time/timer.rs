//! The timer part of a slot, and what its numbers mean where it is kept.
//!
//! A timer is kept in one of two places, and its `stamp` says in which:
//!
//! | `stamp` | kept in | `place` is |
//! |---|---|---|
//! | 0 | no place, or one that does not count any more | nothing |
//! | 1 to [`LAST_ORDER`] | the heap, under an entry of this order | the deadline the entry bears |
//! | above | the queue of a common timeout, whose number is in the low bits | its two neighbours |

use super::Nanos;

/// The end of a queue.
pub(super) const NONE: u32 = u32::MAX;
/// Orders are counted up to here, then from 1 again.
pub(super) const LAST_ORDER: u32 = u32::MAX - 256;
/// Added to the number of a queue this is the stamp of a timer in it.
const FIRST_QUEUE: u32 = LAST_ORDER + 1;

/// The timer part of a slot. All zero: never armed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Timer {
    /// When it is due; meaningful while armed.
    deadline: Nanos,
    place: u64,
    /// When it was armed, counted; 0 while it is not.
    order: u32,
    stamp: u32,
}

/// The neighbours of a timer in its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Links {
    pub(super) prev: u32,
    pub(super) next: u32,
}

/// Where the timers of the slots are kept.
pub(crate) trait TimerTable {
    /// The timer of `slot`, which is one that was armed before.
    fn timer(&mut self, slot: u32) -> &mut Timer;
}

impl Timer {
    /// When it is due, if it is armed.
    pub(crate) fn deadline(&self) -> Option<Nanos> {
        self.is_armed().then_some(self.deadline)
    }

    /// When it is due, or was when it was last armed.
    pub(crate) fn last_deadline(&self) -> Nanos {
        self.deadline
    }

    pub(super) fn is_armed(&self) -> bool {
        self.order != 0
    }

    pub(super) fn order(&self) -> u32 {
        self.order
    }

    pub(super) fn set(&mut self, deadline: Nanos, order: u32) {
        self.deadline = deadline;
        self.order = order;
    }

    pub(super) fn disarm(&mut self) {
        self.order = 0;
    }

    /// It is kept nowhere any more: entries of the heap that name its slot stand for nothing.
    pub(super) fn leave(&mut self) {
        self.stamp = 0;
    }

    /// It is the one that an entry of this order stands for.
    #[inline]
    pub(super) fn bears(&self, order: u32) -> bool {
        self.stamp == order
    }

    /// It has an entry in the heap, whether it is armed or not.
    #[inline]
    pub(super) fn has_entry(&self) -> bool {
        // One comparison, as 0 becomes the greatest number.
        self.stamp.wrapping_sub(1) < LAST_ORDER
    }

    /// The deadline its entry in the heap bears; meaningful while it has one.
    pub(super) fn entry_deadline(&self) -> Nanos {
        self.place
    }

    /// Its entry in the heap now bears its own deadline and order.
    pub(super) fn enter_heap(&mut self) {
        self.place = self.deadline;
        self.stamp = self.order;
    }

    /// The queue it is in.
    #[inline]
    pub(super) fn queue(&self) -> Option<u8> {
        self.stamp.checked_sub(FIRST_QUEUE).map(|number| number as u8)
    }

    pub(super) fn enter_queue(&mut self, number: u8, links: Links) {
        self.stamp = FIRST_QUEUE + u32::from(number);
        self.set_links(links);
    }

    /// Meaningful while it is in a queue.
    pub(super) fn links(&self) -> Links {
        Links { prev: (self.place >> 32) as u32, next: self.place as u32 }
    }

    pub(super) fn set_links(&mut self, links: Links) {
        self.place = u64::from(links.prev) << 32 | u64::from(links.next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_says_where_a_timer_is() {
        let mut timer = Timer::default();
        assert_eq!((timer.has_entry(), timer.queue()), (false, None));
        for order in [1, LAST_ORDER] {
            timer.set(7, order);
            timer.enter_heap();
            assert_eq!((timer.has_entry(), timer.queue()), (true, None));
            assert!(timer.bears(order));
        }
        for number in [0, 255] {
            let links = Links { prev: NONE, next: 5 };
            timer.enter_queue(number, links);
            assert_eq!((timer.has_entry(), timer.queue(), timer.links()), (false, Some(number), links));
            assert!(!timer.bears(LAST_ORDER) && !timer.bears(1));
        }
        timer.leave();
        assert_eq!((timer.has_entry(), timer.queue()), (false, None));
    }
}
