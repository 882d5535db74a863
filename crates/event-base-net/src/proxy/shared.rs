//! What the threads of a proxy and its holder share.

use std::sync::Arc;
use std::time::Duration;

use event_base::{Base, EventId, EventSpec, What};
use parking_lot::Mutex;

use super::counters::ThreadCounters;
use super::options::{Balance, HealthOptions, ProxyProtocol};
use super::problem::Outbox;
use super::upstreams::{Clock, Upstreams};
use crate::accept::ListenOptions;
use crate::failure::Result;
use crate::relay::RelayOptions;

/// What stays as it was said at the beginning.
#[derive(Debug)]
pub(super) struct Fixed {
    pub(super) accept: ListenOptions,
    pub(super) balance: Balance,
    pub(super) connect_timeout: Option<Duration>,
    pub(super) relay: RelayOptions,
    pub(super) proxy_protocol: Option<ProxyProtocol>,
    pub(super) health: HealthOptions,
}

/// What a thread is told to do.
#[derive(Clone, Copy, Debug)]
pub(super) enum Command {
    /// There is a new list.
    SetUpstreams,
    Drain(Option<Duration>),
    Stop,
    #[cfg(test)]
    Panic,
}

/// One thread, seen from outside.
#[derive(Debug)]
pub(super) struct ThreadShared {
    pub(super) base: Base,
    pub(super) counters: ThreadCounters,
    /// Brings the thread to its commands.
    wake: EventId,
    commands: Mutex<Vec<Command>>,
}

impl ThreadShared {
    pub(super) fn new() -> Result<Self> {
        let base = Base::new()?;
        let wake = base.create(EventSpec::user())?;
        Ok(ThreadShared { base, counters: ThreadCounters::default(), wake, commands: Mutex::default() })
    }

    /// Gives the thread a command, which waits for nothing. A thread that has ended does not hear it.
    pub(super) fn tell(&self, command: Command) {
        self.commands.lock().push(command);
        let _ = self.base.activate(self.wake, What::READ);
    }

    pub(super) fn take_commands(&self) -> Vec<Command> {
        std::mem::take(&mut *self.commands.lock())
    }
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) options: Fixed,
    pub(super) threads: Box<[ThreadShared]>,
    pub(super) outbox: Outbox,
    pub(super) clock: Clock,
    upstreams: Mutex<Arc<Upstreams>>,
    running: Mutex<usize>,
}

impl Shared {
    pub(super) fn new(
        options: Fixed,
        threads: Box<[ThreadShared]>,
        upstreams: Upstreams,
        outbox: Outbox,
    ) -> Self {
        let running = Mutex::new(threads.len());
        let upstreams = Mutex::new(Arc::new(upstreams));
        Shared { options, threads, outbox, clock: Clock::start(), upstreams, running }
    }

    pub(super) fn upstreams(&self) -> Arc<Upstreams> {
        Arc::clone(&self.upstreams.lock())
    }

    pub(super) fn set_upstreams(&self, list: Arc<Upstreams>) {
        let old = std::mem::replace(&mut *self.upstreams.lock(), list);
        drop(old);
        self.tell_all(Command::SetUpstreams);
    }

    pub(super) fn tell_all(&self, command: Command) {
        for thread in &self.threads {
            thread.tell(command);
        }
    }

    /// A thread has ended.
    pub(super) fn thread_ended(&self) {
        let mut running = self.running.lock();
        *running -= 1;
        let last = *running == 0;
        drop(running);
        if last {
            self.outbox.ring();
        }
    }

    pub(super) fn is_over(&self) -> bool {
        *self.running.lock() == 0
    }
}
