//! The events of a base: the slots they are stored in, and every list an event can be in.
//!
//! Whatever puts an event into a list or takes it out is in this folder, and sets the event's [`State`] and the
//! counters with it: see [`Events::list`].

mod active;
mod check;
mod common;
mod counts;
mod dispatch;
mod dump;
mod edit;
mod expire;
mod finalize;
mod info;
mod lost;
mod priorities;
mod queues;
mod signals;

pub use common::CommonTimeout;
pub(super) use common::base_number;
use counts::Counts;
use queues::Queues;

use crate::event::{EventId, State, Table};
use crate::io::FdMap;
use crate::signal::Signals;
use crate::time::{Deadlines, Nanos};

/// The events, and the lists they are in.
#[derive(Debug)]
pub(super) struct Events {
    table: Table,
    queues: Queues,
    counts: Counts,
    deadlines: Deadlines,
    fds: FdMap,
    signals: Signals,
    /// Transient events whose descriptor was closed, to be dispatched once more.
    orphaned_transients: Vec<EventId>,
    /// Scratch for the map's orphans; empty between calls.
    orphans: Vec<u32>,
    /// Scratch for signals that are collected; empty between calls.
    arrived: Vec<(i32, u64)>,
}

impl Events {
    pub(super) fn new(priorities: u8, signals: Signals) -> Self {
        Events {
            table: Table::default(),
            queues: Queues::new(priorities),
            counts: Counts::default(),
            deadlines: Deadlines::default(),
            fds: FdMap::default(),
            signals,
            orphaned_transients: Vec::new(),
            orphans: Vec::new(),
            arrived: Vec::new(),
        }
    }

    /// Records that the event joined a list. Each list counts once, as in libevent: an event that waits for
    /// a descriptor and for a deadline counts twice.
    #[inline]
    fn list(&mut self, index: u32, list: State) {
        let state = &mut self.table.at(index).state;
        if !state.contains(list) {
            *state |= list;
            self.counts.list(list);
        }
    }

    /// Records that the event left a list. Returns whether it was in that list.
    #[inline]
    fn unlist(&mut self, index: u32, list: State) -> bool {
        let state = &mut self.table.at(index).state;
        let was_listed = state.contains(list);
        if was_listed {
            *state -= list;
            self.counts.unlist(list);
        }
        was_listed
    }

    /// Whether an event is active now, not only in the next pass.
    #[inline]
    pub(super) fn has_active(&self) -> bool {
        self.queues.has_active()
    }

    /// Whether the pass has something to dispatch.
    #[inline]
    pub(super) fn has_ready(&self) -> bool {
        self.queues.has_active() || !self.orphaned_transients.is_empty()
    }

    /// Whether this pass or the next one has something to dispatch, so that no wait may come before it.
    pub(super) fn has_work(&self) -> bool {
        self.counts.active() > 0 || !self.orphaned_transients.is_empty() || self.signals.is_due()
    }

    /// Whether no event could ever end a wait.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.counts.is_empty() && self.orphaned_transients.is_empty()
    }

    /// The most urgent priority that has active events.
    pub(super) fn most_urgent(&self) -> Option<u8> {
        self.queues.first()
    }

    /// Whether the event exists.
    pub(super) fn exists(&self, id: EventId) -> bool {
        self.table.get(id).is_some()
    }

    /// Slots in use, or free to be used again.
    pub(super) fn slots(&self) -> usize {
        self.table.indices().len()
    }

    pub(super) fn next_deadline(&mut self) -> Option<Nanos> {
        self.deadlines.next_deadline(&mut self.table)
    }

    /// Releases the memory of a base that was closed and has no events any more.
    pub(super) fn release(&mut self) {
        self.table = Table::default();
        self.fds = FdMap::default();
        self.deadlines = Deadlines::default();
    }
}
