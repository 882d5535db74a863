//! The queues of events that are due: one for each priority, and one for the next pass.

use crate::event::{NONE, Table};

/// A queue through the records' links.
#[derive(Clone, Copy, Debug)]
pub(super) struct Queue {
    pub(super) head: u32,
    pub(super) tail: u32,
}

impl Queue {
    pub(super) const EMPTY: Queue = Queue { head: NONE, tail: NONE };

    pub(super) fn append(&mut self, table: &mut Table, index: u32) {
        let last = std::mem::replace(&mut self.tail, index);
        match last {
            NONE => self.head = index,
            last => table.at(last).active_next = index,
        }
        let record = table.at(index);
        record.active_prev = last;
        record.active_next = NONE;
    }

    /// Takes the first event out.
    #[inline]
    pub(super) fn pop(&mut self, table: &mut Table) -> Option<u32> {
        let index = self.head;
        if index == NONE {
            return None;
        }
        self.head = table.at(index).active_next;
        match self.head {
            NONE => self.tail = NONE,
            next => table.at(next).active_prev = NONE,
        }
        Some(index)
    }

    /// Puts an event in front of the others.
    pub(super) fn prepend(&mut self, table: &mut Table, index: u32) {
        let first = std::mem::replace(&mut self.head, index);
        match first {
            NONE => self.tail = index,
            first => table.at(first).active_prev = index,
        }
        let record = table.at(index);
        record.active_prev = NONE;
        record.active_next = first;
    }

    pub(super) fn unlink(&mut self, table: &mut Table, index: u32) {
        let (prev, next) = (table.at(index).active_prev, table.at(index).active_next);
        match prev {
            NONE => self.head = next,
            prev => table.at(prev).active_next = next,
        }
        match next {
            NONE => self.tail = prev,
            next => table.at(next).active_prev = prev,
        }
    }
}

/// The queues.
#[derive(Debug)]
pub(super) struct Queues {
    pub(super) by_priority: Vec<Queue>,
    pub(super) later: Queue,
    /// Deferred activations in this pass.
    pub(super) deferred: u32,
}

impl Queues {
    pub(super) fn new(priorities: u8) -> Self {
        Queues { by_priority: vec![Queue::EMPTY; usize::from(priorities)], later: Queue::EMPTY, deferred: 0 }
    }

    pub(super) fn priorities(&self) -> u8 {
        self.by_priority.len() as u8
    }

    pub(super) fn first(&self) -> Option<u8> {
        self.by_priority.iter().position(|queue| queue.head != NONE).map(|priority| priority as u8)
    }

    /// Something is active now, not only for the next pass.
    pub(super) fn has_active(&self) -> bool {
        self.first().is_some()
    }

    /// The slots in all queues, the most urgent first, the next pass's last.
    pub(super) fn slots(&self, table: &mut Table) -> Vec<u32> {
        let mut found = Vec::new();
        for queue in self.by_priority.iter().chain([&self.later]) {
            let mut index = queue.head;
            while index != NONE {
                found.push(index);
                index = table.at(index).active_next;
            }
        }
        found
    }
}
