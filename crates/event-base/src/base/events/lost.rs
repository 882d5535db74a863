//! Events that lose their registration without being deleted: their descriptor was closed, or the kernel refused a
//! deferred change.

use crate::backend::Backend;
use crate::base::Inner;
use crate::error::Error;
use crate::event::State;
use crate::flags::What;
use crate::log::Severity;

impl super::Events {
    /// Registers every signal that has events with a backend that has none registered.
    pub(in crate::base) fn register_signals(&mut self, backend: &mut Backend) -> Result<(), Error> {
        self.signals.register_all(backend)
    }
}

impl Inner {
    /// Registers every descriptor that has events with a backend that has none registered.
    ///
    /// # Errors
    /// The first refusal; all other descriptors are registered. A descriptor that was closed is not an error.
    pub(in crate::base) fn register_descriptors(&mut self) -> Result<(), Error> {
        let backend = self.kernel.backend()?;
        let events = &mut self.events;
        let result = events.fds.register_all(&mut events.table, backend, &mut events.orphans);
        self.settle_orphans();
        result
    }

    /// Takes events whose descriptor was found closed out of their lists, and cancels readiness that was reported for
    /// them.
    pub(super) fn settle_orphans(&mut self) {
        while let Some(index) = self.events.orphans.pop() {
            self.settle_orphan(index);
        }
    }

    #[cold]
    fn settle_orphan(&mut self, index: u32) {
        let events = &mut self.events;
        events.unlist(index, State::INSERTED);
        let record = events.table.at(index);
        record.result -= What::IO | What::ET;
        let (fd, is_active) = (record.fd, !record.result.is_empty());
        if !is_active {
            events.withdraw(index);
        }
        let id = events.table.id(index);
        let state = events.table.at(index).state;
        if state.contains(State::TRANSIENT) && !state.intersects(State::LISTED) {
            events.orphaned_transients.push(id);
            self.kernel.request_wake();
        }
        let id = id.to_bits();
        self.log(
            Severity::Warning,
            format!("descriptor {fd} was closed while event {id:#x} waited for it; the event was taken out"),
        );
        self.request_wake_if_empty();
    }

    /// Passes deferred changes to the kernel and handles refusals; returns whether that made an event active.
    #[inline]
    pub(in crate::base) fn flush_changes(&mut self) -> bool {
        let Ok(backend) = self.kernel.backend() else { return false };
        if backend.flush() {
            self.kernel.request_wake();
        }
        self.settle_lost()
    }

    /// Handles registrations that ended although their events were not deleted: the events leave the map and
    /// become active, so that the caller's next operation on the descriptor fails with the error. Returns whether
    /// there were any.
    #[inline]
    pub(in crate::base) fn settle_lost(&mut self) -> bool {
        let mut any = false;
        while let Some(token) = self.kernel.backend().ok().and_then(Backend::take_lost) {
            any = true;
            self.settle_one_lost(token);
        }
        any
    }

    #[cold]
    fn settle_one_lost(&mut self, token: u64) {
        let Ok(backend) = self.kernel.backend() else { return };
        let mut orphans = std::mem::take(&mut self.events.orphans);
        self.events.fds.lose(&mut self.events.table, backend, token, &mut orphans);
        for &index in &orphans {
            self.events.unlist(index, State::INSERTED);
            let interests = self.events.table.at(index).what.io();
            self.make_active(index, interests);
        }
        orphans.clear();
        self.events.orphans = orphans;
    }
}
