//! A base that other threads of JavaScript use.
//!
//! The thread that owns a base shares it under a name, which any thread of the process can turn into another handle
//! of the same base. Sharing does not keep the base: it is closed when its owner goes, with its environment or as
//! garbage, and whoever still has a handle hears that it is closed.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::LazyLock;

use event_base::{Base, Error, EventId, What};
use napi::Env;
use napi::bindgen_prelude::External;
use napi_derive::napi;
use parking_lot::Mutex;

use crate::error::check;
use crate::handle::{Handle, HandleState, duration};

/// The bases that are shared, by name.
#[derive(Default)]
struct Registry {
    bases: HashMap<String, Base>,
    /// How many names were given.
    names: u64,
    /// Makes the names of this process others than those of any other.
    random: RandomState,
}

static REGISTRY: LazyLock<Mutex<Registry>> = LazyLock::new(Mutex::default);

impl HandleState {
    fn share(&self) -> Result<String, Error> {
        if !self.base.has_lock() {
            return Err(Error::BadFlags("a base built with NOLOCK cannot be shared"));
        }
        if self.base.is_closed() {
            return Err(Error::Closed);
        }
        if let Some(name) = &*self.shared.borrow() {
            return Ok(name.clone());
        }
        let mut registry = REGISTRY.lock();
        registry.names += 1;
        let mut hasher = registry.random.build_hasher();
        hasher.write_u64(registry.names);
        let name = format!("{}-{:016x}", registry.names, hasher.finish());
        registry.bases.insert(name.clone(), self.base.clone());
        *self.shared.borrow_mut() = Some(name.clone());
        Ok(name)
    }

    /// Takes the base out of the registry. Handles that threads have got already stay good.
    pub(crate) fn unshare(&self) {
        if let Some(name) = self.shared.take() {
            let base = REGISTRY.lock().bases.remove(&name);
            drop(base);
        }
    }
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
    /// An event of JavaScript's; those of listeners, connects and relays are nobody else's business.
    fn event(&self, bits: f64) -> Result<EventId, Error> {
        let id = EventId::from_bits(bits as u64);
        if self.base.info(id)?.data == 0 { Ok(id) } else { Err(Error::Closed) }
    }
}

/// The name under which any thread of this process finds the base.
#[napi(catch_unwind)]
pub fn base_share(env: Env, handle: Handle) -> napi::Result<String> {
    check(&env, handle.share())
}

/// A handle of the base that `base_share` gave this name.
#[napi(catch_unwind)]
pub fn remote_connect(env: Env, name: String) -> napi::Result<External<Remote>> {
    let base = REGISTRY.lock().bases.get(&name).cloned();
    let open = base.filter(|base| !base.is_closed()).ok_or(Error::Closed);
    check(&env, open.map(|base| External::new(Remote { base })))
}

/// Makes an event active.
#[napi(catch_unwind)]
pub fn remote_activate(env: Env, remote: &External<Remote>, event: f64, what: u32) -> napi::Result<()> {
    let what = What::from_bits_truncate(what as u8);
    check(&env, remote.event(event).and_then(|id| remote.base.activate(id, what)))
}

/// Adds an event.
#[napi(catch_unwind)]
pub fn remote_add(env: Env, remote: &External<Remote>, event: f64, timeout: f64) -> napi::Result<()> {
    check(&env, remote.event(event).and_then(|id| remote.base.add(id, duration(timeout))))
}

/// Deletes an event; its id stays good.
#[napi(catch_unwind)]
pub fn remote_del(env: Env, remote: &External<Remote>, event: f64) -> napi::Result<()> {
    check(&env, remote.event(event).and_then(|id| remote.base.del(id)))
}

/// Leaves the loop at the end of the pass, or after some milliseconds; at once if negative.
#[napi(catch_unwind)]
pub fn remote_loop_exit(env: Env, remote: &External<Remote>, after: f64) -> napi::Result<()> {
    check(&env, remote.base.loop_exit(duration(after)))
}

/// Leaves the loop after the current callback.
#[napi(catch_unwind)]
pub fn remote_loop_break(env: Env, remote: &External<Remote>) -> napi::Result<()> {
    check(&env, remote.base.loop_break())
}
