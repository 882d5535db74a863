//! The calls that are made for every event, as plain Node-API functions.
//!
//! The code that `#[napi]` makes for a function with arguments allocates and locks in every call (napi 3.16),
//! which takes several times longer than what these do. Here a call reads its arguments into an array on the
//! stack and nothing more. [`crossing`] hands the functions out as one object, whose type is declared in
//! `binding-header.d.ts`.
#![expect(unsafe_code, reason = "Node-API without napi-rs's wrappers is a C interface")]

use std::ffi::{CStr, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use event_base::{Error, EventId, LoopFlags, What};
use napi::bindgen_prelude::{JsValue, Object};
use napi::{Env, Status, sys};
use napi_derive::napi;

use crate::datagram::{DatagramReceive, DatagramSend};
use crate::error::throw;
use crate::handle::{Handle, Timeout, milliseconds};
use crate::socket::WOULD_BLOCK;

mod transfer;

use transfer::{SocketPeek, SocketRead, SocketWrite, SocketWriteMany};

mod completion;
mod relay;

pub(crate) use completion::Rest;

/// Arguments of the longest call.
const MOST_ARGUMENTS: usize = 6;

/// A call under way.
pub(crate) struct Call {
    env: Env,
    arguments: [sys::napi_value; MOST_ARGUMENTS],
}

/// What a call returns.
pub(crate) enum Value {
    Undefined,
    Int(i32),
    Number(f64),
}

impl Value {
    /// How much was moved, or that it would block.
    pub(crate) fn moved(count: Option<usize>) -> Self {
        Value::Int(count.map_or(WOULD_BLOCK, |count| count as i32))
    }
}

/// One function.
pub(crate) trait Export {
    const NAME: &'static CStr;

    fn call(call: &Call) -> napi::Result<Value>;
}

impl Call {
    /// The base that the first argument names.
    pub(crate) fn handle(&self) -> napi::Result<Handle> {
        Handle::find(self.uint(0))
    }

    /// An unsigned number; of what is none, 0.
    pub(crate) fn uint(&self, index: usize) -> u32 {
        let mut value = 0;
        // SAFETY: an argument not given is `undefined`, never null, and the out-pointer is valid.
        _ = unsafe { sys::napi_get_value_uint32(self.env.raw(), self.arguments[index], &raw mut value) };
        value
    }

    /// A signed number; of what is none, 0.
    pub(crate) fn int(&self, index: usize) -> i32 {
        let mut value = 0;
        // SAFETY: as in `uint`.
        _ = unsafe { sys::napi_get_value_int32(self.env.raw(), self.arguments[index], &raw mut value) };
        value
    }

    /// Any number; of what is none, 0.
    pub(crate) fn number(&self, index: usize) -> f64 {
        let mut value = 0.0;
        // SAFETY: as in `uint`.
        _ = unsafe { sys::napi_get_value_double(self.env.raw(), self.arguments[index], &raw mut value) };
        value
    }

    fn event(&self) -> EventId {
        EventId::from_bits(self.number(1) as u64)
    }

    fn what(&self, index: usize) -> What {
        What::from_bits_truncate(self.uint(index) as u8)
    }

    /// Hands a result over, or throws.
    pub(crate) fn check<T>(&self, result: Result<T, Error>) -> napi::Result<T> {
        result.map_err(|error| throw(&self.env, error))
    }

    fn done(&self, result: Result<(), Error>) -> napi::Result<Value> {
        self.check(result).map(|()| Value::Undefined)
    }
}

/// What JavaScript calls.
unsafe extern "C" fn enter<E: Export>(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    let mut call = Call { env: Env::from_raw(env), arguments: [ptr::null_mut(); MOST_ARGUMENTS] };
    let mut count = MOST_ARGUMENTS;
    // SAFETY: `info` is this call's, and the array has room for `count` arguments; missing ones are filled
    // with `undefined`.
    let status = unsafe {
        sys::napi_get_cb_info(
            env,
            info,
            &raw mut count,
            call.arguments.as_mut_ptr(),
            ptr::null_mut(),
            ptr::null_mut(),
        )
    };
    if status != sys::Status::napi_ok {
        return ptr::null_mut();
    }
    match catch_unwind(AssertUnwindSafe(|| E::call(&call))) {
        Ok(Ok(value)) => to_napi(env, &value),
        Ok(Err(error)) => {
            if error.status != Status::PendingException {
                _ = call.env.throw_error(&error.reason, None);
            }
            ptr::null_mut()
        }
        Err(_) => {
            _ = call.env.throw_error("the native layer panicked", Some("ERR_INTERNAL_ASSERTION"));
            ptr::null_mut()
        }
    }
}

/// A null value is `undefined` to Node-API.
fn to_napi(env: sys::napi_env, value: &Value) -> sys::napi_value {
    let mut result = ptr::null_mut();
    _ = match *value {
        Value::Undefined => sys::Status::napi_ok,
        // SAFETY: `env` is the environment of the call and the out-pointer valid.
        Value::Int(value) => unsafe { sys::napi_create_int32(env, value, &raw mut result) },
        // SAFETY: as above.
        Value::Number(value) => unsafe { sys::napi_create_double(env, value, &raw mut result) },
    };
    result
}

fn define<E: Export>(env: &Env, target: &Object<'_>) -> napi::Result<()> {
    let mut function = ptr::null_mut();
    let name = E::NAME;
    // SAFETY: the name is a C string of the given length, and the function pointer lives as long as the
    // module.
    let status = unsafe {
        sys::napi_create_function(
            env.raw(),
            name.as_ptr(),
            name.count_bytes() as isize,
            Some(enter::<E>),
            ptr::null_mut::<c_void>(),
            &raw mut function,
        )
    };
    napi::check_status!(status)?;
    // SAFETY: the object and the function belong to this environment and this scope.
    let status =
        unsafe { sys::napi_set_named_property(env.raw(), target.value().value, name.as_ptr(), function) };
    napi::check_status!(status)
}

/// The calls that are made for every event.
#[napi(catch_unwind, ts_return_type = "Crossing")]
pub fn crossing(env: Env) -> napi::Result<Object<'static>> {
    let target = Object::new(&env)?;
    define::<LoopEnter>(&env, &target)?;
    define::<LoopNext>(&env, &target)?;
    define::<LoopLeave>(&env, &target)?;
    define::<LoopWatcher>(&env, &target)?;
    define::<LoopWait>(&env, &target)?;
    define::<EventCreate>(&env, &target)?;
    define::<EventCreateAndAdd>(&env, &target)?;
    define::<EventAdd>(&env, &target)?;
    define::<EventDel>(&env, &target)?;
    define::<EventFree>(&env, &target)?;
    define::<EventActivate>(&env, &target)?;
    define::<EventPending>(&env, &target)?;
    define::<completion::NetCompletion>(&env, &target)?;
    define::<relay::NetRelay>(&env, &target)?;
    define::<SocketRead>(&env, &target)?;
    define::<SocketWrite>(&env, &target)?;
    define::<SocketWriteMany>(&env, &target)?;
    define::<SocketPeek>(&env, &target)?;
    define::<DatagramReceive>(&env, &target)?;
    define::<DatagramSend>(&env, &target)?;
    Ok(target)
}

struct LoopEnter;

impl Export for LoopEnter {
    const NAME: &'static CStr = c"loopEnter";

    fn call(call: &Call) -> napi::Result<Value> {
        let flags = LoopFlags::from_bits_truncate(call.uint(1) as u8);
        call.done(call.handle()?.base().enter(flags))
    }
}

struct LoopLeave;

impl Export for LoopLeave {
    const NAME: &'static CStr = c"loopLeave";

    fn call(call: &Call) -> napi::Result<Value> {
        call.handle()?.base().leave();
        Ok(Value::Undefined)
    }
}

struct LoopNext;

impl Export for LoopNext {
    const NAME: &'static CStr = c"loopNext";

    fn call(call: &Call) -> napi::Result<Value> {
        call.check(call.handle()?.loop_next()).map(Value::Int)
    }
}

struct LoopWatcher;

impl Export for LoopWatcher {
    const NAME: &'static CStr = c"loopWatcher";

    fn call(call: &Call) -> napi::Result<Value> {
        Ok(Value::Number(call.handle()?.told.get().watcher as f64))
    }
}

struct LoopWait;

impl Export for LoopWait {
    const NAME: &'static CStr = c"loopWait";

    fn call(call: &Call) -> napi::Result<Value> {
        Ok(Value::Number(call.handle()?.told.get().wait.map_or(-1.0, milliseconds)))
    }
}

struct EventCreate;

impl Export for EventCreate {
    const NAME: &'static CStr = c"eventCreate";

    fn call(call: &Call) -> napi::Result<Value> {
        let spec = crate::event::spec(call.int(1), call.uint(2), call.uint(3));
        let created = call.handle()?.base().create(spec);
        call.check(created).map(|id| Value::Number(id.to_bits() as f64))
    }
}

struct EventCreateAndAdd;

impl Export for EventCreateAndAdd {
    const NAME: &'static CStr = c"eventCreateAndAdd";

    fn call(call: &Call) -> napi::Result<Value> {
        let spec = crate::event::spec(call.int(1), call.uint(2), call.uint(3));
        let handle = call.handle()?;
        let created = match call.check(handle.timeout(call.number(4)))? {
            Timeout::None => handle.base().create_and_add(spec, None),
            Timeout::After(timeout) => handle.base().create_and_add(spec, Some(timeout)),
            Timeout::Common(timeout) => handle.base().create_and_add_common(spec, timeout),
        };
        call.check(created).map(|id| Value::Number(id.to_bits() as f64))
    }
}

struct EventAdd;

impl Export for EventAdd {
    const NAME: &'static CStr = c"eventAdd";

    fn call(call: &Call) -> napi::Result<Value> {
        let handle = call.handle()?;
        call.done(match call.check(handle.timeout(call.number(2)))? {
            Timeout::None => handle.base().add(call.event(), None),
            Timeout::After(timeout) => handle.base().add(call.event(), Some(timeout)),
            Timeout::Common(timeout) => handle.base().add_common(call.event(), timeout),
        })
    }
}

struct EventDel;

impl Export for EventDel {
    const NAME: &'static CStr = c"eventDel";

    fn call(call: &Call) -> napi::Result<Value> {
        call.done(call.handle()?.base().del(call.event()))
    }
}

struct EventFree;

impl Export for EventFree {
    const NAME: &'static CStr = c"eventFree";

    fn call(call: &Call) -> napi::Result<Value> {
        call.done(call.handle()?.base().free(call.event()))
    }
}

struct EventActivate;

impl Export for EventActivate {
    const NAME: &'static CStr = c"eventActivate";

    fn call(call: &Call) -> napi::Result<Value> {
        call.done(call.handle()?.base().activate(call.event(), call.what(2)))
    }
}

struct EventPending;

impl Export for EventPending {
    const NAME: &'static CStr = c"eventPending";

    fn call(call: &Call) -> napi::Result<Value> {
        let pending = call.handle()?.base().pending(call.event(), call.what(2));
        call.check(pending).map(|what| Value::Int(i32::from(what.bits())))
    }
}
