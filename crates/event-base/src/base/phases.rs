//! What an iteration of the loop is made of: the phases that `Base::advance` calls.

use super::Inner;
use super::control::Attention;
use super::poll::Until;
use super::run::Finish;
use super::step::Wait;
use crate::backend::{Backend, Internal, Readiness, Waiter, signal_of};
use crate::error::Error;
use crate::event::{NONE, Ready, State};
use crate::flags::{Features, LoopFlags, LoopResult, What};
use crate::time::Nanos;

/// Passes in a row with readiness of registrations that are no more, after which the kernel's object is
/// made anew. One such pass can be a change made while the kernel's answer was under way.
const STALE_PASSES: u32 = 2;

impl Inner {
    /// An eventfd watched edge-triggered is silent by itself, a pipe must be emptied before it is full.
    fn drain_notifier(&self) {
        let is_edge_triggered =
            self.backend.as_ref().is_some_and(|backend| backend.features().contains(Features::ET));
        if let Some(notifier) = self.notifier.as_deref()
            && !(is_edge_triggered && notifier.is_counter())
        {
            notifier.drain();
        }
    }

    /// Lets the kernel know of changes that were put off, and deals with what it refused; answers whether that
    /// made anything active. What a wait that follows can take along is left to it.
    #[inline]
    pub(super) fn flush_changes(&mut self, wait_follows: bool) -> bool {
        let Some(backend) = &mut self.backend else { return false };
        if backend.flush(wait_follows) {
            self.request_wake();
        }
        self.settle_lost()
    }

    /// Deals with registrations that are no more though nobody deleted them: their events leave the map and
    /// become active, so that what the user then does with the descriptor meets the error. Answers whether
    /// there were any.
    #[inline]
    pub(super) fn settle_lost(&mut self) -> bool {
        let mut any = false;
        while let Some(token) = self.backend.as_mut().and_then(Backend::take_lost) {
            any = true;
            self.settle_one_lost(token);
        }
        any
    }

    #[cold]
    fn settle_one_lost(&mut self, token: u64) {
        let Some(backend) = &mut self.backend else { return };
        let mut orphans = std::mem::take(&mut self.orphans);
        self.fds.lose(&mut self.table, backend, token, &mut orphans);
        for &index in &orphans {
            self.unlist(index, State::INSERTED);
            let interests = self.table.at(index).what.io();
            self.make_active(index, interests);
        }
        orphans.clear();
        self.orphans = orphans;
    }

    pub(super) fn is_running(&self) -> bool {
        self.run.owner != 0
    }

    /// Whether this thread of this process may run the loop.
    pub(super) fn check_thread(&self) -> Result<(), Error> {
        if self.run.is_owner() && (self.is_current() || self.closed) {
            return Ok(());
        }
        Err(if self.is_current() { Error::WrongThread } else { self.refusal() })
    }

    /// What a pass leaves behind: whether this was the last one.
    pub(super) fn end_pass(&mut self) {
        self.settle_callback();
        self.close_pass();
        self.tell_waiters();
        self.sleep.end();
        let ran = std::mem::take(&mut self.pass.count) > 0;
        if self.run.flags.contains(LoopFlags::ONCE) && ran && !self.queues.has_active() {
            self.run.finish = Finish::Yes;
        }
    }

    /// Exit, break, the loop's flags, or nothing left to wait for, in this order.
    pub(super) fn reason_to_leave(&self) -> Option<LoopResult> {
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
    pub(super) fn begin_pass(&mut self) -> bool {
        self.control.attention -= Attention::NEXT_PASS;
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
    pub(super) fn wait_until(&mut self, wait: Wait) -> Until {
        self.time.forget();
        let at_once = wait == Wait::Never
            || self.run.flags.contains(LoopFlags::NONBLOCK)
            || self.run.host
            || self.signals.is_due()
            || self.has_ready()
            || self.counts.active() > 0
            // A prepare watcher may have asked to leave, or deleted the last event.
            || (!self.watchers.is_empty() && self.reason_to_leave().is_some());
        if at_once { Until::Now } else { self.next_deadline().map_or(Until::Woken, Until::Deadline) }
    }

    pub(super) fn next_deadline(&mut self) -> Option<Nanos> {
        let timer = self.timers.next_deadline(&mut self.table);
        let exit = self.control.next_exit();
        timer.into_iter().chain(exit).min()
    }

    /// Makes active what the wait found; answers whether there may be more.
    pub(super) fn collect(&mut self, waiter: &Waiter) -> bool {
        for place in 0..waiter.len() {
            let readiness = waiter.get(place);
            match Internal::of(readiness.token) {
                Some(Internal::Host) => self.run.host = true,
                Some(Internal::Notifier) => {
                    self.measures.wakeups_received += 1;
                    self.drain_notifier();
                }
                Some(Internal::Timer) => {}
                Some(Internal::Signals) => self.signals.note_readable(),
                Some(Internal::Signal) => {
                    let (number, times) = signal_of(readiness.token);
                    self.signals.tell(number, times);
                }
                None => self.collect_one(readiness),
            }
        }
        waiter.is_full()
    }

    fn collect_one(&mut self, readiness: Readiness) {
        let Some(mut index) = self.fds.first(readiness.token) else {
            self.run.stale = true;
            return;
        };
        while index != NONE {
            let (next, what) = (self.table.neighbours(index).next, self.table.at(index).what);
            let result = what & readiness.what;
            if result.intersects(What::IO) {
                self.make_active(index, result);
            }
            index = next;
        }
    }

    /// `timeout_process`: a deadline that passed deletes a one-shot event, and only disarms a persistent one.
    pub(super) fn expire_timers(&mut self) {
        // Without a deadline nobody needs to know what time it is.
        if self.next_deadline().is_none() {
            return;
        }
        let now = self.time.now();
        self.control.expire(now);
        // Two loops, so that the one without a stopwatch does not look for it at every timer.
        if self.measures.is_timed() {
            self.expire_until::<true>(now)
        } else {
            self.expire_until::<false>(now)
        }
    }

    fn expire_until<const TIMED: bool>(&mut self, now: Nanos) {
        while let Some(index) = self.timers.pop_due(&mut self.table, now) {
            self.unlist(index, State::TIMEOUT);
            let record = self.table.at(index);
            if TIMED {
                self.measures.add_lag(now.saturating_sub(record.timer.last_deadline()));
            }
            if !record.state.intersects(State::QUEUED) && !record.what.contains(What::PERSIST) {
                self.delete(index);
            }
            self.make_active(index, What::TIMEOUT);
        }
    }

    /// [`next_due`](Self::next_due), for who calls it once a pass.
    #[inline(never)]
    pub(super) fn first_due(&mut self) -> Option<Ready> {
        self.next_due()
    }

    /// The next event to hand out: an orphan first, then this pass's.
    #[inline(always)]
    pub(super) fn next_due(&mut self) -> Option<Ready> {
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
    pub(super) fn is_stuck(&mut self) -> bool {
        if !std::mem::take(&mut self.run.stale) {
            self.run.stale_passes = 0;
            return false;
        }
        self.run.stale_passes += 1;
        self.run.stale_passes >= STALE_PASSES && std::mem::take(&mut self.run.stale_passes) > 0
    }
}
