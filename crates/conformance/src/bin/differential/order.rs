//! The order in which a wait of `poll` or `select` reports descriptors.
//!
//! libevent starts scanning at a random position; the start of the engine is known. So the engine runs first, the order of
//! each of its waits is recorded, and libevent's events are made active in the same order.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ffi::c_short;
use std::os::fd::RawFd;
use std::rc::Rc;

use crate::player::Player;
use crate::program::Method;
use crate::rules::Rule;
use crate::side::Side;

/// The orders, as slots, of the engine's waits that libevent has not repeated yet; of waits with several descriptors.
pub(crate) type Orders = Rc<RefCell<VecDeque<Vec<usize>>>>;

/// The result of a wait of one side.
#[derive(Debug, Default)]
pub(crate) struct Found {
    orders: Orders,
    /// The position at which the engine starts scanning next.
    start: Cell<usize>,
    /// The next wait has the same result as the host's.
    again: Cell<bool>,
    /// Descriptors that libevent reports.
    left: Cell<usize>,
    reported: RefCell<Vec<(RawFd, c_short)>>,
}

impl Found {
    pub(crate) fn new(orders: &Orders) -> Self {
        Found { orders: Rc::clone(orders), ..Found::default() }
    }
}

impl<S: Side> Player<S> {
    /// The base polls once more after the host's wait.
    pub(crate) fn found_before(&self) {
        self.found.again.set(true);
    }

    /// A wait has ended: positions among `count` entries, and descriptors.
    pub(crate) fn note_found(&self, ready: &[(usize, RawFd)], count: usize) {
        if S::IS_LIBEVENT {
            self.found.left.set(ready.len());
            return;
        }
        let start = match self.program.settings.method {
            Method::Poll if self.found.start.get() < count => self.found.start.get(),
            _ => 0,
        };
        let cut = ready.partition_point(|(place, _)| *place < start);
        let mut rotated = ready[cut..].iter().chain(&ready[..cut]);
        let slots: Vec<usize> = rotated.clone().filter_map(|(_, fd)| self.slot(*fd)).collect();
        if let Some((first, _)) = rotated.next() {
            self.found.start.set(first + 1);
        }
        if !self.found.again.take() && slots.len() > 1 {
            self.found.orders.borrow_mut().push_back(slots);
        }
    }

    /// libevent reports a descriptor. The events become active after it has reported all.
    pub(crate) fn note_told(&self, fd: RawFd, what: c_short) -> bool {
        let left = self.found.left.get();
        if !S::IS_LIBEVENT || (left == 0 && self.slot(fd).is_some()) {
            return false;
        }
        if left == 0 {
            self.side.make_active(fd, what);
            return true;
        }
        self.found.reported.borrow_mut().push((fd, what));
        self.found.left.set(left - 1);
        if left == 1 {
            let mut reported = self.found.reported.take();
            self.put_in_order(&mut reported);
            reported.into_iter().for_each(|(fd, what)| self.side.make_active(fd, what));
        }
        true
    }

    /// Signals, which arrive through a descriptor of libevent, are last.
    fn put_in_order(&self, reported: &mut [(RawFd, c_short)]) {
        reported.sort_unstable_by_key(|(fd, _)| (self.slot(*fd).is_none(), *fd));
        let slots: Vec<usize> = reported.iter().filter_map(|(fd, _)| self.slot(*fd)).collect();
        if slots.len() < 2 {
            return;
        }
        self.count(Rule::OrderOfScan);
        let order = self.found.orders.borrow_mut().pop_front().unwrap_or_default();
        reported.sort_by_key(|(fd, _)| {
            self.slot(*fd)
                .and_then(|slot| order.iter().position(|other| *other == slot))
                .unwrap_or(usize::MAX)
        });
    }

    /// Drops the orders that one operation has left.
    pub(crate) fn forget_found(&self) {
        self.found.orders.borrow_mut().clear();
        self.found.again.set(false);
    }
}
