//! The interface with which both loops are measured.

use std::os::fd::RawFd;
use std::time::Duration;

use event_base::What;

use crate::Failure;

/// The callback of a measure.
///
/// It is a static function with its state in thread-locals, so that the argument of libevent's callback and the engine's
/// `data` can be an index: neither side needs a pointer that the other one does not need.
pub trait Handler: 'static {
    /// Called on the loop's thread. `fd` is -1 for timers and user events.
    fn ready(index: usize, fd: RawFd, what: What);
}

/// When a call of [`Peer::run`] returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// When nothing is left to wait for.
    UntilEmpty,
    /// `EVLOOP_ONCE`: after the first events.
    Once,
    /// `EVLOOP_ONCE | EVLOOP_NONBLOCK`: after the events that are ready now.
    Poll,
}

/// The options of a loop, apart from its locks.
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

    /// A common timeout of the loop.
    type CommonTimeout: Copy;

    /// What another thread needs to activate an event of this loop.
    type Waker<'a>: Waker
    where
        Self: 'a;

    /// A persistent I/O event, not yet added.
    ///
    /// # Errors
    /// If the loop fails.
    fn io(&self, fd: RawFd, what: What, index: usize) -> Result<Self::Event<'_>, Failure>;

    /// A one-shot timer, not yet added.
    ///
    /// # Errors
    /// If the loop fails.
    fn timer(&self, index: usize) -> Result<Self::Event<'_>, Failure>;

    /// A user event: no descriptor, only activated by the program.
    ///
    /// # Errors
    /// If the loop fails.
    fn user(&self, index: usize) -> Result<Self::Event<'_>, Failure>;

    /// The same at a priority that the loop has.
    ///
    /// # Errors
    /// If the loop fails.
    fn user_at(&self, index: usize, priority: u8) -> Result<Self::Event<'_>, Failure>;

    /// A persistent event for a signal, not yet added.
    ///
    /// # Errors
    /// If the loop fails.
    fn signal(&self, number: i32, index: usize) -> Result<Self::Event<'_>, Failure>;

    /// Makes the event pending.
    ///
    /// # Errors
    /// If the loop fails.
    fn add<'a>(&'a self, event: Self::Event<'a>, timeout: Option<Duration>) -> Result<(), Failure>;

    /// A duration to be used for many events.
    ///
    /// # Errors
    /// If the loop fails.
    fn common_timeout(&self, duration: Duration) -> Result<Self::CommonTimeout, Failure>;

    /// Makes the event pending with a common timeout.
    ///
    /// # Errors
    /// If the loop fails.
    fn add_common<'a>(&'a self, event: Self::Event<'a>, timeout: Self::CommonTimeout) -> Result<(), Failure>;

    /// Makes the event neither pending nor active.
    ///
    /// # Errors
    /// If the loop fails.
    fn del<'a>(&'a self, event: Self::Event<'a>) -> Result<(), Failure>;

    /// Makes the event active.
    ///
    /// # Errors
    /// If the loop fails.
    fn activate<'a>(&'a self, event: Self::Event<'a>, what: What) -> Result<(), Failure>;

    /// Runs the loop on this thread.
    ///
    /// # Errors
    /// If the backend fails.
    fn run(&self, pass: Pass) -> Result<(), Failure>;

    /// A handle with which another thread activates `event`.
    ///
    /// # Errors
    /// [`Failure::Wrong`] if the loop was made without locks.
    fn waker<'a>(&'a self, event: Self::Event<'a>) -> Result<Self::Waker<'a>, Failure>;
}

/// Activates one event from another thread.
pub trait Waker: Send {
    /// Makes the event active and wakes the loop.
    ///
    /// # Errors
    /// If the loop fails.
    fn wake(&self) -> Result<(), Failure>;
}
