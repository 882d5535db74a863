//! The loop.

use super::step::{Step, Wait};
use super::watchers::{Kind, Walk};
use super::{Base, Inner};
use crate::error::Error;
use crate::event::Ready;
use crate::flags::{LoopFlags, LoopResult};
use crate::sync::{Guard, thread_token};

/// The loop under way.
#[derive(Debug, Default)]
pub(super) struct Run {
    /// The thread that runs it; 0 while none does.
    pub(super) owner: usize,
    pub(super) flags: LoopFlags,
    /// The last pass ended a loop with ONCE, or the one poll of a loop with NONBLOCK was made.
    pub(super) finish: Finish,
    /// Passes in a row that heard of registrations which are no more.
    pub(super) stale_passes: u32,
    /// This pass did.
    pub(super) stale: bool,
    /// The host's own loop has work.
    pub(super) host: bool,
    /// The watchers being told.
    pub(super) walk: Option<Walk>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Finish {
    #[default]
    No,
    /// NONBLOCK has polled: what is active still runs, nothing new is looked for.
    Polled,
    Yes,
}

impl Run {
    pub(super) fn is_owner(&self) -> bool {
        self.owner == thread_token()
    }
}

impl Base {
    /// Runs the loop on this thread until there is a reason to leave it, and hands every event that is due
    /// to `dispatch` (`event_base_loop`). Watchers are passed over: see
    /// [`run_with_watchers`](Self::run_with_watchers).
    ///
    /// If `dispatch` panics the loop is left and can be entered again; events still active stay so.
    ///
    /// # Errors
    /// [`Error::Reentrant`] if a loop runs on this base already, [`Error::System`] if the wait fails,
    /// [`Error::Closed`], [`Error::WrongThread`].
    pub fn run(&self, flags: LoopFlags, mut dispatch: impl FnMut(&Base, Ready)) -> Result<LoopResult, Error> {
        self.run_with_watchers(flags, |base, step| {
            if let Step::Event(ready) = step {
                dispatch(base, ready);
            }
        })
    }

    /// [`run`](Self::run), and also calls `dispatch` for the [watchers](Self::on_prepare): it receives
    /// [`Step::Event`] and [`Step::Watcher`].
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_with_watchers(
        &self,
        flags: LoopFlags,
        mut dispatch: impl FnMut(&Base, Step),
    ) -> Result<LoopResult, Error> {
        struct Leave<'a>(&'a Base);
        impl Drop for Leave<'_> {
            fn drop(&mut self) {
                self.0.leave();
            }
        }
        self.enter(flags)?;
        let _leave = Leave(self);
        loop {
            match self.next(Wait::Allowed)? {
                step @ (Step::Event(_) | Step::Watcher(_)) => dispatch(self, step),
                Step::Done(result) => return Ok(result),
                Step::Idle | Step::Host => {}
            }
        }
    }

    /// Enters the loop, to be run in steps: [`next`](Self::next) until it returns [`Step::Done`], then
    /// [`leave`](Self::leave).
    ///
    /// # Errors
    /// [`Error::Reentrant`] if a loop runs on this base already, [`Error::Closed`], [`Error::WrongThread`].
    pub fn enter(&self, flags: LoopFlags) -> Result<(), Error> {
        self.try_with(|inner| {
            if inner.is_running() {
                return Err(Error::Reentrant);
            }
            inner.run = Run { owner: thread_token(), flags, ..Run::default() };
            inner.time.forget();
            inner.control.enter();
            Ok(())
        })
    }

    /// Runs the loop up to its next step: takes the next active event of the pass out of its queue, or
    /// begins another pass, waits, and makes active what became ready and what expired.
    ///
    /// A one-shot event is deleted and a persistent timer armed again before its event is returned. The caller
    /// runs callbacks between calls, without a lock.
    ///
    /// # Errors
    /// [`Error::System`] if the wait fails; the loop can be tried again or left. [`Error::Internal`] in debug
    /// mode, if the engine's own structures contradict each other. [`Error::WrongThread`] if this is not the
    /// thread that entered the loop; [`Error::Reentrant`] while the wait [is away](Self::start_wait),
    /// [`Error::Closed`].
    #[inline]
    pub fn next(&self, wait: Wait) -> Result<Step, Error> {
        let mut inner = self.shared.state.lock()?;
        if inner.run.is_owner()
            && let Some(ready) = inner.next_due()
        {
            return Ok(Step::Event(ready));
        }
        self.advance(inner, wait)
    }

    /// Ends the pass and runs the next ones up to a step. Not inlined, so that the path from one callback of a
    /// pass to the next is short.
    #[inline(never)]
    fn advance<'a>(&'a self, mut inner: Guard<'a, Inner>, wait: Wait) -> Result<Step, Error> {
        inner.check_thread()?;
        loop {
            // A pass that was left for a watcher continues behind it.
            let walk = inner.run.walk.take();
            let reason = if walk.is_some() {
                inner.reason_to_break_off()
            } else {
                inner.end_pass();
                inner.check_consistency()?;
                if !inner.notes.is_empty() {
                    inner = self.tell_notes(inner)?;
                }
                inner.reason_to_leave()
            };
            if let Some(result) = reason {
                return Ok(Step::Done(result));
            }
            if walk.is_some() || inner.begin_pass() {
                if walk.is_none_or(|walk| walk.kind == Kind::Prepare) {
                    if let Some(call) = inner.next_prepare(walk) {
                        return Ok(Step::Watcher(call));
                    }
                    let until = inner.wait_until(wait);
                    inner = self.poll(inner, until)?;
                }
                if let Some(call) = inner.next_check(walk) {
                    return Ok(Step::Watcher(call));
                }
                inner.expire_timers();
                if !inner.notes.is_empty() {
                    inner = self.tell_notes(inner)?;
                }
            }
            // Before the events: a loop that always has active events would never return to its host.
            if std::mem::take(&mut inner.run.host) {
                return Ok(Step::Host);
            }
            if inner.has_ready() {
                inner.open_pass();
                if let Some(ready) = inner.first_due() {
                    return Ok(Step::Event(ready));
                }
            } else if wait == Wait::Never && inner.reason_to_leave().is_none() {
                inner.fall_asleep()?;
                return Ok(Step::Idle);
            }
        }
    }

    /// Leaves the loop. Without effect if this thread runs none.
    pub fn leave(&self) {
        if let Ok(mut inner) = self.shared.state.lock()
            && inner.run.is_owner()
        {
            inner.end_pass();
            inner.time.forget();
            // Nobody knows when the next loop comes.
            inner.flush_changes(false);
            inner.run.owner = 0;
            inner.release();
        }
    }
}
