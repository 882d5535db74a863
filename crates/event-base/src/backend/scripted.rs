//! A backend without a kernel: a test says what becomes ready when, and reads what was asked for.
//!
//! A wait takes the next scripted outcome. It moves the clock to the outcome's time, or by the whole timeout
//! where that ends earlier. A wait without limit and without an outcome would never end, so it fails with
//! `EDEADLK`.

use std::collections::{HashMap, VecDeque};
use std::os::fd::{BorrowedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::{Applied, Change, Internal, Readiness};
use crate::error::{Error, SystemError};
use crate::flags::{Features, What};
use crate::time::{ManualClock, Nanos};

/// A change the engine asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScriptedChange {
    /// The descriptor.
    pub fd: RawFd,
    /// What is registered once the change is made; empty: nothing.
    pub wanted: What,
    /// Whether the registration is edge-triggered.
    pub edge: bool,
}

#[derive(Debug, Default)]
struct State {
    registered: HashMap<RawFd, (u64, What)>,
    changes: Vec<ScriptedChange>,
    waits: Vec<Option<Duration>>,
    outcomes: VecDeque<(Duration, Vec<(RawFd, What)>)>,
    failures: VecDeque<i32>,
    gone: Vec<RawFd>,
}

/// The handle a test keeps.
#[derive(Clone, Debug)]
pub struct Script {
    clock: Arc<ManualClock>,
    state: Arc<Mutex<State>>,
    #[cfg(event_base_model)]
    bell: Arc<crate::sync::Bell>,
}

impl Script {
    /// A script that moves `clock`.
    #[must_use]
    pub fn new(clock: Arc<ManualClock>) -> Self {
        Script {
            clock,
            state: Arc::default(),
            #[cfg(event_base_model)]
            bell: Arc::new(crate::sync::Bell::new()),
        }
    }

    /// Moves the clock, which ends a wait of a model that lasts until then.
    #[cfg(event_base_model)]
    pub fn pass(&self, time: Duration) {
        self.bell.change(|| self.clock.advance(time));
    }

    /// `after` into some later wait these descriptors become ready, once.
    pub fn then(&self, after: Duration, ready: &[(RawFd, What)]) {
        self.state.lock().outcomes.push_back((after, ready.to_vec()));
    }

    /// The next change fails with this `errno`.
    pub fn fail_next_change(&self, errno: i32) {
        self.state.lock().failures.push_back(errno);
    }

    /// The descriptor was closed behind the engine's back.
    pub fn forget(&self, fd: RawFd) {
        self.state.lock().registered.remove(&fd);
        self.state.lock().gone.push(fd);
    }

    /// The changes since the last call.
    #[must_use]
    pub fn take_changes(&self) -> Vec<ScriptedChange> {
        std::mem::take(&mut self.state.lock().changes)
    }

    /// The timeouts of the waits since the last call.
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

/// A wait under way.
#[derive(Debug)]
pub(crate) struct ScriptedWaiter {
    script: Script,
    found: Vec<Readiness>,
    /// The timeout counts from here.
    #[cfg(event_base_model)]
    start: Nanos,
}

impl Scripted {
    pub(super) fn new(script: Script) -> Self {
        Scripted { script }
    }

    pub(super) fn name(&self) -> &'static str {
        "scripted"
    }

    pub(super) fn features(&self) -> Features {
        Features::all()
    }

    pub(super) fn descriptor(&self) -> Option<RawFd> {
        None
    }

    pub(super) fn change(&mut self, change: &Change) -> Result<Applied, Error> {
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

    pub(super) fn watch_internal(&mut self, _: BorrowedFd<'_>, _: Internal) -> Result<(), Error> {
        Ok(())
    }

    pub(super) fn unwatch_internal(&mut self, _: BorrowedFd<'_>) {}

    pub(super) fn start_wait(&mut self) -> ScriptedWaiter {
        ScriptedWaiter {
            script: self.script.clone(),
            found: Vec::new(),
            #[cfg(event_base_model)]
            start: crate::time::Clock::monotonic(&*self.script.clock),
        }
    }

    #[cfg(event_base_model)]
    pub(super) fn bell(&self) -> Arc<crate::sync::Bell> {
        Arc::clone(&self.script.bell)
    }

    pub(super) fn open_timer(&mut self) -> Result<(), Error> {
        Ok(())
    }

    pub(super) fn arm_timer(&mut self, _: Option<Nanos>) -> Result<(), Error> {
        Ok(())
    }

    pub(super) fn renew(&mut self) -> Result<(), Error> {
        self.script.state.lock().registered.clear();
        Ok(())
    }

    pub(super) fn renew_after_fork(&mut self) -> Result<(), Error> {
        self.renew()
    }
}

impl ScriptedWaiter {
    /// In a model other threads end the wait, and time passes when one of them says so.
    #[cfg(event_base_model)]
    pub(super) fn wait(&mut self, timeout: Option<Duration>) -> Result<(), Error> {
        let end = timeout.map(|timeout| self.start.saturating_add(crate::time::nanos(timeout)));
        let clock = &self.script.clock;
        self.script.bell.wait(|| end.is_some_and(|end| crate::time::Clock::monotonic(&**clock) >= end));
        Ok(())
    }

    #[cfg(not(event_base_model))]
    pub(super) fn wait(&mut self, timeout: Option<Duration>) -> Result<(), Error> {
        let mut state = self.script.state.lock();
        state.waits.push(timeout);
        let after = state.outcomes.front().map(|outcome| outcome.0);
        match (after, timeout) {
            (None, None) => {
                let errno = nix::errno::Errno::EDEADLK;
                Err(Error::system(errno, "scripted wait", None))
            }
            (Some(after), timeout) if timeout.is_none_or(|timeout| after <= timeout) => {
                self.script.clock.advance(after);
                let (_, ready) = state.outcomes.pop_front().unwrap_or_default();
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

    pub(super) fn len(&self) -> usize {
        self.found.len()
    }

    pub(super) fn get(&self, index: usize) -> Readiness {
        self.found[index]
    }
}
