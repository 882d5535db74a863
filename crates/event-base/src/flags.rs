//! The bit sets of the public surface, with libevent's numeric values.

use bitflags::bitflags;

bitflags! {
    /// What an event waits for, and what it was woken by (`EV_*`).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct What: u8 {
        /// The deadline passed (`EV_TIMEOUT`). A result only; ignored when an event is made.
        const TIMEOUT = 0x01;
        /// The descriptor is readable (`EV_READ`).
        const READ = 0x02;
        /// The descriptor is writable (`EV_WRITE`).
        const WRITE = 0x04;
        /// A signal arrived (`EV_SIGNAL`).
        const SIGNAL = 0x08;
        /// The event stays pending after it fired (`EV_PERSIST`).
        const PERSIST = 0x10;
        /// Edge-triggered: reported once per change of readiness (`EV_ET`).
        const ET = 0x20;
        /// The result a finalizer is handed (`EV_FINALIZE`).
        const FINALIZE = 0x40;
        /// The peer closed its side (`EV_CLOSED`).
        const CLOSED = 0x80;
    }
}

impl What {
    /// The three kinds of interest a backend knows.
    pub const IO: What = What::READ.union(What::WRITE).union(What::CLOSED);

    /// The bits of `self` that a backend knows.
    #[must_use]
    pub const fn io(self) -> What {
        self.intersection(What::IO)
    }
}

bitflags! {
    /// What a backend can do (`EV_FEATURE_*`).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct Features: u8 {
        /// Edge-triggered events (`EV_FEATURE_ET`).
        const ET = 0x01;
        /// One ready event costs the same however many are registered (`EV_FEATURE_O1`).
        const O1 = 0x02;
        /// Any kind of descriptor, regular files too (`EV_FEATURE_FDS`).
        const FDS = 0x04;
        /// Detects a peer's close without reading (`EV_FEATURE_EARLY_CLOSE`).
        const EARLY_CLOSE = 0x08;
    }
}

bitflags! {
    /// How a base is built (`EVENT_BASE_FLAG_*`).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct BaseFlags: u8 {
        /// No locking: the base belongs to the thread that first uses it (`EVENT_BASE_FLAG_NOLOCK`).
        const NOLOCK = 0x01;
        /// Environment variables are not read (`EVENT_BASE_FLAG_IGNORE_ENV`).
        const IGNORE_ENV = 0x02;
        /// Windows only; accepted and without effect (`EVENT_BASE_FLAG_STARTUP_IOCP`).
        const STARTUP_IOCP = 0x04;
        /// Every question for the time reads the clock (`EVENT_BASE_FLAG_NO_CACHE_TIME`).
        const NO_CACHE_TIME = 0x08;
        /// epoll is told of most changes when it waits, not one by one (`EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST`).
        const EPOLL_USE_CHANGELIST = 0x10;
        /// The clock is the precise one, which it is anyway unless
        /// [`Config::use_coarse_clock`](crate::Config::use_coarse_clock) asks for the other
        /// (`EVENT_BASE_FLAG_PRECISE_TIMER`).
        const PRECISE_TIMER = 0x20;
        /// Accepted; a blocking wait never uses a timerfd (`EVENT_BASE_FLAG_EPOLL_DISALLOW_TIMERFD`).
        const EPOLL_DISALLOW_TIMERFD = 0x40;
        /// Accepted; there are no signal events (`EVENT_BASE_FLAG_USE_SIGNALFD`).
        const USE_SIGNALFD = 0x80;
    }
}

bitflags! {
    /// How long a loop runs (`EVLOOP_*`).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct LoopFlags: u8 {
        /// Blocks for the first activity, runs it and returns (`EVLOOP_ONCE`).
        const ONCE = 0x01;
        /// Runs what is ready now and returns (`EVLOOP_NONBLOCK`).
        const NONBLOCK = 0x02;
        /// Waits even when nothing is pending (`EVLOOP_NO_EXIT_ON_EMPTY`).
        const NO_EXIT_ON_EMPTY = 0x04;
    }
}

bitflags! {
    /// Which counters are added up (`EVENT_BASE_COUNT_*`).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct CountFlags: u8 {
        /// Events whose callback is due (`EVENT_BASE_COUNT_ACTIVE`).
        const ACTIVE = 1;
        /// Tokens that keep the loop alive without an event (`EVENT_BASE_COUNT_VIRTUAL`).
        const VIRTUAL = 2;
        /// Memberships of events in the map, the timers and the queues (`EVENT_BASE_COUNT_ADDED`).
        const ADDED = 4;
    }
}

/// Why a loop returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LoopResult {
    /// By exit, break, [`LoopFlags::ONCE`] or [`LoopFlags::NONBLOCK`] (0 in C).
    Stopped = 0,
    /// Nothing was left to wait for (1 in C).
    Empty = 1,
}
