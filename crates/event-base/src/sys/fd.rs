//! Borrowing a descriptor that user code owns.
#![expect(
    unsafe_code,
    reason = "a raw number from user code becomes a borrowed descriptor for one call, and nix's fstat is limited"
)]

use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, RawFd};

#[cfg(not(linux_kernel))]
use libc::{fstat as fstat64, stat as stat64};
#[cfg(linux_kernel)]
use libc::{fstat64, stat64};
use nix::errno::Errno;

/// Runs `call` with a descriptor that user code owns.
///
/// The number may be closed, or be another file by now. Each call made here only passes the number to the kernel, which
/// returns `EBADF` if it is closed.
pub(crate) fn with_fd<T>(fd: RawFd, call: impl FnOnce(BorrowedFd<'_>) -> T) -> T {
    debug_assert!(fd >= 0);
    // SAFETY: the number is not -1, and the borrow ends with this call, which neither closes the descriptor
    // nor keeps it.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    call(borrowed)
}

/// The status of a file (`fstat(2)`).
///
/// On 32-bit systems with glibc, the function that nix calls has fields of 32 bits, and fails with `EOVERFLOW` for a file
/// whose inode number or size needs more.
pub(crate) fn status(fd: RawFd) -> nix::Result<stat64> {
    let mut status = MaybeUninit::uninit();
    // SAFETY: the out-pointer is valid, and a descriptor that is closed is an error.
    let result = unsafe { fstat64(fd, status.as_mut_ptr()) };
    Errno::result(result)?;
    // SAFETY: written by the call, which succeeded.
    Ok(unsafe { status.assume_init() })
}
