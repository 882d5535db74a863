//! The engine's errors as JavaScript's.
//!
//! The classes of errors live in TypeScript, which hands over one function that makes them. What is thrown
//! is its result, so `instanceof`, `code`, `errno`, `syscall` and `fd` are as documented there.

use event_base::Error;
use napi::bindgen_prelude::{FnArgs, Function, FunctionRef, Unknown};
use napi::{Env, Status};
use napi_derive::napi;

type Factory = FnArgs<(String, String, i32, String, i32)>;

/// What belongs to one environment.
struct EnvironmentData {
    make_error: FunctionRef<Factory, Unknown<'static>>,
}

/// Registers the function that makes an error from a code, a message, a negative errno (0 for none), a
/// system call and a descriptor (-1 for none).
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

/// Throws `error` in JavaScript; what is returned only says that it was.
pub(crate) fn throw(env: &Env, error: Error) -> napi::Error {
    match try_throw(env, error) {
        Ok(()) => napi::Error::from_status(Status::PendingException),
        Err(failure) => failure,
    }
}

fn try_throw(env: &Env, error: Error) -> napi::Result<()> {
    let made = make(env, error)?;
    env.throw(made)
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
    data.make_error.borrow_back(env)?.call(arguments.into())
}

/// Hands a result over, or throws.
pub(crate) fn check<T>(env: &Env, result: Result<T, Error>) -> napi::Result<T> {
    result.map_err(|error| throw(env, error))
}
