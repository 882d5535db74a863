//! Relays of a base, and the groups that share a limit.

use std::os::fd::{IntoRawFd, OwnedFd};

use event_base::Error;
use event_base_net::{RateGroup, RateLimit, RelayOptions, Transfer};
use napi::bindgen_prelude::{External, Uint8Array};
use napi_derive::napi;

use super::key::{bits, key};
use crate::descriptor::take;
use crate::error::Outcome;
use crate::handle::Handle;
use crate::time::{duration, milliseconds};

/// The options of a relay.
#[napi(object)]
#[derive(Debug)]
pub struct BindingRelayOptions {
    /// Milliseconds without a byte that end the relay; negative for no limit.
    pub idle_timeout: f64,
    /// The same where one side has ended its stream or takes no bytes.
    pub half_close_timeout: f64,
    /// Milliseconds that a connect in progress may take; negative for no limit.
    pub connect_timeout: f64,
    /// Bytes a second; 0 for no limit.
    pub rate: f64,
    /// Bytes that may move in one burst.
    pub burst: f64,
    /// 0: adaptive, 1: copy, 2: splice.
    pub transfer: u32,
}

impl BindingRelayOptions {
    fn options(
        self,
        group: Option<&External<RateGroup>>,
        (a_to_b, b_to_a): (Option<Uint8Array>, Option<Uint8Array>),
    ) -> RelayOptions {
        let bytes = |prefix: Option<Uint8Array>| prefix.map_or_else(Vec::new, |prefix| prefix.to_vec());
        RelayOptions {
            idle_timeout: duration(self.idle_timeout),
            half_close_timeout: duration(self.half_close_timeout),
            connect_timeout: duration(self.connect_timeout),
            limit: (self.rate > 0.0).then(|| limit(self.rate, self.burst)),
            group: group.map(|group| RateGroup::clone(group)),
            prefix_a_to_b: bytes(a_to_b),
            prefix_b_to_a: bytes(b_to_a),
            transfer: transfer(self.transfer),
        }
    }
}

/// The way to move bytes that a number names.
fn transfer(number: u32) -> Transfer {
    match number {
        1 => Transfer::Copy,
        2 => Transfer::Splice,
        _ => Transfer::Adaptive,
    }
}

fn limit(rate: f64, burst: f64) -> RateLimit {
    RateLimit { rate: rate as u64, burst: burst as u64 }
}

/// Relays between two descriptors, which the base owns from here on, also if the call fails with a system error other
/// than `EBADF`. The prefixes are bytes that the second or the first descriptor gets ahead of what the other one sends.
/// A relay with no option but its timeouts is started by `crossing/relay.rs`.
// The bytes come last: converting the options reads properties, which can run JavaScript.
#[napi(catch_unwind)]
pub fn net_relay_with(
    handle: Handle,
    a: i32,
    b: i32,
    options: BindingRelayOptions,
    group: Option<&External<RateGroup>>,
    prefix_a_to_b: Option<Uint8Array>,
    prefix_b_to_a: Option<Uint8Array>,
) -> Outcome<f64> {
    start(&handle, a, b, options.options(group, (prefix_a_to_b, prefix_b_to_a))).into()
}

/// The key of a new relay, as a number.
pub(crate) fn start(handle: &Handle, a: i32, b: i32, options: RelayOptions) -> Result<f64, Error> {
    if a == b {
        return Err(Error::OutOfRange("b"));
    }
    let (a, b) = take_both(a, b)?;
    handle.net.borrow_mut().relay_or_return(a, b, options).map(bits).map_err(|refused| {
        // The caller keeps what was not closed.
        for descriptor in refused.descriptors.into_iter().flatten() {
            _ = descriptor.into_raw_fd();
        }
        refused.error
    })
}

fn take_both(a: i32, b: i32) -> Result<(OwnedFd, OwnedFd), Error> {
    let a = take(a, "relay")?;
    match take(b, "relay") {
        Ok(b) => Ok((a, b)),
        Err(error) => {
            // The caller keeps the one that is open.
            _ = a.into_raw_fd();
            Err(error)
        }
    }
}

/// The counters of a relay.
#[napi(object)]
#[derive(Debug)]
pub struct BindingRelayStats {
    /// Bytes from the first descriptor that were written to the second.
    pub bytes_a_to_b: f64,
    /// Bytes from the second descriptor that were written to the first.
    pub bytes_b_to_a: f64,
    /// Bytes from the first descriptor that are not written yet.
    pub held_a_to_b: f64,
    /// Bytes from the second descriptor that are not written yet.
    pub held_b_to_a: f64,
    /// Bytes of both directions that were spliced, not copied.
    pub bytes_spliced: f64,
    /// Milliseconds since the relay was started.
    pub duration_ms: f64,
}

/// The counters of a relay; nothing for one that has ended.
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

/// Makes a limit that relays share. It exists as long as the returned object.
#[napi(catch_unwind)]
pub fn rate_group(rate: f64, burst: f64) -> Outcome<External<RateGroup>> {
    RateGroup::new(limit(rate, burst)).map(External::new).into()
}

/// Changes the limit of a group.
#[napi(catch_unwind)]
pub fn rate_group_set_limit(group: &External<RateGroup>, rate: f64, burst: f64) -> Outcome<()> {
    group.set_limit(limit(rate, burst)).into()
}

/// The number of relays that share the limit.
#[napi(catch_unwind)]
pub fn rate_group_members(group: &External<RateGroup>) -> u32 {
    group.members() as u32
}

/// Ends the limit.
#[napi(catch_unwind)]
pub fn rate_group_close(group: &External<RateGroup>) {
    group.close();
}
