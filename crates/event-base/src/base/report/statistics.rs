//! Counting what the loop does, and measuring where its time goes.
//!
//! - Counters are plain numbers under the lock of the base. Dispatching an event adds one to the counter of its
//!   result; the kind of the event is derived when the statistics are read.
//! - The clock is read for statistics only in a base that was built with timing. The end of a callback is found
//!   where the limits of the pass are checked: see [`Inner::is_time_up`].

use std::fmt;
use std::time::Duration;

use crate::base::{Base, Inner};
use crate::error::Error;
use crate::event::EventId;
use crate::flags::What;
use crate::stats::{EventCounts, Stats, Timing};
use crate::time::Nanos;

/// The counters of a base.
pub(super) struct Measures {
    /// Events dispatched, by the bits of their result.
    results: [u64; 256],
    pub(super) passes: u64,
    pub(super) waits: u64,
    pub(super) wakeups_sent: u64,
    pub(super) wakeups_received: u64,
    timing: Option<Box<Stopwatch>>,
}

/// What is measured in a base with timing.
#[derive(Debug, Default)]
struct Stopwatch {
    timing: Timing,
    /// When the running callback started.
    since: Option<Nanos>,
}

impl fmt::Debug for Measures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stats().fmt(f)
    }
}

impl Measures {
    pub(super) fn new(is_timed: bool) -> Self {
        Measures {
            results: [0; 256],
            passes: 0,
            waits: 0,
            wakeups_sent: 0,
            wakeups_received: 0,
            timing: is_timed.then(Box::default),
        }
    }

    #[inline]
    pub(super) fn count_result(&mut self, result: What) {
        self.results[usize::from(result.bits())] += 1;
    }

    #[inline]
    pub(super) fn is_timed(&self) -> bool {
        self.timing.is_some()
    }

    fn add_wait(&mut self, time: Nanos) {
        if let Some(watch) = &mut self.timing {
            watch.timing.polling.add(time);
        }
    }

    pub(super) fn add_lag(&mut self, time: Nanos) {
        if let Some(watch) = &mut self.timing {
            watch.timing.timer_lag.add(time);
        }
    }

    pub(super) fn begin_callback(&mut self, now: Nanos) {
        if let Some(watch) = &mut self.timing {
            watch.since = Some(now);
        }
    }

    /// The callback of `ran` has ended, unless its end was recorded before.
    #[cold]
    fn end_callback(&mut self, ran: EventId, now: Nanos) {
        let Some(watch) = &mut self.timing else { return };
        let Some(since) = watch.since.take() else { return };
        let time = now.saturating_sub(since);
        watch.timing.callbacks.add(time);
        let time = Duration::from_nanos(time);
        if watch.timing.slowest.is_none_or(|(_, slowest)| slowest < time) {
            watch.timing.slowest = Some((ran, time));
        }
    }

    fn stats(&self) -> Stats {
        let mut events = EventCounts::default();
        for (bits, count) in (0..=u8::MAX).zip(self.results) {
            let result = What::from_bits_truncate(bits);
            *if result.intersects(What::IO) {
                &mut events.io
            } else if result.contains(What::SIGNAL) {
                &mut events.signal
            } else if result.contains(What::TIMEOUT) {
                &mut events.timer
            } else if result.contains(What::FINALIZE) {
                &mut events.finalizer
            } else {
                &mut events.user
            } += count;
        }
        Stats {
            passes: self.passes,
            waits: self.waits,
            events,
            wakeups_sent: self.wakeups_sent,
            wakeups_received: self.wakeups_received,
            timing: self.timing.as_ref().map(|watch| watch.timing.clone()),
        }
    }

    /// Sets every counter to zero; a running callback is still measured.
    fn reset(&mut self) {
        let since = self.timing.as_ref().map(|watch| watch.since);
        *self = Measures::new(since.is_some());
        if let (Some(watch), Some(since)) = (&mut self.timing, since) {
            watch.since = since;
        }
    }
}

impl Inner {
    /// Reads the clock after a callback, for a limit in time or because the base is timed.
    #[cold]
    pub(in crate::base) fn is_time_up(&mut self, ran: EventId, end: Nanos) -> bool {
        // Only a limit refreshes the cached time of callbacks; timing must not change behaviour.
        let now = if end == Nanos::MAX { self.time.fresh() } else { self.time.refresh() };
        self.report.measures.end_callback(ran, now);
        // The next callback starts when this one ends.
        self.report.measures.begin_callback(now);
        now >= end
    }

    /// The running callback, if any, has ended, and no other event was dispatched.
    #[inline]
    pub(in crate::base) fn settle_callback(&mut self) {
        if self.report.is_timed()
            && let Some(ran) = self.run.running()
        {
            let now = self.time.fresh();
            self.report.measures.end_callback(ran, now);
        }
    }

    /// The time, if the base is timed.
    #[inline]
    pub(in crate::base) fn start_watch(&self) -> Option<Nanos> {
        self.report.is_timed().then(|| self.time.fresh())
    }

    /// A wait that started at `since` has ended.
    pub(in crate::base) fn stop_watch(&mut self, since: Option<Nanos>) {
        self.report.measures.waits += 1;
        if let Some(since) = since {
            let time = self.time.fresh().saturating_sub(since);
            self.report.measures.add_wait(time);
        }
    }
}

impl Base {
    /// What the base has done so far. Any thread.
    pub fn stats(&self) -> Result<Stats, Error> {
        self.with(|inner| inner.report.measures.stats())
    }

    /// Returns the statistics and resets them to zero, in one step: nothing is counted in between. Any thread.
    pub fn reset_stats(&self) -> Result<Stats, Error> {
        self.with(|inner| {
            let stats = inner.report.measures.stats();
            inner.report.measures.reset();
            stats
        })
    }

    /// Reports that the callback of the event dispatched last has returned. Without this call the time until
    /// the next step counts as the callback's, so it is needed only by a caller that does other work in between,
    /// on a base with [timing](crate::Config::set_timing).
    pub fn callback_ended(&self) -> Result<(), Error> {
        self.with(Inner::settle_callback)
    }
}
