//! Waking the thread that waits.
//!
//! The loop records that it sleeps before it releases the lock, and that it is awake as soon as it holds the lock
//! again. A change that matters to a sleeping loop (an earlier deadline, an active event, nothing left to wait for,
//! a request to stop) requests a wake-up under the same lock, so none is missed. The first request writes to the
//! notifier after the lock is released; later ones find it written already. A loop that runs callbacks polls
//! anyway and is never written to.

use crate::time::Nanos;

/// Whether the loop sleeps, and what was requested meanwhile.
#[derive(Debug, Default)]
pub(super) struct Sleep {
    /// The latest time at which the sleep ends by itself.
    until: Option<Nanos>,
    asleep: bool,
    /// The notifier was written to, or is about to be.
    notified: bool,
    /// The caller that holds the lock writes to the notifier once it has released it.
    wake: bool,
    /// The caller that holds the lock has something to do once it has released it: a wake-up, or messages.
    follow_up: bool,
}

impl Sleep {
    pub(super) fn begin(&mut self, until: Option<Nanos>) {
        *self = Sleep { until, asleep: true, ..Sleep::default() };
    }

    pub(super) fn end(&mut self) {
        self.asleep = false;
    }

    #[inline]
    pub(super) fn is_asleep(&self) -> bool {
        self.asleep
    }

    /// Wakes the loop if it sleeps.
    #[inline]
    pub(super) fn request_wake(&mut self) {
        if self.asleep && !self.notified {
            self.notified = true;
            self.wake = true;
            self.follow_up = true;
        }
    }

    /// Wakes the loop if it would sleep past `deadline`.
    #[inline]
    pub(super) fn request_wake_by(&mut self, deadline: Nanos) {
        if self.until.is_none_or(|until| deadline < until) {
            self.request_wake();
        }
    }

    /// Messages are to be reported once the lock is released.
    pub(super) fn request_follow_up(&mut self) {
        self.follow_up = true;
    }

    #[inline]
    pub(super) fn take_follow_up(&mut self) -> bool {
        std::mem::take(&mut self.follow_up)
    }

    pub(super) fn take_wake(&mut self) -> bool {
        std::mem::take(&mut self.wake)
    }

    /// The notifier that was written to no longer exists.
    pub(super) fn forget_requests(&mut self) {
        self.notified = false;
        self.follow_up = false;
    }
}
