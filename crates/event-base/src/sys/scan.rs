//! `poll` and `pselect`: waits that pass all descriptors to the kernel in each call.
//!
//! nix's functions take borrowed descriptors, but a descriptor of user code may be closed at any time, and nix's set of
//! descriptors ends at `FD_SETSIZE`.
#![expect(unsafe_code, reason = "neither call has a safe form for descriptors that user code owns")]

use std::ffi::{c_int, c_ulong};
use std::ptr;
use std::time::Duration;

use nix::errno::Errno;

/// One descriptor of a call to [`poll`].
pub(crate) type PollEntry = libc::pollfd;

/// A word of the sets given to [`pselect`].
pub(crate) type SelectWord = c_ulong;

/// The number of descriptors in a word.
pub(crate) const SELECT_WORD_BITS: usize = SelectWord::BITS as usize;

/// The limit that every descriptor of [`pselect`] must be below, if the system has one: Darwin's `FD_SETSIZE`. The
/// kernels of Linux and FreeBSD take sets of any size.
pub(crate) const SELECT_LIMIT: Option<usize> =
    if cfg!(target_vendor = "apple") { Some(libc::FD_SETSIZE) } else { None };

/// The longest wait, 11 days: POSIX allows a system to limit the timeout of `pselect` to 31 days. The loop repeats a
/// wait that ends early.
const MOST_SECONDS: u64 = 1_000_000;

fn to_timespec(timeout: Duration) -> libc::timespec {
    libc::timespec {
        tv_sec: timeout.as_secs().min(MOST_SECONDS) as libc::time_t,
        tv_nsec: timeout.subsec_nanos() as _,
    }
}

/// Waits for at most `timeout`, without limit if there is none. Returns how many entries have `revents`.
#[cfg(not(target_vendor = "apple"))]
pub(crate) fn poll(entries: &mut [PollEntry], timeout: Option<Duration>) -> nix::Result<usize> {
    let timeout = timeout.map(to_timespec);
    // SAFETY: `entries` is valid for its length; `timeout` is null or points to a timespec that outlives the
    // call; a null signal mask leaves the mask as it is. Descriptors are numbers to the kernel.
    let result = unsafe {
        libc::ppoll(
            entries.as_mut_ptr(),
            entries.len() as libc::nfds_t,
            timeout.as_ref().map_or(ptr::null(), ptr::from_ref),
            ptr::null(),
        )
    };
    Errno::result(result).map(|count| count as usize)
}

/// Darwin has no `ppoll`. The timeout is rounded up to milliseconds, because a wait that ends early has to be repeated.
#[cfg(target_vendor = "apple")]
pub(crate) fn poll(entries: &mut [PollEntry], timeout: Option<Duration>) -> nix::Result<usize> {
    let timeout = timeout
        .map_or(-1, |timeout| c_int::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(c_int::MAX));
    // SAFETY: `entries` is valid for its length. Descriptors are numbers to the kernel.
    let result = unsafe { libc::poll(entries.as_mut_ptr(), entries.len() as libc::nfds_t, timeout) };
    Errno::result(result).map(|count| count as usize)
}

/// Waits for at most `timeout`, without limit if there is none, for descriptors below `limit`. Returns how many bits
/// are set in both sets together. The sets may be larger than the system's `fd_set`.
pub(crate) fn pselect(
    limit: usize,
    readers: &mut [SelectWord],
    writers: &mut [SelectWord],
    timeout: Option<Duration>,
) -> nix::Result<usize> {
    let room = readers.len().min(writers.len()) * SELECT_WORD_BITS;
    let count = c_int::try_from(limit.min(room)).unwrap_or(c_int::MAX);
    let timeout = timeout.map(to_timespec);
    // SAFETY: the kernel reads and writes `count` bits, and both sets have at least as many; a set is an array of
    // words, which its bits fill from the lowest up. `timeout` is null or points to a timespec that outlives the call;
    // a null signal mask leaves the mask as it is.
    let result = unsafe {
        libc::pselect(
            count,
            readers.as_mut_ptr().cast(),
            writers.as_mut_ptr().cast(),
            ptr::null_mut(),
            timeout.as_ref().map_or(ptr::null(), ptr::from_ref),
            ptr::null(),
        )
    };
    Errno::result(result).map(|count| count as usize)
}
