//! Whether reading or writing a descriptor may block although it is ready.

use std::os::fd::RawFd;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::stat::{SFlag, fstat};

use super::fd::with_fd;

/// The highest descriptor that a program is started with.
const STANDARD: RawFd = 2;

/// Whether this is a socket, a pipe or a FIFO in blocking mode.
///
/// Of the others, files, directories and disks cannot be waited for, or are always ready; a terminal and its
/// like share the mode with every program that has it open, as do the descriptors a program is started with;
/// and epoll, pidfd, eventfd and other objects of the kernel are as little reason to complain: they are read
/// once, or never, for each time they are ready. A descriptor that is not open is the backend's to refuse.
pub(crate) fn may_block(fd: RawFd) -> bool {
    if fd <= STANDARD {
        return false;
    }
    with_fd(fd, |fd| {
        let Ok(flags) = fcntl(fd, FcntlArg::F_GETFL) else { return false };
        if OFlag::from_bits_retain(flags).contains(OFlag::O_NONBLOCK) {
            return false;
        }
        let Ok(status) = fstat(fd) else { return false };
        let kind = SFlag::from_bits_truncate(status.st_mode) & SFlag::S_IFMT;
        kind == SFlag::S_IFSOCK || kind == SFlag::S_IFIFO
    })
}
