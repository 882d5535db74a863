//! Watching the descriptor of a host's loop.
//!
//! It stays readable until the host looks at it, which it cannot while the base blocks its thread: watched
//! level-triggered it would end every wait at once. So an edge-triggered object stands between.

use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use crate::error::Error;

/// A watch over a host's descriptor, whose own descriptor is readable once for each time that becomes ready.
#[cfg(linux_kernel)]
#[derive(Debug)]
pub(super) struct HostWatch {
    between: nix::sys::epoll::Epoll,
    watched: RawFd,
}

#[cfg(linux_kernel)]
impl HostWatch {
    /// # Errors
    /// [`Error::System`] of `epoll_create1` and `epoll_ctl`.
    pub(super) fn over(fd: BorrowedFd<'_>) -> Result<Self, Error> {
        use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
        let between = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)
            .map_err(|errno| Error::system(errno, "epoll_create1", None))?;
        between
            .add(fd, EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, 0))
            .map_err(|errno| Error::system(errno, "epoll_ctl", Some(fd.as_raw_fd())))?;
        Ok(HostWatch { between, watched: fd.as_raw_fd() })
    }

    pub(super) fn number(&self) -> RawFd {
        self.between.0.as_raw_fd()
    }

    pub(super) fn watches(&self, fd: BorrowedFd<'_>) -> bool {
        self.watched == fd.as_raw_fd()
    }

    /// Lets it be silent until the next time.
    pub(super) fn take_edge(&self) {
        use nix::sys::epoll::{EpollEvent, EpollTimeout};
        _ = self.between.wait(&mut [EpollEvent::empty()], EpollTimeout::ZERO);
    }
}

/// Not offered elsewhere yet.
#[cfg(not(linux_kernel))]
#[derive(Debug)]
pub(super) enum HostWatch {}

#[cfg(not(linux_kernel))]
impl HostWatch {
    /// # Errors
    /// [`Error::System`] with `ENOSYS`.
    pub(super) fn over(fd: BorrowedFd<'_>) -> Result<Self, Error> {
        Err(Error::system(nix::errno::Errno::ENOSYS, "poll", Some(fd.as_raw_fd())))
    }

    pub(super) fn number(&self) -> RawFd {
        match *self {}
    }

    pub(super) fn watches(&self, _: BorrowedFd<'_>) -> bool {
        match *self {}
    }

    pub(super) fn take_edge(&self) {
        match *self {}
    }
}
