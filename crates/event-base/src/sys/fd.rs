//! Borrowing a descriptor that user code owns.
#![expect(unsafe_code, reason = "a raw number from user code becomes a borrowed descriptor for one call")]

use std::os::fd::{BorrowedFd, RawFd};

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
