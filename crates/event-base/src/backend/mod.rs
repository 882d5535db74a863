//! The backends: how the engine registers descriptors with the system, and waits for them.
//!
//! [`Method`](method::Method) is the contract that each backend implements. [`Backend`] is the one that a base uses;
//! `choice` lists all of them.

#[cfg(any(has_epoll, has_kqueue))]
mod changelist;
mod choice;
mod dispatch;
#[cfg(has_epoll)]
mod epoll;
#[cfg(has_kqueue)]
mod kqueue;
mod level;
mod method;
#[cfg(feature = "test-util")]
mod scripted;
mod signals;

use std::os::fd::RawFd;

pub(crate) use choice::Waiter;
pub use choice::supported_methods;
pub(crate) use dispatch::Backend;
#[cfg(feature = "test-util")]
pub use scripted::{Script, ScriptedChange};
pub(crate) use signals::{signal_of, wants_signalfd};

use crate::flags::What;

/// A change to the registration of a descriptor.
///
/// `registered` holds the interests that the engine has registered, `add` and `remove` those to add and to remove; no
/// two of the three overlap. `edge` applies to the registration as a whole, and so does `exclusive`: if several backends
/// have such a registration of one file, the kernel wakes one that waits, and not all. A backend without
/// [exclusive registrations](method::Method::has_exclusive) ignores it. `token` is returned with each readiness of the
/// registration. With an empty `add` and `remove`, a change checks that the kernel still has the registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) fd: RawFd,
    pub(crate) registered: What,
    pub(crate) add: What,
    pub(crate) remove: What,
    pub(crate) edge: bool,
    pub(crate) exclusive: bool,
    pub(crate) token: u64,
}

impl Change {
    /// The interests after the change.
    pub(crate) fn wanted(&self) -> What {
        (self.registered - self.remove) | self.add
    }
}

/// The outcome of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Applied {
    /// The registration is as wanted.
    Done,
    /// The kernel no longer had the registration, because the descriptor was closed. Nothing is registered.
    Gone,
}

/// The readiness of a registration, or of a descriptor of the base itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Readiness {
    pub(crate) token: u64,
    pub(crate) what: What,
}

/// Descriptors of the base itself, which their tokens distinguish from those of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Internal {
    /// The notifier.
    Notifier,
    /// The timer of a base that is driven by a host.
    Timer,
    /// The descriptor of the host's own loop.
    Host,
    /// The signalfd.
    Signals,
    /// A signal, whose number and count the token holds: see [`signal_of`].
    Signal,
}

impl Internal {
    const FLAG: u64 = 1 << 63;

    pub(crate) const fn token(self) -> u64 {
        Self::FLAG | self as u64
    }

    pub(crate) fn of(token: u64) -> Option<Self> {
        (token & Self::FLAG != 0).then_some(match token as u8 {
            0 => Internal::Notifier,
            1 => Internal::Timer,
            2 => Internal::Host,
            3 => Internal::Signals,
            _ => Internal::Signal,
        })
    }
}
