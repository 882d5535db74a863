//! Events: their specification, their state, and the result that is dispatched.

mod id;
mod list;
mod table;

use std::os::fd::RawFd;

pub use id::{EventId, SlotId};
pub(crate) use list::{List, Queue, Source};
#[cfg(test)]
pub(crate) use table::Links;
pub(crate) use table::{NONE, Period, REPEATS, State, Table};

use crate::flags::What;

/// The specification of an event (the arguments of `event_assign`).
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
    /// An event on a descriptor: any of READ, WRITE and CLOSED, with ET and PERSIST. With SIGNAL, `fd` is the number
    /// of a signal, as in [`signal`](Self::signal).
    ///
    /// The descriptor is borrowed: the engine never closes it.
    #[must_use]
    pub fn io(fd: RawFd, what: What) -> Self {
        EventSpec { fd, what, priority: None, data: 0, transient: false, age: 0 }
    }

    /// A timer (`evtimer_new`), which fires once unless [`persist`](Self::persist).
    #[must_use]
    pub fn timer() -> Self {
        Self::io(-1, What::empty())
    }

    /// An event that only [`Base::activate`](crate::Base::activate) makes active (`evuser_new`).
    #[must_use]
    pub fn user() -> Self {
        Self::timer()
    }

    /// An event for a signal, which stays pending after it fired (`evsignal_new`). It is dispatched once for each time
    /// the signal arrived, with the signal's number as its descriptor.
    #[must_use]
    pub fn signal(number: i32) -> Self {
        Self::io(number, What::SIGNAL | What::PERSIST)
    }

    /// An event for a signal that is deleted when it is first dispatched. It is dispatched once for each time the
    /// signal had arrived by then.
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

    /// Sets the priority, from 0, the most urgent, to one less than the base has. The default is half of that number.
    #[must_use]
    pub fn priority(mut self, priority: u8) -> Self {
        self.priority = Some(priority);
        self
    }

    /// Sets a number that every [`Ready`] of the event contains.
    #[must_use]
    pub fn data(mut self, data: u64) -> Self {
        self.data = data;
        self
    }

    /// Makes the base free the event once it has been dispatched and is neither pending nor active;
    /// [`Ready::released`] reports it. The owner must still free an event that never fires.
    #[must_use]
    pub fn transient(mut self) -> Self {
        self.transient = true;
        self
    }

    /// Sets the number of events that were dispatched since the caller created its own object for this event. For a
    /// caller that creates an event only when it is first used: an event that is older than the current pass can become
    /// active in it.
    #[must_use]
    pub fn age(mut self, dispatches: u32) -> Self {
        self.age = dispatches;
        self
    }
}

/// One event that was dispatched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready {
    /// Which event.
    pub id: EventId,
    /// Its descriptor, or the number of its signal; -1 for timers and user events.
    pub fd: RawFd,
    /// The result: why it was dispatched.
    pub what: What,
    /// The number given by [`EventSpec::data`].
    pub data: u64,
    /// Whether the base freed the event; if so, `id` is no longer valid.
    pub released: bool,
    /// Whether the descriptor of the event was closed before the event was deleted, so that it cannot fire any more.
    /// Reported for [transient](EventSpec::transient) events only, with an empty `what`.
    pub orphaned: bool,
}

/// The state of one event of a base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventInfo {
    /// Which event.
    pub id: EventId,
    /// Its descriptor, or the number of its signal; -1 for timers and user events.
    pub fd: RawFd,
    /// The flags it was created with.
    pub what: What,
    /// What it waits for: its interests while they are registered, TIMEOUT while a deadline is set.
    pub pending: What,
    /// The result it will be dispatched with; empty unless it is active.
    pub active: What,
    /// Whether it is active, in this pass or the next.
    pub is_active: bool,
    /// Its priority.
    pub priority: u8,
    /// The wall-clock time of its deadline, since 1970; `None` if no deadline is set.
    pub expires_at: Option<std::time::Duration>,
    /// The number given by [`EventSpec::data`].
    pub data: u64,
}
