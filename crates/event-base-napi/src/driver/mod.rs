//! `run()`: a base inside the host's own event loop.
//!
//! Two drivers wait for the base and run its steps on the thread of JavaScript. In Node and Electron it is one
//! `uv_poll` handle on the base's descriptor. Elsewhere libuv is missing or incomplete, and a thread waits and notifies
//! JavaScript; TypeScript chooses before any symbol of libuv is looked up. A base whose backend has no descriptor is
//! driven by a thread on every host.

mod drive;
mod thread;
mod uv;
mod waiting;

use std::rc::Rc;

use event_base::{Error, LoopFlags};
use napi::Env;
use napi::bindgen_prelude::Function;
use napi_derive::napi;

use crate::caller::Caller;
use crate::error::Outcome;
use crate::handle::Handle;
use crate::state::{Driver, State};

/// Starts to run the base inside the host's loop, which ends what `watchHost` started. `listener` is called with each
/// code that `loopNext` would return; the last one is a step code that ends the loop, with the error number of a
/// failed wait.
#[napi(catch_unwind)]
pub fn run_start(
    env: Env,
    handle: Handle,
    flags: u32,
    use_uv: bool,
    keep_alive: bool,
    #[napi(ts_arg_type = "(code: number, errno: number) => void")] listener: Function<'_, (i32, f64), ()>,
) -> napi::Result<Outcome<()>> {
    let caller = Rc::new(Caller::new(&env, &listener)?);
    let flags = LoopFlags::from_bits_truncate(flags as u8);
    Ok(start(&env, &handle, flags, use_uv, keep_alive, caller).into())
}

fn start(
    env: &Env,
    state: &Rc<State>,
    flags: LoopFlags,
    use_uv: bool,
    keep_alive: bool,
    caller: Rc<Caller>,
) -> Result<(), Error> {
    let has_descriptor = state.base.descriptor()?.is_some();
    state.base.enter(flags)?;
    state.base.unwatch_host()?;
    let driver = if use_uv && has_descriptor {
        uv::UvDriver::start(env, Rc::clone(state), caller).map(|driver| Box::new(driver) as Box<dyn Driver>)
    } else {
        thread::ThreadDriver::start(env, Rc::clone(state), caller)
            .map(|driver| Box::new(driver) as Box<dyn Driver>)
    };
    state.runs.set(state.runs.get().wrapping_add(1));
    match driver {
        Ok(driver) => {
            driver.set_ref(keep_alive);
            *state.driver.borrow_mut() = Some(driver);
            // The host runs the first step too.
            state.base.wake()
        }
        Err(error) => {
            state.base.leave();
            Err(error)
        }
    }
}

/// Ends a run without calling its listener. Without effect if the base is not run.
#[napi(catch_unwind)]
pub fn run_stop(handle: Handle) {
    handle.detach();
}

/// Sets whether a run keeps the process alive.
#[napi(catch_unwind)]
pub fn run_set_ref(handle: Handle, keep_alive: bool) {
    if let Some(driver) = &*handle.driver.borrow() {
        driver.set_ref(keep_alive);
    }
}

/// Makes a blocking loop return to JavaScript when the host's own loop has work, so that a worker can be terminated.
/// Returns whether the host and the backend support that.
#[napi(catch_unwind)]
pub fn watch_host(env: Env, handle: Handle) -> Outcome<bool> {
    let Some(descriptor) = uv::backend_descriptor(&env) else { return Outcome(Ok(false)) };
    Outcome(match handle.base().watch_host(descriptor) {
        // The backend cannot watch it edge-triggered on this system.
        Err(Error::System(error)) if [libc::ENOSYS, libc::EPERM].contains(&error.errno) => Ok(false),
        result => result.map(|()| true),
    })
}
