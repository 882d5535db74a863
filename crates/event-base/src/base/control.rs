//! Leaving the loop: exit, break, continue.
//!
//! An exit lets the current pass finish; a break ends it after the current callback; a continue ends it and
//! polls again. An exit or a break asked for while no loop runs applies to the next one: neither is lost.

use std::time::Duration;

use bitflags::bitflags;

use super::{Base, Inner};
use crate::error::Error;
use crate::time::{Nanos, nanos};

bitflags! {
    /// What the loop is to look at after the current callback: one test where there is nothing.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub(super) struct Attention: u8 {
        /// Leave the loop.
        const BREAK = 0x01;
        /// End this pass.
        const NEXT_PASS = 0x02;
        /// Other threads wait for the callback to end: see [`super::block`].
        const WAITED_FOR = 0x04;
        /// The event just called is to be called again, and ends no pass: see [`super::signals`].
        const REPEATS = 0x08;
    }
}

/// Requests to the loop.
#[derive(Debug, Default)]
pub(super) struct Control {
    /// Exits at a later time, the latest first.
    exits: Vec<Nanos>,
    got_exit: bool,
    /// A break that came while no loop was running.
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

    /// Takes the exits that are due at `now`.
    pub(super) fn expire(&mut self, now: Nanos) {
        while self.exits.pop_if(|deadline| *deadline <= now).is_some() {
            self.got_exit = true;
        }
    }
}

impl Base {
    /// Leaves the loop at the end of the pass, now or when `after` has passed (`event_base_loopexit`).
    ///
    /// An exit at once that comes while no loop runs lets the next one do a single pass. Several may be
    /// pending; each ends one loop and keeps it from being empty. Any thread.
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::WrongThread`].
    pub fn loop_exit(&self, after: Option<Duration>) -> Result<(), Error> {
        self.with(|inner| {
            let after = after.unwrap_or_default();
            if after.is_zero() && inner.is_running() {
                inner.control.got_exit = true;
                inner.request_wake();
                return;
            }
            let deadline = inner.time.now().saturating_add(nanos(after));
            let exits = &mut inner.control.exits;
            let place = exits.partition_point(|other| *other > deadline);
            exits.insert(place, deadline);
            inner.request_wake_by(deadline);
        })
    }

    /// Leaves the loop after the current callback; events still active stay so (`event_base_loopbreak`).
    ///
    /// While no loop runs, the next one returns at once. Any thread.
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::WrongThread`].
    pub fn loop_break(&self) -> Result<(), Error> {
        self.with(|inner| {
            if inner.is_running() {
                inner.control.attention |= Attention::BREAK;
                inner.request_wake();
            } else {
                inner.control.break_next = true;
            }
        })
    }

    /// Ends the pass after the current callback and polls again (`event_base_loopcontinue`). Without effect
    /// outside callbacks. Any thread.
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::WrongThread`].
    pub fn loop_continue(&self) -> Result<(), Error> {
        self.with(|inner| inner.control.attention |= Attention::NEXT_PASS)
    }

    /// Whether the loop was, or is being, left by an exit; until the next loop begins
    /// (`event_base_got_exit`).
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::WrongThread`].
    pub fn got_exit(&self) -> Result<bool, Error> {
        self.with(|inner| inner.control.got_exit)
    }

    /// Whether the loop was, or is being, left by a break; until the next loop begins
    /// (`event_base_got_break`).
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::WrongThread`].
    pub fn got_break(&self) -> Result<bool, Error> {
        self.with(|inner| inner.control.is_breaking() || inner.control.break_next)
    }
}

impl Inner {
    /// Nothing that could ever end a wait (step 6 of `event_base_loop`).
    pub(super) fn is_empty(&self) -> bool {
        self.counts.is_empty() && self.control.exits.is_empty() && self.departed.is_empty()
    }
}
