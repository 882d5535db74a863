//! What happened to a listener, a connect or a relay: a proxy in JavaScript asks three times for each connection.
//!
//! The answer is numbers in an array of JavaScript's, for an object would be made property by property, each by
//! its name. What numbers cannot say, an error or a path, stays here until it is asked for.
#![expect(unsafe_code, reason = "the numbers of a typed array are a pointer and a length")]

use std::ffi::CStr;
use std::net::SocketAddr;
use std::os::fd::IntoRawFd;
use std::ptr;

use event_base::Error;
use event_base_net::{Address, Completion, EndReason, RelayEnd, SourceKey};
use napi::bindgen_prelude::Unknown;
use napi::{Env, Status, sys};
use napi_derive::napi;

use super::{Call, Export, Value};
use crate::descriptor::BindingAddress;
use crate::error::make;
use crate::handle::{Handle, milliseconds};

/// Numbers of the longest answer.
const NUMBERS: usize = 7;

// What the call returns. TypeScript has the same.
const NOTHING: i32 = 0;
const ACCEPTED: i32 = 1;
const ACCEPT_FAILED: i32 = 2;
const CONNECTED: i32 = 3;
const RELAY_ENDED: i32 = 4;

/// In place of a peer's port: its address is to be asked for.
const ASK: f64 = -1.0;

/// What the numbers of the last answer leave out.
#[derive(Debug)]
pub(crate) enum Rest {
    Peer(Address),
    Failure(Error),
}

type Numbers = [f64; NUMBERS];

impl Call {
    /// Where a typed array has room for an answer.
    fn numbers(&self, index: usize) -> napi::Result<*mut Numbers> {
        let (mut kind, mut count, mut data) = (0, 0, ptr::null_mut());
        // SAFETY: the argument is never null; the out-pointers are valid or null where not wanted.
        let status = unsafe {
            sys::napi_get_typedarray_info(
                self.env.raw(),
                self.arguments[index],
                &raw mut kind,
                &raw mut count,
                &raw mut data,
                ptr::null_mut(),
                ptr::null_mut(),
            )
        };
        if status != sys::Status::napi_ok || kind != sys::TypedarrayType::float64_array || count < NUMBERS {
            return Err(napi::Error::new(Status::InvalidArg, "an array of 7 numbers is wanted"));
        }
        Ok(data.cast())
    }
}

/// The next thing that happened to a source.
pub(super) struct NetCompletion;

impl Export for NetCompletion {
    const NAME: &'static CStr = c"netCompletion";

    fn call(call: &Call) -> napi::Result<Value> {
        let handle = call.handle()?;
        // Before anything is taken out of the queue.
        let room = call.numbers(1)?;
        let completion = handle.net.borrow_mut().completion();
        let Some((kind, numbers, rest)) = completion.and_then(said) else { return Ok(Value::Int(NOTHING)) };
        handle.rest.replace(rest);
        // SAFETY: the array has room for as many and is aligned for them. JavaScript, which could move or look at
        // them, waits until the call returns, and no other thread knows them: TypeScript made the array and hands
        // it to nobody.
        unsafe { room.write(numbers) };
        Ok(Value::Int(kind))
    }
}

fn said(completion: Completion) -> Option<(i32, Numbers, Option<Rest>)> {
    let bits = |key: SourceKey| key.to_bits() as f64;
    Some(match completion {
        Completion::Accepted { key, fd, peer } => {
            let fd = f64::from(fd.into_raw_fd());
            match peer {
                Address::Internet(SocketAddr::V4(address)) => {
                    let (host, port) = (u32::from(*address.ip()).into(), address.port().into());
                    (ACCEPTED, [bits(key), fd, port, host, 0.0, 0.0, 0.0], None)
                }
                peer => (ACCEPTED, [bits(key), fd, ASK, 0.0, 0.0, 0.0, 0.0], Some(Rest::Peer(peer))),
            }
        }
        Completion::AcceptFailed { key, error, retry_after } => {
            let retry_after = retry_after.map_or(-1.0, milliseconds);
            (ACCEPT_FAILED, [bits(key), retry_after, 0.0, 0.0, 0.0, 0.0, 0.0], Some(Rest::Failure(error)))
        }
        Completion::Connected { key, result: Ok(fd) } => {
            (CONNECTED, [bits(key), fd.into_raw_fd().into(), 0.0, 0.0, 0.0, 0.0, 0.0], None)
        }
        Completion::Connected { key, result: Err(error) } => {
            (CONNECTED, [bits(key), -1.0, 0.0, 0.0, 0.0, 0.0, 0.0], Some(Rest::Failure(error)))
        }
        Completion::RelayEnded { key, end } => {
            let (numbers, error) = end_of(bits(key), end);
            (RELAY_ENDED, numbers, error.map(Rest::Failure))
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

/// The peer of the connection that was told last, where its address is none of IPv4.
#[napi(catch_unwind)]
pub fn net_peer(handle: Handle) -> Option<BindingAddress> {
    match handle.rest.take() {
        Some(Rest::Peer(peer)) => Some(BindingAddress::from(&peer)),
        _ => None,
    }
}

/// The error of what was told last.
#[napi(catch_unwind, ts_return_type = "Error | null")]
pub fn net_failure<'env>(env: &'env Env, handle: Handle) -> napi::Result<Option<Unknown<'env>>> {
    match handle.rest.take() {
        Some(Rest::Failure(error)) => make(env, error).map(Some),
        _ => Ok(None),
    }
}
