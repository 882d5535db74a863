//! The pipes that relays splice through.
//!
//! A direction takes a pipe for one turn and gives it back when it is empty, which it nearly always is, so
//! that few pipes serve many relays and the same few stay warm. Only what a full sink did not take keeps a
//! pipe away.
//!
//! Bounded: [`LENT_LIMIT`] pipes can be away, and [`SPARE_LIMIT`] wait. Where no pipe can be had, because
//! of that or because the system gives none, the direction copies.

use std::os::fd::BorrowedFd;

use nix::errno::Errno;

/// How many pipes may hold bytes for full sinks. A mebibyte each is half of what a user may have by default
/// (`/proc/sys/fs/pipe-user-pages-soft`, 64 MiB).
const LENT_LIMIT: usize = 32;
/// How many empty pipes are kept for the next one.
const SPARE_LIMIT: usize = 8;
/// How often a relay does without before another pipe is tried for, when one could not be had.
const RESTS: u32 = 1000;

/// What came of moving bytes into a pipe or out of it.
#[cfg_attr(
    not(target_os = "linux"),
    expect(dead_code, reason = "nothing can come of it where no pipe can be had")
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// So many were moved; at least one.
    Moved(usize),
    /// None could be. Whether there are none yet or none will come any more has to be asked by reading: the
    /// kernel also says so in front of urgent data, which only a read gets past.
    Blocked,
    /// These descriptors cannot be spliced.
    Refused,
    Failed(Errno),
}

pub(super) use system::Pipe;

/// The pipes of one [`Net`](crate::Net).
#[derive(Debug, Default)]
pub(crate) struct Pipes {
    spare: Vec<Pipe>,
    lent: usize,
    resting: u32,
}

impl Pipes {
    /// An empty pipe, where one can be had.
    pub(super) fn take(&mut self) -> Option<Pipe> {
        if self.lent == LENT_LIMIT {
            return None;
        }
        let pipe = match self.spare.pop() {
            Some(pipe) => pipe,
            None if self.resting > 0 => {
                self.resting -= 1;
                return None;
            }
            None => match Pipe::open() {
                Some(pipe) => pipe,
                None => {
                    self.resting = RESTS;
                    return None;
                }
            },
        };
        self.lent += 1;
        Some(pipe)
    }

    /// Takes a pipe back. One that holds bytes is closed, and the bytes are gone.
    pub(super) fn give_back(&mut self, pipe: Pipe) {
        self.lent -= 1;
        if pipe.held() == 0 && self.spare.len() < SPARE_LIMIT {
            self.spare.push(pipe);
        }
    }

    /// Closes those that wait.
    pub(super) fn clear(&mut self) {
        self.spare.clear();
    }
}

#[cfg(target_os = "linux")]
mod system {
    use std::os::fd::{AsFd, OwnedFd};

    use nix::fcntl::{FcntlArg, SpliceFFlags, fcntl, splice};

    use super::{BorrowedFd, Errno, Step};
    use crate::socket;

    /// What a pipe is to hold; the least one is what fragments of whole pages need to make a piece worth its
    /// calls. The kernel counts fragments, a page for each, however little is in it.
    const SIZES: [i32; 5] = [1 << 20, 1 << 19, 1 << 18, 1 << 17, 1 << 16];
    const LEAST: i32 = 1 << 16;

    #[derive(Debug)]
    pub(in super::super) struct Pipe {
        read: OwnedFd,
        write: OwnedFd,
        held: usize,
    }

    impl Pipe {
        pub(super) fn open() -> Option<Self> {
            if !broken_pipe_is_harmless() {
                return None;
            }
            let (read, write) = socket::pipe().ok()?;
            // EPERM beyond /proc/sys/fs/pipe-max-size, or where the user has used up what all pipes of one
            // user may hold; such a user's new pipes hold two pages, and grow no more.
            let enlarged = SIZES.iter().any(|size| fcntl(&write, FcntlArg::F_SETPIPE_SZ(*size)).is_ok());
            let fits = enlarged || fcntl(&write, FcntlArg::F_GETPIPE_SZ).is_ok_and(|size| size >= LEAST);
            fits.then_some(Pipe { read, write, held: 0 })
        }

        /// Bytes in the pipe.
        pub(in super::super) fn held(&self) -> usize {
            self.held
        }

        /// Moves up to `want` bytes from `source` into the pipe.
        pub(in super::super) fn fill(&mut self, source: BorrowedFd<'_>, want: usize) -> Step {
            let step = settle(|| splice(source, None, &self.write, None, want, flags()));
            if let Step::Moved(count) = step {
                self.held += count;
            }
            step
        }

        /// Moves what is in the pipe to `sink`.
        pub(in super::super) fn pour(&mut self, sink: BorrowedFd<'_>) -> Step {
            // Exactly what is there: with more to come by its count, the kernel would hold the tail back
            // for up to 200 ms, as it would with SPLICE_F_MORE.
            let step = settle(|| splice(&self.read, None, sink, None, self.held, flags()));
            if let Step::Moved(count) = step {
                self.held -= count;
            }
            step
        }

        /// Reads from the pipe, for a sink that cannot be spliced to. 0 when nothing can be had.
        pub(in super::super) fn read(&mut self, buffer: &mut [u8]) -> usize {
            let most = buffer.len().min(self.held);
            let count =
                socket::receive(self.read.as_fd(), false, &mut buffer[..most]).ok().flatten().unwrap_or(0);
            self.held = if count == 0 { 0 } else { self.held - count };
            count
        }
    }

    fn flags() -> SpliceFFlags {
        SpliceFFlags::SPLICE_F_NONBLOCK | SpliceFFlags::SPLICE_F_MOVE
    }

    fn settle(mut call: impl FnMut() -> nix::Result<usize>) -> Step {
        loop {
            return match call() {
                Ok(0) | Err(Errno::EAGAIN) => Step::Blocked,
                Ok(count) => Step::Moved(count),
                Err(Errno::EINTR) => continue,
                // The descriptor's type, a kernel without it, a sandbox that forbids it, or no memory for the
                // pipe's pages. A connection fails with none of these.
                Err(Errno::EINVAL | Errno::ENOSYS | Errno::EPERM | Errno::EACCES) => Step::Refused,
                Err(Errno::EOPNOTSUPP | Errno::ENOMEM | Errno::ESPIPE | Errno::EBADF) => Step::Refused,
                Err(errno) => Step::Failed(errno),
            };
        }
    }

    /// Whether a write to a vanished peer only fails. `splice` cannot be told to raise no `SIGPIPE`, so in a
    /// process that neither ignores nor handles the signal, as Node.js and every Rust program do, everything
    /// is copied. No safe call tells a signal's disposition; the kernel's account of the process does.
    fn broken_pipe_is_harmless() -> bool {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let bit = 1_u64 << (nix::libc::SIGPIPE - 1);
        status.lines().any(|line| {
            let mask = line.strip_prefix("SigIgn:").or_else(|| line.strip_prefix("SigCgt:"));
            mask.is_some_and(|mask| u64::from_str_radix(mask.trim(), 16).is_ok_and(|mask| mask & bit != 0))
        })
    }
}

/// Other systems have no `splice`: no pipe can be had there.
#[cfg(not(target_os = "linux"))]
mod system {
    use super::{BorrowedFd, Step};

    #[derive(Debug)]
    pub(in super::super) enum Pipe {}

    impl Pipe {
        pub(super) fn open() -> Option<Self> {
            None
        }

        pub(in super::super) fn held(&self) -> usize {
            match *self {}
        }

        pub(in super::super) fn fill(&mut self, _source: BorrowedFd<'_>, _want: usize) -> Step {
            match *self {}
        }

        pub(in super::super) fn pour(&mut self, _sink: BorrowedFd<'_>) -> Step {
            match *self {}
        }

        pub(in super::super) fn read(&mut self, _buffer: &mut [u8]) -> usize {
            match *self {}
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::os::fd::AsFd;

    use super::*;
    use crate::socket;

    #[test]
    fn only_empty_pipes_are_kept_and_no_more_than_a_few() {
        let mut pipes = Pipes::default();
        let all: Vec<Pipe> = std::iter::from_fn(|| pipes.take()).collect();
        assert!(!all.is_empty() && all.len() <= LENT_LIMIT);
        let count = all.len();
        for pipe in all {
            pipes.give_back(pipe);
        }
        assert_eq!((pipes.lent, pipes.spare.len()), (0, count.min(SPARE_LIMIT)));

        let mut pipe = pipes.take().expect("one is there");
        let (near, far) = socket::pair().expect("a pair");
        assert_eq!(socket::write(&far, b"abc"), Ok(Some(3)));
        assert_eq!(pipe.fill(near.as_fd(), 100), Step::Moved(3));
        let before = pipes.spare.len();
        pipes.give_back(pipe);
        assert_eq!((pipes.lent, pipes.spare.len()), (0, before));
        pipes.clear();
        assert!(pipes.spare.is_empty());
    }

    #[test]
    fn what_goes_in_comes_out_by_splicing_and_by_reading() {
        let mut pipe = Pipe::open().expect("a pipe can be made");
        let (source, from) = socket::pair().expect("a pair");
        let (sink, to) = socket::pair().expect("a pair");
        assert_eq!(pipe.fill(source.as_fd(), 100), Step::Blocked);
        assert_eq!(socket::write(&from, b"abcdef"), Ok(Some(6)));
        assert_eq!(pipe.fill(source.as_fd(), 4), Step::Moved(4));
        assert_eq!(pipe.pour(sink.as_fd()), Step::Moved(4));
        assert_eq!(pipe.fill(source.as_fd(), 4), Step::Moved(2));
        let mut buffer = [0; 8];
        assert_eq!(pipe.read(&mut buffer), 2);
        assert_eq!((&buffer[..2], pipe.held()), (&b"ef"[..], 0));
        assert_eq!(socket::read(&to, &mut buffer), Ok(Some(4)));
        assert_eq!(&buffer[..4], b"abcd");
    }

    #[test]
    fn a_vanished_sink_is_a_failure_and_no_signal() {
        let mut pipe = Pipe::open().expect("a pipe can be made");
        let (source, from) = socket::pair().expect("a pair");
        let (sink, to) = socket::pair().expect("a pair");
        assert_eq!(socket::write(&from, b"abc"), Ok(Some(3)));
        assert_eq!(pipe.fill(source.as_fd(), 4), Step::Moved(3));
        drop(to);
        assert_eq!(pipe.pour(sink.as_fd()), Step::Failed(Errno::EPIPE));
    }
}
