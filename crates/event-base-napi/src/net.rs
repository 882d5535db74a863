//! Listeners, connects and relays of a base.
//!
//! What happened to them is pulled like events are: the code of the loop's next step says that something
//! did, and `crossing/completion.rs` says what, one at a time.

pub(crate) mod relay;

use event_base::{Error, Ready};
use event_base_net::socket::ConnectOptions;
use event_base_net::{ListenOptions, Net, SourceKey};
use napi::Env;
use napi_derive::napi;

use crate::descriptor::{address, take};
use crate::error::check;
use crate::handle::{Handle, HandleState, duration};
use crate::socket::BindingConnectOptions;

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
pub fn net_listen(env: Env, handle: Handle, fd: i32, batch: u32, paused: bool) -> napi::Result<f64> {
    let options = ListenOptions { batch, paused };
    let listener = take(fd, "accept").and_then(|fd| handle.net.borrow_mut().listen(fd, options));
    check(&env, listener.map(bits))
}

/// Connects; a negative timeout means none.
#[napi(catch_unwind)]
pub fn net_connect(
    env: Env,
    handle: Handle,
    place: String,
    port: i32,
    timeout: f64,
    local: Option<BindingConnectOptions>,
) -> napi::Result<f64> {
    let begun = address(place, port).and_then(|address| {
        let options = local.map(ConnectOptions::try_from).transpose()?.unwrap_or_default();
        handle.net.borrow_mut().connect_with(&address, duration(timeout), &options)
    });
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
