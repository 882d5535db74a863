//! One server of a proxy, and the record of the upstream it belongs to.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::time::Duration;

use parking_lot::Mutex;

use super::counters::UpstreamCounters;
use super::health::Health;
use crate::address::Address;

/// The shortest time between two reports of failed connects of one upstream.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// The part of an upstream that stays when the list of upstreams or its addresses change.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) name: String,
    /// Open connections, connects in progress included.
    pub(super) open: AtomicU64,
    /// By thread.
    pub(super) counters: Box<[UpstreamCounters]>,
    unreported: Mutex<Unreported>,
}

#[derive(Debug, Default)]
struct Unreported {
    failures: u64,
    reported: Option<Duration>,
}

impl Record {
    pub(super) fn new(name: &str, threads: usize) -> Self {
        Record {
            name: name.to_owned(),
            open: AtomicU64::new(0),
            counters: (0..threads).map(|_| UpstreamCounters::default()).collect(),
            unreported: Mutex::default(),
        }
    }

    /// Counts a failed connect. Returns the number of failures since the last report, if they are to be reported
    /// now.
    pub(super) fn count_failure(&self, now: Duration) -> Option<u64> {
        let mut unreported = self.unreported.lock();
        unreported.failures += 1;
        if unreported.reported.is_some_and(|reported| now < reported + REPORT_INTERVAL) {
            return None;
        }
        unreported.reported = Some(now);
        Some(std::mem::take(&mut unreported.failures))
    }
}

/// The part of a server that stays when the list of upstreams changes.
#[derive(Debug)]
pub(super) struct ServerState {
    pub(super) health: Health,
    /// Open connections, connects in progress included.
    pub(super) open: AtomicU64,
}

/// A server in one list of upstreams.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) record: Arc<Record>,
    pub(super) state: Arc<ServerState>,
    /// The index of its upstream in the list.
    pub(super) upstream: usize,
    /// At least one; several are raced.
    pub(super) addresses: Box<[Address]>,
    /// The index of the address that the last successful connect reached.
    pub(super) preferred: AtomicUsize,
    pub(super) weight: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_reported_once_a_second() {
        let record = Record::new("a", 1);
        let reports = [0, 10, 999, 1000, 1001].map(|at| record.count_failure(Duration::from_millis(at)));
        assert_eq!(reports, [Some(1), None, None, Some(3), None]);
    }
}
