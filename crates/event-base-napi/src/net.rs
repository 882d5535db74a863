//! Listeners, connects and relays of a base.
//!
//! What happened to them is pulled like events are: the code of the loop's next step says that something
//! did, and [`net_completion`] says what, one at a time.

mod relay;

use std::os::fd::IntoRawFd;

use event_base::{Error, Ready};
use event_base_net::{Completion, ListenOptions, Net, SourceKey};
use napi::Env;
use napi::bindgen_prelude::Object;
use napi_derive::napi;

use crate::descriptor::{BindingAddress, address, take};
use crate::error::{check, make};
use crate::handle::{Handle, HandleState, duration, milliseconds};

impl HandleState {
    /// Handles an event that is not JavaScript's.
    pub(crate) fn net_ready(&self, ready: &Ready) {
        self.net.borrow_mut().ready(ready);
    }

    /// Whether JavaScript has to hear of something now. After a break it is told in the next loop.
    pub(crate) fn net_speaks(&self) -> bool {
        self.net.borrow().has_completion() && self.base.got_break() == Ok(false)
    }

    /// Closes every source, and with it every descriptor it owns, without a word.
    pub(crate) fn net_close(&self) {
        let old = self.net.replace(Net::new(self.base.clone()));
        drop(old);
    }
}

fn key(bits: f64) -> Result<SourceKey, Error> {
    SourceKey::from_bits(bits as u64).ok_or(Error::Closed)
}

fn bits(key: SourceKey) -> f64 {
    key.to_bits() as f64
}

/// Accepts on a listening socket, which is the base's from here on, also when this fails.
#[napi(catch_unwind)]
pub fn net_listen(env: Env, handle: Handle, fd: i32, batch: u32) -> napi::Result<f64> {
    let net = &handle.net;
    let listener = take(fd, "accept").and_then(|fd| net.borrow_mut().listen(fd, ListenOptions { batch }));
    check(&env, listener.map(bits))
}

/// Connects; a negative timeout means none.
#[napi(catch_unwind)]
pub fn net_connect(env: Env, handle: Handle, place: String, port: i32, timeout: f64) -> napi::Result<f64> {
    let net = &handle.net;
    let begun =
        address(place, port).and_then(|address| net.borrow_mut().connect(&address, duration(timeout)));
    check(&env, begun.map(bits))
}

/// Stops a listener accepting, or a relay reading.
#[napi(catch_unwind)]
pub fn net_pause(env: Env, handle: Handle, source: f64) -> napi::Result<()> {
    check(&env, key(source).and_then(|key| handle.net.borrow_mut().pause(key)))
}

/// Lets a listener accept again, or a relay read.
#[napi(catch_unwind)]
pub fn net_resume(env: Env, handle: Handle, source: f64) -> napi::Result<()> {
    check(&env, key(source).and_then(|key| handle.net.borrow_mut().resume(key)))
}

/// Ends a source. Answers whether it was still there.
#[napi(catch_unwind)]
pub fn net_close(env: Env, handle: Handle, source: f64) -> napi::Result<bool> {
    match key(source).and_then(|key| handle.net.borrow_mut().close(key)) {
        Ok(()) => Ok(true),
        Err(Error::Closed) => Ok(false),
        Err(error) => check(&env, Err(error)),
    }
}

/// The next thing that happened to a source: its key, and what belongs to its kind.
#[napi(
    catch_unwind,
    ts_return_type = "\
        | { kind: 'accepted', key: number, fd: number, peer: BindingAddress }\n\
        | { kind: 'acceptFailed', key: number, error: Error, retryAfter: number }\n\
        | { kind: 'connected', key: number, fd: number, error: Error | undefined }\n\
        | { kind: 'relayEnded', key: number, bytesAToB: number, bytesBToA: number, bytesSpliced: number, durationMs: number, reason: 'end' | 'error' | 'idle' | 'closed', error: Error | undefined }\n\
        | null"
)]
pub fn net_completion<'env>(env: &'env Env, handle: Handle) -> napi::Result<Option<Object<'env>>> {
    let completion = handle.net.borrow_mut().completion();
    let Some(completion) = completion else { return Ok(None) };
    let mut told = Object::new(env)?;
    match completion {
        Completion::Accepted { key, fd, peer } => {
            told.set("kind", "accepted")?;
            told.set("key", bits(key))?;
            told.set("peer", BindingAddress::from(&peer))?;
            // Last, so that a failure before it closes the descriptor.
            told.set("fd", fd.into_raw_fd())?;
        }
        Completion::AcceptFailed { key, error, retry_after } => {
            told.set("kind", "acceptFailed")?;
            told.set("key", bits(key))?;
            told.set("error", make(env, error)?)?;
            told.set("retryAfter", retry_after.map_or(-1.0, milliseconds))?;
        }
        Completion::Connected { key, result } => {
            told.set("kind", "connected")?;
            told.set("key", bits(key))?;
            match result {
                Ok(fd) => told.set("fd", fd.into_raw_fd())?,
                Err(error) => told.set("error", make(env, error)?)?,
            }
        }
        Completion::RelayEnded { key, end } => {
            told.set("kind", "relayEnded")?;
            told.set("key", bits(key))?;
            relay::tell_end(env, &mut told, end)?;
        }
        _ => return Ok(None),
    }
    Ok(Some(told))
}
