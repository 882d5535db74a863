//! What the kernel counts of a TCP connection.
#![expect(
    unsafe_code,
    reason = "the kernel stores the numbers behind a pointer, and no safe call offers them"
)]

use std::os::fd::BorrowedFd;

/// Bytes that were written to a TCP socket and that the peer's kernel has not acknowledged. 0 where the system
/// does not report it.
///
/// Linux: `SIOCOUTQ` (tcp(7)), a number that no longer changes after a reset. Darwin (`SO_NWRITE`) and FreeBSD
/// (`FIONWRITE`): the bytes in the send buffer.
pub(crate) fn unacknowledged(fd: BorrowedFd<'_>) -> usize {
    system::unacknowledged(fd).unwrap_or(0)
}

/// Bytes that a TCP socket has received since it was connected, with one more for the end of the peer's stream. `None`
/// where the system does not report it.
///
/// Linux 4.1: `tcpi_bytes_received` of `TCP_INFO` (`include/uapi/linux/tcp.h`). The kernel adds what `rcv_nxt` advances
/// by, and the end of a stream has a sequence number (`net/ipv4/tcp_input.c`).
pub(crate) fn received(fd: BorrowedFd<'_>) -> Option<u64> {
    info::received(fd)
}

#[cfg(target_os = "linux")]
mod info {
    use std::os::fd::{AsRawFd, BorrowedFd};

    use nix::libc::{IPPROTO_TCP, TCP_INFO, getsockopt, socklen_t};

    /// `struct tcp_info` up to the number, whose place is part of the kernel's interface. The types of C libraries are
    /// older.
    #[repr(C)]
    struct Info {
        before: [u64; 16],
        bytes_received: u64,
    }

    pub(super) fn received(fd: BorrowedFd<'_>) -> Option<u64> {
        let mut info = Info { before: [0; 16], bytes_received: 0 };
        let mut length = size_of::<Info>() as socklen_t;
        let pointer = (&raw mut info).cast();
        // SAFETY: the call stores at most `length` bytes, the size of `info`, and both outlive the call.
        let result = unsafe { getsockopt(fd.as_raw_fd(), IPPROTO_TCP, TCP_INFO, pointer, &raw mut length) };
        (result == 0 && length as usize == size_of::<Info>()).then_some(info.bytes_received)
    }
}

#[cfg(not(target_os = "linux"))]
mod info {
    use std::os::fd::BorrowedFd;

    pub(super) fn received(_fd: BorrowedFd<'_>) -> Option<u64> {
        None
    }
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
