//! Knowing that this process is a forked child.
//!
//! The kernel's objects of a base are shared across a fork: what a child does to an epoll set, an eventfd or a
//! timerfd, its parent feels. So a child has to be told from its parent in every call, and cheaply: the C
//! library counts forks for us, and a call compares two numbers.
#![expect(unsafe_code, reason = "pthread_atfork is a C interface")]

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::errno::Errno;

use crate::error::Error;

/// No process has this generation.
pub(crate) const NO_GENERATION: u32 = u32::MAX;

static GENERATION: AtomicU32 = AtomicU32::new(0);

/// How many forks lie between this process and the one that first made a base. A child made by a bare
/// `clone` that leaves the C library out of it is not counted.
#[inline]
pub(crate) fn generation() -> u32 {
    GENERATION.load(Ordering::Relaxed)
}

/// What the C library calls in a child before `fork` returns there.
extern "C" fn in_child() {
    // All that is allowed here is what a signal handler may do.
    GENERATION.fetch_add(1, Ordering::Relaxed);
}

/// Begins to count. Asked for by every base, done once.
///
/// # Errors
/// [`Error::System`] with `ENOMEM`.
pub(crate) fn watch() -> Result<(), Error> {
    static ANSWER: OnceLock<i32> = OnceLock::new();
    // SAFETY: the handler only changes an atomic number, and is part of this library, which takes its handlers
    // along should it be unloaded.
    let answer = *ANSWER.get_or_init(|| unsafe { libc::pthread_atfork(None, None, Some(in_child)) });
    if answer == 0 { Ok(()) } else { Err(Error::system(Errno::from_raw(answer), "pthread_atfork", None)) }
}
