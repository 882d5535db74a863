//! What an event is: how it is asked for, what is kept of it, and what is handed out when it is due.

mod id;
mod list;
mod table;

use std::os::fd::RawFd;

pub use id::EventId;
pub(crate) use list::{List, Queue, Source};
#[cfg(test)]
pub(crate) use table::Links;
pub(crate) use table::{NONE, Period, REPEATS, State, Table};

use crate::flags::What;

/// How an event is to be made (`event_assign`'s arguments).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventSpec {
    pub(crate) fd: RawFd,
    pub(crate) what: What,
    pub(crate) priority: Option<u8>,
    pub(crate) data: u64,
    pub(crate) transient: bool,
    pub(crate) age: u32,
}

impl EventSpec {
    /// An event on a descriptor: any of READ, WRITE and CLOSED, with ET and PERSIST. Or with SIGNAL, and a number
    /// of a signal in place of the descriptor, what [`signal`](Self::signal) is.
    ///
    /// The descriptor is borrowed: the engine never closes it.
    #[must_use]
    pub fn io(fd: RawFd, what: What) -> Self {
        EventSpec { fd, what, priority: None, data: 0, transient: false, age: 0 }
    }

    /// A timer (`evtimer_new`), fired once unless [`persist`](Self::persist).
    #[must_use]
    pub fn timer() -> Self {
        Self::io(-1, What::empty())
    }

    /// An event that only [`Base::activate`](crate::Base::activate) fires (`evuser_new`).
    #[must_use]
    pub fn user() -> Self {
        Self::timer()
    }

    /// An event for a signal, which stays pending after it fired (`evsignal_new`): handed out once for each time
    /// the signal arrived, with the signal's number as its descriptor.
    #[must_use]
    pub fn signal(number: i32) -> Self {
        Self::io(number, What::SIGNAL | What::PERSIST)
    }

    /// An event for a signal that is deleted when the signal arrives, and handed out as often as it arrived by
    /// then.
    #[must_use]
    pub fn signal_once(number: i32) -> Self {
        Self::io(number, What::SIGNAL)
    }

    /// Stays pending after it fired (`EV_PERSIST`).
    #[must_use]
    pub fn persist(mut self) -> Self {
        self.what |= What::PERSIST;
        self
    }

    /// Its priority, 0 being the most urgent; without it the middle one.
    #[must_use]
    pub fn priority(mut self, priority: u8) -> Self {
        self.priority = Some(priority);
        self
    }

    /// A number that comes back in every [`Ready`].
    #[must_use]
    pub fn data(mut self, data: u64) -> Self {
        self.data = data;
        self
    }

    /// The base frees the event by itself when it hands the event out and nothing of it is left pending;
    /// [`Ready::released`] says so. An event that never fires is freed by its owner, as any other.
    #[must_use]
    pub fn transient(mut self) -> Self {
        self.transient = true;
        self
    }

    /// How many events were handed out since this one was, or since it was first thought of; for who makes
    /// events only when something is to happen to them. One that is older than the pass under way can become
    /// active in it.
    #[must_use]
    pub fn age(mut self, hand_outs: u32) -> Self {
        self.age = hand_outs;
        self
    }
}

/// One event whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready {
    /// Which event.
    pub id: EventId,
    /// Its descriptor, or the number of its signal; -1 for timers and user events.
    pub fd: RawFd,
    /// Why.
    pub what: What,
    /// The number given by [`EventSpec::data`].
    pub data: u64,
    /// The event no longer exists; `id` names nothing.
    pub released: bool,
    /// Nothing happened to the event: its descriptor was closed without the event being deleted, so it
    /// cannot fire any more. Told of [transient](EventSpec::transient) events only, with an empty `what`.
    pub orphaned: bool,
}

/// What there is to know about one event of a base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventInfo {
    /// Which event.
    pub id: EventId,
    /// Its descriptor, or the number of its signal; -1 for timers and user events.
    pub fd: RawFd,
    /// What it was made with.
    pub what: What,
    /// What it is waiting for now: its interest while it is registered, TIMEOUT while a deadline is set.
    pub pending: What,
    /// The result it will be handed out with; empty unless it is active.
    pub active: What,
    /// Whether it is queued to be handed out.
    pub is_active: bool,
    /// Its priority.
    pub priority: u8,
    /// When it times out, as time since 1970.
    pub expires_at: Option<std::time::Duration>,
    /// The number given by [`EventSpec::data`].
    pub data: u64,
}
