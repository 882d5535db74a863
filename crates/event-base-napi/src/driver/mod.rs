//! `run()`: the base inside the host's own event loop.
//!
//! Two drivers wait for the base and then take its turns on JavaScript's thread. In Node and Electron it is one
//! `uv_poll` handle on the base's descriptor. Elsewhere libuv is missing or only pretended, so a thread waits
//! and rings; TypeScript says which, before any symbol of libuv is looked for. A base whose backend has no
//! descriptor is driven by a thread everywhere.

mod thread;
mod uv;
mod waiting;

use std::rc::Rc;

use event_base::{Error, LoopFlags, LoopResult, SystemError, Wait};
use napi::Env;
use napi::bindgen_prelude::Function;
use napi_derive::napi;

use crate::error::check;
use crate::handle::{Handle, HandleState};
use crate::scope::Caller;
use crate::step::{Step, StepCode};

/// A call for a driver failed, with a positive `errno`.
fn failed(errno: i32, syscall: &'static str) -> Error {
    Error::System(SystemError { errno, syscall, fd: None })
}

/// Callbacks in one turn of the host's loop; then the host has its turn.
const BUDGET: u32 = 512;

/// What waits for the base on the host's behalf.
#[derive(Debug)]
pub(crate) enum Driver {
    Uv(uv::UvDriver),
    Thread(thread::ThreadDriver),
}

/// What a row of callbacks ended with.
enum Driven {
    /// Nothing more is due now.
    Idle,
    /// The budget is spent.
    More,
    /// The loop is over, or it cannot go on.
    Over,
}

impl HandleState {
    /// Runs what is due.
    fn drive(self: &Rc<Self>, caller: &Rc<Caller>, budget: u32) -> Driven {
        let run = self.runs.get();
        for _ in 0..budget {
            let result = match self.step(Wait::Never) {
                Ok(Step::Call(code)) => {
                    if !caller.call(code, 0.0) {
                        // The environment is ending: nobody is left to be told.
                        self.detach();
                    }
                    // The callback may have ended this run, and begun another, which has its own driver.
                    if self.driver.borrow().is_some() && self.runs.get() == run {
                        continue;
                    }
                    return Driven::Over;
                }
                Ok(Step::Idle) => return Driven::Idle,
                Ok(Step::Host) => continue,
                Ok(Step::Done(result)) => Ok(result),
                Err(error) => Err(error),
            };
            self.finish(caller, result);
            return Driven::Over;
        }
        // What the host does until the next turn is not the callback's time.
        _ = self.base.callback_ended();
        Driven::More
    }

    /// Ends the run and tells JavaScript how: a signal, and for an error of the system its number, -1 for one of
    /// the engine, 0 for a base that was closed.
    fn finish(self: &Rc<Self>, caller: &Rc<Caller>, result: Result<LoopResult, Error>) {
        self.detach();
        let (signal, errno) = match result {
            Ok(LoopResult::Stopped) => (StepCode::Stopped, 0),
            Ok(LoopResult::Empty) => (StepCode::Empty, 0),
            Err(Error::System(error)) => (StepCode::Failed, error.errno),
            Err(Error::Internal(_)) => (StepCode::Failed, -1),
            Err(_) => (StepCode::Failed, 0),
        };
        _ = caller.call(signal.code(), f64::from(errno));
    }

    /// Watches the base's descriptor anew if the kernel's object behind it was replaced.
    pub(crate) fn rewatch(&self) -> Result<(), Error> {
        let epoch = match self.base.descriptor_epoch() {
            Ok(epoch) => epoch,
            // The driver goes with the base.
            Err(_) => return Ok(()),
        };
        match &mut *self.driver.borrow_mut() {
            Some(Driver::Uv(driver)) => driver.rewatch(epoch),
            Some(Driver::Thread(driver)) => driver.rewatch(&self.base, epoch),
            None => Ok(()),
        }
    }

    /// Stops the driver and leaves the loop.
    pub(crate) fn detach(&self) {
        let driver = self.driver.borrow_mut().take();
        // Before the base is left: a wait that is away has to come back first.
        match driver {
            Some(Driver::Uv(driver)) => driver.close(),
            Some(Driver::Thread(driver)) => driver.close(),
            None => return,
        }
        self.base.leave();
    }
}

/// Begins to run the base inside the host's loop, which takes [`watch_host`] back. `listener` is called with
/// each code that `loopNext` would have returned, the last one being a signal.
#[napi(catch_unwind)]
pub fn run_start(
    env: Env,
    handle: Handle,
    flags: u32,
    use_uv: bool,
    keep_alive: bool,
    #[napi(ts_arg_type = "(code: number, errno: number) => void")] listener: Function<'_, (i32, f64), ()>,
) -> napi::Result<()> {
    let state = &*handle;
    let caller = Rc::new(Caller::new(&env, &listener)?);
    let has_descriptor = check(&env, state.base.descriptor())?.is_some();
    check(&env, state.base.enter(LoopFlags::from_bits_truncate(flags as u8)))?;
    check(&env, state.base.unwatch_host())?;
    let driver = if use_uv && has_descriptor {
        uv::UvDriver::start(&env, Rc::clone(state), caller).map(Driver::Uv)
    } else {
        thread::ThreadDriver::start(&env, Rc::clone(state), caller).map(Driver::Thread)
    };
    state.runs.set(state.runs.get().wrapping_add(1));
    match driver {
        Ok(driver) => {
            driver.set_ref(keep_alive);
            *state.driver.borrow_mut() = Some(driver);
            // The first turn is taken by the host, like every other.
            check(&env, state.base.wake())
        }
        Err(error) => {
            state.base.leave();
            check(&env, Err(error))
        }
    }
}

/// Ends a run without a word to its listener. Without effect if none is under way.
#[napi(catch_unwind)]
pub fn run_stop(handle: Handle) {
    handle.detach();
}

/// Whether a run keeps the process alive.
#[napi(catch_unwind)]
pub fn run_set_ref(handle: Handle, keep_alive: bool) {
    if let Some(driver) = &*handle.driver.borrow() {
        driver.set_ref(keep_alive);
    }
}

/// Lets a blocking loop look up when the host's own loop has work, so that a worker can be ended. Answers
/// whether the host offers that.
#[napi(catch_unwind)]
pub fn watch_host(env: Env, handle: Handle) -> napi::Result<bool> {
    let Some(descriptor) = uv::backend_descriptor(&env) else { return Ok(false) };
    match handle.base().watch_host(descriptor) {
        // A backend that cannot watch it edge-triggered on this system.
        Err(Error::System(error)) if [libc::ENOSYS, libc::EPERM].contains(&error.errno) => Ok(false),
        result => check(&env, result).map(|()| true),
    }
}

impl Driver {
    fn set_ref(&self, keep_alive: bool) {
        match self {
            Driver::Uv(driver) => driver.set_ref(keep_alive),
            Driver::Thread(driver) => driver.set_ref(keep_alive),
        }
    }
}
