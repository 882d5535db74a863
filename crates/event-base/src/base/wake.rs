//! Waking the thread that waits.
//!
//! The loop says that it sleeps before it lets go of the lock, and that it is awake as soon as it has the
//! lock again. A change that matters to a sleeping loop — an earlier deadline, an event made active, nothing
//! left to wait for, a request to stop — asks for a wake-up under the same lock, so none is missed; the first
//! to ask writes to the notifier after the lock is dropped, the others find that it was asked. A loop that
//! runs callbacks will look at everything anyway and is never written to.

use super::Inner;
use crate::time::Nanos;

/// Whether the loop sleeps, and what was asked of it meanwhile.
#[derive(Debug, Default)]
pub(super) struct Sleep {
    /// Until when it sleeps at most.
    until: Option<Nanos>,
    asleep: bool,
    /// The notifier was, or is about to be, written to.
    notified: bool,
    /// The caller who holds the lock is to write to the notifier.
    wake: bool,
    /// The caller who holds the lock has something to do once it has dropped it: this, or to tell messages.
    requested: bool,
}

impl Sleep {
    pub(super) fn begin(&mut self, until: Option<Nanos>) {
        *self = Sleep { until, asleep: true, ..Sleep::default() };
    }

    #[inline]
    pub(super) fn is_asleep(&self) -> bool {
        self.asleep
    }

    pub(super) fn end(&mut self) {
        self.asleep = false;
    }

    /// What was written went to a notifier that is no more.
    pub(super) fn forget_request(&mut self) {
        self.notified = false;
        self.requested = false;
    }

    pub(super) fn take_request(&mut self) -> bool {
        std::mem::take(&mut self.requested)
    }

    pub(super) fn take_wake(&mut self) -> bool {
        std::mem::take(&mut self.wake)
    }

    /// Messages are to be told once the lock is dropped.
    pub(super) fn request_telling(&mut self) {
        self.requested = true;
    }
}

impl Inner {
    /// Wakes the loop if it sleeps.
    pub(super) fn request_wake(&mut self) {
        if self.sleep.asleep && !self.sleep.notified {
            self.sleep.notified = true;
            self.sleep.wake = true;
            self.sleep.requested = true;
        }
    }

    /// Wakes the loop if it would sleep past `deadline`.
    pub(super) fn request_wake_by(&mut self, deadline: Nanos) {
        if self.sleep.until.is_none_or(|until| deadline < until) {
            self.request_wake();
        }
    }

    /// Wakes the loop if there is nothing left that it could be waiting for.
    pub(super) fn request_wake_if_empty(&mut self) {
        if self.is_empty() {
            self.request_wake();
        }
    }
}
