//! The time of a base.
//!
//! While callbacks run, the time is cached: every callback of a pass sees the same one, and timers added in them
//! count from it. A wait is computed from a fresh reading, so that the time callbacks took does not make timers late.

use std::sync::Arc;
use std::time::Duration;

use super::{Base, Inner};
use crate::error::Error;
use crate::time::{Clock, Nanos};

/// The clock, and the times that are cached while callbacks run.
#[derive(Debug)]
pub(super) struct TimeCache {
    clock: Arc<dyn Clock>,
    disabled: bool,
    monotonic: Cached,
    /// The wall time at `monotonic`; read when it is first needed.
    wall: Option<Nanos>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cached {
    /// Each reading reads the clock.
    No,
    /// The next reading reads the clock, and caches the time until the pass ends.
    Wanted,
    /// The cached time.
    At(Nanos),
}

impl TimeCache {
    pub(super) fn new(clock: Arc<dyn Clock>, disabled: bool) -> Self {
        TimeCache { clock, disabled, monotonic: Cached::No, wall: None }
    }

    pub(super) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    /// The cached monotonic time, else a fresh one.
    pub(super) fn now(&mut self) -> Nanos {
        match self.monotonic {
            Cached::No => self.clock.monotonic(),
            Cached::Wanted => self.refresh(),
            Cached::At(now) => now,
        }
    }

    /// The current monotonic time.
    pub(super) fn fresh(&self) -> Nanos {
        self.clock.monotonic()
    }

    /// How long a wait that starts now must last to reach `deadline`.
    pub(super) fn until(&self, deadline: Nanos) -> Duration {
        Duration::from_nanos(self.clock.until(deadline))
    }

    /// The time of the kernel's clock at which `deadline` has passed.
    pub(super) fn due(&self, deadline: Nanos) -> Nanos {
        self.clock.due(deadline)
    }

    pub(super) fn refresh(&mut self) -> Nanos {
        let now = self.clock.monotonic();
        self.wall = None;
        self.monotonic = if self.disabled { Cached::No } else { Cached::At(now) };
        now
    }

    /// Starts to cache the time; the clock is read when the time is first needed.
    pub(super) fn begin_pass(&mut self) {
        self.wall = None;
        self.monotonic = if self.disabled { Cached::No } else { Cached::Wanted };
    }

    pub(super) fn forget(&mut self) {
        self.monotonic = Cached::No;
        self.wall = None;
    }

    fn wall(&mut self) -> Nanos {
        if self.monotonic == Cached::No {
            return self.clock.wall();
        }
        let cached = self.now();
        *self.wall.get_or_insert_with(|| to_wall(&*self.clock, cached))
    }

    /// The wall time of a deadline.
    pub(super) fn to_wall(&self, deadline: Nanos) -> Nanos {
        to_wall(&*self.clock, deadline)
    }
}

fn to_wall(clock: &dyn Clock, monotonic: Nanos) -> Nanos {
    let offset = i128::from(clock.wall()) - i128::from(clock.monotonic());
    Nanos::try_from(i128::from(monotonic) + offset).unwrap_or(if offset < 0 { 0 } else { Nanos::MAX })
}

impl Base {
    /// Wall-clock time since 1970 (`event_base_gettimeofday_cached`): the cached time while callbacks run, the current
    /// time otherwise.
    pub fn now(&self) -> Result<Duration, Error> {
        self.with(|inner| Duration::from_nanos(inner.time.wall()))
    }

    /// The current monotonic time (`event_gettime_monotonic`).
    pub fn monotonic(&self) -> Result<Duration, Error> {
        self.with(|inner| Duration::from_nanos(inner.time.fresh()))
    }

    /// Replaces the cached time by the current time. Has no effect outside the loop (`event_base_update_cache_time`).
    pub fn update_cached_time(&self) -> Result<(), Error> {
        self.with(Inner::update_cached_time)
    }
}

impl Inner {
    fn update_cached_time(&mut self) {
        if self.time.monotonic != Cached::No {
            self.time.refresh();
        }
    }
}
