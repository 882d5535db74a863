//! The statistics of a base.

use event_base::{Histogram, Stats, Timing};
use napi_derive::napi;

use crate::error::Outcome;
use crate::handle::Handle;
use crate::time::milliseconds;

/// Durations by their order of magnitude.
#[napi(object)]
#[derive(Debug)]
pub struct BindingHistogram {
    /// Their number.
    pub count: f64,
    /// Their sum in milliseconds.
    pub total: f64,
    /// The longest in milliseconds.
    pub max: f64,
    /// Their number below 1 µs, below 2 µs, below 4 µs and so on.
    pub buckets: Vec<f64>,
}

/// Measured times.
#[napi(object)]
#[derive(Debug)]
pub struct BindingTiming {
    /// Lengths of waits.
    pub polling: BindingHistogram,
    /// Lengths of callbacks.
    pub callbacks: BindingHistogram,
    /// From a deadline until the loop detected that it had expired.
    pub timer_lag: BindingHistogram,
    /// The event with the longest callback; -1 for none.
    pub slowest: f64,
    /// The length of that callback in milliseconds.
    pub slowest_duration: f64,
}

/// The statistics of a base.
#[napi(object)]
#[derive(Debug)]
pub struct BindingStats {
    /// Passes of the loop.
    pub passes: f64,
    /// Waits of the backend.
    pub waits: f64,
    /// Dispatched events of descriptors.
    pub io: f64,
    /// Dispatched timers.
    pub timer: f64,
    /// Dispatched signal events.
    pub signal: f64,
    /// Dispatched user events.
    pub user: f64,
    /// Dispatched finalizers.
    pub finalizer: f64,
    /// Wake-ups sent.
    pub sent: f64,
    /// Wake-ups received.
    pub received: f64,
    /// Only of a base that measures times.
    pub timing: Option<BindingTiming>,
}

impl From<&Histogram> for BindingHistogram {
    fn from(histogram: &Histogram) -> Self {
        BindingHistogram {
            count: histogram.count as f64,
            total: milliseconds(histogram.total),
            max: milliseconds(histogram.max),
            buckets: histogram.buckets.map(|count| count as f64).to_vec(),
        }
    }
}

impl From<&Timing> for BindingTiming {
    fn from(timing: &Timing) -> Self {
        BindingTiming {
            polling: BindingHistogram::from(&timing.polling),
            callbacks: BindingHistogram::from(&timing.callbacks),
            timer_lag: BindingHistogram::from(&timing.timer_lag),
            slowest: timing.slowest.map_or(-1.0, |(event, _)| event.to_bits() as f64),
            slowest_duration: timing.slowest.map_or(0.0, |(_, duration)| milliseconds(duration)),
        }
    }
}

impl From<&Stats> for BindingStats {
    fn from(stats: &Stats) -> Self {
        BindingStats {
            passes: stats.passes as f64,
            waits: stats.waits as f64,
            io: stats.events.io as f64,
            timer: stats.events.timer as f64,
            signal: stats.events.signal as f64,
            user: stats.events.user as f64,
            finalizer: stats.events.finalizer as f64,
            sent: stats.wakeups_sent as f64,
            received: stats.wakeups_received as f64,
            timing: stats.timing.as_ref().map(BindingTiming::from),
        }
    }
}

/// The statistics of a base; with `reset` they start again from 0.
#[napi(catch_unwind)]
pub fn base_stats(handle: Handle, reset: bool) -> Outcome<BindingStats> {
    let base = handle.base();
    let stats = if reset { base.reset_stats() } else { base.stats() };
    stats.as_ref().map(BindingStats::from).map_err(|error| *error).into()
}
