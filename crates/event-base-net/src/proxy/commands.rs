//! The part of a proxy's thread that other threads use, and the commands that they send to it.

use std::time::Duration;

use event_base::{Base, EventId, EventSpec, What};
use parking_lot::Mutex;

use super::counters::ThreadCounters;
use crate::failure::Result;

#[derive(Clone, Copy, Debug)]
pub(super) enum Command {
    /// The list of upstreams has changed.
    SetUpstreams,
    /// There is a place for a connection again.
    Accept,
    Drain(Option<Duration>),
    Stop,
    #[cfg(test)]
    Panic,
}

#[derive(Debug)]
pub(super) struct ThreadState {
    pub(super) base: Base,
    pub(super) counters: ThreadCounters,
    /// Wakes the thread for its commands.
    wake: EventId,
    commands: Mutex<Vec<Command>>,
}

impl ThreadState {
    pub(super) fn new() -> Result<Self> {
        let base = Base::new()?;
        let wake = base.create(EventSpec::user())?;
        Ok(ThreadState { base, counters: ThreadCounters::default(), wake, commands: Mutex::default() })
    }

    /// Queues a command and returns. A thread that has ended ignores it.
    pub(super) fn send(&self, command: Command) {
        self.commands.lock().push(command);
        let _ = self.base.activate(self.wake, What::READ);
    }

    pub(super) fn take_commands(&self) -> Vec<Command> {
        std::mem::take(&mut *self.commands.lock())
    }
}
