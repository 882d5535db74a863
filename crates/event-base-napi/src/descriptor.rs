//! Descriptors, which JavaScript passes as numbers.
#![expect(unsafe_code, reason = "JavaScript has a descriptor as a number only")]

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use event_base::{Error, SystemError};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};

/// The descriptor of this number, for one call; the kernel refuses one that is not open.
///
/// # Errors
/// `EBADF` for a negative number.
pub(crate) fn borrow<'call>(fd: i32, syscall: &'static str) -> Result<BorrowedFd<'call>, Error> {
    if fd < 0 {
        return Err(bad(fd, syscall));
    }
    // SAFETY: not -1. The caller knows whether it is open; where it is not, or names another file by now, system
    // calls return EBADF or act on that file. No memory depends on it.
    Ok(unsafe { BorrowedFd::borrow_raw(fd) })
}

/// Takes ownership of the descriptor of this number.
///
/// # Errors
/// `EBADF` when it is not open.
pub(crate) fn take(fd: i32, syscall: &'static str) -> Result<OwnedFd, Error> {
    fcntl(borrow(fd, syscall)?, FcntlArg::F_GETFD).map_err(|_| bad(fd, syscall))?;
    // SAFETY: it is open, and by the contract of the calling export JavaScript gives up its ownership.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Another descriptor of the same file.
///
/// # Errors
/// `EBADF` when it is not open, `EMFILE` and `ENFILE` when no descriptor is free.
pub(crate) fn duplicate(fd: BorrowedFd<'_>) -> Result<OwnedFd, Error> {
    fd.try_clone_to_owned().map_err(|error| {
        let errno = error.raw_os_error().unwrap_or_default();
        Error::System(SystemError { errno, syscall: "fcntl", fd: Some(fd.as_raw_fd()) })
    })
}

fn bad(fd: i32, syscall: &'static str) -> Error {
    Error::System(SystemError { errno: Errno::EBADF as i32, syscall, fd: Some(fd) })
}
