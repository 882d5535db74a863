//! The configuration of a base (`struct event_config`).

use std::sync::Arc;
use std::time::Duration;

use crate::flags::{BaseFlags, Features};
use crate::time::{Clock, SystemClock, coarse_clock};

/// The highest number of priorities a base can have.
///
/// libevent's constant is 256, but its check refuses 256; here constant and check agree.
pub const MAX_PRIORITIES: u8 = 255;

/// Limits on how long one pass may run callbacks before the backend is polled again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DispatchLimits {
    pub(crate) interval: Option<Duration>,
    pub(crate) callbacks: Option<u32>,
    pub(crate) min_priority: u8,
}

/// The configuration of a base. Every method takes and returns it by value; it can be used for several bases.
///
/// ```
/// use event_base::{Base, Config, Features};
///
/// let base = Base::with_config(&Config::new().require_features(Features::O1).set_priorities(3))?;
/// assert_eq!(base.priorities()?, 3);
/// # Ok::<(), event_base::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) avoided: Vec<String>,
    pub(crate) features: Features,
    pub(crate) flags: BaseFlags,
    pub(crate) limits: DispatchLimits,
    pub(crate) priorities: u8,
    pub(crate) timing: bool,
    pub(crate) debug: bool,
    pub(crate) clock: Option<Arc<dyn Clock>>,
    pub(crate) shares_signals: bool,
    coarse: bool,
    #[cfg(feature = "test-util")]
    pub(crate) script: Option<crate::backend::Script>,
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}

impl Config {
    /// A configuration that avoids no backend, requires no feature, has one priority and no limits
    /// (`event_config_new`).
    #[must_use]
    pub fn new() -> Self {
        Config {
            avoided: Vec::new(),
            features: Features::empty(),
            flags: BaseFlags::empty(),
            limits: DispatchLimits { interval: None, callbacks: None, min_priority: 1 },
            priorities: 1,
            timing: false,
            debug: false,
            clock: None,
            shares_signals: false,
            coarse: false,
            #[cfg(feature = "test-util")]
            script: None,
        }
    }

    /// Never uses the backend of this name (`event_config_avoid_method`). Unknown names are accepted.
    #[must_use]
    pub fn avoid_method(mut self, name: &str) -> Self {
        self.avoided.push(name.to_owned());
        self
    }

    /// Replaces the set of features that the backend must have (`event_config_require_features`).
    #[must_use]
    pub fn require_features(mut self, features: Features) -> Self {
        self.features = features;
        self
    }

    /// Adds flags (`event_config_set_flag`).
    #[must_use]
    pub fn set_flags(mut self, flags: BaseFlags) -> Self {
        self.flags |= flags;
        self
    }

    /// Ends a pass after `interval` or `callbacks`, for `min_priority` and less urgent priorities
    /// (`event_config_set_max_dispatch_interval`). `None` means no limit of that kind; a limit of zero
    /// callbacks ends the pass after each one.
    #[must_use]
    pub fn set_max_dispatch_interval(
        mut self,
        interval: Option<Duration>,
        callbacks: Option<u32>,
        min_priority: u8,
    ) -> Self {
        self.limits = DispatchLimits { interval, callbacks, min_priority };
        self
    }

    /// Sets the number of priorities, 1 to [`MAX_PRIORITIES`]; checked when the base is built.
    #[must_use]
    pub fn set_priorities(mut self, count: u8) -> Self {
        self.priorities = count;
        self
    }

    /// Measures how long callbacks and waits take, and how late timers expire, for [`Base::stats`](crate::Base::stats).
    /// This costs one reading of the clock for each callback and two for each wait.
    #[must_use]
    pub fn set_timing(mut self, timed: bool) -> Self {
        self.timing = timed;
        self
    }

    /// Uses the clock that advances once per tick of the kernel (1 to 10 ms) and is cheaper to read: Linux's
    /// `CLOCK_MONOTONIC_COARSE` (`clock_gettime(2)`), libevent's default. Systems without such a clock use the precise
    /// one.
    ///
    /// A timeout counts from the last tick. Measured with the precise clock, a timer fires between one tick too early
    /// and one tick too late; measured with the coarse clock, it is never early. [`BaseFlags::PRECISE_TIMER`] overrides
    /// this, and so does the variable `EVENT_PRECISE_TIMER`, unless [`BaseFlags::IGNORE_ENV`] is set.
    #[must_use]
    pub fn use_coarse_clock(mut self) -> Self {
        self.coarse = true;
        self
    }

    /// Whether the base uses the scripted backend.
    pub(crate) fn is_scripted(&self) -> bool {
        #[cfg(feature = "test-util")]
        return self.script.is_some();
        #[cfg(not(feature = "test-util"))]
        false
    }

    /// Whether the environment sets this variable, to any value, and the configuration does not ignore the environment.
    pub(crate) fn is_set(&self, variable: &str) -> bool {
        !self.flags.contains(BaseFlags::IGNORE_ENV) && std::env::var_os(variable).is_some()
    }

    pub(crate) fn build_clock(&self) -> Arc<dyn Clock> {
        if let Some(clock) = &self.clock {
            return Arc::clone(clock);
        }
        let precise = self.flags.contains(BaseFlags::PRECISE_TIMER) || self.is_set("EVENT_PRECISE_TIMER");
        if self.coarse && !precise { coarse_clock() } else { Arc::new(SystemClock) }
    }

    /// Enables checks that are too expensive to be always on (`event_enable_debug_mode`). No variable of the
    /// environment does: a program that uses descriptors in blocking mode must not fail through one.
    ///
    /// - A socket, pipe or FIFO in blocking mode cannot be added: [`Error::Blocking`](crate::Error::Blocking).
    ///   Descriptors 0 to 2, and files of other kinds, are accepted.
    /// - After each pass the engine checks that its own structures agree with each other, or with more than 64 events
    ///   after every few passes. If they do not, the loop fails with [`Error::Internal`](crate::Error::Internal).
    #[must_use]
    pub fn set_debug(mut self, debug: bool) -> Self {
        self.debug = debug;
        self
    }

    /// Uses `clock` for all times, so that a test can advance them.
    #[must_use]
    pub fn set_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// While the base watches a signal, also calls the handler that the process had installed for it, if the program
    /// continues after that handler: it was installed with `SA_RESTART` and without `SA_RESETHAND`. For a host that
    /// handles signals itself; such a host also calls [`reassert_signal`](crate::reassert_signal). By default, as in
    /// libevent, the previous handler is not called.
    #[must_use]
    pub fn share_signals(mut self, share: bool) -> Self {
        self.shares_signals = share;
        self
    }

    /// Uses the scripted backend instead of the kernel's.
    #[cfg(feature = "test-util")]
    #[must_use]
    pub fn set_script(mut self, script: crate::backend::Script) -> Self {
        self.script = Some(script);
        self
    }
}
