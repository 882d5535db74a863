//! select: two sets of bits, as large as the highest descriptor requires.

use std::os::fd::RawFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};

use super::{Found, Set};
use crate::backend::Readiness;
use crate::flags::{Features, What};
use crate::sys::fd::with_fd;
use crate::sys::scan::{SELECT_LIMIT, SELECT_WORD_BITS, SelectWord, pselect};

/// The registered sets, and the copies in which the kernel returns the result.
///
/// An interest in CLOSED is in neither set, because select cannot report it.
#[derive(Debug, Default)]
pub(crate) struct SelectSet {
    readers: Vec<SelectWord>,
    writers: Vec<SelectWord>,
    readable: Vec<SelectWord>,
    writable: Vec<SelectWord>,
    /// The token of each descriptor, by number.
    tokens: Vec<u64>,
    /// The word at which the next scan begins.
    start: usize,
}

impl Set for SelectSet {
    const NAME: &'static str = "select";
    const SYSCALL: &'static str = "select";
    const FEATURES: Features = Features::FDS;

    fn accept(fd: RawFd) -> nix::Result<()> {
        if SELECT_LIMIT.is_some_and(|limit| fd as usize >= limit) { Err(Errno::EINVAL) } else { Ok(()) }
    }

    fn update(&mut self, fd: RawFd, interests: What, token: u64) {
        let (word, bit) = (fd as usize / SELECT_WORD_BITS, 1 << (fd as usize % SELECT_WORD_BITS));
        if word >= self.readers.len() {
            if interests.is_empty() {
                return;
            }
            for words in [&mut self.readers, &mut self.writers] {
                words.resize(word + 1, 0);
            }
            self.tokens.resize((word + 1) * SELECT_WORD_BITS, 0);
        }
        let put = |words: &mut Vec<SelectWord>, is_in: bool| {
            if is_in { words[word] |= bit } else { words[word] &= !bit }
        };
        put(&mut self.readers, interests.contains(What::READ));
        put(&mut self.writers, interests.contains(What::WRITE));
        self.tokens[fd as usize] = token;
    }

    fn wait(&mut self, timeout: Option<Duration>, found: &mut Found) -> nix::Result<()> {
        // The kernel overwrites the sets that it is passed.
        self.readable.clone_from(&self.readers);
        self.writable.clone_from(&self.writers);
        let limit = self.limit();
        let mut left = match pselect(limit, &mut self.readable, &mut self.writable, timeout) {
            Err(Errno::EBADF) => {
                self.find_closed(found);
                return Ok(());
            }
            result => result?,
        };
        // Each scan begins behind the first ready word of the previous one, so that limits on the callbacks of a pass
        // do not favour the lowest descriptors.
        let count = self.readable.len();
        let start = if self.start < count { self.start } else { 0 };
        let mut first = None;
        for word in (start..count).chain(0..start) {
            if left == 0 {
                break;
            }
            let (readable, writable) = (self.readable[word], self.writable[word]);
            let mut either = readable | writable;
            if either == 0 {
                continue;
            }
            first.get_or_insert(word);
            left = left.saturating_sub((readable.count_ones() + writable.count_ones()) as usize);
            while either != 0 {
                let bit = either & either.wrapping_neg();
                either &= !bit;
                let mut what = What::empty();
                what.set(What::READ, readable & bit != 0);
                what.set(What::WRITE, writable & bit != 0);
                let fd = word * SELECT_WORD_BITS + bit.trailing_zeros() as usize;
                found.ready.push(Readiness { token: self.tokens[fd], what });
            }
        }
        if let Some(first) = first {
            self.start = first + 1;
        }
        Ok(())
    }
}

impl SelectSet {
    /// One more than the highest descriptor in a set.
    fn limit(&self) -> usize {
        let both = self.readers.iter().zip(&self.writers);
        let highest = both.enumerate().rev().find(|(_, (readers, writers))| **readers | **writers != 0);
        highest.map_or(0, |(word, (readers, writers))| {
            (word + 1) * SELECT_WORD_BITS - (readers | writers).leading_zeros() as usize
        })
    }

    /// Finds the closed descriptors. The kernel's `EBADF` does not name them.
    fn find_closed(&self, found: &mut Found) {
        for (word, (readers, writers)) in self.readers.iter().zip(&self.writers).enumerate() {
            let mut either = readers | writers;
            while either != 0 {
                let fd = word * SELECT_WORD_BITS + either.trailing_zeros() as usize;
                either &= either - 1;
                let flags = with_fd(fd as RawFd, |fd| fcntl(fd, FcntlArg::F_GETFD));
                if flags == Err(Errno::EBADF) {
                    found.lost.push((fd as RawFd, self.tokens[fd]));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    fn wait(set: &mut SelectSet) -> Found {
        let mut found = Found::default();
        set.wait(Some(Duration::ZERO), &mut found).unwrap();
        found
    }

    #[test]
    fn descriptors_above_fd_setsize_are_watched() {
        let (socket, _peer) = UnixStream::pair().unwrap();
        let high = fcntl(&socket, FcntlArg::F_DUPFD_CLOEXEC(libc::FD_SETSIZE as RawFd + 100));
        // The limit of the process may be lower.
        let Ok(high) = high else { return };
        let mut set = SelectSet::default();
        set.update(socket.as_raw_fd(), What::READ | What::WRITE, 1);
        set.update(high, What::WRITE, 2);
        let found = wait(&mut set);
        assert_eq!(found.lost, []);
        assert_eq!(
            found.ready,
            [Readiness { token: 1, what: What::WRITE }, Readiness { token: 2, what: What::WRITE }]
        );
        nix::unistd::close(high).unwrap();
        assert_eq!(wait(&mut set).lost, [(high, 2)]);
        set.update(high, What::empty(), 0);
        assert_eq!(wait(&mut set).ready.len(), 1);
    }

    #[test]
    fn nothing_is_watched_after_everything_is_removed() {
        let (socket, _peer) = UnixStream::pair().unwrap();
        let mut set = SelectSet::default();
        set.update(socket.as_raw_fd(), What::WRITE, 1);
        assert_eq!(wait(&mut set).ready.len(), 1);
        set.update(socket.as_raw_fd(), What::empty(), 0);
        set.update(socket.as_raw_fd() + 1_000, What::empty(), 0);
        assert_eq!((wait(&mut set).ready, set.limit()), (vec![], 0));
    }
}
