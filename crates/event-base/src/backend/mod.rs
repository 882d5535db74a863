//! What the engine asks of the kernel, and who can answer.
//!
//! # The contract
//!
//! A backend keeps one registration for each descriptor, whatever number of events the engine has on it.
//! The engine speaks to it only when the set of interests of a descriptor changes, and holds its lock then.
//!
//! - **`change`** makes the registration of a descriptor what [`Change`] says. `registered` is what the
//!   engine believes the kernel has, `add` and `remove` what is to come and go; none of the three overlap.
//!   `edge` applies to the registration as a whole. `token` comes back with every readiness of it. An empty
//!   `add` and `remove` with a non-empty `registered` asks whether the kernel still has the registration.
//!   - The answer [`Applied::Gone`] says that it does not: the descriptor was closed, and may by now be
//!     another file. Nothing is registered then.
//!   - Removing the last interest never fails: closing a descriptor removed it already.
//!   - Any other failure leaves the registration as it was.
//!   - A backend may put a change off until `flush`, except one that a caller has to hear of: the first
//!     registration of a descriptor, and a new interest in one.
//! - **`flush`** makes what was put off. It is called before each wait, and after each change that is made while
//!   the loop sleeps. It answers whether a wait under way has to be ended for the changes to take effect. Before
//!   a wait a backend may leave it to that wait: the waiter then `has_changes`, and its first call is only a look,
//!   under the lock, after which `finish_wait` follows if it is not `is_idle`.
//! - **`take_lost`** tells of registrations that are no more without anybody having asked: what was put off was
//!   refused, or a wait found the descriptor closed. Their events leave the map and are told, so that their own
//!   calls meet the error. To be asked after `flush` and `finish_wait`.
//! - **`start_wait`** hands out a [`Waiter`], which owns all that the wait needs, so that the lock can be
//!   dropped: other threads may call `change` meanwhile, and it takes effect on the wait under way.
//! - **`Waiter::wait`** sleeps for at most the given time (`None`: without limit) and may return early with
//!   nothing. An interrupted wait is a short wait.
//! - **`finish_wait`** takes the waiter back with what it found.
//! - **`open_timer`** gets what **`arm_timer`** needs to make the backend's own descriptor readable at a
//!   deadline of the monotonic clock, for hosts that watch that descriptor instead of calling `wait`. Without
//!   it `arm_timer` does nothing.
//! - **`renew`** replaces the kernel's object by an empty one under the same descriptor number; the engine
//!   registers everything again. Needed when a registration is stuck in the kernel.
//! - **`renew_after_fork`** does the same in a forked child, without a word to the old objects, which the parent
//!   goes on using: they are closed and no more. The timer is gone until `open_timer` is called again. A thread
//!   that waited at the fork may have taken the waiter along for good; then the number may change.
//!
//! Readiness maps to interest as follows. Error conditions reach every interest that is registered, so that
//! no registration can be ready for ever without an event hearing of it. A backend that is edge-triggered adds
//! ET to each readiness; on one that is not, what the base's own descriptors hold must be taken out.

#[cfg(any(has_epoll, has_kqueue))]
mod changelist;
mod choice;
#[cfg(has_epoll)]
mod epoll;
#[cfg(has_kqueue)]
mod kqueue;
mod level;
#[cfg(has_epoll)]
mod operation;
#[cfg(feature = "test-util")]
mod scripted;
mod signals;

use std::os::fd::{BorrowedFd, RawFd};
use std::time::Duration;

pub use choice::supported_methods;
#[cfg(has_epoll)]
use epoll::{Epoll, EpollWaiter};
#[cfg(has_kqueue)]
use kqueue::{Kqueue, KqueueWaiter};
use level::{Level, LevelWaiter, PollSet, SelectSet};
#[cfg(feature = "test-util")]
pub use scripted::{Script, ScriptedChange};
#[cfg(feature = "test-util")]
use scripted::{Scripted, ScriptedWaiter};

pub(crate) use signals::{signal_of, wants_signalfd};

use crate::error::Error;
use crate::flags::{Features, What};
use crate::sys::notify::Notifier;
use crate::time::Nanos;

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

/// The backend of a base.
#[derive(Debug)]
pub(crate) enum Backend {
    #[cfg(has_epoll)]
    Epoll(Epoll),
    #[cfg(has_kqueue)]
    Kqueue(Kqueue),
    Poll(Level<PollSet>),
    Select(Level<SelectSet>),
    #[cfg(feature = "test-util")]
    Scripted(Scripted),
}

/// A wait, detached from its backend so that the lock need not be held.
#[derive(Debug)]
pub(crate) enum Waiter {
    #[cfg(has_epoll)]
    Epoll(EpollWaiter),
    #[cfg(has_kqueue)]
    Kqueue(KqueueWaiter),
    // Boxed, as a waiter is handed to and fro in every pass, and these are large.
    Poll(Box<LevelWaiter<PollSet>>),
    Select(Box<LevelWaiter<SelectSet>>),
    #[cfg(feature = "test-util")]
    Scripted(ScriptedWaiter),
}

macro_rules! each_backend {
    ($self:expr, $kind:ident, $inner:ident => $result:expr) => {
        match $self {
            #[cfg(has_epoll)]
            $kind::Epoll($inner) => $result,
            #[cfg(has_kqueue)]
            $kind::Kqueue($inner) => $result,
            $kind::Poll($inner) => $result,
            $kind::Select($inner) => $result,
            #[cfg(feature = "test-util")]
            $kind::Scripted($inner) => $result,
        }
    };
}

impl Backend {
    /// What a model's notifier rings.
    #[cfg(event_base_model)]
    pub(crate) fn bell(&self) -> std::sync::Arc<crate::sync::Bell> {
        match self {
            Backend::Scripted(inner) => inner.bell(),
            _ => unreachable!("a model has a scripted backend"),
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        each_backend!(self, Backend, inner => inner.name())
    }

    pub(crate) fn features(&self) -> Features {
        each_backend!(self, Backend, inner => inner.features())
    }

    /// Whether the numbers of descriptors are the kernel's.
    pub(crate) fn has_descriptors(&self) -> bool {
        match self {
            #[cfg(feature = "test-util")]
            Backend::Scripted(_) => false,
            #[allow(unreachable_patterns, reason = "a build may have no other backend")]
            _ => true,
        }
    }

    pub(crate) fn change(&mut self, change: &Change) -> Result<Applied, Error> {
        each_backend!(self, Backend, inner => inner.change(change))
    }

    /// Watches one of the base's own descriptors, edge-triggered where the backend can.
    pub(crate) fn watch_internal(&mut self, fd: BorrowedFd<'_>, internal: Internal) -> Result<(), Error> {
        each_backend!(self, Backend, inner => inner.watch_internal(fd, internal))
    }

    /// A notifier that is the backend's own, if it has one; it is watched already.
    #[cfg_attr(event_base_model, allow(dead_code, reason = "a model is woken by a bell"))]
    pub(crate) fn open_notifier(&mut self) -> Option<Notifier> {
        match self {
            #[cfg(has_kqueue)]
            Backend::Kqueue(inner) => inner.open_notifier(),
            _ => None,
        }
    }

    /// Watches one of the base's own descriptors no more.
    pub(crate) fn unwatch_internal(&mut self, fd: BorrowedFd<'_>) {
        each_backend!(self, Backend, inner => inner.unwatch_internal(fd));
    }

    /// Makes what was put off, unless a wait follows that takes it along. Answers whether a wait under way has to
    /// be ended for changes to take effect.
    #[inline]
    #[cfg_attr(
        not(has_kqueue),
        expect(unused_variables, reason = "no backend of this build takes anything along")
    )]
    pub(crate) fn flush(&mut self, wait_follows: bool) -> bool {
        match self {
            #[cfg(has_epoll)]
            Backend::Epoll(inner) => inner.flush(),
            #[cfg(has_kqueue)]
            Backend::Kqueue(inner) => inner.flush(wait_follows),
            Backend::Poll(inner) => return inner.is_behind(),
            Backend::Select(inner) => return inner.is_behind(),
            #[cfg(feature = "test-util")]
            Backend::Scripted(_) => {}
        }
        false
    }

    /// The token of a registration that is no more, though nobody asked for that.
    #[inline]
    pub(crate) fn take_lost(&mut self) -> Option<u64> {
        match self {
            #[cfg(has_epoll)]
            Backend::Epoll(inner) => inner.take_lost(),
            #[cfg(has_kqueue)]
            Backend::Kqueue(inner) => inner.take_lost(),
            Backend::Poll(inner) => inner.take_lost(),
            Backend::Select(inner) => inner.take_lost(),
            #[cfg(feature = "test-util")]
            Backend::Scripted(_) => None,
        }
    }

    pub(crate) fn start_wait(&mut self) -> Waiter {
        match self {
            #[cfg(has_epoll)]
            Backend::Epoll(inner) => Waiter::Epoll(inner.start_wait()),
            #[cfg(has_kqueue)]
            Backend::Kqueue(inner) => Waiter::Kqueue(inner.start_wait()),
            Backend::Poll(inner) => Waiter::Poll(inner.start_wait()),
            Backend::Select(inner) => Waiter::Select(inner.start_wait()),
            #[cfg(feature = "test-util")]
            Backend::Scripted(inner) => Waiter::Scripted(inner.start_wait()),
        }
    }

    pub(crate) fn finish_wait(&mut self, waiter: Waiter) {
        match (self, waiter) {
            #[cfg(has_epoll)]
            (Backend::Epoll(inner), Waiter::Epoll(waiter)) => inner.finish_wait(waiter),
            #[cfg(has_kqueue)]
            (Backend::Kqueue(inner), Waiter::Kqueue(waiter)) => inner.finish_wait(waiter),
            (Backend::Poll(inner), Waiter::Poll(waiter)) => inner.finish_wait(waiter),
            (Backend::Select(inner), Waiter::Select(waiter)) => inner.finish_wait(waiter),
            // A scripted waiter owns nothing that the backend needs back; no waiter meets another backend.
            _ => {}
        }
    }

    /// The descriptor that is readable while the backend has something to report.
    pub(crate) fn descriptor(&self) -> Option<RawFd> {
        each_backend!(self, Backend, inner => inner.descriptor())
    }

    pub(crate) fn open_timer(&mut self) -> Result<(), Error> {
        each_backend!(self, Backend, inner => inner.open_timer())
    }

    pub(crate) fn arm_timer(&mut self, deadline: Option<Nanos>) -> Result<(), Error> {
        each_backend!(self, Backend, inner => inner.arm_timer(deadline))
    }

    pub(crate) fn renew(&mut self) -> Result<(), Error> {
        each_backend!(self, Backend, inner => inner.renew())
    }

    pub(crate) fn renew_after_fork(&mut self) -> Result<(), Error> {
        each_backend!(self, Backend, inner => inner.renew_after_fork())
    }
}

impl Waiter {
    pub(crate) fn wait(&mut self, timeout: Option<Duration>) -> Result<(), Error> {
        each_backend!(self, Waiter, inner => inner.wait(timeout))
    }

    pub(crate) fn len(&self) -> usize {
        each_backend!(self, Waiter, inner => inner.len())
    }

    /// Whether the wait makes changes first, and so must not begin without the lock.
    #[inline]
    pub(crate) fn has_changes(&self) -> bool {
        match self {
            #[cfg(has_kqueue)]
            Waiter::Kqueue(inner) => inner.has_changes(),
            _ => false,
        }
    }

    /// Whether the wait found nothing, and the kernel accepted every change.
    pub(crate) fn is_idle(&self) -> bool {
        #[cfg(has_kqueue)]
        if let Waiter::Kqueue(inner) = self
            && !inner.refusals.is_empty()
        {
            return false;
        }
        self.len() == 0
    }

    /// Whether the wait filled all the room there is, so that there may be more.
    pub(crate) fn is_full(&self) -> bool {
        match self {
            #[cfg(has_epoll)]
            Waiter::Epoll(inner) => inner.is_full(),
            #[cfg(has_kqueue)]
            Waiter::Kqueue(inner) => inner.is_full(),
            Waiter::Poll(_) | Waiter::Select(_) => false,
            #[cfg(feature = "test-util")]
            Waiter::Scripted(_) => false,
        }
    }

    pub(crate) fn get(&self, index: usize) -> Readiness {
        each_backend!(self, Waiter, inner => inner.get(index))
    }
}
