//! The queues of active events: one for each priority, and one for the next pass.

use crate::event::{List, Queue, Table};

/// The queues.
#[derive(Debug)]
pub(super) struct Queues {
    pub(super) by_priority: Vec<List<Queue>>,
    pub(super) later: List<Queue>,
    /// Deferred activations in this pass.
    pub(super) deferred: u32,
}

impl Queues {
    pub(super) fn new(priorities: u8) -> Self {
        Queues { by_priority: vec![List::EMPTY; usize::from(priorities)], later: List::EMPTY, deferred: 0 }
    }

    pub(super) fn priorities(&self) -> u8 {
        self.by_priority.len() as u8
    }

    #[inline]
    pub(super) fn of(&mut self, priority: u8) -> &mut List<Queue> {
        &mut self.by_priority[usize::from(priority)]
    }

    /// The most urgent priority that has active events.
    pub(super) fn first(&self) -> Option<u8> {
        self.by_priority.iter().position(|queue| !queue.is_empty()).map(|priority| priority as u8)
    }

    /// Whether an event is active now, not only in the next pass.
    #[inline]
    pub(super) fn has_active(&self) -> bool {
        self.first().is_some()
    }

    /// The slots in all queues, the most urgent first, the next pass's last.
    pub(super) fn slots(&self, table: &mut Table) -> Vec<u32> {
        self.by_priority.iter().chain([&self.later]).flat_map(|queue| queue.slots(table)).collect()
    }
}
