//! Runs the steps of a base that are due, for any driver.

use std::rc::Rc;

use event_base::{Error, SystemError, Wait};

use crate::caller::Caller;
use crate::state::State;
use crate::step::{Code, StepCode};

/// A call that a driver needs has failed, with a positive `errno`.
pub(super) fn failed(errno: i32, syscall: &'static str) -> Error {
    Error::System(SystemError { errno, syscall, fd: None })
}

/// Runs what is due, at most `steps` steps. Events of listeners, connects and relays are steps without a callback, and a
/// relay between fast peers is always ready. Returns
///
/// - [`StepCode::Idle`] when nothing more is due,
/// - [`StepCode::Host`] after that number of steps,
/// - [`StepCode::Stopped`], [`StepCode::Empty`] or [`StepCode::Failed`] when the run has ended.
pub(super) fn drive(state: &Rc<State>, caller: &Rc<Caller>, steps: u32) -> StepCode {
    let run = state.runs.get();
    for _ in 0..steps {
        let code = match state.step(Wait::Never) {
            Ok(Some(code)) => code,
            Ok(None) => continue,
            Err(error) => {
                fail(state, caller, error);
                return StepCode::Failed;
            }
        };
        match code {
            Code::Step(StepCode::Idle) => return StepCode::Idle,
            Code::Step(StepCode::Host) => continue,
            Code::Step(end @ (StepCode::Stopped | StepCode::Empty)) => {
                state.detach();
                _ = caller.call(code.number(), 0.0);
                return end;
            }
            Code::Event(_) | Code::Step(_) => {}
        }
        if !caller.call(code.number(), 0.0) {
            // The environment is ending and runs no JavaScript.
            state.detach();
        }
        // The callback may have ended this run and started another one, which has a driver of its own.
        if state.driver.borrow().is_none() || state.runs.get() != run {
            return StepCode::Stopped;
        }
    }
    // The time that the host takes until the next step does not count as the callback's.
    _ = state.base.callback_ended();
    StepCode::Host
}

/// Ends the run with an error. JavaScript is passed the positive error number of a system call, -1 for inconsistent
/// structures, or 0 for a base that was closed.
pub(super) fn fail(state: &Rc<State>, caller: &Rc<Caller>, error: Error) {
    state.detach();
    let errno = match error {
        Error::System(error) => error.errno,
        Error::Internal(_) => -1,
        _ => 0,
    };
    _ = caller.call(Code::Step(StepCode::Failed).number(), f64::from(errno));
}
