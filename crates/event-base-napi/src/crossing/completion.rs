//! Completions of listeners, connects and relays. A proxy in JavaScript fetches three of them for each connection.
//!
//! A completion is passed as numbers in an array that JavaScript owns, because an object would be made property by
//! property, each by its name. Anything else, such as an error or a path, is kept until JavaScript fetches it.
#![expect(unsafe_code, reason = "the numbers of a typed array are a pointer and a length")]

use std::ffi::CStr;
use std::net::SocketAddr;
use std::os::fd::IntoRawFd;

use event_base::Error;
use event_base_net::{Address, Completion, EndReason, RelayEnd, SourceKey};
use napi::bindgen_prelude::Unknown;
use napi::{Env, sys};
use napi_derive::napi;

use super::call::{Call, Export, Value};
use crate::address::BindingAddress;
use crate::error::make;
use crate::handle::Handle;
use crate::state::CompletionDetail;
use crate::time::milliseconds;

/// Numbers of the longest completion.
const NUMBERS: usize = 7;

// The kind of the completion, which the call returns. TypeScript has the same numbers.
const NOTHING: i32 = 0;
const ACCEPTED: i32 = 1;
const ACCEPT_FAILED: i32 = 2;
const CONNECTED: i32 = 3;
const RELAY_ENDED: i32 = 4;

/// In place of the port of a peer: the address is fetched with [`net_peer`].
const FETCH: f64 = -1.0;

type Numbers = [f64; NUMBERS];

impl Call {
    /// The numbers of a typed array that has room for a completion. Valid until JavaScript runs again.
    fn numbers(&self, index: usize) -> Result<*mut Numbers, Error> {
        self.elements(self.arguments[index])
            .filter(|found| found.kind == sys::TypedarrayType::float64_array && found.count >= NUMBERS)
            .map(|found| found.data.cast())
            .ok_or(Error::OutOfRange("the array of numbers"))
    }
}

/// The next completion.
pub(super) struct NetCompletion;

impl Export for NetCompletion {
    const NAME: &'static CStr = c"netCompletion";

    fn call(call: &Call) -> Result<Value, Error> {
        let handle = call.handle()?;
        // Checked before anything is taken out of the queue. Nothing from here on runs JavaScript.
        let room = call.numbers(1)?;
        let completion = handle.net.borrow_mut().completion();
        let Some((kind, numbers, detail)) = completion.and_then(encode) else {
            return Ok(Value::Int(NOTHING));
        };
        handle.detail.replace(detail);
        // SAFETY: the array has room for as many numbers and is aligned for them. JavaScript waits for this call, and
        // `elements` refuses memory of other threads, so there is no other reference to them.
        unsafe { room.write(numbers) };
        Ok(Value::Int(kind))
    }
}

fn encode(completion: Completion) -> Option<(i32, Numbers, Option<CompletionDetail>)> {
    let bits = |key: SourceKey| key.to_bits() as f64;
    Some(match completion {
        Completion::Accepted { key, fd, peer } => {
            let fd = f64::from(fd.into_raw_fd());
            match peer {
                Address::Internet(SocketAddr::V4(address)) => {
                    let (host, port) = (u32::from(*address.ip()).into(), address.port().into());
                    (ACCEPTED, [bits(key), fd, port, host, 0.0, 0.0, 0.0], None)
                }
                peer => {
                    (ACCEPTED, [bits(key), fd, FETCH, 0.0, 0.0, 0.0, 0.0], Some(CompletionDetail::Peer(peer)))
                }
            }
        }
        Completion::AcceptFailed { key, error, retry_after } => {
            let retry_after = retry_after.map_or(-1.0, milliseconds);
            (
                ACCEPT_FAILED,
                [bits(key), retry_after, 0.0, 0.0, 0.0, 0.0, 0.0],
                Some(CompletionDetail::Failure(error)),
            )
        }
        Completion::Connected { key, result: Ok(fd), .. } => {
            (CONNECTED, [bits(key), fd.into_raw_fd().into(), 0.0, 0.0, 0.0, 0.0, 0.0], None)
        }
        Completion::Connected { key, result: Err(error), failures, .. } => {
            let detail = CompletionDetail::ConnectFailure(error, failures);
            (CONNECTED, [bits(key), -1.0, 0.0, 0.0, 0.0, 0.0, 0.0], Some(detail))
        }
        Completion::RelayEnded { key, end } => {
            let (numbers, error) = end_of(bits(key), end);
            (RELAY_ENDED, numbers, error.map(CompletionDetail::Failure))
        }
        _ => return None,
    })
}

fn end_of(key: f64, end: RelayEnd) -> (Numbers, Option<Error>) {
    let reason = match end.reason {
        EndReason::End => 0.0,
        EndReason::Error => 1.0,
        EndReason::Idle => 2.0,
        EndReason::Closed => 3.0,
    };
    let (a_to_b, b_to_a) = (end.bytes_a_to_b as f64, end.bytes_b_to_a as f64);
    let failed = if end.error.is_some() { 1.0 } else { 0.0 };
    let spliced = end.bytes_spliced as f64;
    ([key, a_to_b, b_to_a, milliseconds(end.duration), reason, failed, spliced], end.error)
}

/// The peer of the connection that was fetched last, if its address is not an IPv4 address.
#[napi(catch_unwind)]
pub fn net_peer(handle: Handle) -> Option<BindingAddress> {
    match handle.detail.take() {
        Some(CompletionDetail::Peer(peer)) => Some(BindingAddress::from(&peer)),
        _ => None,
    }
}

/// How a connect failed.
#[napi(object, object_from_js = false)]
pub struct BindingConnectFailure<'env> {
    /// The error of the whole connect.
    #[napi(ts_type = "Error")]
    pub error: Unknown<'env>,
    /// The attempts that failed.
    pub attempts: Vec<BindingFailedAttempt<'env>>,
}

/// An attempt at one address that failed.
#[napi(object, object_from_js = false)]
pub struct BindingFailedAttempt<'env> {
    /// The index of the address.
    pub address: u32,
    /// Its error.
    #[napi(ts_type = "Error")]
    pub error: Unknown<'env>,
}

/// How the connect failed whose completion was fetched last.
#[napi(catch_unwind)]
pub fn net_connect_failure<'env>(
    env: &'env Env,
    handle: Handle,
) -> napi::Result<Option<BindingConnectFailure<'env>>> {
    let Some(CompletionDetail::ConnectFailure(error, failures)) = handle.detail.take() else {
        return Ok(None);
    };
    let attempts = failures
        .into_iter()
        .map(|(address, error)| {
            Ok(BindingFailedAttempt { address: address as u32, error: make(env, error)? })
        })
        .collect::<napi::Result<_>>()?;
    Ok(Some(BindingConnectFailure { error: make(env, error)?, attempts }))
}

/// The error of the completion that was fetched last.
#[napi(catch_unwind, ts_return_type = "Error | null")]
pub fn net_failure<'env>(env: &'env Env, handle: Handle) -> napi::Result<Option<Unknown<'env>>> {
    match handle.detail.take() {
        Some(CompletionDetail::Failure(error)) => make(env, error).map(Some),
        _ => Ok(None),
    }
}
