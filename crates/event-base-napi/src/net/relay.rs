//! Relays of a base, and the groups that share a limit.

use std::os::fd::{IntoRawFd, OwnedFd};

use event_base::Error;
use event_base_net::{RateGroup, RateLimit, RelayOptions, Transfer};
use napi::Env;
use napi::bindgen_prelude::{External, Uint8Array};
use napi_derive::napi;

use super::{bits, key};
use crate::descriptor::take;
use crate::error::check;
use crate::handle::{Handle, duration, milliseconds};

/// How a relay is to work.
#[napi(object)]
pub struct BindingRelayOptions {
    /// Milliseconds without a byte; negative for any number.
    pub idle_timeout: f64,
    /// Milliseconds for a connect in progress; negative for any number.
    pub connect_timeout: f64,
    /// Bytes a second; 0 for any number.
    pub rate: f64,
    /// Bytes at once.
    pub burst: f64,
    /// 0: what suits, 1: copy, 2: splice.
    pub transfer: u32,
    /// Bytes for the second descriptor, ahead of what the first one sends.
    pub prefix_a_to_b: Option<Uint8Array>,
    /// Bytes for the first descriptor, ahead of what the second one sends.
    pub prefix_b_to_a: Option<Uint8Array>,
}

impl BindingRelayOptions {
    fn options(self, group: Option<&External<RateGroup>>) -> RelayOptions {
        let bytes = |prefix: Option<Uint8Array>| prefix.map_or_else(Vec::new, |prefix| prefix.to_vec());
        RelayOptions {
            idle_timeout: duration(self.idle_timeout),
            connect_timeout: duration(self.connect_timeout),
            limit: (self.rate > 0.0).then(|| limit(self.rate, self.burst)),
            group: group.map(|group| RateGroup::clone(group)),
            prefix_a_to_b: bytes(self.prefix_a_to_b),
            prefix_b_to_a: bytes(self.prefix_b_to_a),
            transfer: transfer(self.transfer),
        }
    }
}

/// The way to move bytes that a number means.
pub(crate) fn transfer(number: u32) -> Transfer {
    match number {
        1 => Transfer::Copy,
        2 => Transfer::Splice,
        _ => Transfer::Adaptive,
    }
}

fn limit(rate: f64, burst: f64) -> RateLimit {
    RateLimit { rate: rate as u64, burst: burst as u64 }
}

/// Relays between two descriptors, which are the base's from here on, also when this fails, except with
/// `EBADF`. For one that is told no more than times there is `crossing/relay.rs`.
#[napi(catch_unwind)]
pub fn net_relay_with(
    env: Env,
    handle: Handle,
    a: i32,
    b: i32,
    options: BindingRelayOptions,
    group: Option<&External<RateGroup>>,
) -> napi::Result<f64> {
    check(&env, begin(&handle, a, b, options.options(group)))
}

/// The key of a new relay, as a number.
pub(crate) fn begin(handle: &Handle, a: i32, b: i32, options: RelayOptions) -> Result<f64, Error> {
    if a == b {
        return Err(Error::OutOfRange("b"));
    }
    let (a, b) = take_both(a, b)?;
    handle.net.borrow_mut().relay(a, b, options).map(bits)
}

fn take_both(a: i32, b: i32) -> Result<(OwnedFd, OwnedFd), Error> {
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
    /// Bytes of both directions that were spliced.
    pub bytes_spliced: f64,
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
        bytes_spliced: stats.bytes_spliced as f64,
        duration_ms: milliseconds(stats.duration),
    })
}

/// A limit for many relays, for as long as what is returned lives.
#[napi(catch_unwind)]
pub fn rate_group(env: Env, rate: f64, burst: f64) -> napi::Result<External<RateGroup>> {
    check(&env, RateGroup::new(limit(rate, burst)).map(External::new))
}

/// Changes the limit of a group.
#[napi(catch_unwind)]
pub fn rate_group_set_limit(
    env: Env,
    group: &External<RateGroup>,
    rate: f64,
    burst: f64,
) -> napi::Result<()> {
    check(&env, group.set_limit(limit(rate, burst)))
}

/// How many relays share the limit.
#[napi(catch_unwind)]
pub fn rate_group_members(group: &External<RateGroup>) -> u32 {
    group.members() as u32
}

/// Ends the limit.
#[napi(catch_unwind)]
pub fn rate_group_close(group: &External<RateGroup>) {
    group.close();
}
