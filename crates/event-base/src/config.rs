//! How a base is to be built (`struct event_config`).

use std::sync::Arc;
use std::time::Duration;

use crate::flags::{BaseFlags, Features};
use crate::time::{Clock, SystemClock, coarse_clock};

/// The highest number of priorities a base can have.
///
/// libevent's constant says 256, its check refuses 256; here the constant and the check agree.
pub const MAX_PRIORITIES: u8 = 255;

/// Limits on how long one pass may run callbacks before the backend is polled again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DispatchLimits {
    pub(crate) interval: Option<Duration>,
    pub(crate) callbacks: Option<u32>,
    pub(crate) min_priority: u8,
}

/// How a base is to be built. Reusable; every method takes and returns it by value.
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
    /// Nothing avoided, nothing required, one priority, no limits (`event_config_new`).
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

    /// Polls again after `interval` or `callbacks`, for priorities from `min_priority` downwards
    /// (`event_config_set_max_dispatch_interval`). `None` means no limit of that kind; a limit of zero
    /// callbacks polls after each one.
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

    /// Starts with `count` priorities, 1 to [`MAX_PRIORITIES`]; checked when the base is built.
    #[must_use]
    pub fn set_priorities(mut self, count: u8) -> Self {
        self.priorities = count;
        self
    }

    /// Measures how long callbacks, waits and timers take, for [`Base::stats`](crate::Base::stats). Costs a
    /// reading of the clock for each callback and two for each wait.
    #[must_use]
    pub fn set_timing(mut self, timed: bool) -> Self {
        self.timing = timed;
        self
    }

    /// Takes the time from the clock that moves once a tick of the kernel, 1 to 10 ms, and is cheaper to read:
    /// `CLOCK_MONOTONIC_COARSE`, libevent's default. Systems without one keep the precise clock.
    ///
    /// A timeout counts from the last tick. By the precise clock a timer fires between a tick too early and a
    /// tick too late, by the base's own never early. [`BaseFlags::PRECISE_TIMER`] takes this back, and so does
    /// the variable `EVENT_PRECISE_TIMER`, unless [`BaseFlags::IGNORE_ENV`] is set.
    #[must_use]
    pub fn use_coarse_clock(mut self) -> Self {
        self.coarse = true;
        self
    }

    /// Whether the environment sets this variable, to anything, and has a say.
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

    /// Checks what costs too much to be checked always (`event_enable_debug_mode`). `EVENT_DEBUG_MODE` in the
    /// environment, set to anything, does the same, unless the configuration ignores it.
    ///
    /// - A socket, pipe or FIFO in blocking mode cannot be added: [`Error::Blocking`](crate::Error::Blocking).
    ///   Descriptors 0 to 2 and of other kinds are let through.
    /// - After each pass, with more than 64 events after every few, the engine looks whether its own structures
    ///   agree with each other: [`Error::Internal`](crate::Error::Internal) out of the loop.
    #[must_use]
    pub fn set_debug(mut self, debug: bool) -> Self {
        self.debug = debug;
        self
    }

    /// Takes the time from `clock`, so that a test can move it.
    #[must_use]
    pub fn set_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Has the handler that the process had for a signal called as well while the base watches that signal, if it
    /// is one after which the program goes on (installed with `SA_RESTART` and without `SA_RESETHAND`). For a host
    /// with signals of its own, which uses [`reassert_signal`](crate::reassert_signal), too. libevent does not call
    /// it, and so it is here without this.
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
