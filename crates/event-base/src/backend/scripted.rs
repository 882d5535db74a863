//! A backend without a kernel: a test sets what becomes ready and when, and reads the changes that the engine made.
//!
//! A wait takes the next scripted outcome. It advances the clock to the time of the outcome, or by the whole timeout
//! if that is shorter. A wait without limit and without an outcome would never end, so it fails with `EDEADLK`.

use std::collections::{HashMap, VecDeque};
use std::os::fd::{BorrowedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

#[cfg(not(event_base_model))]
use nix::errno::Errno;
use parking_lot::Mutex;

use super::method::{Method, MethodWaiter};
use super::{Applied, Change, Internal, Readiness};
use crate::config::Config;
use crate::error::{Error, SystemError};
use crate::flags::{Features, What};
use crate::time::ManualClock;
#[cfg(event_base_model)]
use crate::time::Nanos;

/// A change that the engine made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScriptedChange {
    /// The descriptor.
    pub fd: RawFd,
    /// The interests registered after the change; empty: the registration was removed.
    pub wanted: What,
    /// Whether the registration is edge-triggered.
    pub edge: bool,
}

#[derive(Debug, Default)]
struct State {
    registered: HashMap<RawFd, (u64, What)>,
    changes: Vec<ScriptedChange>,
    waits: Vec<Option<Duration>>,
    outcomes: VecDeque<(Duration, Outcome)>,
    failures: VecDeque<i32>,
    gone: Vec<RawFd>,
}

/// What a wait returns.
#[derive(Debug)]
enum Outcome {
    /// These descriptors are ready.
    Ready(Vec<(RawFd, What)>),
    /// The wait fails with `EINTR`, after the process was stopped for this time.
    Interrupted(Duration),
}

/// The handle that a test keeps.
#[derive(Clone, Debug)]
pub struct Script {
    clock: Arc<ManualClock>,
    state: Arc<Mutex<State>>,
    #[cfg(event_base_model)]
    wake_flag: Arc<crate::sync::WakeFlag>,
}

impl Script {
    /// A script that advances `clock`.
    #[must_use]
    pub fn new(clock: Arc<ManualClock>) -> Self {
        Script {
            clock,
            state: Arc::default(),
            #[cfg(event_base_model)]
            wake_flag: Arc::new(crate::sync::WakeFlag::new()),
        }
    }

    /// Advances the clock, which ends a model's wait if its timeout has passed by then.
    #[cfg(event_base_model)]
    pub fn pass(&self, time: Duration) {
        self.wake_flag.change(|| self.clock.advance(time));
    }

    /// Adds an outcome of a wait: these descriptors become ready once. `after` counts from the previous outcome.
    pub fn then(&self, after: Duration, ready: &[(RawFd, What)]) {
        self.state.lock().outcomes.push_back((after, Outcome::Ready(ready.to_vec())));
    }

    /// Adds an outcome of a wait: it is interrupted, and the process is stopped for the time `pause`. `after` counts
    /// from the previous outcome.
    pub fn then_interrupted(&self, after: Duration, pause: Duration) {
        self.state.lock().outcomes.push_back((after, Outcome::Interrupted(pause)));
    }

    /// The next change fails with this `errno`.
    pub fn fail_next_change(&self, errno: i32) {
        self.state.lock().failures.push_back(errno);
    }

    /// Drops the registration of a descriptor, as a kernel does when the descriptor is closed.
    pub fn forget(&self, fd: RawFd) {
        self.state.lock().registered.remove(&fd);
        self.state.lock().gone.push(fd);
    }

    /// Returns the changes since the last call.
    #[must_use]
    pub fn take_changes(&self) -> Vec<ScriptedChange> {
        std::mem::take(&mut self.state.lock().changes)
    }

    /// Returns the timeouts of the waits since the last call.
    #[must_use]
    pub fn take_waits(&self) -> Vec<Option<Duration>> {
        std::mem::take(&mut self.state.lock().waits)
    }
}

/// The backend.
#[derive(Debug)]
pub(crate) struct Scripted {
    script: Script,
}

/// The waiter.
#[derive(Debug)]
pub(crate) struct ScriptedWaiter {
    script: Script,
    found: Vec<Readiness>,
    /// The time from which the timeout counts.
    #[cfg(event_base_model)]
    start: Nanos,
}

impl Method for Scripted {
    const NAME: &'static str = "scripted";
    const FEATURES: Features = Features::all();
    const FOR_TESTS: bool = true;

    type Waiter = ScriptedWaiter;

    fn open(config: &Config) -> Result<Self, Error> {
        config.script.clone().map(|script| Scripted { script }).ok_or(Error::NoMethod)
    }

    fn has_descriptors(&self) -> bool {
        false
    }

    fn change(&mut self, change: &Change) -> Result<Applied, Error> {
        let mut state = self.script.state.lock();
        let Change { fd, edge, token, registered, .. } = *change;
        if let Some(errno) = state.failures.pop_front() {
            return Err(Error::System(SystemError { errno, syscall: "scripted", fd: Some(fd) }));
        }
        if let Some(place) = state.gone.iter().position(|gone| *gone == fd) {
            state.gone.swap_remove(place);
            if !registered.is_empty() {
                return Ok(Applied::Gone);
            }
        }
        let wanted = change.wanted();
        state.changes.push(ScriptedChange { fd, wanted, edge });
        if wanted.is_empty() {
            state.registered.remove(&fd);
        } else {
            state.registered.insert(fd, (token, wanted));
        }
        Ok(Applied::Done)
    }

    fn start_wait(&mut self) -> ScriptedWaiter {
        ScriptedWaiter {
            script: self.script.clone(),
            found: Vec::new(),
            #[cfg(event_base_model)]
            start: crate::time::Clock::monotonic(&*self.script.clock),
        }
    }

    fn finish_wait(&mut self, _: ScriptedWaiter) {}

    fn watch_internal(&mut self, _: BorrowedFd<'_>, _: Internal) -> Result<(), Error> {
        Ok(())
    }

    fn unwatch_internal(&mut self, _: BorrowedFd<'_>) {}

    fn renew(&mut self) -> Result<(), Error> {
        self.script.state.lock().registered.clear();
        Ok(())
    }
}

#[cfg(event_base_model)]
impl Scripted {
    pub(super) fn wake_flag(&self) -> Arc<crate::sync::WakeFlag> {
        Arc::clone(&self.script.wake_flag)
    }
}

impl MethodWaiter for ScriptedWaiter {
    const SYSCALL: &'static str = "scripted wait";

    /// In a model other threads end the wait, or advance the clock.
    #[cfg(event_base_model)]
    fn wait_once(&mut self, timeout: Option<Duration>) -> nix::Result<()> {
        let end = timeout.map(|timeout| self.start.saturating_add(crate::time::nanos(timeout)));
        let clock = &self.script.clock;
        let is_over = || end.is_some_and(|end| crate::time::Clock::monotonic(&**clock) >= end);
        self.script.wake_flag.wait(is_over);
        Ok(())
    }

    #[cfg(not(event_base_model))]
    fn wait_once(&mut self, timeout: Option<Duration>) -> nix::Result<()> {
        self.found.clear();
        let mut state = self.script.state.lock();
        state.waits.push(timeout);
        let after = state.outcomes.front().map(|outcome| outcome.0);
        match (after, timeout) {
            (None, None) => Err(Errno::EDEADLK),
            (Some(after), timeout) if timeout.is_none_or(|timeout| after <= timeout) => {
                self.script.clock.advance(after);
                let ready = match state.outcomes.pop_front() {
                    Some((_, Outcome::Ready(ready))) => ready,
                    Some((_, Outcome::Interrupted(pause))) => {
                        self.script.clock.advance(pause);
                        return Err(Errno::EINTR);
                    }
                    None => Vec::new(),
                };
                for (fd, what) in ready {
                    if let Some((token, interests)) = state.registered.get(&fd) {
                        let what = (what & *interests) | What::ET;
                        self.found.push(Readiness { token: *token, what });
                    }
                }
                Ok(())
            }
            (_, timeout) => {
                let slept = timeout.unwrap_or_default();
                self.script.clock.advance(slept);
                if let Some(outcome) = state.outcomes.front_mut() {
                    outcome.0 -= slept;
                }
                Ok(())
            }
        }
    }

    fn len(&self) -> usize {
        self.found.len()
    }

    fn get(&self, index: usize) -> Readiness {
        self.found[index]
    }
}
