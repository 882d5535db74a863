//! The loop.

use super::turn::{Next, Occasion, Turn, Wait};
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
        self.run_with_watchers(flags, |base, occasion| {
            if let Occasion::Event(ready) = occasion {
                dispatch(base, ready);
            }
        })
    }

    /// [`run`](Self::run), where `dispatch` is also handed the [watchers](Self::on_prepare).
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_with_watchers(
        &self,
        flags: LoopFlags,
        mut dispatch: impl FnMut(&Base, Occasion),
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
                Next::Event(ready) => dispatch(self, Occasion::Event(ready)),
                Next::Watcher(turn) => dispatch(self, Occasion::Watcher(turn)),
                Next::Done(result) => return Ok(result),
                Next::Idle | Next::Host => {}
            }
        }
    }

    /// The next event, through as many [turns](Self::turn) as it takes: the two steps in one, for who needs
    /// no say between them.
    ///
    /// # Errors
    /// As [`turn`](Self::turn).
    #[inline]
    pub fn next(&self, wait: Wait) -> Result<Next, Error> {
        let mut inner = self.shared.state.lock()?;
        match inner.next_due() {
            Some(ready) => Ok(Next::Event(ready)),
            None => self.next_after_turns(inner, wait),
        }
    }

    /// Apart, so that the way from one callback of a pass to the next is short.
    #[inline(never)]
    fn next_after_turns<'a>(&'a self, mut inner: Guard<'a, Inner>, wait: Wait) -> Result<Next, Error> {
        loop {
            let turn;
            (inner, turn) = self.turn_locked(inner, wait)?;
            match turn {
                Turn::Ready => {
                    if let Some(ready) = inner.first_due() {
                        return Ok(Next::Event(ready));
                    }
                }
                Turn::Done(result) => return Ok(Next::Done(result)),
                Turn::Idle => return Ok(Next::Idle),
                Turn::Host => return Ok(Next::Host),
                Turn::Watcher(turn) => return Ok(Next::Watcher(turn)),
            }
        }
    }

    /// Enters the loop, to be run in steps: [`turn`](Self::turn), then [`next_ready`](Self::next_ready) until
    /// there is none, over and over; then [`leave`](Self::leave).
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

    /// One iteration, up to where callbacks are due: looks for a reason to leave, waits, and makes active
    /// what became ready and what timed out. Answers for each watcher on the way, and goes on when called again.
    ///
    /// # Errors
    /// [`Error::System`] if the wait fails; the loop can be tried again or left. [`Error::Internal`] in debug
    /// mode, if the engine's own structures contradict each other. [`Error::WrongThread`] if this is not the
    /// thread that entered the loop; [`Error::Reentrant`] while the wait [is away](Self::start_wait),
    /// [`Error::Closed`].
    pub fn turn(&self, wait: Wait) -> Result<Turn, Error> {
        self.turn_locked(self.shared.state.lock()?, wait).map(|(_, turn)| turn)
    }

    fn turn_locked<'a>(
        &'a self,
        mut inner: Guard<'a, Inner>,
        wait: Wait,
    ) -> Result<(Guard<'a, Inner>, Turn), Error> {
        inner.check_turn()?;
        loop {
            // A pass that was left for a watcher goes on behind it.
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
                return Ok((inner, Turn::Done(result)));
            }
            if walk.is_some() || inner.begin_pass() {
                if walk.is_none_or(|walk| walk.kind == Kind::Prepare) {
                    if let Some(turn) = inner.next_prepare(walk) {
                        return Ok((inner, Turn::Watcher(turn)));
                    }
                    let until = inner.wait_until(wait);
                    inner = self.poll(inner, until)?;
                }
                if let Some(turn) = inner.next_check(walk) {
                    return Ok((inner, Turn::Watcher(turn)));
                }
                inner.expire_timers();
                if !inner.notes.is_empty() {
                    inner = self.tell_notes(inner)?;
                }
            }
            // Before the events: those of a loop that is never at rest would keep it waiting for ever.
            if std::mem::take(&mut inner.run.host) {
                return Ok((inner, Turn::Host));
            }
            if inner.has_ready() {
                inner.open_pass();
                return Ok((inner, Turn::Ready));
            }
            if wait == Wait::Never && inner.reason_to_leave().is_none() {
                inner.fall_asleep()?;
                return Ok((inner, Turn::Idle));
            }
        }
    }

    /// The next event that is due in this pass, taken out of its queue, not persistent ones deleted and
    /// persistent timers re-armed; `None` once the pass is over. Callbacks of the user run between calls.
    #[must_use]
    pub fn next_ready(&self) -> Option<Ready> {
        self.open().ok()?.next_due()
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
