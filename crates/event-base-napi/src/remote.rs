//! A base that other threads of JavaScript use.
//!
//! The thread that owns a base shares it under a name, from which any thread of the process makes another handle of the
//! same base. Sharing does not keep the base open: it is closed with its owner, at the end of the environment or when it
//! is garbage, and every call on another handle then fails with [`Error::Closed`].

use std::fmt;

use event_base::{Base, Error, EventId, What};
use napi::bindgen_prelude::External;
use napi_derive::napi;

use crate::error::Outcome;
use crate::handle::Handle;
use crate::registry::{self, SharedName};
use crate::state::State;
use crate::time::duration;

fn share(state: &State) -> Result<String, Error> {
    if !state.base.has_lock() {
        return Err(Error::BadFlags("a base built with NOLOCK cannot be shared"));
    }
    if state.base.is_closed() {
        return Err(Error::Closed);
    }
    let mut shared = state.shared.borrow_mut();
    let name = shared.get_or_insert_with(|| SharedName::new(state.base.clone()));
    Ok(name.as_str().to_owned())
}

/// Another thread's handle of a base.
pub struct Remote {
    base: Base,
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote").finish_non_exhaustive()
    }
}

impl Remote {
    /// An event of JavaScript; those of listeners, connects and relays are not accessible.
    fn event(&self, bits: f64) -> Result<EventId, Error> {
        let id = EventId::from_bits(bits as u64);
        if self.base.info(id)?.data == 0 { Ok(id) } else { Err(Error::Closed) }
    }
}

/// The name under which any thread of this process finds the base.
#[napi(catch_unwind)]
pub fn base_share(handle: Handle) -> Outcome<String> {
    share(&handle).into()
}

/// A handle of the base with this name, which `baseShare` returned.
#[napi(catch_unwind)]
pub fn remote_connect(name: String) -> Outcome<External<Remote>> {
    let base = registry::find(&name).ok_or(Error::Closed);
    base.map(|base| External::new(Remote { base })).into()
}

/// Activates an event.
#[napi(catch_unwind)]
pub fn remote_activate(remote: &External<Remote>, event: f64, what: u32) -> Outcome<()> {
    let what = What::from_bits_truncate(what as u8);
    remote.event(event).and_then(|id| remote.base.activate(id, what)).map(drop).into()
}

/// Adds an event.
#[napi(catch_unwind)]
pub fn remote_add(remote: &External<Remote>, event: f64, timeout: f64) -> Outcome<()> {
    remote.event(event).and_then(|id| remote.base.add(id, duration(timeout))).into()
}

/// Deletes an event; its id stays valid.
#[napi(catch_unwind)]
pub fn remote_del(remote: &External<Remote>, event: f64) -> Outcome<()> {
    remote.event(event).and_then(|id| remote.base.del(id)).into()
}

/// Leaves the loop at the end of the pass, or after some milliseconds; immediately if negative.
#[napi(catch_unwind)]
pub fn remote_loop_exit(remote: &External<Remote>, after: f64) -> Outcome<()> {
    remote.base.loop_exit(duration(after)).into()
}

/// Leaves the loop after the current callback.
#[napi(catch_unwind)]
pub fn remote_loop_break(remote: &External<Remote>) -> Outcome<()> {
    remote.base.loop_break().into()
}
