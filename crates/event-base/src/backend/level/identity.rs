//! Which file a descriptor's number names.
//!
//! epoll and kqueue forget a descriptor that is closed, so that they can be asked whether a registration still
//! stands. poll and select know numbers only; the file's identity answers in their stead.

use std::os::fd::RawFd;

use nix::sys::stat::fstat;

use crate::sys::fd::with_fd;

/// A file, as `fstat` tells one from another.
///
/// Sockets, pipes and files each have their own. Linux gives one to all eventfds, timerfds and their like
/// together, so that one of these cannot be told from another that took its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    device: libc::dev_t,
    inode: libc::ino_t,
    kind: libc::mode_t,
}

impl Identity {
    /// Fails with `EBADF` if the descriptor is closed.
    pub(super) fn of(fd: RawFd) -> nix::Result<Self> {
        let status = with_fd(fd, |fd| fstat(fd))?;
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
    fn a_duplicate_is_the_same_file_and_everything_else_is_another() {
        let (one, other) = UnixStream::pair().unwrap();
        let again = one.try_clone().unwrap();
        let file = File::open("/proc/self/exe").unwrap();
        let of = |fd: RawFd| Identity::of(fd).unwrap();
        assert_eq!(of(one.as_raw_fd()), of(again.as_raw_fd()));
        assert_ne!(of(one.as_raw_fd()), of(other.as_raw_fd()));
        assert_ne!(of(one.as_raw_fd()), of(file.as_raw_fd()));
    }

    #[test]
    fn what_is_no_descriptor_has_none() {
        assert_eq!(Identity::of(RawFd::MAX), Err(Errno::EBADF));
    }
}
