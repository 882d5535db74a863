//! Listeners, connects and relays of a base.
//!
//! JavaScript pulls completions as it pulls events: the step code of the loop reports that there is one, and
//! `crossing/completion.rs` returns it.

mod key;
pub(crate) mod relay;

use event_base::Error;
use event_base_net::ListenOptions;
use event_base_net::socket::ConnectOptions;
use napi_derive::napi;

use crate::address::address;
use crate::descriptor::take;
use crate::error::Outcome;
use crate::handle::Handle;
use crate::socket::BindingConnectOptions;
use crate::time::duration;
use key::{bits, key};

/// Accepts on a listening socket, which the base owns from here on, also if the call fails.
#[napi(catch_unwind)]
pub fn net_listen(handle: Handle, fd: i32, batch: u32, paused: bool) -> Outcome<f64> {
    let options = ListenOptions { batch, paused };
    let listener = take(fd, "accept").and_then(|fd| handle.net.borrow_mut().listen(fd, options));
    listener.map(bits).into()
}

/// Connects; a negative timeout means none.
#[napi(catch_unwind)]
pub fn net_connect(
    handle: Handle,
    place: String,
    port: i32,
    timeout: f64,
    local: Option<BindingConnectOptions>,
) -> Outcome<f64> {
    let started = address(place, port).and_then(|address| {
        let options = local.map(ConnectOptions::try_from).transpose()?.unwrap_or_default();
        handle.net.borrow_mut().connect_with(&address, duration(timeout), &options)
    });
    started.map(bits).into()
}

/// Pauses a listener, which stops accepting, or a relay, which stops reading.
#[napi(catch_unwind)]
pub fn net_pause(handle: Handle, source: f64) -> Outcome<()> {
    key(source).and_then(|key| handle.net.borrow_mut().pause(key)).into()
}

/// Resumes a listener or a relay.
#[napi(catch_unwind)]
pub fn net_resume(handle: Handle, source: f64) -> Outcome<()> {
    key(source).and_then(|key| handle.net.borrow_mut().resume(key)).into()
}

/// Closes a source. Returns whether it existed.
#[napi(catch_unwind)]
pub fn net_close(handle: Handle, source: f64) -> Outcome<bool> {
    Outcome(match key(source).and_then(|key| handle.net.borrow_mut().close(key)) {
        Ok(()) => Ok(true),
        Err(Error::Closed) => Ok(false),
        Err(error) => Err(error),
    })
}
