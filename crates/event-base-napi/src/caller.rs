//! Calls JavaScript from the event loop, as Node calls its own callbacks: next ticks and microtasks run after each
//! call, and an exception becomes an uncaught exception.
#![expect(unsafe_code, reason = "napi-rs has no safe form of napi_make_callback and napi_fatal_exception")]

use std::ptr;

use napi::bindgen_prelude::{Function, JsValue};
use napi::{Env, sys};

/// A function to call, and the environment to call it in. Must stay on the thread of that environment.
#[derive(Debug)]
pub(crate) struct Caller {
    env: sys::napi_env,
    function: sys::napi_ref,
    receiver: sys::napi_ref,
    context: sys::napi_async_context,
}

/// A handle scope, closed on drop: the values of one call are released before the next call.
struct HandleScope {
    env: sys::napi_env,
    scope: sys::napi_handle_scope,
}

impl HandleScope {
    fn open(env: sys::napi_env) -> Option<Self> {
        let mut scope = ptr::null_mut();
        // SAFETY: `env` is a live environment and this is its thread; `scope` is written on success only.
        let status = unsafe { sys::napi_open_handle_scope(env, &raw mut scope) };
        (status == sys::Status::napi_ok).then_some(HandleScope { env, scope })
    }
}

impl Drop for HandleScope {
    fn drop(&mut self) {
        // SAFETY: the scope was opened in this environment and scopes are dropped innermost first.
        _ = unsafe { sys::napi_close_handle_scope(self.env, self.scope) };
    }
}

impl Caller {
    /// Keeps a function, which is called with two numbers, in an asynchronous resource of its own.
    pub(crate) fn new(env: &Env, function: &Function<'_, (i32, f64), ()>) -> napi::Result<Self> {
        let raw = env.raw();
        let receiver = env.get_global()?;
        let name = env.create_string("EventBase")?;
        let mut context = ptr::null_mut();
        // SAFETY: the values belong to this environment and live in the scope of the calling function; for a
        // null resource Node makes one.
        let status =
            unsafe { sys::napi_async_init(raw, ptr::null_mut(), name.value().value, &raw mut context) };
        napi::check_status!(status)?;
        Ok(Caller {
            env: raw,
            function: reference(raw, function.value().value)?,
            receiver: reference(raw, receiver.value().value)?,
            context,
        })
    }

    /// Calls the function. Returns `false` when the environment is ending and runs no JavaScript.
    pub(crate) fn call(&self, code: i32, detail: f64) -> bool {
        let Some(_scope) = HandleScope::open(self.env) else { return false };
        let mut arguments = [ptr::null_mut(); 2];
        // SAFETY: a handle scope is open and the out-pointer is valid.
        _ = unsafe { sys::napi_create_int32(self.env, code, &raw mut arguments[0]) };
        // SAFETY: as above.
        _ = unsafe { sys::napi_create_double(self.env, detail, &raw mut arguments[1]) };
        let (Some(function), Some(receiver)) = (self.value(self.function), self.value(self.receiver)) else {
            return false;
        };
        // Node accepts null for a result that is not used; Deno writes to it.
        let mut result = ptr::null_mut();
        // SAFETY: every value was made or fetched in the open scope; the context lives as long as `self`.
        let status = unsafe {
            sys::napi_make_callback(
                self.env,
                self.context,
                receiver,
                function,
                arguments.len(),
                arguments.as_ptr(),
                &raw mut result,
            )
        };
        status == sys::Status::napi_ok
            || (status == sys::Status::napi_pending_exception && self.report_exception())
    }

    /// Passes the exception to `process.on('uncaughtException')`; without a listener it ends the process.
    fn report_exception(&self) -> bool {
        let mut exception = ptr::null_mut();
        // SAFETY: called in an open handle scope; the out-pointer is valid.
        let status = unsafe { sys::napi_get_and_clear_last_exception(self.env, &raw mut exception) };
        if status != sys::Status::napi_ok {
            return false;
        }
        // SAFETY: the exception was fetched in the open scope.
        let status = unsafe { sys::napi_fatal_exception(self.env, exception) };
        status == sys::Status::napi_ok
    }

    fn value(&self, reference: sys::napi_ref) -> Option<sys::napi_value> {
        let mut value = ptr::null_mut();
        // SAFETY: the reference is strong and lives until `self` is dropped.
        let status = unsafe { sys::napi_get_reference_value(self.env, reference, &raw mut value) };
        (status == sys::Status::napi_ok && !value.is_null()).then_some(value)
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        for reference in [self.function, self.receiver] {
            // SAFETY: made in `new` for this environment, deleted once.
            _ = unsafe { sys::napi_delete_reference(self.env, reference) };
        }
        // SAFETY: made in `new` for this environment, destroyed once, and no call is in progress: each call holds
        // an `Rc` of this.
        _ = unsafe { sys::napi_async_destroy(self.env, self.context) };
    }
}

fn reference(env: sys::napi_env, value: sys::napi_value) -> napi::Result<sys::napi_ref> {
    let mut reference = ptr::null_mut();
    // SAFETY: `value` is a function or an object of this environment; the out-pointer is valid.
    let status = unsafe { sys::napi_create_reference(env, value, 1, &raw mut reference) };
    napi::check_status!(status)?;
    Ok(reference)
}
