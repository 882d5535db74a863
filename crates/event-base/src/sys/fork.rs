//! Detecting that this process is a forked child.
//!
//! The kernel's objects of a base are shared across a fork: what a child does to an epoll instance, an eventfd or a
//! timerfd takes effect in its parent. So each call has to detect a child, cheaply: a handler of `pthread_atfork` counts
//! forks, and a call compares two numbers.
#![expect(unsafe_code, reason = "pthread_atfork is a C interface")]

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::errno::Errno;

use crate::error::Error;

/// No process has this generation.
pub(crate) const NO_GENERATION: u32 = u32::MAX;

static GENERATION: AtomicU32 = AtomicU32::new(0);

/// How many forks lie between this process and the one that made the first base. A child of a bare `clone`, which does
/// not go through the C library, is not counted.
#[inline]
pub(crate) fn generation() -> u32 {
    GENERATION.load(Ordering::Relaxed)
}

/// What the C library calls in a child before `fork` returns there.
extern "C" fn in_child() {
    // Only what is async-signal-safe is allowed here: pthread_atfork(3).
    GENERATION.fetch_add(1, Ordering::Relaxed);
}

/// Starts to count forks. Called for every base, effective once.
///
/// # Errors
/// [`Error::System`] with `ENOMEM`.
pub(crate) fn watch() -> Result<(), Error> {
    static ANSWER: OnceLock<i32> = OnceLock::new();
    // SAFETY: the handler only changes an atomic number. The C library removes it if this library is unloaded.
    let answer = *ANSWER.get_or_init(|| unsafe { libc::pthread_atfork(None, None, Some(in_child)) });
    if answer == 0 { Ok(()) } else { Err(Error::system(Errno::from_raw(answer), "pthread_atfork", None)) }
}
