//! The pipes that relays splice through.
//!
//! A direction borrows a pipe for one pass and returns it when it is empty, which it nearly always is. A few
//! pipes therefore serve many relays. Only a pipe whose bytes a full sink did not take stays with its relay.
//!
//! A pipe that goes back to the pool must be empty, or the bytes of one connection would reach another. The
//! types hold that rule: the pool takes an [`EmptyPipe`] only, and the single way from a [`Pipe`] to an
//! `EmptyPipe` is [`Pipe::into_empty`], which checks the count. A pipe is closed, and not reused, after any
//! call whose outcome leaves the content uncertain.
//!
//! At most [`LENT_LIMIT`] pipes are in use and [`SPARE_LIMIT`] are kept. A direction that gets no pipe, because
//! of the limit or because the system provides none, copies.

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use nix::errno::Errno;

/// The largest number of pipes in use. A mebibyte each is half of what one user may have by default on Linux
/// (`/proc/sys/fs/pipe-user-pages-soft`, 64 MiB; pipe(7)).
const LENT_LIMIT: usize = 32;
/// The number of empty pipes that are kept for reuse.
const SPARE_LIMIT: usize = 8;
/// After a pipe could not be opened, this many requests fail before the pool tries again.
const REQUESTS_BEFORE_RETRY: u32 = 1000;

/// The outcome of moving bytes from a source into an empty pipe. Variants without a pipe have closed it.
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "only Linux has splice"))]
#[derive(Debug)]
pub(super) enum Fill {
    /// This many bytes were moved; at least one.
    Moved(Pipe, usize),
    /// No bytes were moved. Only a read can distinguish an empty source from the end of the stream, and only a
    /// read gets past urgent data.
    Nothing(EmptyPipe),
    /// These descriptors cannot be spliced.
    Refused,
    /// The system lacks memory for now.
    Shortage,
    Failed(Errno),
}

/// The outcome of moving bytes from a pipe to a sink.
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "only Linux has splice"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Drain {
    /// This many bytes were moved; at least one.
    Moved(usize),
    /// The sink is full.
    Blocked,
    /// This descriptor cannot be spliced to.
    Refused,
    /// The system lacks memory for now.
    Shortage,
    Failed(Errno),
}

pub(super) use system::{EmptyPipe, Pipe};

/// The pipes of one [`Net`](crate::Net).
#[derive(Debug, Default)]
pub(crate) struct Pipes {
    spare: Vec<EmptyPipe>,
    /// Each pipe that is in use holds one clone, so a pipe that is dropped is counted as returned.
    lease: Arc<()>,
    requests_until_retry: u32,
}

impl Pipes {
    /// Returns an empty pipe if one is available.
    pub(super) fn borrow(&mut self) -> Option<EmptyPipe> {
        if self.lent() >= LENT_LIMIT {
            return None;
        }
        let mut pipe = match self.spare.pop() {
            Some(pipe) => pipe,
            None if self.requests_until_retry > 0 => {
                self.requests_until_retry -= 1;
                return None;
            }
            None => match EmptyPipe::open() {
                Some(pipe) => pipe,
                None => {
                    self.requests_until_retry = REQUESTS_BEFORE_RETRY;
                    return None;
                }
            },
        };
        pipe.set_lease(Some(Arc::clone(&self.lease)));
        Some(pipe)
    }

    /// Keeps the pipe for reuse, or closes it where enough are kept.
    pub(super) fn put_back(&mut self, mut pipe: EmptyPipe) {
        pipe.set_lease(None);
        if self.spare.len() < SPARE_LIMIT {
            self.spare.push(pipe);
        }
    }

    /// Closes the pipes that are kept.
    pub(super) fn clear(&mut self) {
        self.spare.clear();
    }

    fn lent(&self) -> usize {
        Arc::strong_count(&self.lease) - 1
    }
}

#[cfg(target_os = "linux")]
mod system {
    use std::iter::successors;
    use std::os::fd::{AsFd, OwnedFd};

    use nix::fcntl::{FcntlArg, SpliceFFlags, fcntl, splice};

    use super::{Arc, BorrowedFd, Drain, Errno, Fill};
    use crate::failure::is_memory_shortage;
    #[cfg(test)]
    use crate::faults;
    use crate::socket;

    /// The size that is requested first, in bytes. While the kernel refuses, half of it is requested.
    const MOST_SIZE: i32 = 1 << 20;
    /// The kernel counts buffers of one page each, however few bytes are in it, so a smaller pipe would make pieces
    /// that are not worth their system calls.
    const LEAST_SIZE: i32 = 1 << 16;

    #[derive(Debug)]
    struct Ends {
        read: OwnedFd,
        write: OwnedFd,
        lease: Option<Arc<()>>,
    }

    /// A pipe that is known to hold no bytes.
    #[derive(Debug)]
    pub(in super::super) struct EmptyPipe(Ends);

    /// A pipe that holds a known number of bytes.
    #[derive(Debug)]
    pub(in super::super) struct Pipe {
        ends: Ends,
        held: usize,
    }

    impl EmptyPipe {
        pub(super) fn open() -> Option<Self> {
            #[cfg(test)]
            if faults::next(faults::Call::OpenPipe).is_some() {
                return None;
            }
            if !broken_pipe_is_harmless() {
                return None;
            }
            let (read, write) = socket::pipe().ok()?;
            // EPERM above /proc/sys/fs/pipe-max-size, or where the user has reached the limit for all of the
            // user's pipes. New pipes of such a user hold two pages and cannot be enlarged (pipe(7)).
            let sizes =
                successors(Some(MOST_SIZE), |size| Some(size / 2)).take_while(|size| *size >= LEAST_SIZE);
            let enlarged = sizes.into_iter().any(|size| resize(&write, size));
            let fits = enlarged || fcntl(&write, FcntlArg::F_GETPIPE_SZ).is_ok_and(|size| size >= LEAST_SIZE);
            fits.then_some(EmptyPipe(Ends { read, write, lease: None }))
        }

        pub(super) fn set_lease(&mut self, lease: Option<Arc<()>>) {
            self.0.lease = lease;
        }

        /// Moves up to `want` bytes from `source` into the pipe.
        pub(in super::super) fn fill(self, source: BorrowedFd<'_>, want: usize) -> Fill {
            #[cfg(test)]
            if let Some(errno) = faults::next(faults::Call::FillPipe) {
                return failed_fill(errno);
            }
            match socket::retry(|| splice(source, None, &self.0.write, None, want, flags())) {
                Ok(None | Some(0)) => Fill::Nothing(self),
                Ok(Some(count)) => Fill::Moved(Pipe { ends: self.0, held: count }, count),
                Err(errno) => failed_fill(errno),
            }
        }
    }

    fn resize(pipe: &OwnedFd, size: i32) -> bool {
        #[cfg(test)]
        if faults::next(faults::Call::ResizePipe).is_some() {
            return false;
        }
        fcntl(pipe, FcntlArg::F_SETPIPE_SZ(size)).is_ok()
    }

    fn failed_fill(errno: Errno) -> Fill {
        match errno {
            errno if is_refusal(errno) => Fill::Refused,
            errno if is_memory_shortage(errno) => Fill::Shortage,
            errno => Fill::Failed(errno),
        }
    }

    impl Pipe {
        /// The number of bytes that fit into it.
        #[cfg(test)]
        pub(super) fn size(&self) -> i32 {
            fcntl(&self.ends.read, FcntlArg::F_GETPIPE_SZ).expect("it is a pipe")
        }

        /// Bytes in the pipe.
        pub(in super::super) fn held(&self) -> usize {
            self.held
        }

        /// Moves the bytes in the pipe to `sink`.
        pub(in super::super) fn drain(&mut self, sink: BorrowedFd<'_>) -> Drain {
            #[cfg(test)]
            if let Some(errno) = faults::next(faults::Call::DrainPipe) {
                return failed_drain(errno);
            }
            // The length is exactly what is held. With a larger length or SPLICE_F_MORE, Linux delays the last
            // partial segment by up to 200 ms (MSG_MORE in send(2), TCP_CORK in tcp(7)).
            match socket::retry(|| splice(&self.ends.read, None, sink, None, self.held, flags())) {
                Ok(None | Some(0)) => Drain::Blocked,
                Ok(Some(count)) => {
                    self.held -= count.min(self.held);
                    Drain::Moved(count)
                }
                Err(errno) => failed_drain(errno),
            }
        }

        /// Reads from the pipe, for a sink that cannot be spliced to. Returns at least 1 for a pipe and a
        /// buffer that are not empty. After a failure the bytes of the pipe are lost.
        pub(in super::super) fn read(&mut self, buffer: &mut [u8]) -> nix::Result<usize> {
            #[cfg(test)]
            if let Some(errno) = faults::next(faults::Call::ReadPipe) {
                return Err(errno);
            }
            let most = buffer.len().min(self.held);
            match socket::receive(self.ends.read.as_fd(), false, &mut buffer[..most])? {
                // The pipe holds bytes and its other end is open.
                None | Some(0) => Err(Errno::EIO),
                Some(count) => {
                    self.held -= count;
                    Ok(count)
                }
            }
        }

        /// The pipe, for the pool, if it is empty.
        pub(in super::super) fn into_empty(self) -> Result<EmptyPipe, Self> {
            if self.held == 0 { Ok(EmptyPipe(self.ends)) } else { Err(self) }
        }
    }

    fn failed_drain(errno: Errno) -> Drain {
        match errno {
            errno if is_refusal(errno) => Drain::Refused,
            errno if is_memory_shortage(errno) => Drain::Shortage,
            errno => Drain::Failed(errno),
        }
    }

    fn flags() -> SpliceFFlags {
        SpliceFFlags::SPLICE_F_NONBLOCK | SpliceFFlags::SPLICE_F_MOVE
    }

    /// Whether `splice` reports that these descriptors, this kernel or this sandbox do not support it. A
    /// connection fails with none of these.
    fn is_refusal(errno: Errno) -> bool {
        matches!(
            errno,
            Errno::EINVAL
                | Errno::ENOSYS
                | Errno::EPERM
                | Errno::EACCES
                | Errno::EOPNOTSUPP
                | Errno::ESPIPE
                | Errno::EBADF
        )
    }

    /// Whether a write to a closed peer raises no fatal signal. `splice` has no equivalent of `MSG_NOSIGNAL`, so
    /// a process that neither ignores nor handles `SIGPIPE` copies everything. Node.js and Rust programs ignore
    /// it. The disposition is read from `/proc/self/status` (proc(5)), which needs no unsafe call.
    fn broken_pipe_is_harmless() -> bool {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let bit = 1_u64 << (nix::libc::SIGPIPE - 1);
        status.lines().any(|line| {
            let mask = line.strip_prefix("SigIgn:").or_else(|| line.strip_prefix("SigCgt:"));
            mask.is_some_and(|mask| u64::from_str_radix(mask.trim(), 16).is_ok_and(|mask| mask & bit != 0))
        })
    }
}

/// Other systems have no `splice`, so no pipe is ever available.
#[cfg(not(target_os = "linux"))]
mod system {
    use super::{Arc, BorrowedFd, Drain, Fill};

    #[derive(Debug)]
    pub(in super::super) enum EmptyPipe {}

    #[derive(Debug)]
    pub(in super::super) enum Pipe {}

    impl EmptyPipe {
        pub(super) fn open() -> Option<Self> {
            None
        }

        pub(super) fn set_lease(&mut self, _lease: Option<Arc<()>>) {
            match *self {}
        }

        pub(in super::super) fn fill(self, _source: BorrowedFd<'_>, _want: usize) -> Fill {
            match self {}
        }
    }

    impl Pipe {
        pub(in super::super) fn held(&self) -> usize {
            match *self {}
        }

        pub(in super::super) fn drain(&mut self, _sink: BorrowedFd<'_>) -> Drain {
            match *self {}
        }

        pub(in super::super) fn read(&mut self, _buffer: &mut [u8]) -> nix::Result<usize> {
            match *self {}
        }

        pub(in super::super) fn into_empty(self) -> Result<EmptyPipe, Self> {
            match self {}
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::os::fd::{AsFd, OwnedFd};

    use super::*;
    use crate::{faults, socket};

    /// A pipe with `bytes` in it, and the two sockets they came through.
    fn filled(empty: EmptyPipe, bytes: &[u8]) -> (Pipe, OwnedFd, OwnedFd) {
        let (source, from) = socket::pair().expect("a pair");
        assert_eq!(socket::write(&from, bytes), Ok(Some(bytes.len())));
        match empty.fill(source.as_fd(), bytes.len()) {
            Fill::Moved(pipe, count) if count == bytes.len() => (pipe, source, from),
            other => panic!("not filled: {other:?}"),
        }
    }

    #[test]
    fn a_bounded_number_of_empty_pipes_is_kept() {
        let mut pipes = Pipes::default();
        let all: Vec<EmptyPipe> = std::iter::from_fn(|| pipes.borrow()).collect();
        assert!(!all.is_empty() && all.len() <= LENT_LIMIT);
        let count = all.len();
        for pipe in all {
            pipes.put_back(pipe);
        }
        assert_eq!((pipes.lent(), pipes.spare.len()), (0, count.min(SPARE_LIMIT)));
        pipes.clear();
        assert!(pipes.spare.is_empty());
    }

    #[test]
    fn a_pipe_that_holds_bytes_is_closed_and_counted_as_returned() {
        let mut pipes = Pipes::default();
        let (pipe, _source, _from) = filled(pipes.borrow().expect("a pipe is available"), b"abc");
        assert_eq!(pipes.lent(), 1);
        let pipe = pipe.into_empty().expect_err("it holds three bytes");
        drop(pipe);
        assert_eq!((pipes.lent(), pipes.spare.len()), (0, 0));
    }

    #[test]
    fn a_pipe_whose_read_failed_does_not_count_as_empty() {
        let (mut pipe, _source, _from) = filled(EmptyPipe::open().expect("a pipe is available"), b"abc");
        faults::inject(faults::Call::ReadPipe, Errno::EIO);
        assert_eq!(pipe.read(&mut [0; 8]), Err(Errno::EIO));
        assert_eq!(pipe.held(), 3);
        pipe.into_empty().expect_err("nothing is known to have left it");
    }

    #[test]
    fn the_pool_tries_again_after_a_shortage() {
        let mut pipes = Pipes::default();
        faults::inject(faults::Call::OpenPipe, Errno::EMFILE);
        for _ in 0..=REQUESTS_BEFORE_RETRY {
            assert!(pipes.borrow().is_none());
        }
        assert!(pipes.borrow().is_some());
    }

    #[test]
    fn a_pipe_is_as_large_as_the_kernel_allows_and_at_least_as_large_as_one_without_a_limit() {
        for (refused, size) in [(0, 1 << 20), (1, 1 << 19), (4, 1 << 16), (5, 1 << 16)] {
            for _ in 0..refused {
                faults::inject(faults::Call::ResizePipe, Errno::EPERM);
            }
            let (pipe, _source, _from) = filled(EmptyPipe::open().expect("a pipe is available"), b"abc");
            assert_eq!((pipe.size(), faults::left()), (size, 0), "refused {refused} times");
        }
    }

    #[test]
    fn bytes_leave_a_pipe_in_order_by_splicing_and_by_reading() {
        let (sink, to) = socket::pair().expect("a pair");
        let (mut pipe, _source, _from) = filled(EmptyPipe::open().expect("a pipe is available"), b"abcd");
        assert_eq!(pipe.drain(sink.as_fd()), Drain::Moved(4));
        let empty = pipe.into_empty().expect("all bytes were moved");
        let (source, _other) = socket::pair().expect("a pair");
        let Fill::Nothing(empty) = empty.fill(source.as_fd(), 4) else { panic!("nothing was sent") };
        let (mut pipe, _source, _from) = filled(empty, b"ef");
        let mut buffer = [0; 8];
        assert_eq!(pipe.read(&mut buffer), Ok(2));
        assert_eq!((&buffer[..2], pipe.held()), (&b"ef"[..], 0));
        assert_eq!(socket::read(&to, &mut buffer), Ok(Some(4)));
        assert_eq!(&buffer[..4], b"abcd");
    }

    #[test]
    fn a_closed_sink_is_an_error_and_raises_no_signal() {
        let (mut pipe, _source, _from) = filled(EmptyPipe::open().expect("a pipe is available"), b"abc");
        let (sink, to) = socket::pair().expect("a pair");
        drop(to);
        assert_eq!(pipe.drain(sink.as_fd()), Drain::Failed(Errno::EPIPE));
    }
}
