//! Counting what the loop does, and where its time goes.
//!
//! Ground rules:
//! - Counters are plain numbers under the base's lock. The hot path adds one to the counter of the result it
//!   hands out; what kind that was is worked out when somebody asks.
//! - Clocks are read for statistics only in a base that was built to be timed. The end of a callback is
//!   noticed where the limits of the pass are looked at: see [`Inner::is_time_up`].

use std::fmt;
use std::time::Duration;

use super::{Base, Inner};
use crate::error::Error;
use crate::event::EventId;
use crate::flags::What;
use crate::stats::{EventCounts, Stats, Timing};
use crate::time::Nanos;

/// The counters of a base.
pub(super) struct Measures {
    /// Events handed out, by the bits of their result.
    results: [u64; 256],
    pub(super) passes: u64,
    pub(super) waits: u64,
    pub(super) wakeups_sent: u64,
    pub(super) wakeups_received: u64,
    timing: Option<Box<Stopwatch>>,
}

/// What is kept of a base that is timed.
#[derive(Debug, Default)]
struct Stopwatch {
    timing: Timing,
    /// When the callback under way began.
    since: Option<Nanos>,
}

impl fmt::Debug for Measures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stats().fmt(f)
    }
}

impl Measures {
    pub(super) fn new(timed: bool) -> Self {
        Measures {
            results: [0; 256],
            passes: 0,
            waits: 0,
            wakeups_sent: 0,
            wakeups_received: 0,
            timing: timed.then(Box::default),
        }
    }

    #[inline]
    pub(super) fn count_result(&mut self, result: What) {
        self.results[usize::from(result.bits())] += 1;
    }

    pub(super) fn is_timed(&self) -> bool {
        self.timing.is_some()
    }

    pub(super) fn add_wait(&mut self, time: Nanos) {
        if let Some(watch) = &mut self.timing {
            watch.timing.polling.add(time);
        }
    }

    pub(super) fn add_lag(&mut self, time: Nanos) {
        if let Some(watch) = &mut self.timing {
            watch.timing.timer_lag.add(time);
        }
    }

    pub(super) fn callback_began(&mut self, now: Nanos) {
        if let Some(watch) = &mut self.timing {
            watch.since = Some(now);
        }
    }

    /// The callback of `ran` is over, if that was not noticed before.
    #[cold]
    fn callback_ended(&mut self, ran: EventId, now: Nanos) {
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

    /// Begins again from nothing; a callback under way is still measured.
    fn reset(&mut self) {
        let since = self.timing.as_ref().map(|watch| watch.since);
        *self = Measures::new(since.is_some());
        if let (Some(watch), Some(since)) = (&mut self.timing, since) {
            watch.since = since;
        }
    }
}

impl Inner {
    /// Looks at the clock after a callback, for a limit in time or because the base is timed.
    #[cold]
    pub(super) fn is_time_up(&mut self, ran: EventId, end: Nanos) -> bool {
        // Only a limit moves the time that stands still for callbacks; being timed must change nothing.
        let now = if end == Nanos::MAX { self.time.fresh() } else { self.time.refresh() };
        self.measures.callback_ended(ran, now);
        // The next one begins as this one ends.
        self.measures.callback_began(now);
        now >= end
    }

    /// The callback under way, if any, is over without another event having been asked for.
    #[inline]
    pub(super) fn settle_callback(&mut self) {
        if self.measures.is_timed()
            && let Some(ran) = self.pass.running()
        {
            let now = self.time.fresh();
            self.measures.callback_ended(ran, now);
        }
    }

    /// The time, if anybody wants to know how long something takes.
    pub(super) fn start_watch(&self) -> Option<Nanos> {
        self.measures.is_timed().then(|| self.time.fresh())
    }

    /// A wait that began at `since` is over.
    pub(super) fn stop_watch(&mut self, since: Option<Nanos>) {
        self.measures.waits += 1;
        if let Some(since) = since {
            let time = self.time.fresh().saturating_sub(since);
            self.measures.add_wait(time);
        }
    }
}

impl Base {
    /// What the base has done so far. Any thread.
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::WrongThread`].
    pub fn stats(&self) -> Result<Stats, Error> {
        self.with(|inner| inner.measures.stats())
    }

    /// Lets every statistic begin again from nothing, and answers what they were. Nothing is lost between
    /// the two. Any thread.
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::WrongThread`].
    pub fn reset_stats(&self) -> Result<Stats, Error> {
        self.with(|inner| {
            let stats = inner.measures.stats();
            inner.measures.reset();
            stats
        })
    }

    /// Says that the callback of the event handed out last has returned. Without it the time until the next
    /// event is asked for counts as the callback's; so only who does something else in between, and has the
    /// base timed, needs to call this.
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::WrongThread`].
    pub fn callback_ended(&self) -> Result<(), Error> {
        self.with(Inner::settle_callback)
    }
}
