//! Borrowing a descriptor that belongs to the user.
#![expect(unsafe_code, reason = "a raw number from the user becomes a borrowed descriptor for one call")]

use std::os::fd::{BorrowedFd, RawFd};

/// Runs `call` on the user's descriptor.
///
/// The number may be closed, or open and somebody else's: every call made here only names a descriptor to
/// the kernel, which answers `EBADF` for one that is closed.
pub(crate) fn with_fd<T>(fd: RawFd, call: impl FnOnce(BorrowedFd<'_>) -> T) -> T {
    debug_assert!(fd >= 0);
    // SAFETY: the number is not -1, and the borrow ends with this call, which neither closes the descriptor
    // nor keeps it.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    call(borrowed)
}
