//! What time it is, as far as the base is concerned.
//!
//! While callbacks run, the time stands still: every callback of a pass sees the same one, and timers added
//! in them start from it. The wait is computed from a fresh reading, so that the time callbacks took does not
//! make timers late.

use std::sync::Arc;
use std::time::Duration;

use super::{Base, Inner};
use crate::error::Error;
use crate::time::{Clock, Nanos};

/// The clock and the time it showed when the pass first asked.
#[derive(Debug)]
pub(super) struct TimeCache {
    clock: Arc<dyn Clock>,
    disabled: bool,
    monotonic: Cached,
    /// The wall time at `monotonic`; read when first asked for.
    wall: Option<Nanos>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cached {
    /// Every question reads the clock.
    No,
    /// The next question does, for all others of this pass.
    Wanted,
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

    /// The monotonic time right now.
    pub(super) fn fresh(&self) -> Nanos {
        self.clock.monotonic()
    }

    /// How long a wait from right now until `deadline` has to be.
    pub(super) fn until(&self, deadline: Nanos) -> Duration {
        Duration::from_nanos(self.clock.until(deadline))
    }

    /// When it is over by the kernel's clock.
    pub(super) fn due(&self, deadline: Nanos) -> Nanos {
        self.clock.due(deadline)
    }

    pub(super) fn refresh(&mut self) -> Nanos {
        let now = self.clock.monotonic();
        self.wall = None;
        self.monotonic = if self.disabled { Cached::No } else { Cached::At(now) };
        now
    }

    /// From here on the time stands still. Reading the clock is left to who wants to know.
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
    /// Wall time since 1970: the same throughout one pass of callbacks, the system's outside the loop
    /// (`event_base_gettimeofday_cached`).
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::WrongThread`].
    pub fn now(&self) -> Result<Duration, Error> {
        self.with(|inner| Duration::from_nanos(inner.time.wall()))
    }

    /// The monotonic clock, read afresh (`event_gettime_monotonic`).
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::WrongThread`].
    pub fn monotonic(&self) -> Result<Duration, Error> {
        self.with(|inner| Duration::from_nanos(inner.time.fresh()))
    }

    /// Lets the cached time catch up; nothing happens outside the loop (`event_base_update_cache_time`).
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::WrongThread`].
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
