//! How JavaScript learns whose turn it is: it asks, and gets one number.
//!
//! Bits 0-23 are the event's slot, bits 24-31 what happened, with two meanings put on bits that no result
//! bears: [`RELEASED`] in place of PERSIST, and [`ORPHANED`], which is RELEASED with ET alone. The highest slot
//! never exists; with it, bits 24-31 are one of the [`StepCode`]s.

use std::time::Duration;

use crate::handle::HandleState;
use event_base::{Error, LoopResult, Ready, Step as EngineStep, Wait, WatcherCall};

/// The slot that marks a signal.
const NO_SLOT: u32 = (1 << 24) - 1;
/// The event is no more: its slot may be another's from now on.
const RELEASED: u32 = 0x10;
/// The event is no more because its descriptor had been closed; nothing happened to it.
const ORPHANED: u32 = 0x30;

/// What is said in place of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum StepCode {
    /// The loop is over: stopped.
    Stopped = 0,
    /// The loop is over: nothing left to wait for.
    Empty = 1,
    /// JavaScript is to look up: its environment may be ending.
    Host = 2,
    /// The loop is over: waiting failed.
    Failed = 3,
    /// Something happened to a listener, a connect or a relay; the loop goes on.
    Net = 4,
    /// A watcher's turn before the wait: `loopWatcher` and `loopWait` say which and for how long.
    Prepare = 5,
    /// A watcher's turn after the wait: `loopWatcher` says which.
    Check = 6,
}

/// The watcher whose turn was told last.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Told {
    /// Its id as a number.
    pub(crate) watcher: u64,
    /// How long the loop is going to wait.
    pub(crate) wait: Option<Duration>,
}

/// What one step of the loop came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A number for JavaScript; the loop goes on.
    Call(i32),
    /// The loop is over.
    Done(LoopResult),
    /// JavaScript is to look up.
    Host,
    /// Nothing is due now.
    Idle,
}

impl StepCode {
    pub(crate) fn code(self) -> i32 {
        (NO_SLOT | (self as u32) << 24) as i32
    }
}

fn code(ready: &Ready) -> i32 {
    let mut what = u32::from(ready.what.bits()) & !RELEASED;
    if ready.orphaned {
        what = ORPHANED;
    } else if ready.released {
        what |= RELEASED;
    }
    (ready.id.index() | what << 24) as i32
}

impl HandleState {
    /// Goes on to the next thing JavaScript must hear of.
    pub(crate) fn step(&self, wait: Wait) -> Result<Step, Error> {
        loop {
            if self.net_speaks() {
                return Ok(Step::Call(StepCode::Net.code()));
            }
            match self.base.next(wait)? {
                EngineStep::Event(ready) if ready.data == 0 => return Ok(Step::Call(code(&ready))),
                EngineStep::Event(ready) => self.net_ready(&ready),
                EngineStep::Done(result) => return Ok(Step::Done(result)),
                EngineStep::Watcher(WatcherCall::Prepare { id, wait, .. }) => {
                    self.told.set(Told { watcher: id.to_bits(), wait });
                    return Ok(Step::Call(StepCode::Prepare.code()));
                }
                EngineStep::Watcher(WatcherCall::Check { id, .. }) => {
                    self.told.set(Told { watcher: id.to_bits(), wait: None });
                    return Ok(Step::Call(StepCode::Check.code()));
                }
                EngineStep::Host => return Ok(Step::Host),
                EngineStep::Idle => return Ok(Step::Idle),
            }
        }
    }

    /// The next event, or why there is none; blocks until there is one or the other.
    pub(crate) fn loop_next(&self) -> Result<i32, Error> {
        Ok(match self.step(Wait::Allowed)? {
            Step::Call(code) => code,
            Step::Done(LoopResult::Stopped) => StepCode::Stopped.code(),
            Step::Done(LoopResult::Empty) => StepCode::Empty.code(),
            Step::Host | Step::Idle => StepCode::Host.code(),
        })
    }
}
