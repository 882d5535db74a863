//! What a base has done so far, as a record to look at.

use std::time::Duration;

use crate::event::EventId;
use crate::time::{Nanos, nanos};

/// The number of buckets of a [`Histogram`].
pub const BUCKETS: usize = 32;

/// What a base has done since it was made, or since its statistics were last reset.
///
/// The counters are always on. Times are measured only in a base built with
/// [`Config::set_timing`](crate::Config::set_timing).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Passes of the loop: each polls once and serves one priority.
    pub passes: u64,
    /// Times the backend was asked what is ready, whether or not that slept. A pass that finds the room for
    /// answers full asks again.
    pub waits: u64,
    /// Events handed out.
    pub events: EventCounts,
    /// Times the notifier was written to, to wake a loop that sleeps or a host that waits.
    pub wakeups_sent: u64,
    /// Times a wait found the notifier written to. Several writes may be found at once.
    pub wakeups_received: u64,
    /// Where the time went; `None` unless it is measured.
    pub timing: Option<Timing>,
}

/// Events handed out, by their result.
///
/// A result with several bits counts once, as the first of these that fits: a descriptor (READ, WRITE or
/// CLOSED), a signal, a timer (TIMEOUT), a finalizer (FINALIZE); one without any of them, as a user event.
/// What the event was made for does not matter: activated by hand with READ, a timer counts as a descriptor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventCounts {
    /// READ, WRITE or CLOSED in the result.
    pub io: u64,
    /// Else SIGNAL.
    pub signal: u64,
    /// Else TIMEOUT.
    pub timer: u64,
    /// Else FINALIZE.
    pub finalizer: u64,
    /// None of these.
    pub user: u64,
}

/// Where the time of a base went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timing {
    /// Waits for the backend, sleep included. Under a host that waits by itself only the looks are counted.
    pub polling: Histogram,
    /// Callbacks: from when an event is handed out to when the next one is asked for, the pass ends, or
    /// [`Base::callback_ended`](crate::Base::callback_ended) is called.
    pub callbacks: Histogram,
    /// How long after their deadlines the loop noticed timers.
    pub timer_lag: Histogram,
    /// The event whose callback took longest, and how long that was.
    pub slowest: Option<(EventId, Duration)>,
}

/// Durations, counted by their order of magnitude.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Histogram {
    /// How many.
    pub count: u64,
    /// Their sum.
    pub total: Duration,
    /// The longest.
    pub max: Duration,
    /// How many of them are below 1 µs (the first bucket), below 2 µs, below 4 µs and so on, each bucket
    /// without those before it; the last holds all from 2^30 µs, some 18 minutes.
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

    /// The duration that a bucket begins with.
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

/// The number of binary digits of the whole microseconds.
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
