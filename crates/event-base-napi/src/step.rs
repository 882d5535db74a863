//! One step of the loop as one number, which JavaScript pulls.
//!
//! Bits 0-23 are the slot of the event, bits 24-31 the result, in which two meanings are encoded by bits that no
//! result has: [`RELEASED`] in place of PERSIST, and [`ORPHANED`], which is RELEASED with ET alone. No event has the
//! highest slot; with it, bits 24-31 are a [`StepCode`].

use event_base::{Error, LoopResult, Ready, Step, Wait, WatcherCall};

use crate::state::State;

/// The slot that marks a step code.
const NO_SLOT: u32 = (1 << 24) - 1;
/// The event was deleted: its slot may be given to another one.
const RELEASED: u32 = 0x10;
/// The event was deleted because its descriptor had been closed; nothing happened to it.
const ORPHANED: u32 = 0x30;

/// What a step of the loop returns that names no event. TypeScript has the same numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum StepCode {
    /// The loop has ended: exit, break, ONCE or NONBLOCK.
    Stopped = 0,
    /// The loop has ended: no event is left to wait for.
    Empty = 1,
    /// The host's own loop has work, which may be the end of the environment; the loop goes on.
    Host = 2,
    /// The loop has ended: the wait failed.
    Failed = 3,
    /// A listener, a connect or a relay has a completion; the loop goes on.
    Net = 4,
    /// A prepare watcher runs before the wait: `loopWatcher` returns which, `loopWait` the length of the wait.
    Prepare = 5,
    /// A check watcher runs after the wait: `loopWatcher` returns which.
    Check = 6,
    /// Nothing is active. Only with [`Wait::Never`], and never passed to JavaScript.
    Idle = 7,
}

/// What one step of the loop returns: an event and its result, or a step code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    Event(i32),
    Step(StepCode),
}

impl Code {
    /// The number for JavaScript.
    pub(crate) fn number(self) -> i32 {
        match self {
            Code::Event(number) => number,
            Code::Step(step) => (NO_SLOT | (step as u32) << 24) as i32,
        }
    }

    fn of(ready: &Ready) -> Self {
        let mut what = u32::from(ready.what.bits()) & !RELEASED;
        if ready.orphaned {
            what = ORPHANED;
        } else if ready.released {
            what |= RELEASED;
        }
        Code::Event((ready.id.index() | what << 24) as i32)
    }
}

impl State {
    /// Runs the loop to the next step that concerns JavaScript.
    ///
    /// # Errors
    /// Those of [`Base::next`](event_base::Base::next).
    pub(crate) fn next(&self, wait: Wait) -> Result<Code, Error> {
        loop {
            if let Some(code) = self.step(wait)? {
                return Ok(code);
            }
        }
    }

    /// Runs one step of the loop. Returns `None` if it dispatched an event of a listener, a connect or a relay, which
    /// concerns JavaScript only once there is a completion. Such events may follow each other without an end.
    ///
    /// # Errors
    /// Those of [`Base::next`](event_base::Base::next).
    pub(crate) fn step(&self, wait: Wait) -> Result<Option<Code>, Error> {
        if self.has_completion() {
            return Ok(Some(Code::Step(StepCode::Net)));
        }
        let step = match self.base.next(wait)? {
            Step::Event(ready) if ready.data == 0 => return Ok(Some(Code::of(&ready))),
            Step::Event(ready) => {
                self.net_ready(&ready);
                return Ok(None);
            }
            Step::Watcher(call) => {
                self.watcher.set(Some(call));
                match call {
                    WatcherCall::Prepare { .. } => StepCode::Prepare,
                    WatcherCall::Check { .. } => StepCode::Check,
                }
            }
            Step::Done(LoopResult::Stopped) => StepCode::Stopped,
            Step::Done(LoopResult::Empty) => StepCode::Empty,
            Step::Host => StepCode::Host,
            Step::Idle => StepCode::Idle,
        };
        Ok(Some(Code::Step(step)))
    }
}
