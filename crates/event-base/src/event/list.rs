//! A list of events through their neighbours: those on one descriptor, or for one signal.
//!
//! An event is in one list at the most, as it waits for one thing.

use super::table::{NONE, Neighbours, Table};

/// Events in the order of adding.
#[derive(Clone, Copy, Debug)]
pub(crate) struct List {
    head: u32,
    tail: u32,
}

impl List {
    pub(crate) const EMPTY: List = List { head: NONE, tail: NONE };

    /// The first event, or [`NONE`]; the others follow through their neighbours.
    pub(crate) fn first(self) -> u32 {
        self.head
    }

    pub(crate) fn last(self) -> u32 {
        self.tail
    }

    pub(crate) fn is_empty(self) -> bool {
        self.head == NONE
    }

    pub(crate) fn append(&mut self, table: &mut Table, index: u32) {
        let last = std::mem::replace(&mut self.tail, index);
        match last {
            NONE => self.head = index,
            last => table.neighbours(last).next = index,
        }
        *table.neighbours(index) = Neighbours { prev: last, next: NONE };
    }

    /// Takes out an event that is in this list.
    pub(crate) fn remove(&mut self, table: &mut Table, index: u32) {
        let Neighbours { prev, next } = *table.neighbours(index);
        match prev {
            NONE => self.head = next,
            prev => table.neighbours(prev).next = next,
        }
        match next {
            NONE => self.tail = prev,
            next => table.neighbours(next).prev = prev,
        }
    }

    /// The slots of its events, in order.
    pub(crate) fn slots(self, table: &mut Table) -> Vec<u32> {
        let mut found = Vec::new();
        let mut index = self.head;
        while index != NONE {
            found.push(index);
            index = table.neighbours(index).next;
        }
        found
    }
}
