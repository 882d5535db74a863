//! How the kernel's answers become [`event_base::Error`]s.

use std::io;
use std::os::fd::RawFd;

use event_base::{Error, SystemError};
use nix::errno::Errno;

/// What the calls of this crate answer.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// `errno` of `syscall` on `fd`.
pub(crate) fn system(errno: Errno, syscall: &'static str, fd: Option<RawFd>) -> Error {
    Error::System(SystemError { errno: errno as i32, syscall, fd })
}

/// The same from the standard library's shape, for a failure that came through `socket2`.
///
/// That crate reports an option which the address family lacks, or a path that is too long, without an
/// `errno`; `EINVAL` is what the kernel answers for both.
pub(crate) fn from_io(error: &io::Error, syscall: &'static str, fd: Option<RawFd>) -> Error {
    let errno = error.raw_os_error().map_or(Errno::EINVAL, Errno::from_raw);
    system(errno, syscall, fd)
}

/// Whether a call that gave this failure is to be made again once the descriptor is ready.
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

/// Whether the process or the system lacks descriptors or memory, so that the same call with other arguments
/// would fail too.
pub(crate) fn is_shortage(error: &Error) -> bool {
    matches!(errno(error), None | Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM))
}
