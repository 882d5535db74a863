//! Listeners, connects and relays of a base.
//!
//! What happened to them is pulled like events are: the code of the loop's next step says that something
//! did, and `crossing/completion.rs` says what, one at a time.

use std::os::fd::IntoRawFd;

use event_base::{Error, Ready};
use event_base_net::{ListenOptions, Net, RateLimit, RelayOptions, SourceKey};
use napi::Env;
use napi_derive::napi;

use crate::descriptor::{address, take};
use crate::error::check;
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
pub fn net_listen(env: Env, handle: Handle, fd: i32, batch: u32, paused: bool) -> napi::Result<f64> {
    let options = ListenOptions { batch, paused };
    let listener = take(fd, "accept").and_then(|fd| handle.net.borrow_mut().listen(fd, options));
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

/// Relays between two sockets, which are the base's from here on, also when this fails, except with `EBADF`.
/// A negative idle timeout and a rate of 0 mean none.
#[napi(catch_unwind)]
pub fn net_relay(
    env: Env,
    handle: Handle,
    a: i32,
    b: i32,
    idle_timeout: f64,
    rate: f64,
    burst: f64,
) -> napi::Result<f64> {
    let limit = (rate > 0.0).then_some(RateLimit { rate: rate as u64, burst: burst as u64 });
    let options = RelayOptions { idle_timeout: duration(idle_timeout), limit, ..RelayOptions::default() };
    let begun = if a == b {
        Err(Error::OutOfRange("b"))
    } else {
        take_both(a, b).and_then(|(a, b)| handle.net.borrow_mut().relay(a, b, options))
    };
    check(&env, begun.map(bits))
}

fn take_both(a: i32, b: i32) -> Result<(std::os::fd::OwnedFd, std::os::fd::OwnedFd), Error> {
    let a = take(a, "relay")?;
    match take(b, "relay") {
        Ok(b) => Ok((a, b)),
        Err(error) => {
            // Given back: nothing is owned where one of the two was never there.
            _ = a.into_raw_fd();
            Err(error)
        }
    }
}

/// Stops a listener accepting.
#[napi(catch_unwind)]
pub fn net_pause(env: Env, handle: Handle, source: f64) -> napi::Result<()> {
    check(&env, key(source).and_then(|key| handle.net.borrow_mut().pause(key)))
}

/// Lets a listener accept again.
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

/// What a relay has done so far.
#[napi(object)]
#[derive(Debug)]
pub struct BindingRelayStats {
    /// Bytes from the first descriptor that the second took.
    pub bytes_a_to_b: f64,
    /// Bytes from the second descriptor that the first took.
    pub bytes_b_to_a: f64,
    /// Bytes on the way from the first to the second.
    pub held_a_to_b: f64,
    /// Bytes on the way from the second to the first.
    pub held_b_to_a: f64,
    /// Milliseconds since its beginning.
    pub duration_ms: f64,
}

/// What a relay has done so far; nothing for one that has ended.
#[napi(catch_unwind)]
pub fn net_stats(handle: Handle, source: f64) -> Option<BindingRelayStats> {
    let stats = handle.net.borrow().stats(key(source).ok()?).ok()?;
    Some(BindingRelayStats {
        bytes_a_to_b: stats.bytes_a_to_b as f64,
        bytes_b_to_a: stats.bytes_b_to_a as f64,
        held_a_to_b: stats.held_a_to_b as f64,
        held_b_to_a: stats.held_b_to_a as f64,
        duration_ms: milliseconds(stats.duration),
    })
}
