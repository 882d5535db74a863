//! Listeners, connects and relays of a base.
//!
//! JavaScript pulls completions as it pulls events: the step code of the loop reports that there is one, and
//! `crossing/completion.rs` returns it.

mod key;
pub(crate) mod relay;

use std::os::fd::IntoRawFd;

use event_base::Error;
use event_base_net::socket::ConnectOptions;
use event_base_net::{ATTEMPT_DELAY, ConnectRequest, ListenOptions};
use napi_derive::napi;

use crate::address::{BindingAddress, address, address_of_several};
use crate::descriptor::take;
use crate::error::Outcome;
use crate::handle::Handle;
use crate::socket::BindingConnectOptions;
use crate::time::duration;
use key::{bits, key};

/// Accepts on a listening socket, which the base owns from here on, unless the call fails.
#[napi(catch_unwind)]
pub fn net_listen(handle: Handle, fd: i32, batch: u32, paused: bool) -> Outcome<f64> {
    let options = ListenOptions { batch, paused, ..ListenOptions::default() };
    let listener = take(fd, "accept").and_then(|fd| {
        handle.net.borrow_mut().listen_or_return(fd, options).map_err(|refused| {
            _ = refused.fd.into_raw_fd();
            refused.error
        })
    });
    listener.map(bits).into()
}

/// Connects to one of several addresses. A single address is refused if its zone does not exist; of several, only the
/// attempt at that address fails. A negative timeout means none. Times are in milliseconds.
#[napi(catch_unwind)]
pub fn net_connect(
    handle: Handle,
    addresses: Vec<BindingAddress>,
    attempt_delay: f64,
    timeout: f64,
    local: Option<BindingConnectOptions>,
) -> Outcome<f64> {
    let convert = if addresses.len() == 1 { address } else { address_of_several };
    let addresses: Result<Vec<_>, _> =
        addresses.into_iter().map(|one| convert(one.host_or_path, one.port)).collect();
    let started = addresses.and_then(|addresses| {
        let request = ConnectRequest {
            timeout: duration(timeout),
            attempt_delay: duration(attempt_delay).unwrap_or(ATTEMPT_DELAY),
            options: local.map(ConnectOptions::try_from).transpose()?.unwrap_or_default(),
            ..ConnectRequest::new(&addresses)
        };
        handle.net.borrow_mut().connect_request(&request)
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
