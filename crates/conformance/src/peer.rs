//! The one interface under which both loops are measured.

use std::os::fd::RawFd;
use std::time::Duration;

use event_base::What;

use crate::Failure;

/// What a measure does when an event is handed out.
///
/// It is a static function, with its state in the measure's thread-locals, so
/// that libevent's callback argument can be the plain index, as in a C
/// program, and the engine's `data` the same index: neither side pays for a
/// pointer that the other one does not need.
pub trait Handler: 'static {
    /// Called on the loop's thread. `fd` is -1 for timers and user events.
    fn ready(index: usize, fd: RawFd, what: What);
}

/// How far a call of [`Peer::run`] goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// Until nothing is left to wait for.
    UntilEmpty,
    /// `EVLOOP_ONCE`: sleep until something happened, handle that, return.
    Once,
    /// `EVLOOP_ONCE | EVLOOP_NONBLOCK`: handle what is ready now, return.
    Poll,
}

/// How a loop is built, apart from its locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Build {
    /// epoll with a change list.
    pub changelist: bool,
    /// The number of priorities.
    pub priorities: u8,
}

impl Default for Build {
    fn default() -> Self {
        Self { changelist: false, priorities: 1 }
    }
}

/// An event loop that can be measured.
pub trait Peer {
    /// A handle to an event of this loop.
    type Event<'a>: Copy
    where
        Self: 'a;

    /// A duration that the loop keeps a queue for.
    type CommonTimeout: Copy;

    /// What another thread needs to activate an event of this loop.
    type Waker<'a>: Waker
    where
        Self: 'a;

    /// A persistent I/O event, not yet added.
    ///
    /// # Errors
    /// When the loop refuses.
    fn io(&self, fd: RawFd, what: What, index: usize) -> Result<Self::Event<'_>, Failure>;

    /// A one-shot timer, not yet added.
    ///
    /// # Errors
    /// When the loop refuses.
    fn timer(&self, index: usize) -> Result<Self::Event<'_>, Failure>;

    /// A user event: no descriptor, only ever activated by hand.
    ///
    /// # Errors
    /// When the loop refuses.
    fn user(&self, index: usize) -> Result<Self::Event<'_>, Failure>;

    /// The same at a priority that the loop has.
    ///
    /// # Errors
    /// When the loop refuses.
    fn user_at(&self, index: usize, priority: u8) -> Result<Self::Event<'_>, Failure>;

    /// A persistent event for a signal, not yet added.
    ///
    /// # Errors
    /// When the loop refuses.
    fn signal(&self, number: i32, index: usize) -> Result<Self::Event<'_>, Failure>;

    /// Makes the event pending.
    ///
    /// # Errors
    /// When the loop refuses.
    fn add<'a>(&'a self, event: Self::Event<'a>, timeout: Option<Duration>) -> Result<(), Failure>;

    /// A duration to be used for many events.
    ///
    /// # Errors
    /// When the loop refuses.
    fn common_timeout(&self, duration: Duration) -> Result<Self::CommonTimeout, Failure>;

    /// Makes the event pending with a common timeout.
    ///
    /// # Errors
    /// When the loop refuses.
    fn add_common<'a>(&'a self, event: Self::Event<'a>, timeout: Self::CommonTimeout) -> Result<(), Failure>;

    /// Makes the event neither pending nor active.
    ///
    /// # Errors
    /// When the loop refuses.
    fn del<'a>(&'a self, event: Self::Event<'a>) -> Result<(), Failure>;

    /// Makes the event active.
    ///
    /// # Errors
    /// When the loop refuses.
    fn activate<'a>(&'a self, event: Self::Event<'a>, what: What) -> Result<(), Failure>;

    /// Runs the loop on this thread.
    ///
    /// # Errors
    /// When the backend fails.
    fn run(&self, pass: Pass) -> Result<(), Failure>;

    /// A handle with which another thread activates `event`.
    ///
    /// # Errors
    /// [`Failure::Wrong`] when the loop was made without locks.
    fn waker<'a>(&'a self, event: Self::Event<'a>) -> Result<Self::Waker<'a>, Failure>;
}

/// Activates one event from another thread.
pub trait Waker: Send {
    /// Makes the event active and wakes the loop.
    ///
    /// # Errors
    /// When the loop refuses.
    fn wake(&self) -> Result<(), Failure>;
}
