//! Watching the descriptor of a host's loop.
//!
//! The descriptor stays readable until the host reads it, which the host cannot do while the base blocks its thread. A
//! level-triggered watch would end every wait immediately. So an edge-triggered epoll instance watches the descriptor,
//! and the set watches that instance.

use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use crate::error::Error;

/// A watch of a host's descriptor. Its own descriptor becomes readable once each time the host's becomes readable.
#[cfg(linux_kernel)]
#[derive(Debug)]
pub(super) struct HostWatch {
    between: nix::sys::epoll::Epoll,
    watched: RawFd,
}

#[cfg(linux_kernel)]
impl HostWatch {
    /// # Errors
    /// [`Error::System`] with `epoll_create1` or `epoll_ctl`.
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

    /// Makes its descriptor unreadable until the next edge.
    pub(super) fn take_edge(&self) {
        use nix::sys::epoll::{EpollEvent, EpollTimeout};
        _ = self.between.wait(&mut [EpollEvent::empty()], EpollTimeout::ZERO);
    }
}

/// Not available on other systems.
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
