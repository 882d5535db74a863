//! The base: one lock around the events, the timers, the queues and the backend.
//!
//! Ground rules:
//! - [`Inner`] is everything the lock protects. Its methods expect the lock to be held, by taking
//!   `&mut self`. Only the public functions of [`Base`] lock, each once, through [`Base::with`].
//! - Nothing of the user's runs under the lock.
//! - A wait runs without the lock, on a waiter that was taken out of the backend.
//! - The thread that waits is woken only if it sleeps: see [`wake`].

mod active;
mod block;
mod clocks;
mod common;
mod control;
mod debug;
mod dump;
mod edit;
mod finalize;
mod host;
mod inspect;
mod measure;
mod note;
mod persist;
mod phases;
mod poll;
mod priorities;
mod queues;
mod reinit;
mod run;
mod signals;
mod step;
mod wake;
mod watchers;

use std::sync::Arc;

use active::Pass;
use block::Waiters;
use clocks::TimeCache;
pub use common::CommonTimeout;
use control::Control;
use host::Host;
pub use host::{HostWait, WaitEnder};
use inspect::Counts;
use measure::Measures;
use note::Note;
use queues::Queues;
use run::Run;
pub use step::{Step, Wait, WatcherCall};
use wake::Sleep;
pub use watchers::WatcherId;
use watchers::Watchers;

use crate::backend::{Backend, wants_signalfd};
use crate::config::{Config, DispatchLimits};
use crate::error::Error;
use crate::event::{EventId, State, Table};
use crate::flags::{BaseFlags, Features};
use crate::io::FdMap;
use crate::signal::Signals;
use crate::sync::{Guard, Lock};
use crate::sys::fork;
use crate::sys::notify::Notifier;
use crate::time::Deadlines;

/// An event base. Cloning gives another handle to the same base.
#[derive(Clone, Debug)]
pub struct Base {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    number: u64,
    state: Lock<Inner>,
}

/// What the lock protects.
#[derive(Debug)]
struct Inner {
    /// `None` once the base is closed and no loop runs any more.
    backend: Option<Backend>,
    /// Shared with who writes to it after the lock was dropped. Missing in a base without locks until a host
    /// wants it.
    notifier: Option<Arc<Notifier>>,
    table: Table,
    fds: FdMap,
    signals: Signals,
    timers: Deadlines,
    queues: Queues,
    pass: Pass,
    run: Run,
    control: Control,
    host: Host,
    sleep: Sleep,
    counts: Counts,
    measures: Measures,
    /// Messages to be told without the lock.
    notes: Vec<Note>,
    time: TimeCache,
    limits: DispatchLimits,
    /// Scratch for signals that are collected; empty between calls.
    arrived: Vec<(i32, u64)>,
    /// Checks what costs too much to be checked always.
    debug: bool,
    /// What passes have paid towards the next look at everything.
    unchecked: usize,
    watchers: Watchers,
    /// Tells this base from every other of the process.
    number: u64,
    /// Scratch for the map's orphans; empty between calls.
    orphans: Vec<u32>,
    /// Transient events that were orphaned, to be handed out once more.
    departed: Vec<EventId>,
    waiters: Waiters,
    /// The [generation](fork::generation) of the process that the kernel's objects belong to; that of none once
    /// the base is closed. So one comparison tells a call that it may go on.
    process: u32,
    closed: bool,
}

impl Base {
    /// A base with the default configuration (`event_base_new`).
    ///
    /// # Errors
    /// As [`with_config`](Self::with_config).
    pub fn new() -> Result<Self, Error> {
        Self::with_config(&Config::new())
    }

    /// A base (`event_base_new_with_config`).
    ///
    /// Unless the configuration ignores it, the environment may take backends away (`EVENT_NOEPOLL`, …).
    ///
    /// # Errors
    /// [`Error::NoMethod`] if no backend is left, [`Error::OutOfRange`] for zero priorities,
    /// [`Error::System`] if the kernel refuses a descriptor (`EMFILE`, `ENFILE`, `ENOMEM`).
    pub fn with_config(config: &Config) -> Result<Self, Error> {
        if config.priorities == 0 {
            return Err(Error::OutOfRange("the number of priorities"));
        }
        fork::watch()?;
        let clock = config.build_clock();
        let number = common::base_number();
        let backend = Backend::select(config)?;
        let signals = Signals::new(&backend, wants_signalfd(config), config.shares_signals);
        let mut inner = Inner {
            backend: Some(backend),
            notifier: None,
            table: Table::default(),
            fds: FdMap::default(),
            signals,
            timers: Deadlines::default(),
            queues: Queues::new(config.priorities),
            pass: Pass::default(),
            run: Run::default(),
            control: Control::default(),
            host: Host::default(),
            sleep: Sleep::default(),
            counts: Counts::default(),
            measures: Measures::new(config.timing),
            notes: Vec::new(),
            time: TimeCache::new(clock, config.flags.contains(BaseFlags::NO_CACHE_TIME)),
            limits: config.limits,
            arrived: Vec::new(),
            debug: config.debug || config.is_set("EVENT_DEBUG_MODE"),
            unchecked: 0,
            watchers: Watchers::default(),
            number,
            orphans: Vec::new(),
            departed: Vec::new(),
            waiters: Waiters::default(),
            process: fork::generation(),
            closed: false,
        };
        let state = if config.flags.contains(BaseFlags::NOLOCK) {
            Lock::owned(inner)
        } else {
            inner.install_notifier()?;
            Lock::shared(inner)
        };
        Ok(Base { shared: Arc::new(Shared { number, state }) })
    }

    /// The name of the backend (`event_base_get_method`).
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::WrongThread`].
    pub fn method(&self) -> Result<&'static str, Error> {
        self.try_with(|inner| Ok(inner.backend()?.name()))
    }

    /// What the backend can do (`event_base_get_features`).
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::WrongThread`].
    pub fn features(&self) -> Result<Features, Error> {
        self.try_with(|inner| Ok(inner.backend()?.features()))
    }

    /// Deletes every event and gives the kernel's objects back (`event_base_free`). Idempotent; every later
    /// call fails with [`Error::Closed`]. A loop that is running returns as after a break, and takes the
    /// kernel's objects with it.
    ///
    /// Descriptors of events are the user's and stay open. Finalizers that have not run yet do not run. In a
    /// forked child, too: the parent's base is not touched.
    ///
    /// # Errors
    /// [`Error::WrongThread`].
    pub fn close(&self) -> Result<(), Error> {
        let mut inner = self.shared.state.lock()?;
        if inner.closed {
            return Ok(());
        }
        if !inner.is_current() {
            inner.disown();
        }
        for index in inner.table.indices() {
            if inner.table.at(index).state.contains(State::LIVE) {
                inner.delete(index);
                inner.table.remove(index);
            }
        }
        inner.departed.clear();
        inner.watchers = Watchers::default();
        inner.closed = true;
        inner.process = fork::NO_GENERATION;
        inner.tell_waiters();
        inner.release();
        inner.request_wake();
        self.unlock(inner);
        Ok(())
    }

    /// Whether several threads may use the base: it was built without `NOLOCK`.
    #[must_use]
    pub fn has_lock(&self) -> bool {
        self.shared.state.is_shared()
    }

    /// Whether the base was closed. Any thread; `true` too where the base belongs to another one.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.state.lock().map_or(true, |inner| inner.closed)
    }

    /// Runs `call` under the lock and wakes the loop afterwards if that asked for it.
    #[inline]
    fn with<T>(&self, call: impl FnOnce(&mut Inner) -> T) -> Result<T, Error> {
        let mut inner = self.open()?;
        let result = call(&mut inner);
        self.unlock(inner);
        Ok(result)
    }

    /// The same for a call that can fail by itself.
    #[inline]
    fn try_with<T>(&self, call: impl FnOnce(&mut Inner) -> Result<T, Error>) -> Result<T, Error> {
        self.with(call)?
    }

    #[inline]
    fn open(&self) -> Result<Guard<'_, Inner>, Error> {
        let inner = self.shared.state.lock()?;
        if inner.is_current() { Ok(inner) } else { Err(Inner::refuse(inner)) }
    }

    #[inline]
    fn unlock(&self, mut inner: Guard<'_, Inner>) {
        if inner.sleep.take_request() {
            self.follow_up(inner);
        }
    }
}

impl Inner {
    /// The base is open and this process's.
    #[inline]
    fn is_current(&self) -> bool {
        self.process == fork::generation()
    }

    #[cold]
    fn refuse(inner: Guard<'_, Inner>) -> Error {
        inner.refusal()
    }

    /// Why it is not.
    #[cold]
    fn refusal(&self) -> Error {
        if self.closed { Error::Closed } else { Error::Forked }
    }

    fn backend(&mut self) -> Result<&mut Backend, Error> {
        self.backend.as_mut().ok_or(Error::Closed)
    }

    /// The notifier, which the caller is about to write to.
    fn take_notifier(&mut self) -> Option<Arc<Notifier>> {
        self.measures.wakeups_sent += u64::from(self.notifier.is_some());
        self.notifier.clone()
    }

    /// Gives back what a closed base no longer needs. A loop that still runs needs it until it is left: its
    /// wait would not end if the notifier went away.
    fn release(&mut self) {
        if self.closed && !self.is_running() {
            self.backend = None;
            self.notifier = None;
            self.table = Table::default();
            self.fds = FdMap::default();
            self.timers = Deadlines::default();
        }
    }
}
