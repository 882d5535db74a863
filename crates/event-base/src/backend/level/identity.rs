//! The file that a descriptor number refers to.
//!
//! epoll and kqueue drop the registration of a closed descriptor, so they report whether a registration still exists.
//! poll and select take numbers only. For them, the identity of the file shows whether a number still refers to the
//! registered file.

use std::os::fd::RawFd;

use crate::sys::fd::status;

/// The properties by which `fstat(2)` distinguishes files.
///
/// Each socket, pipe and file has its own. On Linux all files on an anonymous inode (eventfd, timerfd and others) share
/// one, so one of them cannot be distinguished from another that has its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    device: libc::dev_t,
    inode: u64,
    kind: libc::mode_t,
}

impl Identity {
    /// # Errors
    /// `EBADF` if the descriptor is closed.
    pub(super) fn of(fd: RawFd) -> nix::Result<Self> {
        let status = status(fd)?;
        Ok(Identity { device: status.st_dev, inode: status.st_ino, kind: status.st_mode & libc::S_IFMT })
    }
}

/// The identity of each registered descriptor, by number.
#[derive(Debug, Default)]
pub(super) struct Identities {
    known: Vec<Option<Identity>>,
}

impl Identities {
    pub(super) fn get(&self, fd: RawFd) -> Option<Identity> {
        self.known.get(fd as usize).copied().flatten()
    }

    pub(super) fn set(&mut self, fd: RawFd, identity: Identity) {
        if self.known.len() <= fd as usize {
            self.known.resize(fd as usize + 1, None);
        }
        self.known[fd as usize] = Some(identity);
    }

    pub(super) fn forget(&mut self, fd: RawFd) {
        if let Some(known) = self.known.get_mut(fd as usize) {
            *known = None;
        }
    }

    pub(super) fn clear(&mut self) {
        self.known.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    use nix::errno::Errno;

    use super::*;

    #[test]
    fn a_duplicate_has_the_same_identity_and_other_files_have_others() {
        let (one, other) = UnixStream::pair().unwrap();
        let again = one.try_clone().unwrap();
        let file = File::open("/proc/self/exe").unwrap();
        let of = |fd: RawFd| Identity::of(fd).unwrap();
        assert_eq!(of(one.as_raw_fd()), of(again.as_raw_fd()));
        assert_ne!(of(one.as_raw_fd()), of(other.as_raw_fd()));
        assert_ne!(of(one.as_raw_fd()), of(file.as_raw_fd()));
    }

    #[test]
    fn a_closed_descriptor_has_no_identity() {
        assert_eq!(Identity::of(RawFd::MAX), Err(Errno::EBADF));
    }
}
