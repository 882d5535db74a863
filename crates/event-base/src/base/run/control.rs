//! Leaving the loop: exit, break, continue.
//!
//! An exit lets the current pass finish; a break ends it after the current callback; a continue ends it and
//! polls again. An exit or a break that is requested while no loop runs applies to the next one.

use std::time::Duration;

use bitflags::bitflags;

use crate::base::Base;
use crate::error::Error;
use crate::time::{Nanos, nanos};

bitflags! {
    /// What the loop handles after the current callback; the test for all of it is one comparison.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub(super) struct Attention: u8 {
        /// Leave the loop.
        const BREAK = 0x01;
        /// End this pass.
        const NEXT_PASS = 0x02;
        /// Other threads wait for the callback to end: see [`super::block`].
        const WAITED_FOR = 0x04;
        /// The event dispatched last is to be dispatched again, which does not end the pass: see [`super::repeats`].
        const REPEATS = 0x08;
    }
}

/// Requests to the loop.
#[derive(Debug, Default)]
pub(super) struct Control {
    /// Exits at a later time, the latest first.
    exits: Vec<Nanos>,
    got_exit: bool,
    /// A break that was requested while no loop was running.
    break_next: bool,
    pub(super) attention: Attention,
}

impl Control {
    pub(super) fn enter(&mut self) {
        self.got_exit = false;
        self.attention = Attention::empty();
        self.attention.set(Attention::BREAK, std::mem::take(&mut self.break_next));
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.got_exit || self.is_breaking()
    }

    pub(super) fn is_breaking(&self) -> bool {
        self.attention.contains(Attention::BREAK)
    }

    pub(super) fn next_exit(&self) -> Option<Nanos> {
        self.exits.last().copied()
    }

    pub(super) fn has_exits(&self) -> bool {
        !self.exits.is_empty()
    }
}

impl super::Run {
    /// Takes the exits whose deadline is `now` or before.
    pub(in crate::base) fn expire_exits(&mut self, now: Nanos) {
        while self.control.exits.pop_if(|deadline| *deadline <= now).is_some() {
            self.control.got_exit = true;
        }
    }
}

impl Base {
    /// Leaves the loop at the end of the pass, now or when `after` has passed (`event_base_loopexit`).
    ///
    /// An exit without a delay while no loop runs makes the next loop run a single pass. Several may be pending;
    /// each ends one loop and keeps it from being empty. `after` counts from the cached time in callbacks, and from
    /// the current time on other threads. Any thread.
    pub fn loop_exit(&self, after: Option<Duration>) -> Result<(), Error> {
        self.with(|inner| {
            let after = after.unwrap_or_default();
            if after.is_zero() && inner.run.is_running() {
                inner.run.control.got_exit = true;
                inner.kernel.request_wake();
                return;
            }
            let deadline = inner.now_for_caller().saturating_add(nanos(after));
            let exits = &mut inner.run.control.exits;
            let place = exits.partition_point(|other| *other > deadline);
            exits.insert(place, deadline);
            inner.kernel.request_wake_by(deadline);
        })
    }

    /// Leaves the loop after the current callback; events still active stay so (`event_base_loopbreak`).
    ///
    /// While no loop runs, the next one returns immediately. Any thread.
    pub fn loop_break(&self) -> Result<(), Error> {
        self.with(|inner| {
            if inner.run.is_running() {
                inner.run.control.attention |= Attention::BREAK;
                inner.kernel.request_wake();
            } else {
                inner.run.control.break_next = true;
            }
        })
    }

    /// Ends the pass after the current callback and polls again (`event_base_loopcontinue`). Without effect
    /// outside callbacks. Any thread.
    pub fn loop_continue(&self) -> Result<(), Error> {
        self.with(|inner| inner.run.control.attention |= Attention::NEXT_PASS)
    }

    /// Whether the loop was, or is being, left by an exit; reset when the next loop is entered
    /// (`event_base_got_exit`).
    pub fn got_exit(&self) -> Result<bool, Error> {
        self.with(|inner| inner.run.control.got_exit)
    }

    /// Whether the loop was, or is being, left by a break; reset when the next loop is entered
    /// (`event_base_got_break`).
    pub fn got_break(&self) -> Result<bool, Error> {
        self.with(|inner| inner.run.control.is_breaking() || inner.run.control.break_next)
    }
}
