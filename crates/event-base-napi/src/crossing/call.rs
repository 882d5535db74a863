//! A call of a plain Node-API function: its arguments, and what it returns.
#![expect(unsafe_code, reason = "Node-API without napi-rs's wrappers is a C interface")]

use std::ffi::{CStr, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use event_base::{Error, EventId, What};
use napi::bindgen_prelude::{JsValue, Object};
use napi::{Env, sys};

use crate::error::make;
use crate::handle::Handle;
use crate::socket::WOULD_BLOCK;

/// Arguments of the longest call.
const MOST_ARGUMENTS: usize = 6;

/// A call in progress.
pub(super) struct Call {
    pub(super) env: sys::napi_env,
    pub(super) arguments: [sys::napi_value; MOST_ARGUMENTS],
}

/// The value that a call returns.
pub(super) enum Value {
    Undefined,
    Int(i32),
    Number(f64),
}

impl Value {
    /// The number of bytes or datagrams that were moved, or that the call would block.
    pub(super) fn moved(count: Option<usize>) -> Self {
        Value::Int(count.map_or(WOULD_BLOCK, |count| count as i32))
    }
}

/// One function.
pub(super) trait Export {
    const NAME: &'static CStr;

    /// Runs the function. An error is returned to JavaScript as an object, as by [`Outcome`](crate::error::Outcome).
    fn call(call: &Call) -> Result<Value, Error>;
}

impl Call {
    /// The base that the first argument names.
    pub(super) fn handle(&self) -> Result<Handle, Error> {
        Handle::find(self.uint(0)).ok_or(Error::Closed)
    }

    /// An unsigned number; 0 for any other value.
    pub(super) fn uint(&self, index: usize) -> u32 {
        let mut value = 0;
        // SAFETY: an argument that is missing is `undefined`, never null, and the out-pointer is valid.
        _ = unsafe { sys::napi_get_value_uint32(self.env, self.arguments[index], &raw mut value) };
        value
    }

    /// A boolean; `false` for any other value.
    pub(super) fn boolean(&self, index: usize) -> bool {
        let mut value = false;
        // SAFETY: as in `uint`.
        _ = unsafe { sys::napi_get_value_bool(self.env, self.arguments[index], &raw mut value) };
        value
    }

    /// A signed number; 0 for any other value.
    pub(super) fn int(&self, index: usize) -> i32 {
        let mut value = 0;
        // SAFETY: as in `uint`.
        _ = unsafe { sys::napi_get_value_int32(self.env, self.arguments[index], &raw mut value) };
        value
    }

    /// A number; 0 for any other value.
    pub(super) fn number(&self, index: usize) -> f64 {
        let mut value = 0.0;
        // SAFETY: as in `uint`.
        _ = unsafe { sys::napi_get_value_double(self.env, self.arguments[index], &raw mut value) };
        value
    }

    /// The event that the second argument names.
    pub(super) fn event(&self) -> EventId {
        EventId::from_bits(self.number(1) as u64)
    }

    /// A set of result bits.
    pub(super) fn what(&self, index: usize) -> What {
        What::from_bits_truncate(self.uint(index) as u8)
    }
}

/// The native function that JavaScript calls.
unsafe extern "C" fn enter<E: Export>(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    let mut call = Call { env, arguments: [ptr::null_mut(); MOST_ARGUMENTS] };
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
    let result = catch_unwind(AssertUnwindSafe(|| E::call(&call)));
    match result.unwrap_or(Err(Error::Internal("the native layer panicked"))) {
        Ok(value) => to_napi(env, &value),
        Err(error) => error_to_napi(env, error),
    }
}

/// The JavaScript value. A null pointer is `undefined` to Node-API.
fn to_napi(env: sys::napi_env, value: &Value) -> sys::napi_value {
    let mut result = ptr::null_mut();
    _ = match *value {
        Value::Undefined => sys::Status::napi_ok,
        // SAFETY: `env` is the environment of the call and the out-pointer is valid.
        Value::Int(value) => unsafe { sys::napi_create_int32(env, value, &raw mut result) },
        // SAFETY: as above.
        Value::Number(value) => unsafe { sys::napi_create_double(env, value, &raw mut result) },
    };
    result
}

/// The error object for TypeScript to throw.
#[cold]
fn error_to_napi(env: sys::napi_env, error: Error) -> sys::napi_value {
    let mut is_pending = false;
    // SAFETY: `env` is the environment of the call and the out-pointer is valid.
    _ = unsafe { sys::napi_is_exception_pending(env, &raw mut is_pending) };
    if is_pending {
        // A getter among the arguments has thrown: Node-API throws that exception when this call returns.
        return ptr::null_mut();
    }
    let env = Env::from_raw(env);
    match make(&env, error) {
        Ok(made) => made.value().value,
        // No error object can be made while the environment is ending.
        Err(_) => {
            _ = env.throw_error(&error.to_string(), None);
            ptr::null_mut()
        }
    }
}

/// Defines a function on an object.
pub(super) fn define<E: Export>(env: &Env, target: &Object<'_>) -> napi::Result<()> {
    let mut function = ptr::null_mut();
    let name = E::NAME;
    // SAFETY: the name is a C string of the given length, and the function pointer is valid as long as the
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
