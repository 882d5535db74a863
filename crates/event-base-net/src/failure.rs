//! Conversion of system errors to [`event_base::Error`], and their classes.

use std::io;
use std::os::fd::RawFd;

use event_base::{Error, SystemError};
use nix::errno::Errno;

/// The result type of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The error `errno` of the call `syscall` on `fd`.
pub(crate) fn system(errno: Errno, syscall: &'static str, fd: Option<RawFd>) -> Error {
    Error::System(SystemError { errno: errno as i32, syscall, fd })
}

/// Converts an error of `socket2`.
///
/// That crate reports an option which the address family lacks, and a path that is too long, without an `errno`.
/// The kernel's error for both is `EINVAL`.
pub(crate) fn from_io(error: &io::Error, syscall: &'static str, fd: Option<RawFd>) -> Error {
    let errno = error.raw_os_error().map_or(Errno::EINVAL, Errno::from_raw);
    system(errno, syscall, fd)
}

/// Whether the call has to be repeated once the descriptor is ready.
pub(crate) fn would_block(errno: Errno) -> bool {
    // EWOULDBLOCK is the same number on every supported system.
    errno == Errno::EAGAIN
}

/// The `errno` of a failed system call.
pub(crate) fn errno(error: &Error) -> Option<Errno> {
    match error {
        Error::System(error) => Some(Errno::from_raw(error.errno)),
        _ => None,
    }
}

/// Whether the process or the system lacks a resource, so that the same call with other arguments would fail too.
pub(crate) fn is_shortage(error: &Error) -> bool {
    errno(error).is_none_or(is_resource_shortage)
}

/// Whether the process or the system lacks descriptors, memory or registrations (`ENOSPC` of `epoll_ctl(2)`:
/// `/proc/sys/fs/epoll/max_user_watches`). The call may succeed later.
pub(crate) fn is_resource_shortage(errno: Errno) -> bool {
    is_memory_shortage(errno) || matches!(errno, Errno::EMFILE | Errno::ENFILE | Errno::ENOSPC)
}

/// Whether the kernel had no memory for the call. It may succeed later.
pub(crate) fn is_memory_shortage(errno: Errno) -> bool {
    matches!(errno, Errno::ENOBUFS | Errno::ENOMEM)
}
