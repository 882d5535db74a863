//! Clocks.

use std::fmt;
use std::sync::Arc;
#[cfg(any(test, feature = "test-util"))]
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime};

use super::Nanos;

/// A source of time. Tests that must not sleep use one that they advance themselves.
pub trait Clock: fmt::Debug + Send + Sync {
    /// Nanoseconds of a clock that never goes back.
    fn monotonic(&self) -> Nanos;

    /// Nanoseconds since 1970; jumps when the system's time is set.
    fn wall(&self) -> Nanos;

    /// How many nanoseconds the kernel must wait so that [`monotonic`](Self::monotonic) has reached `deadline`
    /// afterwards; 0 only if it has already.
    fn until(&self, deadline: Nanos) -> Nanos {
        deadline.saturating_sub(self.monotonic())
    }

    /// The time of the kernel's monotonic clock at which this one has reached `deadline`.
    fn due(&self, deadline: Nanos) -> Nanos {
        deadline
    }
}

/// The kernel's clocks: `CLOCK_MONOTONIC` and `CLOCK_REALTIME`.
///
/// libevent prefers `CLOCK_MONOTONIC_COARSE`: see [`Config::use_coarse_clock`](crate::Config::use_coarse_clock).
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

/// The clock that advances once in a tick of the kernel, if there is one, else the precise one.
pub(crate) fn coarse_clock() -> Arc<dyn Clock> {
    #[cfg(linux_kernel)]
    if let Some(clock) = CoarseClock::new() {
        return Arc::new(clock);
    }
    Arc::new(SystemClock)
}

/// `CLOCK_MONOTONIC_COARSE` and `CLOCK_REALTIME_COARSE`: the time of the last tick.
///
/// Waits of the kernel use the precise clock. When a wait ended at a deadline of that clock, this one would not have
/// reached it, and the loop would have to wait again. So a wait lasts one tick longer.
#[cfg(linux_kernel)]
#[derive(Clone, Copy, Debug)]
struct CoarseClock {
    tick: Nanos,
}

#[cfg(linux_kernel)]
impl CoarseClock {
    /// `None` if the kernel or a sandbox does not offer the clock.
    fn new() -> Option<Self> {
        clock_gettime(ClockId::CLOCK_MONOTONIC_COARSE).ok()?;
        clock_gettime(ClockId::CLOCK_REALTIME_COARSE).ok()?;
        let tick = nix::time::clock_getres(ClockId::CLOCK_MONOTONIC_COARSE).ok()?;
        Some(CoarseClock { tick: nanos_of(tick) })
    }
}

/// How long a wait must last, by a clock whose time is `precise`, until one whose time is `coarse` and that advances
/// every `tick` has reached `deadline`.
#[cfg(linux_kernel)]
fn until_shown(coarse: Nanos, precise: Nanos, deadline: Nanos, tick: Nanos) -> Nanos {
    if deadline <= coarse {
        return 0;
    }
    // At least an eighth of a tick, so that the loop does not spin when a tick is late.
    deadline.saturating_add(tick).saturating_sub(precise).max(tick / 8)
}

#[cfg(linux_kernel)]
impl Clock for CoarseClock {
    fn monotonic(&self) -> Nanos {
        read(ClockId::CLOCK_MONOTONIC_COARSE)
    }

    fn wall(&self) -> Nanos {
        read(ClockId::CLOCK_REALTIME_COARSE)
    }

    fn until(&self, deadline: Nanos) -> Nanos {
        until_shown(self.monotonic(), read(ClockId::CLOCK_MONOTONIC), deadline, self.tick)
    }

    fn due(&self, deadline: Nanos) -> Nanos {
        let precise = read(ClockId::CLOCK_MONOTONIC);
        precise.saturating_add(until_shown(self.monotonic(), precise, deadline, self.tick))
    }
}

fn read(clock: ClockId) -> Nanos {
    // Every system with epoll or kqueue has both clocks (POSIX.1-2001), and neither returns a time before its epoch.
    nanos_of(clock_gettime(clock).unwrap_or(TimeSpec::new(0, 0)))
}

fn nanos_of(time: TimeSpec) -> Nanos {
    time.tv_sec() as Nanos * 1_000_000_000 + time.tv_nsec() as Nanos
}

/// A clock that advances only when a test calls it; its wall time is [`ManualClock::WALL_OFFSET`] ahead.
#[cfg(any(test, feature = "test-util"))]
#[derive(Debug, Default)]
pub struct ManualClock {
    now: AtomicU64,
}

#[cfg(any(test, feature = "test-util"))]
impl ManualClock {
    /// Wall time minus monotonic time, in nanoseconds.
    pub const WALL_OFFSET: Nanos = 1_000_000_000_000_000_000;

    /// A clock whose monotonic time is `nanos`.
    #[must_use]
    pub fn at(nanos: Nanos) -> Self {
        ManualClock { now: AtomicU64::new(nanos) }
    }

    /// Advances the clock.
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

#[cfg(all(test, linux_kernel))]
mod tests {
    use super::*;

    const TICK: Nanos = 4_000_000;

    #[test]
    fn a_wait_ends_when_the_coarse_clock_has_reached_the_deadline_and_not_before() {
        for precise in (100_000_000..104_000_000).step_by(77_777) {
            let coarse = precise / TICK * TICK;
            for deadline in (99_000_000..120_000_000).step_by(333_333) {
                let wait = until_shown(coarse, precise, deadline, TICK);
                let shown = (precise + wait) / TICK * TICK;
                assert!(shown >= deadline, "{deadline} at {precise}: {shown}");
                assert_eq!(wait == 0, deadline <= coarse);
                // At most one tick late by the precise clock.
                assert!(wait == 0 || wait <= TICK / 8 || precise + wait <= deadline + TICK);
            }
        }
    }

    #[test]
    fn waiting_for_a_late_tick_does_not_spin() {
        assert_eq!(until_shown(100, 100 + 3 * TICK, 101, TICK), TICK / 8);
        assert_eq!(
            until_shown(100, 200, Nanos::MAX, TICK),
            Nanos::MAX - 200,
            "the longest deadline is not wrapped"
        );
    }

    #[test]
    fn the_coarse_clock_is_never_ahead_of_the_precise_one() {
        let clock = coarse_clock();
        for _ in 0..1000 {
            let (coarse, wall) = (clock.monotonic(), clock.wall());
            assert!(coarse <= SystemClock.monotonic());
            assert!(wall <= SystemClock.wall());
            assert!(clock.due(coarse + 1) > coarse);
        }
    }
}
