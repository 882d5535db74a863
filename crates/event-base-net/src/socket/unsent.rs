//! The number of bytes in a socket's send queue.
#![expect(unsafe_code, reason = "the kernel stores the number behind a pointer, and no safe call offers it")]

use std::os::fd::BorrowedFd;

/// Bytes that were written to a TCP socket and that the peer's kernel has not acknowledged. 0 where the system
/// does not report it.
///
/// Linux: `SIOCOUTQ` (tcp(7)), a number that no longer changes after a reset. Darwin (`SO_NWRITE`) and FreeBSD
/// (`FIONWRITE`): the bytes in the send buffer.
pub(crate) fn unacknowledged(fd: BorrowedFd<'_>) -> usize {
    system::unacknowledged(fd).unwrap_or(0)
}

#[cfg(has_send_queue_ioctl)]
mod system {
    use std::os::fd::{AsRawFd, BorrowedFd};

    use nix::libc::c_int;

    #[cfg(not(target_os = "freebsd"))]
    nix::ioctl_read_bad!(send_queue, nix::libc::TIOCOUTQ, c_int);
    #[cfg(target_os = "freebsd")]
    nix::ioctl_read_bad!(send_queue, nix::libc::FIONWRITE, c_int);

    pub(super) fn unacknowledged(fd: BorrowedFd<'_>) -> Option<usize> {
        let mut count: c_int = 0;
        // SAFETY: the call stores one `int`, and `count` is one that outlives the call.
        unsafe { send_queue(fd.as_raw_fd(), &raw mut count) }.ok()?;
        usize::try_from(count).ok()
    }
}

#[cfg(target_vendor = "apple")]
mod system {
    use std::os::fd::{AsRawFd, BorrowedFd};

    use nix::libc::{SO_NWRITE, SOL_SOCKET, c_int, getsockopt, socklen_t};

    pub(super) fn unacknowledged(fd: BorrowedFd<'_>) -> Option<usize> {
        let mut count: c_int = 0;
        let mut length = size_of::<c_int>() as socklen_t;
        // SAFETY: the call stores at most `length` bytes, the size of `count`, and both outlive the call.
        let result = unsafe {
            getsockopt(fd.as_raw_fd(), SOL_SOCKET, SO_NWRITE, (&raw mut count).cast(), &raw mut length)
        };
        if result == 0 { usize::try_from(count).ok() } else { None }
    }
}

#[cfg(not(any(has_send_queue_ioctl, target_vendor = "apple")))]
mod system {
    use std::os::fd::BorrowedFd;

    pub(super) fn unacknowledged(_fd: BorrowedFd<'_>) -> Option<usize> {
        None
    }
}
