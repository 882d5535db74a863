//! Where the time comes from.

use std::fmt;
#[cfg(any(test, feature = "test-util"))]
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime};

use super::Nanos;

/// A source of time. Replaced by one that is moved by hand in tests that must not sleep.
pub trait Clock: fmt::Debug + Send + Sync {
    /// Nanoseconds on a clock that never goes back.
    fn monotonic(&self) -> Nanos;

    /// Nanoseconds since 1970, as the system's calendar has it; may jump.
    fn wall(&self) -> Nanos;
}

/// The kernel's clocks: `CLOCK_MONOTONIC` and `CLOCK_REALTIME`.
///
/// libevent prefers `CLOCK_MONOTONIC_COARSE`, which is up to 4 ms behind and makes the loop wake twice for
/// one timer; the precise clock costs a little more, and no system call.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn monotonic(&self) -> Nanos {
        read(ClockId::CLOCK_MONOTONIC)
    }

    fn wall(&self) -> Nanos {
        read(ClockId::CLOCK_REALTIME)
    }
}

fn read(clock: ClockId) -> Nanos {
    // Neither clock can be missing on a system that has epoll or kqueue (POSIX.1-2001), and neither
    // reports a time before its epoch.
    let time = clock_gettime(clock).unwrap_or(TimeSpec::new(0, 0));
    time.tv_sec() as Nanos * 1_000_000_000 + time.tv_nsec() as Nanos
}

/// A clock that moves only when told to; wall time runs [`ManualClock::WALL_OFFSET`] ahead.
#[cfg(any(test, feature = "test-util"))]
#[derive(Debug, Default)]
pub struct ManualClock {
    now: AtomicU64,
}

#[cfg(any(test, feature = "test-util"))]
impl ManualClock {
    /// Wall time minus monotonic time, in nanoseconds.
    pub const WALL_OFFSET: Nanos = 1_000_000_000_000_000_000;

    /// A clock that shows `nanos`.
    #[must_use]
    pub fn at(nanos: Nanos) -> Self {
        ManualClock { now: AtomicU64::new(nanos) }
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: std::time::Duration) {
        self.now.fetch_add(super::nanos(by), Ordering::SeqCst);
    }
}

#[cfg(any(test, feature = "test-util"))]
impl Clock for ManualClock {
    fn monotonic(&self) -> Nanos {
        self.now.load(Ordering::SeqCst)
    }

    fn wall(&self) -> Nanos {
        self.monotonic() + Self::WALL_OFFSET
    }
}
