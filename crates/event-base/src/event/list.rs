//! Doubly linked lists of events, whose links are stored in the table.
//!
//! An event has two pairs of links: one for the list of its descriptor or signal, and one for the queue it is active
//! in. So it is in at most one list of each kind, and moving it between lists allocates nothing.

use std::marker::PhantomData;

use super::table::{Links, NONE, Table};

/// Which of an event's two links a list uses.
pub(crate) trait Link: Copy {
    fn of(table: &mut Table, index: u32) -> &mut Links;
}

/// The link among the events on one descriptor, or for one signal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source;

/// The link among the events of one active queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Queue;

impl Link for Source {
    #[inline]
    fn of(table: &mut Table, index: u32) -> &mut Links {
        table.source_links(index)
    }
}

impl Link for Queue {
    #[inline]
    fn of(table: &mut Table, index: u32) -> &mut Links {
        &mut table.at(index).queue_links
    }
}

/// A list of slots, in the order in which they were appended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct List<L> {
    head: u32,
    tail: u32,
    link: PhantomData<L>,
}

impl<L: Link> List<L> {
    pub(crate) const EMPTY: Self = List { head: NONE, tail: NONE, link: PhantomData };

    /// The first event, or [`NONE`].
    #[inline]
    pub(crate) fn first(self) -> u32 {
        self.head
    }

    /// The event behind `index`, or [`NONE`].
    #[inline]
    pub(crate) fn next(table: &mut Table, index: u32) -> u32 {
        L::of(table, index).next
    }

    #[inline]
    pub(crate) fn is_empty(self) -> bool {
        self.head == NONE
    }

    #[inline]
    pub(crate) fn append(&mut self, table: &mut Table, index: u32) {
        let last = std::mem::replace(&mut self.tail, index);
        match last {
            NONE => self.head = index,
            last => L::of(table, last).next = index,
        }
        *L::of(table, index) = Links { prev: last, next: NONE };
    }

    /// Puts an event in front of the others.
    pub(crate) fn prepend(&mut self, table: &mut Table, index: u32) {
        let first = std::mem::replace(&mut self.head, index);
        match first {
            NONE => self.tail = index,
            first => L::of(table, first).prev = index,
        }
        *L::of(table, index) = Links { prev: NONE, next: first };
    }

    /// Takes the first event out.
    #[inline]
    pub(crate) fn pop(&mut self, table: &mut Table) -> Option<u32> {
        let index = self.head;
        if index == NONE {
            return None;
        }
        self.head = L::of(table, index).next;
        match self.head {
            NONE => self.tail = NONE,
            next => L::of(table, next).prev = NONE,
        }
        Some(index)
    }

    /// Takes out an event that is in this list.
    pub(crate) fn remove(&mut self, table: &mut Table, index: u32) {
        let Links { prev, next } = *L::of(table, index);
        match prev {
            NONE => self.head = next,
            prev => L::of(table, prev).next = next,
        }
        match next {
            NONE => self.tail = prev,
            next => L::of(table, next).prev = prev,
        }
    }

    /// The slots of its events, in order.
    pub(crate) fn slots(self, table: &mut Table) -> Vec<u32> {
        let mut found = Vec::new();
        let mut index = self.head;
        while index != NONE {
            found.push(index);
            index = Self::next(table, index);
        }
        found
    }

    /// The slots of its events, in order, if its links agree with each other.
    ///
    /// # Errors
    /// A description of the contradiction.
    pub(crate) fn check(self, table: &mut Table) -> Result<Vec<u32>, &'static str> {
        let (mut found, mut index, mut last) = (Vec::new(), self.head, NONE);
        // The list cannot run in a circle: each event has one predecessor, and the first has none.
        while index != NONE {
            let links = *L::of(table, index);
            if links.prev != last {
                return Err("the links of a list of events disagree");
            }
            found.push(index);
            (last, index) = (index, links.next);
        }
        if last == self.tail { Ok(found) } else { Err("a list of events ends elsewhere") }
    }
}
