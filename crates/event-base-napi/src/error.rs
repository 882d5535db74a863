//! Errors of the engine as errors of JavaScript.
//!
//! TypeScript defines the classes of errors, words their messages, and registers one function that makes them.
#![expect(unsafe_code, reason = "the one method of the trait that converts a return value is unsafe")]

use event_base::Error;
use napi::bindgen_prelude::{FnArgs, Function, FunctionRef, JsValue, ToNapiValue, Unknown};
use napi::{Env, sys};
use napi_derive::napi;

type Factory = FnArgs<(String, String, i32, String, i32)>;

/// What belongs to one environment.
struct EnvironmentData {
    make_error: FunctionRef<Factory, Unknown<'static>>,
}

/// Registers the function that makes an error. It is passed a code, a message, a negative error number (0 if no
/// system call failed), the name of the system call, and a descriptor (-1 for none).
#[napi(catch_unwind)]
pub fn set_error_factory(
    env: Env,
    #[napi(
        ts_arg_type = "(code: string, message: string, errno: number, syscall: string, fd: number) => Error"
    )]
    make_error: Function<'_, Factory, Unknown<'static>>,
) -> napi::Result<()> {
    let data = EnvironmentData { make_error: make_error.create_ref()? };
    env.set_instance_data(data, 0, |_| ())
}

/// The JavaScript error for `error`.
pub(crate) fn make<'env>(env: &'env Env, error: Error) -> napi::Result<Unknown<'env>> {
    let (code, errno, syscall, fd) = match error {
        Error::NoMethod => ("ERR_EVENT_NO_METHOD".to_owned(), 0, "", -1),
        Error::Closed => ("ERR_EVENT_CLOSED".to_owned(), 0, "", -1),
        Error::Reentrant => ("ERR_EVENT_REENTRANT".to_owned(), 0, "", -1),
        Error::BadFlags(_) => ("ERR_EVENT_BAD_FLAGS".to_owned(), 0, "", -1),
        Error::Active => ("ERR_EVENT_ACTIVE".to_owned(), 0, "", -1),
        Error::Finalizing => ("ERR_EVENT_FINALIZING".to_owned(), 0, "", -1),
        Error::WrongThread => ("ERR_EVENT_WRONG_THREAD".to_owned(), 0, "", -1),
        Error::Blocking(_) => ("ERR_EVENT_BLOCKING".to_owned(), 0, "", -1),
        Error::Internal(_) => ("ERR_EVENT_INTERNAL".to_owned(), 0, "", -1),
        Error::Forked => ("ERR_EVENT_FORKED".to_owned(), 0, "", -1),
        Error::System(error) => {
            let code = nix::errno::Errno::from_raw(error.errno);
            (format!("{code:?}"), -error.errno, error.syscall, error.fd.unwrap_or(-1))
        }
        _ => ("ERR_OUT_OF_RANGE".to_owned(), 0, "", -1),
    };
    let data = env.get_instance_data::<EnvironmentData>()?;
    let data = data.ok_or_else(|| napi::Error::from_reason(error.to_string()))?;
    let arguments = (code, error.to_string(), errno, syscall.to_owned(), fd);
    // `apply` leaves an exception pending. `call` converts it to text first, which recurses without an end if that
    // throws too, as it does when the stack is exhausted.
    data.make_error.borrow_back(env)?.apply((), arguments.into())
}

/// What an export returns: its value, or the error object that TypeScript throws.
///
/// Node-API's `napi_throw` is no alternative. It throws inside a `v8::TryCatch` of its own, and V8 looks for a handler
/// at the time of throwing: with `--abort-on-uncaught-exception` it takes the exception for uncaught and aborts.
#[derive(Debug)]
pub struct Outcome<T>(pub(crate) Result<T, Error>);

impl<T> From<Result<T, Error>> for Outcome<T> {
    fn from(result: Result<T, Error>) -> Self {
        Outcome(result)
    }
}

impl<T: ToNapiValue> ToNapiValue for Outcome<T> {
    unsafe fn to_napi_value(env: sys::napi_env, outcome: Self) -> napi::Result<sys::napi_value> {
        match outcome.0 {
            // SAFETY: the promise of the caller about `env` is passed on.
            Ok(value) => unsafe { T::to_napi_value(env, value) },
            Err(error) => Ok(make(&Env::from_raw(env), error)?.value().value),
        }
    }
}
