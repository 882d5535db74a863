//! `epoll_pwait2`: a wait with a timeout in nanoseconds (`epoll_wait(2)`, Linux 5.11).
#![expect(unsafe_code, reason = "nix does not offer this system call")]

use std::os::fd::{AsFd, AsRawFd};
use std::ptr;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::epoll::EpollEvent;

/// The kernel's `__kernel_timespec`: 64 bits a field also on 32-bit systems, where the C library's `timespec` may have
/// half as many.
#[repr(C)]
struct Timeout {
    seconds: i64,
    nanoseconds: i64,
}

/// Waits as `epoll_wait` does, for at most `timeout`, without limit if there is none.
///
/// Fails with `ENOSYS` on older kernels, and with `EPERM` in sandboxes that do not allow the call.
pub(crate) fn epoll_pwait2(
    epoll: impl AsFd,
    events: &mut [EpollEvent],
    timeout: Option<Duration>,
) -> nix::Result<usize> {
    let timeout = timeout.map(|timeout| Timeout {
        seconds: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
        nanoseconds: timeout.subsec_nanos().into(),
    });
    let timeout = timeout.as_ref().map_or(ptr::null(), ptr::from_ref);
    // SAFETY: `events` is valid for writes of its length and `EpollEvent` is a transparent wrapper of the
    // kernel's record; `timeout` is null or points to the kernel's structure and outlives the call; a null signal mask
    // leaves the mask as it is.
    let result = unsafe {
        libc::syscall(
            libc::SYS_epoll_pwait2,
            epoll.as_fd().as_raw_fd(),
            events.as_mut_ptr(),
            events.len() as libc::c_int,
            timeout,
            ptr::null::<libc::sigset_t>(),
            0_usize,
        )
    };
    Errno::result(result).map(|count| count as usize)
}
