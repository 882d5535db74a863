//! The public flags, with libevent's numeric values.

use bitflags::bitflags;

bitflags! {
    /// What an event waits for, and why it fired (`EV_*`).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct What: u8 {
        /// The deadline passed (`EV_TIMEOUT`). Only in results; ignored when an event is created.
        const TIMEOUT = 0x01;
        /// The descriptor is readable (`EV_READ`).
        const READ = 0x02;
        /// The descriptor is writable (`EV_WRITE`).
        const WRITE = 0x04;
        /// A signal arrived (`EV_SIGNAL`).
        const SIGNAL = 0x08;
        /// The event stays pending after it fired (`EV_PERSIST`).
        const PERSIST = 0x10;
        /// Edge-triggered: reported once for each change of readiness (`EV_ET`).
        const ET = 0x20;
        /// The event is being finalized (`EV_FINALIZE`). Only in results.
        const FINALIZE = 0x40;
        /// The peer closed its side (`EV_CLOSED`).
        const CLOSED = 0x80;
    }
}

impl What {
    /// The kinds of interest in a descriptor.
    pub const IO: What = What::READ.union(What::WRITE).union(What::CLOSED);

    /// The interests that an event can be registered for: in a descriptor, or in a signal.
    pub(crate) const REGISTERED: What = What::IO.union(What::SIGNAL);

    /// The interests in a descriptor in `self`.
    #[must_use]
    pub const fn io(self) -> What {
        self.intersection(What::IO)
    }
}

bitflags! {
    /// What a backend supports (`EV_FEATURE_*`).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct Features: u8 {
        /// Edge-triggered events (`EV_FEATURE_ET`).
        const ET = 0x01;
        /// The cost of a ready event does not depend on the number of registered events (`EV_FEATURE_O1`).
        const O1 = 0x02;
        /// Descriptors of any kind, including regular files (`EV_FEATURE_FDS`).
        const FDS = 0x04;
        /// Reports that the peer closed although its data was not read yet (`EV_FEATURE_EARLY_CLOSE`).
        const EARLY_CLOSE = 0x08;
    }
}

bitflags! {
    /// How a base is built (`EVENT_BASE_FLAG_*`).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct BaseFlags: u8 {
        /// No locking: the base belongs to the first thread that enters its loop (`EVENT_BASE_FLAG_NOLOCK`). Until
        /// then, several threads may use it one after the other, for example to set it up.
        const NOLOCK = 0x01;
        /// Environment variables are not read (`EVENT_BASE_FLAG_IGNORE_ENV`).
        const IGNORE_ENV = 0x02;
        /// Windows only; accepted and without effect (`EVENT_BASE_FLAG_STARTUP_IOCP`).
        const STARTUP_IOCP = 0x04;
        /// The time is never cached: each use reads the clock (`EVENT_BASE_FLAG_NO_CACHE_TIME`).
        const NO_CACHE_TIME = 0x08;
        /// epoll defers most changes of registrations until the wait, and makes one system call for all changes of a
        /// descriptor (`EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST`).
        const EPOLL_USE_CHANGELIST = 0x10;
        /// Uses the precise clock, which is the default, even after
        /// [`Config::use_coarse_clock`](crate::Config::use_coarse_clock) (`EVENT_BASE_FLAG_PRECISE_TIMER`).
        const PRECISE_TIMER = 0x20;
        /// Accepted and without effect: a blocking wait never uses a timerfd
        /// (`EVENT_BASE_FLAG_EPOLL_DISALLOW_TIMERFD`).
        const EPOLL_DISALLOW_TIMERFD = 0x40;
        /// On Linux, signals are read from a signalfd; the thread that adds an event for a signal blocks the signal
        /// (`EVENT_BASE_FLAG_USE_SIGNALFD`). Equal signals that are pending together are reported once.
        const USE_SIGNALFD = 0x80;
    }
}

bitflags! {
    /// How long a loop runs (`EVLOOP_*`).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct LoopFlags: u8 {
        /// Waits for the first active events, runs their callbacks and returns (`EVLOOP_ONCE`).
        const ONCE = 0x01;
        /// Polls once without waiting, runs the callbacks of active events and returns (`EVLOOP_NONBLOCK`).
        const NONBLOCK = 0x02;
        /// Waits even when nothing is pending (`EVLOOP_NO_EXIT_ON_EMPTY`).
        const NO_EXIT_ON_EMPTY = 0x04;
    }
}

bitflags! {
    /// Which counters are added up (`EVENT_BASE_COUNT_*`).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct CountFlags: u8 {
        /// Active events (`EVENT_BASE_COUNT_ACTIVE`).
        const ACTIVE = 1;
        /// Calls of [`Base::retain`](crate::Base::retain) without a matching release (`EVENT_BASE_COUNT_VIRTUAL`).
        const VIRTUAL = 2;
        /// Memberships of events in the map of descriptors, the timers and the queues (`EVENT_BASE_COUNT_ADDED`).
        const ADDED = 4;
    }
}

/// Why a loop returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LoopResult {
    /// By an exit, a break, [`LoopFlags::ONCE`] or [`LoopFlags::NONBLOCK`] (0 in C).
    Stopped = 0,
    /// Nothing was left to wait for (1 in C).
    Empty = 1,
}
