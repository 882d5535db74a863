//! The statistics of a base.

use std::time::Duration;

use crate::event::EventId;
use crate::time::{Nanos, nanos};

/// The number of buckets of a [`Histogram`].
pub const BUCKETS: usize = 32;

/// What a base has done since it was created, or since its statistics were last reset.
///
/// The counters are always on. Times are measured only in a base built with
/// [`Config::set_timing`](crate::Config::set_timing).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Passes of the loop: each polls and dispatches one priority.
    pub passes: u64,
    /// Waits of the backend, with or without sleep. If a wait fills the whole result buffer, the pass waits again.
    pub waits: u64,
    /// Events dispatched.
    pub events: EventCounts,
    /// Writes to the notifier, to wake a loop that sleeps or a host that waits.
    pub wakeups_sent: u64,
    /// Waits that found the notifier written to. One wait may find several writes.
    pub wakeups_received: u64,
    /// Durations; `None` unless the base measures them.
    pub timing: Option<Timing>,
}

/// Events dispatched, by their result.
///
/// A result with several bits is counted once, by the first of these that it contains: READ, WRITE or CLOSED (a
/// descriptor), SIGNAL, TIMEOUT (a timer), FINALIZE. A result with none of them is counted as that of a user event. The
/// kind of the event does not matter: a timer that is activated with READ is counted as a descriptor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventCounts {
    /// Results with READ, WRITE or CLOSED.
    pub io: u64,
    /// Other results with SIGNAL.
    pub signal: u64,
    /// Other results with TIMEOUT.
    pub timer: u64,
    /// Other results with FINALIZE.
    pub finalizer: u64,
    /// All other results.
    pub user: u64,
}

/// Measured durations of a base.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timing {
    /// Waits of the backend, including sleep. If a host makes the waits, only the polls in between are measured.
    pub polling: Histogram,
    /// Callbacks: from the step that dispatches an event to the next step, or to
    /// [`Base::callback_ended`](crate::Base::callback_ended).
    pub callbacks: Histogram,
    /// How late timers expired: the time from each deadline until the loop found it expired.
    pub timer_lag: Histogram,
    /// The event with the longest callback, and its duration.
    pub slowest: Option<(EventId, Duration)>,
}

/// Durations, counted by their binary order of magnitude.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Histogram {
    /// The number of durations.
    pub count: u64,
    /// Their sum.
    pub total: Duration,
    /// The longest duration.
    pub max: Duration,
    /// The number of durations below 1 µs (the first bucket), from 1 µs to below 2 µs, from 2 µs to below 4 µs and so
    /// on. The last bucket counts all from 2^30 µs, about 18 minutes.
    pub buckets: [u64; BUCKETS],
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram { count: 0, total: Duration::ZERO, max: Duration::ZERO, buckets: [0; BUCKETS] }
    }
}

impl Histogram {
    pub(crate) fn add(&mut self, time: Nanos) {
        let duration = Duration::from_nanos(time);
        self.count += 1;
        self.total = self.total.saturating_add(duration);
        self.max = self.max.max(duration);
        self.buckets[bucket(time)] += 1;
    }

    /// The least duration of the bucket with this index, which counts from 0.
    ///
    /// ```
    /// use std::time::Duration;
    /// use event_base::Histogram;
    ///
    /// assert_eq!(Histogram::least(0), Duration::ZERO);
    /// assert_eq!(Histogram::least(11), Duration::from_micros(1024));
    /// ```
    #[must_use]
    pub fn least(bucket: usize) -> Duration {
        match u32::try_from(bucket) {
            Ok(0) => Duration::ZERO,
            Ok(bucket) => Duration::from_micros(1_u64.checked_shl(bucket - 1).unwrap_or(u64::MAX)),
            Err(_) => Duration::MAX,
        }
    }
}

/// The bucket of a duration: the number of binary digits of its whole microseconds.
fn bucket(time: Nanos) -> usize {
    let microseconds = time / nanos(Duration::from_micros(1));
    ((u64::BITS - microseconds.leading_zeros()) as usize).min(BUCKETS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_begins_where_the_one_before_ends() {
        for number in 0..BUCKETS {
            let least = nanos(Histogram::least(number));
            assert_eq!(bucket(least), number);
            assert!(number == 0 || bucket(least - 1) == number - 1);
        }
        assert_eq!(bucket(Nanos::MAX), BUCKETS - 1);
    }

    #[test]
    fn a_histogram_adds_up() {
        let mut histogram = Histogram::default();
        [0, 999, 1_000, 3_000, 3_999].into_iter().for_each(|time| histogram.add(time));
        assert_eq!(histogram.buckets[..3], [2, 1, 2]);
        assert_eq!((histogram.count, histogram.total), (5, Duration::from_nanos(8_998)));
        assert_eq!(histogram.max, Duration::from_nanos(3_999));
    }
}
