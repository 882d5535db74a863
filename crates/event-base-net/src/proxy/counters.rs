//! Counters that are read without a lock.
//!
//! Each counter is written by one thread and read by any, so adding is a load and a store. The counters of each
//! thread have cache lines of their own.

use std::sync::atomic::{AtomicU64, Ordering};

/// Written by one thread.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, more: u64) {
        self.0.store(self.get().wrapping_add(more), Ordering::Relaxed);
    }

    pub(super) fn subtract(&self, less: u64) {
        self.0.store(self.get().wrapping_sub(less), Ordering::Relaxed);
    }

    pub(super) fn raise(&self, to: u64) {
        if to > self.get() {
            self.0.store(to, Ordering::Relaxed);
        }
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The counters of one thread.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct ThreadCounters {
    pub(super) accepted: Counter,
    pub(super) open: Counter,
    pub(super) refused: Counter,
    pub(super) failed: Counter,
    pub(super) timed_out: Counter,
    pub(super) accept_pauses: Counter,
    pub(super) bytes_a_to_b: Counter,
    pub(super) bytes_b_to_a: Counter,
}

/// The counters of one thread for one upstream.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct UpstreamCounters {
    pub(super) connected: Counter,
    pub(super) refused: Counter,
    pub(super) failed: Counter,
    pub(super) bytes_a_to_b: Counter,
    pub(super) bytes_b_to_a: Counter,
    /// The duration of all successful connects, in nanoseconds.
    pub(super) connecting: Counter,
    /// The duration of the longest one.
    pub(super) longest: Counter,
}
