//! Time: clocks, and the queue of deadlines.

mod clock;
mod common;
mod deadlines;
mod heap;
mod timer;
mod timers;

#[cfg(any(test, feature = "test-util"))]
pub use clock::ManualClock;
pub(crate) use clock::coarse_clock;
pub use clock::{Clock, SystemClock};
pub(crate) use deadlines::Deadlines;
pub(crate) use timer::{Timer, TimerTable};

/// Nanoseconds: of the monotonic clock for deadlines, since 1970 for wall time.
pub(crate) type Nanos = u64;

/// The nanoseconds of `duration`, and the greatest number for 584 years or more.
pub(crate) fn nanos(duration: std::time::Duration) -> Nanos {
    Nanos::try_from(duration.as_nanos()).unwrap_or(Nanos::MAX)
}
