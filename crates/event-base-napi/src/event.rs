//! One event: the less frequent calls. The frequent ones are in `crossing/events.rs`.

use event_base::{EventId, EventSpec, What};
use napi_derive::napi;

use crate::error::Outcome;
use crate::handle::Handle;
use crate::time::{duration, milliseconds};

fn id(bits: f64) -> EventId {
    EventId::from_bits(bits as u64)
}

fn what(bits: u32) -> What {
    What::from_bits_truncate(bits as u8)
}

/// The spec of an event of JavaScript, which the engine frees when it is dispatched with nothing left pending.
///
/// `bits` are the bits of the event, and above the lowest eight its priority: each argument of a call costs time.
pub(crate) fn spec(fd: i32, bits: u32, age: u32) -> EventSpec {
    let priority = (bits >> 8) as u8;
    EventSpec::io(fd, what(bits & 0xff)).transient().priority(priority).age(age)
}

/// Makes an event that fires once.
#[napi(catch_unwind)]
pub fn event_once(handle: Handle, fd: i32, bits: u32, timeout: f64) -> Outcome<f64> {
    let created = handle.base().once(fd, what(bits), 0, duration(timeout));
    created.map(|id| id.to_bits() as f64).into()
}

/// Keeps the event when it is dispatched, so that its id stays valid.
#[napi(catch_unwind)]
pub fn event_keep(handle: Handle, event: f64) -> Outcome<()> {
    handle.base().keep(id(event)).into()
}

/// Removes the deadline of an event.
#[napi(catch_unwind)]
pub fn event_remove_timer(handle: Handle, event: f64) -> Outcome<()> {
    handle.base().remove_timer(id(event)).into()
}

/// Whether the event is neither pending nor active.
#[napi(catch_unwind)]
pub fn event_is_idle(handle: Handle, event: f64) -> Outcome<bool> {
    handle.base().is_idle(id(event)).into()
}

/// When the event expires, in milliseconds since 1970; -1 without a deadline.
#[napi(catch_unwind)]
pub fn event_expires_at(handle: Handle, event: f64) -> Outcome<f64> {
    handle.base().expires_at(id(event)).map(|at| at.map_or(-1.0, milliseconds)).into()
}

/// Sets the priority of an event.
#[napi(catch_unwind)]
pub fn event_set_priority(handle: Handle, event: f64, priority: u32) -> Outcome<()> {
    handle.base().set_priority(id(event), priority as u8).into()
}

/// Deletes the event and dispatches it once more, with FINALIZE.
#[napi(catch_unwind)]
pub fn event_finalize(handle: Handle, event: f64) -> Outcome<()> {
    handle.base().finalize(id(event)).into()
}
