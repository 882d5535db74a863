//! The timer part of a slot.
//!
//! A timer is in the heap, in a queue, or in neither; `stamp` identifies which, and `detail` depends on it:
//!
//! | `stamp` | the timer is in | `detail` is |
//! |---|---|---|
//! | 0 | neither; entries of the heap for its slot are not valid | unused |
//! | 1 to [`LAST_ORDER`] | the heap, with an entry of this order | the deadline of the entry |
//! | above | the queue of a common timeout, whose number is in the low bits | its two neighbours |

use super::Nanos;

/// The end of a queue.
pub(super) const NONE: u32 = u32::MAX;
/// The last order; then they restart at 1.
pub(super) const LAST_ORDER: u32 = u32::MAX - 256;
/// The stamp of a timer in queue 0; that of queue `n` is `n` more.
const FIRST_QUEUE: u32 = LAST_ORDER + 1;

/// The timer part of a slot. All bits are zero until it is armed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Timer {
    /// Valid while it is armed.
    deadline: Nanos,
    detail: u64,
    /// The number of its arming; 0 while it is not armed.
    order: u32,
    stamp: u32,
}

/// The neighbours of a timer in its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Links {
    pub(super) prev: u32,
    pub(super) next: u32,
}

/// Stores the timer of each slot.
pub(crate) trait TimerTable {
    /// The timer of `slot`, which was armed before.
    fn timer(&mut self, slot: u32) -> &mut Timer;
}

impl Timer {
    /// Its deadline, if it is armed.
    pub(crate) fn deadline(&self) -> Option<Nanos> {
        self.is_armed().then_some(self.deadline)
    }

    /// Its deadline, or the last one if it is not armed.
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

    /// Records that it is neither in the heap nor in a queue: entries of the heap for its slot are not valid.
    pub(super) fn leave(&mut self) {
        self.stamp = 0;
    }

    /// Whether an entry of this order is its valid one.
    #[inline]
    pub(super) fn owns_entry(&self, order: u32) -> bool {
        self.stamp == order
    }

    /// Whether it has an entry in the heap; it may have one while it is not armed.
    #[inline]
    pub(super) fn has_entry(&self) -> bool {
        // One comparison: 0 wraps to the greatest number.
        self.stamp.wrapping_sub(1) < LAST_ORDER
    }

    /// The deadline of its entry in the heap. Valid while it has one.
    pub(super) fn entry_deadline(&self) -> Nanos {
        self.detail
    }

    /// Records that its entry in the heap has its own deadline and order.
    pub(super) fn enter_heap(&mut self) {
        self.detail = self.deadline;
        self.stamp = self.order;
    }

    /// The number of the queue it is in.
    #[inline]
    pub(super) fn queue(&self) -> Option<u8> {
        self.stamp.checked_sub(FIRST_QUEUE).map(|number| number as u8)
    }

    pub(super) fn enter_queue(&mut self, number: u8, links: Links) {
        self.stamp = FIRST_QUEUE + u32::from(number);
        self.set_links(links);
    }

    /// Its neighbours. Valid while it is in a queue.
    pub(super) fn links(&self) -> Links {
        Links { prev: (self.detail >> 32) as u32, next: self.detail as u32 }
    }

    pub(super) fn set_links(&mut self, links: Links) {
        self.detail = u64::from(links.prev) << 32 | u64::from(links.next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_identifies_the_structure_that_holds_the_timer() {
        let mut timer = Timer::default();
        assert_eq!((timer.has_entry(), timer.queue()), (false, None));
        for order in [1, LAST_ORDER] {
            timer.set(7, order);
            timer.enter_heap();
            assert_eq!((timer.has_entry(), timer.queue()), (true, None));
            assert!(timer.owns_entry(order));
        }
        for number in [0, 255] {
            let links = Links { prev: NONE, next: 5 };
            timer.enter_queue(number, links);
            assert_eq!((timer.has_entry(), timer.queue(), timer.links()), (false, Some(number), links));
            assert!(!timer.owns_entry(LAST_ORDER) && !timer.owns_entry(1));
        }
        timer.leave();
        assert_eq!((timer.has_entry(), timer.queue()), (false, None));
    }
}
