//! Whether a read or write of a ready descriptor may block.

use std::os::fd::RawFd;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::stat::SFlag;

use super::fd::{status, with_fd};

/// The highest of the standard descriptors.
const STANDARD: RawFd = 2;

/// Whether this is a socket, a pipe or a FIFO in blocking mode.
///
/// Files of other kinds are accepted. Regular files, directories and disks cannot be waited for, or are always ready.
/// A terminal shares its mode with every program that has it open, and so do the standard descriptors. An epoll, pidfd,
/// eventfd or other kernel object is read at most once for each time it is ready. The backend refuses a descriptor that
/// is not open.
pub(crate) fn may_block(fd: RawFd) -> bool {
    if fd <= STANDARD {
        return false;
    }
    let Ok(flags) = with_fd(fd, |fd| fcntl(fd, FcntlArg::F_GETFL)) else { return false };
    if OFlag::from_bits_retain(flags).contains(OFlag::O_NONBLOCK) {
        return false;
    }
    let Ok(status) = status(fd) else { return false };
    let kind = SFlag::from_bits_truncate(status.st_mode) & SFlag::S_IFMT;
    kind == SFlag::S_IFSOCK || kind == SFlag::S_IFIFO
}
