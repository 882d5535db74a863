//! Detecting that this process is a forked child.
//!
//! A parent and its child share the kernel's objects of a base: what the child does to an epoll instance, an eventfd or
//! a timerfd takes effect in the parent (`fork(2)`). So each call on a base must detect that it runs in a child, at
//! little cost: a handler of `pthread_atfork` counts forks, and a call compares two numbers.
#![expect(unsafe_code, reason = "pthread_atfork is a C interface")]

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::errno::Errno;

use crate::error::Error;

/// No process has this generation.
pub(crate) const NO_GENERATION: u32 = u32::MAX;

static GENERATION: AtomicU32 = AtomicU32::new(0);

/// The number of forks between the process that created the first base and this one. A child that the system call
/// `clone` creates without the C library is not counted.
#[inline]
pub(crate) fn generation() -> u32 {
    GENERATION.load(Ordering::Relaxed)
}

/// The C library calls this in a child before `fork` returns there.
extern "C" fn in_child() {
    // Only async-signal-safe operations are allowed here: pthread_atfork(3).
    GENERATION.fetch_add(1, Ordering::Relaxed);
}

/// Starts to count forks. Called for every base; only the first call has an effect.
///
/// # Errors
/// [`Error::System`] with `ENOMEM`.
pub(crate) fn watch() -> Result<(), Error> {
    static ANSWER: OnceLock<i32> = OnceLock::new();
    // SAFETY: the handler only changes an atomic number. The C library removes it if this library is unloaded.
    let answer = *ANSWER.get_or_init(|| unsafe { libc::pthread_atfork(None, None, Some(in_child)) });
    if answer == 0 { Ok(()) } else { Err(Error::system(Errno::from_raw(answer), "pthread_atfork", None)) }
}
