//! Whether an upstream is worth trying, from what became of the connects to it.
//!
//! So many failures in a row take it out for a time. When that is over, one connection may try it while all
//! others still pass it over: with its success the upstream is back, with its failure it is out for twice as
//! long. Any other success brings it back as well; any other failure changes nothing while it is out, since
//! it belongs to a connect from before, or to one that was made because nobody else was left.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::options::HealthOptions;

/// Whether a connection may be given to an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    Up,
    /// By this connection alone, to find out. Its outcome has to be told, or that there will be none.
    Probe,
    Down,
}

/// What an upstream is at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamState {
    /// It gets connections.
    Up,
    /// It is passed over.
    Down {
        /// For how much longer.
        retry_after: Duration,
    },
    /// It was passed over, and the next connection tries it, or one is doing so.
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

/// The times are since any one moment, the same for all calls.
#[derive(Debug)]
pub(super) struct Health {
    options: HealthOptions,
    /// There is something in the record; as long as there is not, nobody locks.
    blemished: AtomicBool,
    record: Mutex<Record>,
}

impl Health {
    pub(super) fn new(options: HealthOptions) -> Self {
        Health { options, blemished: AtomicBool::new(false), record: Mutex::default() }
    }

    pub(super) fn claim(&self, now: impl FnOnce() -> Duration) -> Claim {
        if !self.blemished.load(Ordering::Acquire) {
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

    /// A connect succeeded: whether that brought the upstream back.
    pub(super) fn succeeded(&self) -> bool {
        if !self.blemished.load(Ordering::Acquire) {
            return false;
        }
        let mut record = self.record.lock();
        self.blemished.store(false, Ordering::Release);
        std::mem::take(&mut *record).down.is_some()
    }

    /// A connect failed: for how long the upstream is out, if that is why.
    pub(super) fn failed(&self, now: Duration, probe: bool) -> Option<Duration> {
        let mut record = self.record.lock();
        self.blemished.store(true, Ordering::Release);
        record.failures = record.failures.saturating_add(1);
        let backoff = match &record.down {
            None if record.failures < self.options.failures => return None,
            None => self.options.backoff,
            Some(_) if !probe => return None,
            Some(down) => (down.backoff * 2).min(self.options.max_backoff),
        };
        record.down = Some(Down { backoff, until: now + backoff, probing: false });
        Some(backoff)
    }

    /// The connection that was to find out came to nothing for a reason of its own.
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
    fn only_failures_in_a_row_take_it_out() {
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
    fn one_connection_tries_it_and_the_time_doubles_up_to_the_longest() {
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
            assert_eq!(health.failed(now, false), None, "not the one that was to find out");
            backoff = health.failed(now, true);
        }
        now += 5 * SECOND;
        assert_eq!(health.claim(|| now), Claim::Probe);
        assert!(health.succeeded());
        assert_eq!((health.claim(|| now), health.state(now)), (Claim::Up, UpstreamState::Up));
        assert_eq!(health.failed(now, false), None, "it begins again");
        assert_eq!(health.failed(now, false), Some(SECOND));
    }

    #[test]
    fn a_try_that_came_to_nothing_leaves_it_to_the_next() {
        let health = health();
        health.failed(Duration::ZERO, false);
        health.failed(Duration::ZERO, false);
        assert_eq!(health.claim(|| SECOND), Claim::Probe);
        health.abandon_probe();
        assert_eq!(health.claim(|| SECOND), Claim::Probe);
    }
}
