//! The loop.

use std::time::Duration;

use super::{Base, Inner};
use crate::backend::{Internal, Waiter};
use crate::error::Error;
use crate::event::{NONE, Ready, State};
use crate::flags::{LoopFlags, LoopResult, What};
use crate::sync::{Guard, thread_token};
use crate::sys::notify::Notifier;
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

/// What [`Base::next`] came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// An event's turn.
    Event(Ready),
    /// The loop is over; [`Base::leave`] it.
    Done(LoopResult),
    /// Nothing is due now. Only with [`Wait::Never`].
    Idle,
    /// The host's own loop has work: see [`Base::watch_host`].
    Host,
}

/// How long a wait may last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Until {
    /// Not at all.
    Now,
    /// Until this time.
    Deadline(Nanos),
    /// Until something happens.
    Woken,
}

impl Until {
    fn deadline(self) -> Option<Nanos> {
        match self {
            Until::Deadline(deadline) => Some(deadline),
            Until::Now | Until::Woken => None,
        }
    }
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
    pub fn run(&self, flags: LoopFlags, mut dispatch: impl FnMut(&Base, Ready)) -> Result<LoopResult, Error> {
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
                Next::Event(ready) => dispatch(self, ready),
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
    pub fn next(&self, wait: Wait) -> Result<Next, Error> {
        let mut inner = self.shared.state.lock()?;
        loop {
            if let Some(ready) = inner.next_due() {
                return Ok(Next::Event(ready));
            }
            let turn;
            (inner, turn) = self.turn_locked(inner, wait)?;
            match turn {
                Turn::Ready => {}
                Turn::Done(result) => return Ok(Next::Done(result)),
                Turn::Idle => return Ok(Next::Idle),
                Turn::Host => return Ok(Next::Host),
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
    /// [`Error::System`] if the wait fails; the loop can be tried again or left. [`Error::WrongThread`] if this
    /// is not the thread that entered the loop, [`Error::Closed`].
    pub fn turn(&self, wait: Wait) -> Result<Turn, Error> {
        self.turn_locked(self.shared.state.lock()?, wait).map(|(_, turn)| turn)
    }

    fn turn_locked<'a>(
        &'a self,
        mut inner: Guard<'a, Inner>,
        wait: Wait,
    ) -> Result<(Guard<'a, Inner>, Turn), Error> {
        if !inner.run.is_owner() {
            return Err(if inner.closed { Error::Closed } else { Error::WrongThread });
        }
        loop {
            inner.end_pass();
            if let Some(result) = inner.reason_to_leave() {
                return Ok((inner, Turn::Done(result)));
            }
            if inner.begin_pass() {
                let until = inner.wait_until(wait);
                inner = self.poll(inner, until)?;
                inner.expire_timers();
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
            inner.run.owner = 0;
            inner.release();
        }
    }

    /// Asks the backend what is ready, without the lock while it waits.
    fn poll<'a>(&'a self, mut inner: Guard<'a, Inner>, until: Until) -> Result<Guard<'a, Inner>, Error> {
        let mut waiter = inner.backend()?.start_wait();
        let mut result = if until == Until::Now {
            waiter.wait(Some(Duration::ZERO))
        } else {
            // From a fresh reading: the time that callbacks took must not make timers late.
            let deadline = until.deadline();
            let timeout = deadline.map(|deadline| deadline.saturating_sub(inner.time.fresh()));
            inner.sleep.begin(deadline);
            drop(inner);
            let result = waiter.wait(timeout.map(Duration::from_nanos));
            inner = self.shared.state.lock()?;
            inner.sleep.end();
            result
        };
        inner.time.begin_pass();
        for waits in 1.. {
            // A wait that failed found nothing; the waiter still holds what the one before found.
            let full = result.is_ok() && inner.collect(&waiter);
            inner.backend()?.finish_wait(waiter);
            if !full || waits == MOST_WAITS {
                break;
            }
            waiter = inner.backend()?.start_wait();
            result = waiter.wait(Some(Duration::ZERO));
        }
        result?;
        if inner.is_stuck() {
            inner.renew_backend()?;
        }
        Ok(inner)
    }
}

impl Inner {
    /// An eventfd watched edge-triggered is silent by itself, a pipe must be emptied before it is full.
    fn drain_notifier(&self) {
        if let Some(notifier @ Notifier::Pipe { .. }) = self.notifier.as_deref() {
            notifier.drain();
        }
    }

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
        if self.run.finish == Finish::Polled {
            // Not a pass of its own: what had its turn since the poll does not get another.
            return false;
        }
        self.count_pass();
        if self.run.flags.contains(LoopFlags::NONBLOCK) {
            self.run.finish = Finish::Polled;
        }
        self.promote_later();
        true
    }

    /// Until when to wait: not at all while something is due, else for the first deadline.
    fn wait_until(&mut self, wait: Wait) -> Until {
        self.time.forget();
        let at_once = wait == Wait::Never
            || self.run.flags.contains(LoopFlags::NONBLOCK)
            || self.run.host
            || self.has_ready()
            || self.counts.active() > 0;
        if at_once { Until::Now } else { self.next_deadline().map_or(Until::Woken, Until::Deadline) }
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
                Some(Internal::Notifier) => self.drain_notifier(),
                Some(Internal::Timer) => {}
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
            let (next, what) = (self.table.neighbours(index).next, self.table.at(index).what);
            if what.intersects(readiness.what) {
                self.make_active(index, what & (readiness.what | What::ET));
            }
            index = next;
        }
    }

    /// `timeout_process`: a deadline that passed deletes a one-shot event, and only disarms a persistent one.
    fn expire_timers(&mut self) {
        // Without a deadline nobody needs to know what time it is.
        if self.next_deadline().is_none() {
            return;
        }
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

    /// The next event to hand out: an orphan first, then this pass's.
    fn next_due(&mut self) -> Option<Ready> {
        if !self.departed.is_empty()
            && let Some(departed) = self.next_departed()
        {
            return Some(departed);
        }
        self.next_ready()
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
