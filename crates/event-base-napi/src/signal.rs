//! Signals: calls of one event, of one base, and of the process.

use event_base::{EventId, What};
use napi::Env;
use napi_derive::napi;

use crate::error::check;
use crate::handle::Handle;

/// The highest number a signal has.
#[napi(catch_unwind)]
pub fn max_signal() -> i32 {
    event_base::MAX_SIGNAL
}

/// Joins what has replaced this process's handler for a signal, if any base relies on it.
#[napi(catch_unwind)]
pub fn signal_reassert(env: Env, number: i32) -> napi::Result<()> {
    check(&env, event_base::reassert_signal(number))
}

/// How the base hears of signals.
#[napi(catch_unwind)]
pub fn base_signal_method(env: Env, handle: Handle) -> napi::Result<&'static str> {
    check(&env, handle.base().signal_method())
}

/// Makes the events of a signal active.
#[napi(catch_unwind)]
pub fn base_activate_by_signal(env: Env, handle: Handle, number: i32) -> napi::Result<()> {
    check(&env, handle.base().activate_by_signal(number))
}

/// Makes a signal event active, to be called back `calls` times.
#[napi(catch_unwind)]
pub fn event_activate_signal(
    env: Env,
    handle: Handle,
    event: f64,
    what: u32,
    calls: u32,
) -> napi::Result<()> {
    let what = What::from_bits_truncate(what as u8);
    check(&env, handle.base().activate_signal(EventId::from_bits(event as u64), what, calls))
}
