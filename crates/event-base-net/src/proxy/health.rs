//! The health of a server, from the outcomes of connects to it.
//!
//! After a number of consecutive failures a server is passed over for a time. Then one connection, the probe, is
//! given to it, while all others still pass it over: if the probe succeeds the server is up again, if it fails the
//! time doubles. Any other success brings the server up as well. Any other failure changes nothing while the server
//! is down: that connect started earlier, or no other server was left.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::options::HealthOptions;

/// Whether a connection may be given to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    Up,
    /// This connection alone. Its outcome has to be reported, or [`abandon_probe`](Health::abandon_probe) called.
    Probe,
    Down,
}

/// Whether an upstream gets connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamState {
    /// It gets connections.
    Up,
    /// It is passed over.
    Down {
        /// The time until it is probed, or its name is looked up.
        retry_after: Duration,
    },
    /// It was passed over; the next connection probes it, or a probe is in progress.
    Probing,
}

#[derive(Debug, Default)]
struct Record {
    failures: u32,
    down: Option<Down>,
}

#[derive(Debug)]
struct Down {
    backoff: Duration,
    until: Duration,
    probing: bool,
}

/// The health of one server. All times are since one moment that all calls share.
#[derive(Debug)]
pub(super) struct Health {
    options: HealthOptions,
    /// Whether the record holds a failure. While it holds none, `claim` and `succeeded` take no lock.
    has_failures: AtomicBool,
    record: Mutex<Record>,
}

impl Health {
    pub(super) fn new(options: HealthOptions) -> Self {
        Health { options, has_failures: AtomicBool::new(false), record: Mutex::default() }
    }

    pub(super) fn claim(&self, now: impl FnOnce() -> Duration) -> Claim {
        if !self.has_failures.load(Ordering::Acquire) {
            return Claim::Up;
        }
        match &mut self.record.lock().down {
            None => Claim::Up,
            Some(down) if !down.probing && now() >= down.until => {
                down.probing = true;
                Claim::Probe
            }
            Some(_) => Claim::Down,
        }
    }

    /// A connect succeeded. Returns whether the server was down.
    pub(super) fn succeeded(&self) -> bool {
        if !self.has_failures.load(Ordering::Acquire) {
            return false;
        }
        let mut record = self.record.lock();
        self.has_failures.store(false, Ordering::Release);
        std::mem::take(&mut *record).down.is_some()
    }

    /// A connect failed. Returns the time for which the server is passed over, if this failure is the reason.
    pub(super) fn failed(&self, now: Duration, probe: bool) -> Option<Duration> {
        let mut record = self.record.lock();
        self.has_failures.store(true, Ordering::Release);
        record.failures = record.failures.saturating_add(1);
        let backoff = match &record.down {
            None if record.failures < self.options.failures => return None,
            None => self.options.backoff,
            Some(_) if !probe => return None,
            Some(down) => down.backoff.saturating_mul(2).min(self.options.max_backoff),
        };
        record.down = Some(Down { backoff, until: now.saturating_add(backoff), probing: false });
        Some(backoff)
    }

    /// Called when the probe ended without an outcome. The next connection is the probe.
    pub(super) fn abandon_probe(&self) {
        if let Some(down) = &mut self.record.lock().down {
            down.probing = false;
        }
    }

    pub(super) fn state(&self, now: Duration) -> UpstreamState {
        match &self.record.lock().down {
            None => UpstreamState::Up,
            Some(down) if down.probing || now >= down.until => UpstreamState::Probing,
            Some(down) => UpstreamState::Down { retry_after: down.until - now },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn health() -> Health {
        Health::new(HealthOptions { failures: 2, backoff: SECOND, max_backoff: 5 * SECOND })
    }

    #[test]
    fn only_consecutive_failures_take_a_server_down() {
        let health = health();
        assert_eq!(health.failed(SECOND, false), None);
        assert!(!health.succeeded());
        assert_eq!(health.failed(SECOND, false), None);
        assert_eq!(health.claim(|| SECOND), Claim::Up);
        assert_eq!(health.failed(SECOND, false), Some(SECOND));
        assert_eq!(health.claim(|| SECOND), Claim::Down);
        assert_eq!(
            health.state(SECOND + SECOND / 4),
            UpstreamState::Down { retry_after: SECOND - SECOND / 4 }
        );
    }

    #[test]
    fn one_connection_probes_a_server_and_the_backoff_doubles_up_to_its_maximum() {
        let health = health();
        health.failed(Duration::ZERO, false);
        let mut now = Duration::ZERO;
        let mut backoff = health.failed(now, false);
        for expected in [1, 2, 4, 5, 5] {
            assert_eq!(backoff, Some(expected * SECOND));
            now += expected * SECOND;
            assert_eq!(health.claim(|| now - Duration::from_nanos(1)), Claim::Down);
            assert_eq!(health.claim(|| now), Claim::Probe);
            assert_eq!(health.state(now), UpstreamState::Probing);
            assert_eq!(health.claim(|| now), Claim::Down, "one at a time");
            assert_eq!(health.failed(now, false), None, "not the probe");
            backoff = health.failed(now, true);
        }
        now += 5 * SECOND;
        assert_eq!(health.claim(|| now), Claim::Probe);
        assert!(health.succeeded());
        assert_eq!((health.claim(|| now), health.state(now)), (Claim::Up, UpstreamState::Up));
        assert_eq!(health.failed(now, false), None, "counting starts anew");
        assert_eq!(health.failed(now, false), Some(SECOND));
    }

    #[test]
    fn the_longest_backoff_never_ends() {
        let longest = Duration::MAX;
        let health = Health::new(HealthOptions { failures: 1, backoff: longest, max_backoff: longest });
        assert_eq!(health.failed(SECOND, false), Some(longest));
        assert_eq!(health.claim(|| longest - SECOND), Claim::Down);
        assert_eq!(health.claim(|| longest), Claim::Probe);
        assert_eq!(health.failed(longest, true), Some(longest));
    }

    #[test]
    fn the_connection_after_an_abandoned_probe_is_the_probe() {
        let health = health();
        health.failed(Duration::ZERO, false);
        health.failed(Duration::ZERO, false);
        assert_eq!(health.claim(|| SECOND), Claim::Probe);
        health.abandon_probe();
        assert_eq!(health.claim(|| SECOND), Claim::Probe);
    }
}
