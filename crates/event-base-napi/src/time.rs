//! Durations, which JavaScript passes as milliseconds.

use std::time::Duration;

/// The duration of `milliseconds`, rounded to the nanosecond; `None` for a negative number.
pub(crate) fn duration(milliseconds: f64) -> Option<Duration> {
    (milliseconds >= 0.0).then(|| {
        // The conversion of a float saturates, at some 584 years.
        Duration::from_nanos((milliseconds * 1e6).round() as u64)
    })
}

/// The milliseconds of `duration`.
pub(crate) fn milliseconds(duration: Duration) -> f64 {
    duration.as_nanos() as f64 / 1e6
}
