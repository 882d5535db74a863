//! The backends: how the engine registers descriptors with the system, and waits for them.
//!
//! [`Method`](method::Method) is the contract that each backend implements. [`Backend`] is whichever one a base has;
//! `choice` lists them.

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

pub use choice::supported_methods;
pub(crate) use choice::{Backend, Waiter};
#[cfg(feature = "test-util")]
pub use scripted::{Script, ScriptedChange};
pub(crate) use signals::{signal_of, wants_signalfd};

use crate::flags::What;

/// One change to the registration of a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) fd: RawFd,
    pub(crate) registered: What,
    pub(crate) add: What,
    pub(crate) remove: What,
    pub(crate) edge: bool,
    pub(crate) token: u64,
}

impl Change {
    /// The interests registered once the change is made.
    pub(crate) fn wanted(&self) -> What {
        (self.registered - self.remove) | self.add
    }
}

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Applied {
    /// The registration is as wanted.
    Done,
    /// The kernel had no such registration any more: the descriptor was closed.
    Gone,
}

/// A registration, or one of the base's own descriptors, is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Readiness {
    pub(crate) token: u64,
    pub(crate) what: What,
}

/// Descriptors of the base itself, told from the users' by their token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Internal {
    /// The notifier.
    Notifier,
    /// The timer of a base that is driven by a host.
    Timer,
    /// The host's own loop has work.
    Host,
    /// The descriptor that signals are read from.
    Signals,
    /// A signal, which the token says by itself: see [`signal_of`].
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
