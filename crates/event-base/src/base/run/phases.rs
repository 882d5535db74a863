//! The phases of a pass, which [`Base::advance`](crate::Base) calls.

use super::Finish;
use super::control::Attention;
use super::step::Wait;
use crate::backend::{Internal, Waiter, signal_of};
use crate::base::Inner;
use crate::base::poll::Until;
use crate::error::Error;
use crate::flags::{LoopFlags, LoopResult};
use crate::time::Nanos;

/// The number of consecutive passes with readiness of registrations that no longer exist after which the kernel's
/// object is replaced. A change that is made during a wait can cause one such pass.
const STALE_PASSES: u32 = 2;

impl Inner {
    /// Whether this thread of this process runs the loop.
    ///
    /// # Errors
    /// [`Error::WrongThread`] if it does not; [`Error::Forked`], [`Error::Closed`].
    pub(super) fn check_thread(&self) -> Result<(), Error> {
        if self.run.is_owner() && (self.is_current() || self.closed) {
            return Ok(());
        }
        Err(if self.is_current() { Error::WrongThread } else { self.refusal() })
    }

    /// Ends the pass; with ONCE, decides whether it was the last one.
    pub(in crate::base) fn end_pass(&mut self) {
        self.settle_callback();
        self.close_pass();
        self.notify_waiters();
        self.kernel.end_sleep();
        let ran = std::mem::take(&mut self.run.pass.count) > 0;
        if self.run.current.flags.contains(LoopFlags::ONCE) && ran && !self.events.has_active() {
            self.run.current.finish = Finish::Yes;
        }
    }

    /// The reason to leave the loop, if there is one: a closed base, an exit, a break or the loop's flags
    /// ([`LoopResult::Stopped`]), or nothing left to wait for ([`LoopResult::Empty`]).
    pub(super) fn reason_to_leave(&self) -> Option<LoopResult> {
        if self.closed || self.run.control.is_stopping() || self.run.current.finish == Finish::Yes {
            return Some(LoopResult::Stopped);
        }
        let may_be_empty = !self.run.current.flags.contains(LoopFlags::NO_EXIT_ON_EMPTY);
        if may_be_empty && self.is_empty() {
            return Some(LoopResult::Empty);
        }
        let has_polled = self.run.current.finish == Finish::Polled && !self.events.has_active();
        has_polled.then_some(LoopResult::Stopped)
    }

    /// The reason to end a pass between two watchers. Without this check the rest of the pass would still wait or
    /// dispatch.
    pub(super) fn reason_to_break_off(&self) -> Option<LoopResult> {
        (self.closed || self.run.control.is_breaking()).then_some(LoopResult::Stopped)
    }

    /// Returns whether this pass polls.
    pub(super) fn begin_pass(&mut self) -> bool {
        self.run.control.attention -= Attention::NEXT_PASS;
        if self.run.current.finish == Finish::Polled {
            // Not a new pass: events that were dispatched since the poll are not dispatched again.
            return false;
        }
        self.count_pass();
        if self.run.current.flags.contains(LoopFlags::NONBLOCK) {
            self.run.current.finish = Finish::Polled;
        }
        self.promote_later();
        true
    }

    /// Until when to wait: not at all while an event is active, otherwise until the first deadline.
    pub(super) fn wait_until(&mut self, wait: Wait) -> Until {
        self.time.forget();
        let must_not_wait = wait == Wait::Never
            || self.run.current.flags.contains(LoopFlags::NONBLOCK)
            || self.run.current.has_host_work
            || self.events.has_work()
            // A prepare watcher may have requested to leave, or deleted the last event.
            || (!self.run.watchers.is_empty() && self.reason_to_leave().is_some());
        if must_not_wait { Until::Now } else { self.next_deadline().map_or(Until::Woken, Until::Deadline) }
    }

    /// The first deadline, of a timer or of an exit.
    pub(in crate::base) fn next_deadline(&mut self) -> Option<Nanos> {
        let timer = self.events.next_deadline();
        let exit = self.run.control.next_exit();
        timer.into_iter().chain(exit).min()
    }

    /// Makes active the events that the wait found ready; returns whether there may be more.
    pub(in crate::base) fn collect(&mut self, waiter: &Waiter) -> bool {
        for place in 0..waiter.len() {
            let readiness = waiter.get(place);
            match Internal::of(readiness.token) {
                Some(Internal::Host) => self.run.note_host_work(),
                Some(Internal::Notifier) => {
                    self.report.count_wakeup_received();
                    self.kernel.drain_notifier();
                }
                Some(Internal::Timer) => {}
                Some(Internal::Signals) => self.events.note_signals_readable(),
                Some(Internal::Signal) => {
                    let (number, times) = signal_of(readiness.token);
                    self.events.note_signal(number, times);
                }
                None => {
                    if !self.make_ready(readiness) {
                        self.run.current.is_stale = true;
                    }
                }
            }
        }
        waiter.is_full()
    }

    /// Whether a registration is stuck in the kernel: its descriptor was closed, but a duplicate keeps the file
    /// open, so it stays registered and can neither be named nor removed (`epoll(7)`, "Questions and answers", 6).
    /// It would be ready for ever; only a new kernel object does not have it.
    pub(in crate::base) fn is_stuck(&mut self) -> bool {
        let current = &mut self.run.current;
        if !std::mem::take(&mut current.is_stale) {
            current.stale_passes = 0;
            return false;
        }
        current.stale_passes += 1;
        current.stale_passes >= STALE_PASSES && std::mem::take(&mut current.stale_passes) > 0
    }

    /// Whether nothing could ever end a wait (step 6 of `event_base_loop`).
    pub(in crate::base) fn is_empty(&self) -> bool {
        self.events.is_empty() && !self.run.control.has_exits()
    }
}
