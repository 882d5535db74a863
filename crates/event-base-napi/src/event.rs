//! One event: the calls that are rarer than [those for every event](crate::crossing).

use event_base::{EventId, EventSpec, What};
use napi::Env;
use napi_derive::napi;

use crate::error::check;
use crate::handle::{Handle, duration, milliseconds};

fn id(bits: f64) -> EventId {
    EventId::from_bits(bits as u64)
}

fn what(bits: u32) -> What {
    What::from_bits_truncate(bits as u8)
}

/// A spec of JavaScript's events: freed by the engine when handed out with nothing left pending.
///
/// `bits` are those of the event, and above them its priority, in one number: each argument of a call costs.
pub(crate) fn spec(fd: i32, bits: u32, age: u32) -> EventSpec {
    let priority = (bits >> 8) as u8;
    EventSpec::io(fd, what(bits & 0xff)).transient().priority(priority).age(age)
}

/// Makes an event that fires once.
#[napi(catch_unwind)]
pub fn event_once(env: Env, handle: Handle, fd: i32, bits: u32, timeout: f64) -> napi::Result<f64> {
    let created = handle.base().once(fd, what(bits), 0, duration(timeout));
    check(&env, created.map(|id| id.to_bits() as f64))
}

/// Keeps the event when it is handed out, so that its id stays good.
#[napi(catch_unwind)]
pub fn event_keep(env: Env, handle: Handle, event: f64) -> napi::Result<()> {
    check(&env, handle.base().keep(id(event)))
}

/// Drops an event's deadline.
#[napi(catch_unwind)]
pub fn event_remove_timer(env: Env, handle: Handle, event: f64) -> napi::Result<()> {
    check(&env, handle.base().remove_timer(id(event)))
}

/// Whether the event is neither pending nor active.
#[napi(catch_unwind)]
pub fn event_is_idle(env: Env, handle: Handle, event: f64) -> napi::Result<bool> {
    check(&env, handle.base().is_idle(id(event)))
}

/// When it times out, in milliseconds since 1970; -1 for never.
#[napi(catch_unwind)]
pub fn event_expires_at(env: Env, handle: Handle, event: f64) -> napi::Result<f64> {
    check(&env, handle.base().expires_at(id(event)).map(|at| at.map_or(-1.0, milliseconds)))
}

/// Changes the priority.
#[napi(catch_unwind)]
pub fn event_set_priority(env: Env, handle: Handle, event: f64, priority: u32) -> napi::Result<()> {
    check(&env, handle.base().set_priority(id(event), priority as u8))
}

/// Deletes the event and hands it out once more, with FINALIZE.
#[napi(catch_unwind)]
pub fn event_finalize(env: Env, handle: Handle, event: f64) -> napi::Result<()> {
    check(&env, handle.base().finalize(id(event)))
}
