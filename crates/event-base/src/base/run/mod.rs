//! The loop.
//!
//! A pass polls once and dispatches the most urgent queue that has events, in the order they became active; other
//! queues wait for the next pass, which polls first.

mod block;
mod control;
mod pass;
mod phases;
mod repeats;
mod step;
mod watchers;

use block::Waiters;
use control::Control;
use pass::Pass;
use repeats::Repeats;
pub use step::{Step, Wait, WatcherCall};
pub use watchers::WatcherId;
use watchers::{Kind, Walk, Watchers};

use super::{Base, Inner};
use crate::config::DispatchLimits;
use crate::error::Error;
use crate::event::Ready;
use crate::flags::{LoopFlags, LoopResult};
use crate::sync::{Guard, thread_token};

/// What only the loop uses: its state, its pass, and the requests to it.
#[derive(Debug)]
pub(super) struct Run {
    pass: Pass,
    control: Control,
    current: Current,
    repeats: Repeats,
    limits: DispatchLimits,
    watchers: Watchers,
    waiters: Waiters,
}

/// The running loop.
#[derive(Debug, Default)]
struct Current {
    /// The thread that runs it; 0 while none does.
    owner: usize,
    flags: LoopFlags,
    finish: Finish,
    /// Whether the host's own loop has work.
    has_host_work: bool,
    /// Whether this pass found readiness of a registration that no longer exists.
    is_stale: bool,
    /// The number of consecutive passes that did.
    stale_passes: u32,
    /// The walk through watchers that the last step interrupted.
    walk: Option<Walk>,
}

/// Whether the flags of the loop end it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Finish {
    #[default]
    No,
    /// NONBLOCK has polled: active events are still dispatched, and the loop does not poll again.
    Polled,
    /// ONCE has dispatched a pass.
    Yes,
}

impl Run {
    pub(super) fn new(limits: DispatchLimits) -> Self {
        Run {
            pass: Pass::default(),
            control: Control::default(),
            current: Current::default(),
            repeats: Repeats::default(),
            limits,
            watchers: Watchers::default(),
            waiters: Waiters::default(),
        }
    }

    #[inline]
    pub(super) fn is_running(&self) -> bool {
        self.current.owner != 0
    }

    /// Whether this thread runs the loop.
    #[inline]
    pub(super) fn is_owner(&self) -> bool {
        self.current.owner == thread_token()
    }

    /// The host's own loop has work.
    pub(super) fn note_host_work(&mut self) {
        self.current.has_host_work = true;
    }

    /// The loop ended with its thread, which a fork did not copy.
    pub(super) fn abandon(&mut self) {
        self.current = Current::default();
    }

    pub(super) fn remove_watchers(&mut self) {
        self.watchers = Watchers::default();
    }
}

impl Base {
    /// Runs the loop on this thread until there is a reason to leave it, and calls `dispatch` for every active
    /// event (`event_base_loop`). Watchers are not called: see [`run_with_watchers`](Self::run_with_watchers).
    ///
    /// If `dispatch` panics the loop is left and can be entered again; events still active stay so.
    ///
    /// # Errors
    /// [`Error::Reentrant`] if a loop runs on this base already, [`Error::System`] if the wait fails.
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
    /// [`leave`](Self::leave). A base without locks belongs to this thread from then on.
    ///
    /// # Errors
    /// [`Error::Reentrant`] if a loop runs on this base already.
    pub fn enter(&self, flags: LoopFlags) -> Result<(), Error> {
        let mut inner = self.open()?;
        if inner.run.is_running() {
            return Err(Error::Reentrant);
        }
        inner.run.current = Current { owner: thread_token(), flags, ..Current::default() };
        inner.time.forget();
        inner.run.control.enter();
        inner.pin();
        Ok(())
    }

    /// Runs the loop up to its next step: takes the next active event of the pass out of its queue, or begins
    /// another pass, waits, and makes active what became ready and what expired.
    ///
    /// A one-shot event is deleted and a persistent timer armed again before its event is returned. The caller
    /// runs callbacks between calls, without a lock.
    ///
    /// # Errors
    /// [`Error::System`] if the wait fails; the loop can be tried again or left. [`Error::Internal`] in debug
    /// mode, if the engine's own structures contradict each other. [`Error::WrongThread`] if this is not the
    /// thread that entered the loop; [`Error::Reentrant`] while a host [has the wait](Self::start_wait).
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
            let walk = inner.run.current.walk.take();
            let reason = if walk.is_some() {
                inner.reason_to_break_off()
            } else {
                inner.end_pass();
                inner.check_consistency()?;
                if inner.report.has_messages() {
                    inner = self.report_messages(inner)?;
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
                if inner.report.has_messages() {
                    inner = self.report_messages(inner)?;
                }
            }
            // Before the events: a loop that always has active events would never return to its host.
            if std::mem::take(&mut inner.run.current.has_host_work) {
                return Ok(Step::Host);
            }
            if inner.events.has_ready() {
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
            // The next loop may be entered much later, or never.
            inner.flush_changes();
            inner.run.current.owner = 0;
            inner.release();
        }
    }
}
