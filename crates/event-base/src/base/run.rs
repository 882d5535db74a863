//! The loop.

use std::time::Duration;

use super::{Base, Inner};
use crate::backend::{Internal, Waiter};
use crate::error::Error;
use crate::event::{NONE, Ready, State};
use crate::flags::{LoopFlags, LoopResult, What};
use crate::sync::{Guard, thread_token};
use crate::time::Nanos;

/// Waits in one pass while each fills all the room there is; more is left to the next pass.
const MOST_WAITS: usize = 8;

/// Passes in a row with readiness of registrations that are no more, after which the kernel's object is
/// made anew. One such pass can be a change made while the kernel's answer was under way.
const STALE_PASSES: u32 = 2;

/// What [`Base::turn`] came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Events are due: take them with [`Base::next_ready`] until there is none.
    Ready,
    /// The loop is over; [`Base::leave`] it.
    Done(LoopResult),
    /// Nothing is due now. Only with [`Wait::Never`].
    Idle,
    /// The host's own loop has work: see [`Base::watch_host`].
    Host,
}

/// How [`Base::turn`] waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Until something is due.
    Allowed,
    /// Not at all: a host waits, on [`Base::descriptor`].
    Never,
}

/// The loop under way.
#[derive(Debug, Default)]
pub(super) struct Run {
    /// The thread that runs it; 0 while none does.
    owner: usize,
    flags: LoopFlags,
    /// The last pass ended a loop with ONCE, or the one poll of a loop with NONBLOCK was made.
    finish: Finish,
    /// Passes in a row that heard of registrations which are no more.
    stale_passes: u32,
    /// This pass did.
    stale: bool,
    /// The host's own loop has work.
    host: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Finish {
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
    /// to `dispatch` (`event_base_loop`).
    ///
    /// If `dispatch` panics the loop is left and can be entered again; events still active stay so.
    ///
    /// # Errors
    /// [`Error::Reentrant`] if a loop runs on this base already, [`Error::System`] if the wait fails,
    /// [`Error::Closed`], [`Error::WrongThread`].
    pub fn run(
        &self,
        flags: LoopFlags,
        mut dispatch: impl FnMut(&Base, Ready),
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
            if let Turn::Done(result) = self.turn(Wait::Allowed)? {
                return Ok(result);
            }
            while let Some(ready) = self.next_ready() {
                dispatch(self, ready);
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
    /// what became ready and what timed out.
    ///
    /// # Errors
    /// [`Error::System`] if the wait fails; the loop can be tried again or left.
    pub fn turn(&self, wait: Wait) -> Result<Turn, Error> {
        let mut inner = self.shared.state.lock()?;
        loop {
            inner.end_pass();
            if let Some(result) = inner.reason_to_leave() {
                return Ok(Turn::Done(result));
            }
            if inner.begin_pass() {
                let timeout = inner.wait_time(wait);
                inner = self.poll(inner, timeout)?;
                inner.time.refresh();
                inner.expire_timers();
            }
            if inner.has_ready() {
                inner.open_pass();
                return Ok(Turn::Ready);
            }
            if std::mem::take(&mut inner.run.host) {
                return Ok(Turn::Host);
            }
            if wait == Wait::Never && inner.reason_to_leave().is_none() {
                inner.fall_asleep()?;
                return Ok(Turn::Idle);
            }
        }
    }

    /// The next event that is due in this pass, taken out of its queue, not persistent ones deleted and
    /// persistent timers re-armed; `None` once the pass is over. Callbacks of the user run between calls.
    #[must_use]
    pub fn next_ready(&self) -> Option<Ready> {
        let mut inner = self.open().ok()?;
        if !inner.departed.is_empty() && let Some(departed) = inner.next_departed() {
            return Some(departed);
        }
        inner.next_ready()
    }

    /// Leaves the loop. Without effect if none runs.
    pub fn leave(&self) {
        if let Ok(mut inner) = self.shared.state.lock() {
            inner.end_pass();
            inner.time.forget();
            inner.sleep.end();
            inner.run.owner = 0;
        }
    }

    /// Asks the backend what is ready, without the lock while it waits.
    fn poll<'a>(&'a self, mut inner: Guard<'a, Inner>, timeout: Option<Duration>) -> Result<Guard<'a, Inner>, Error> {
        let mut waiter = inner.backend.start_wait();
        let mut timeout = timeout;
        let mut result = Ok(());
        for _ in 0..MOST_WAITS {
            if timeout != Some(Duration::ZERO) {
                let until = timeout.map(|timeout| inner.time.fresh().saturating_add(crate::time::nanos(timeout)));
                inner.sleep.begin(until);
                drop(inner);
                result = waiter.wait(timeout);
                inner = self.shared.state.lock()?;
                if inner.sleep.end() {
                    self.drain_notifier();
                }
            } else {
                result = waiter.wait(timeout);
            }
            let full = inner.collect(&waiter);
            inner.backend.finish_wait(waiter);
            if !full || result.is_err() {
                break;
            }
            waiter = inner.backend.start_wait();
            timeout = Some(Duration::ZERO);
        }
        result?;
        if inner.is_stuck() {
            self.renew_backend(&mut inner)?;
        }
        Ok(inner)
    }

    /// An eventfd watched edge-triggered is silent by itself, a pipe must be emptied before it is full.
    fn drain_notifier(&self) {
        use crate::sys::notify::Notifier;
        if let Some(notifier @ Notifier::Pipe { .. }) = self.shared.notifier.get() {
            notifier.drain();
        }
    }
}

impl Inner {
    pub(super) fn is_running(&self) -> bool {
        self.run.owner != 0
    }

    /// What a pass leaves behind: whether this was the last one.
    fn end_pass(&mut self) {
        self.pass.close();
        self.sleep.end();
        let ran = std::mem::take(&mut self.pass.count) > 0;
        if self.run.flags.contains(LoopFlags::ONCE) && ran && !self.queues.has_active() {
            self.run.finish = Finish::Yes;
        }
    }

    /// Exit, break, the loop's flags, or nothing left to wait for, in this order.
    fn reason_to_leave(&self) -> Option<LoopResult> {
        if self.closed || self.control.is_stopping() || self.run.finish == Finish::Yes {
            return Some(LoopResult::Stopped);
        }
        let may_be_empty = !self.run.flags.contains(LoopFlags::NO_EXIT_ON_EMPTY);
        if may_be_empty && self.is_empty() {
            return Some(LoopResult::Empty);
        }
        let polled = self.run.finish == Finish::Polled && !self.queues.has_active();
        polled.then_some(LoopResult::Stopped)
    }

    /// Answers whether this pass is to look for something new.
    fn begin_pass(&mut self) -> bool {
        self.control.next_pass = false;
        self.count_pass();
        if self.run.finish == Finish::Polled {
            return false;
        }
        if self.run.flags.contains(LoopFlags::NONBLOCK) {
            self.run.finish = Finish::Polled;
        }
        self.promote_later();
        true
    }

    /// How long to wait: not at all while something is due, else until the first deadline, counted from
    /// now, not from when the callbacks began.
    fn wait_time(&mut self, wait: Wait) -> Option<Duration> {
        self.time.forget();
        let at_once = wait == Wait::Never
            || self.run.flags.contains(LoopFlags::NONBLOCK)
            || self.has_ready()
            || self.counts.active() > 0;
        if at_once {
            return Some(Duration::ZERO);
        }
        let deadline = self.next_deadline()?;
        Some(Duration::from_nanos(deadline.saturating_sub(self.time.fresh())))
    }

    pub(super) fn next_deadline(&mut self) -> Option<Nanos> {
        let timer = self.timers.next_deadline(&mut self.table);
        let exit = self.control.next_exit();
        timer.into_iter().chain(exit).min()
    }

    /// Makes active what the wait found; answers whether there may be more.
    fn collect(&mut self, waiter: &Waiter) -> bool {
        for place in 0..waiter.len() {
            let readiness = waiter.get(place);
            match Internal::of(readiness.token) {
                Some(Internal::Host) => self.run.host = true,
                Some(Internal::Notifier | Internal::Timer) => {}
                None => self.collect_one(readiness),
            }
        }
        waiter.is_full()
    }

    fn collect_one(&mut self, readiness: crate::backend::Readiness) {
        let Some(mut index) = self.fds.first(readiness.token) else {
            self.run.stale = true;
            return;
        };
        while index != NONE {
            let record = self.table.at(index);
            let (next, what) = (record.fd_next, record.what);
            if what.intersects(readiness.what) {
                self.make_active(index, what & (readiness.what | What::ET));
            }
            index = next;
        }
    }

    /// `timeout_process`: a deadline that passed deletes a one-shot event, and only disarms a persistent one.
    fn expire_timers(&mut self) {
        let now = self.time.now();
        self.control.expire(now);
        while let Some(index) = self.timers.pop_due(&mut self.table, now) {
            self.unlist(index, State::TIMEOUT);
            let record = self.table.at(index);
            if !record.state.intersects(State::QUEUED) && !record.what.contains(What::PERSIST) {
                self.delete(index);
            }
            self.make_active(index, What::TIMEOUT);
        }
    }

    pub(super) fn has_ready(&self) -> bool {
        self.queues.has_active() || !self.departed.is_empty()
    }

    /// A registration the kernel kept although its descriptor was closed, because a duplicate keeps the file
    /// open, can neither be named nor removed (epoll(7), Q6): it would be ready for ever. The way out is a
    /// kernel object without it.
    fn is_stuck(&mut self) -> bool {
        if !std::mem::take(&mut self.run.stale) {
            self.run.stale_passes = 0;
            return false;
        }
        self.run.stale_passes += 1;
        self.run.stale_passes >= STALE_PASSES && std::mem::take(&mut self.run.stale_passes) > 0
    }
}
