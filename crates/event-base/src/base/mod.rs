//! The base: one lock around its events, its loop and its kernel objects.
//!
//! [`Inner`] is everything that the lock protects. Its main parts are structs, each in a folder of its own, whose
//! fields only that folder can access:
//! - [`Events`]: the events, and every list that an event can be in.
//! - [`Run`]: the loop, its pass, and the requests to it.
//! - [`Kernel`]: the backend, the notifier, the descriptor of a host; and whether the loop sleeps on them.
//! - [`Report`]: statistics, messages for the log, debug mode.
//!
//! Rules:
//! - Methods of [`Inner`] take `&mut self`, so they can be called only while the lock is held. Only
//!   functions of [`Base`] lock, nearly all through [`Base::with`].
//! - No user code runs under the lock.
//! - A wait that can sleep runs without the lock, on a waiter that was taken out of the backend.
//! - The thread that waits is woken only if it sleeps: see `kernel/wake.rs`.

mod clock;
mod events;
mod kernel;
mod poll;
mod report;
mod run;

use std::sync::Arc;

use clock::TimeCache;
pub use events::CommonTimeout;
use events::{Events, base_number};
use kernel::Kernel;
pub use kernel::{HostWait, WaitEnder};
use report::Report;
use run::Run;
pub use run::{Step, Wait, WatcherCall, WatcherId};

use crate::backend::{Backend, wants_signalfd};
use crate::config::Config;
use crate::error::Error;
use crate::event::Ready;
use crate::flags::{BaseFlags, Features};
use crate::signal::Signals;
use crate::sync::{Guard, Lock};
use crate::sys::fork;

/// An event base. Cloning returns another handle to the same base.
///
/// # Errors
/// Every call can fail with these, so the documentation of a function names only others:
/// - [`Error::Closed`] once the base is closed, and for an id of an event that no longer exists;
/// - [`Error::WrongThread`] on a base with [`BaseFlags::NOLOCK`] whose loop another thread has entered, or that another
///   thread is calling;
/// - [`Error::Forked`] in a forked child, before [`reinit`](Self::reinit). Calls that only delete something work there:
///   [`del`](Self::del), [`free`](Self::free), [`finalize`](Self::finalize), [`remove_timer`](Self::remove_timer) and
///   their variants.
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
    events: Events,
    run: Run,
    kernel: Kernel,
    time: TimeCache,
    report: Report,
    /// Identifies this base among all bases of the process.
    number: u64,
    /// The [generation](fork::generation) of the process that the kernel's objects belong to;
    /// [`NO_GENERATION`](fork::NO_GENERATION) once the base is closed. So one comparison detects both.
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
    /// Unless the configuration ignores it, the environment can exclude backends (`EVENT_NOEPOLL`, …).
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
        let number = base_number();
        let backend = Backend::select(config)?;
        let signals = Signals::new(&backend, wants_signalfd(config), config.shares_signals);
        let mut inner = Inner {
            events: Events::new(config.priorities, signals),
            run: Run::new(config.limits),
            kernel: Kernel::new(backend),
            time: TimeCache::new(clock, config.flags.contains(BaseFlags::NO_CACHE_TIME)),
            report: Report::new(config.timing, config.debug),
            number,
            process: fork::generation(),
            closed: false,
        };
        let state = if config.flags.contains(BaseFlags::NOLOCK) {
            Lock::owned(inner)
        } else {
            inner.kernel.install_notifier()?;
            Lock::shared(inner)
        };
        Ok(Base { shared: Arc::new(Shared { number, state }) })
    }

    /// The name of the backend (`event_base_get_method`).
    pub fn method(&self) -> Result<&'static str, Error> {
        self.try_with(|inner| Ok(inner.kernel.backend()?.name()))
    }

    /// What the backend supports (`event_base_get_features`).
    pub fn features(&self) -> Result<Features, Error> {
        self.try_with(|inner| Ok(inner.kernel.backend()?.features()))
    }

    /// Deletes every event and releases the kernel's objects (`event_base_free`). Idempotent; every later
    /// call fails with [`Error::Closed`]. A running loop returns as after a break, and releases the kernel's objects
    /// then.
    ///
    /// Descriptors of events belong to the caller and stay open. Finalizers that were not dispatched are returned, in
    /// the order in which the loop would have dispatched them: the caller runs them, or releases what they use. May be
    /// called in a forked child: the parent's base is not affected.
    pub fn close(&self) -> Result<Vec<Ready>, Error> {
        let mut inner = self.shared.state.lock()?;
        if inner.closed {
            return Ok(Vec::new());
        }
        if !inner.is_current() {
            inner.disown();
        }
        let finalizers = inner.delete_all();
        inner.run.remove_watchers();
        inner.closed = true;
        inner.process = fork::NO_GENERATION;
        inner.notify_waiters();
        inner.release();
        inner.kernel.request_wake();
        self.unlock(inner);
        Ok(finalizers)
    }

    /// Whether several threads may use the base: it was built without `NOLOCK`.
    #[must_use]
    pub fn has_lock(&self) -> bool {
        self.shared.state.is_shared()
    }

    /// Whether the base was closed. Any thread; also `true` if the base refuses this thread.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.state.lock().map_or(true, |inner| inner.closed)
    }

    /// Runs `call` under the lock, and then wakes the loop if `call` requested it.
    #[inline]
    fn with<T>(&self, call: impl FnOnce(&mut Inner) -> T) -> Result<T, Error> {
        let mut inner = self.open()?;
        let result = call(&mut inner);
        self.unlock(inner);
        Ok(result)
    }

    /// [`with`](Self::with) for a call that can fail.
    #[inline]
    fn try_with<T>(&self, call: impl FnOnce(&mut Inner) -> Result<T, Error>) -> Result<T, Error> {
        self.with(call)?
    }

    #[inline]
    fn open(&self) -> Result<Guard<'_, Inner>, Error> {
        let inner = self.shared.state.lock()?;
        if inner.is_current() { Ok(inner) } else { Err(Inner::refuse(inner)) }
    }

    /// [`try_with`](Self::try_with) for a call that only takes events out of lists. It is allowed in a forked child
    /// before [`reinit`](Self::reinit) too, which then does not register these events again: see [`Inner::delete`].
    #[inline]
    fn try_to_delete<T>(&self, call: impl FnOnce(&mut Inner) -> Result<T, Error>) -> Result<T, Error> {
        let mut inner = self.open_to_delete()?;
        let result = call(&mut inner);
        self.unlock(inner);
        result
    }

    #[inline]
    fn open_to_delete(&self) -> Result<Guard<'_, Inner>, Error> {
        let inner = self.shared.state.lock()?;
        if inner.closed { Err(Error::Closed) } else { Ok(inner) }
    }

    #[inline]
    fn unlock(&self, mut inner: Guard<'_, Inner>) {
        if inner.kernel.take_follow_up() {
            self.follow_up(inner);
        }
    }
}

impl Inner {
    /// Whether the base is open and belongs to this process.
    #[inline]
    fn is_current(&self) -> bool {
        self.process == fork::generation()
    }

    /// Whether the kernel's objects belong to the parent of this process.
    fn is_forked(&self) -> bool {
        !self.closed && !self.is_current()
    }

    #[cold]
    fn refuse(inner: Guard<'_, Inner>) -> Error {
        inner.refusal()
    }

    /// Why [`is_current`](Self::is_current) is false.
    #[cold]
    fn refusal(&self) -> Error {
        if self.closed { Error::Closed } else { Error::Forked }
    }

    /// Releases what a closed base no longer needs. A running loop needs it until it is left: its wait would not
    /// end if the notifier were closed.
    fn release(&mut self) {
        if self.closed && !self.run.is_running() {
            self.kernel.release();
            self.events.release();
        }
    }
}
