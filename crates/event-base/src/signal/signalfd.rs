//! Signals through a descriptor: one signalfd for all signals of a base, read when it is readable.
//!
//! A signal can be read from the descriptor only while it is pending, so every thread must block it (`signalfd(2)`).
//! The base blocks it in the thread that adds the first event for the signal; the program must block it in all others.
//! Equal pending signals are merged into one, except real-time signals (`signal(7)`). If several bases of a process
//! read the same signal, only one of them receives it. Therefore signals are read from a descriptor only on request.

use std::cell::RefCell;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;

use crate::error::Error;
use crate::sync::thread_token;
use crate::sys::fork;
use crate::sys::signal::{Disposition, HIGHEST, SignalSet, block, signalfd};

/// The size of `struct signalfd_siginfo`, which begins with the number of the signal.
const RECORD: usize = 128;
/// Records in one read.
const ROOM: usize = 16;

thread_local! {
    /// For each signal, how many bases made this thread block it. 0 if it was blocked before.
    static BLOCKED: RefCell<[u32; HIGHEST as usize + 1]> = const { RefCell::new([0; HIGHEST as usize + 1]) };
}

/// The descriptor, and which thread blocks which signal for it.
#[derive(Debug, Default)]
pub(super) struct SignalFd {
    fd: Option<OwnedFd>,
    /// The [generation](fork::generation) of the process that opened `fd`. A forked child shares the set of the
    /// descriptor with its parent, and must not change it.
    process: u32,
    set: SignalSet,
    /// The signals that are blocked for this base, and the thread that blocks each.
    blocked: Vec<(i32, usize)>,
    /// Signals that were read while another one was being deregistered; reported by the next
    /// [`take_all`](Self::take_all).
    saved: Vec<i32>,
    readable: bool,
}

impl SignalFd {
    pub(super) fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.fd.as_ref().map(OwnedFd::as_fd)
    }

    pub(super) fn note_readable(&mut self) {
        self.readable = true;
    }

    /// Whether signals may have arrived.
    #[inline]
    pub(super) fn is_readable(&self) -> bool {
        self.readable
    }

    /// Starts to receive this signal. Returns whether the descriptor is new.
    ///
    /// # Errors
    /// [`Error::System`] with `signalfd4`, or with `sigaction` for a signal that cannot be caught.
    pub(super) fn want(&mut self, number: i32) -> Result<bool, Error> {
        // A signalfd accepts these and never reports them (`signalfd(2)`); the C library reserves others.
        if [libc::SIGKILL, libc::SIGSTOP].contains(&number) || Disposition::current(number).is_err() {
            return Err(Error::system(Errno::EINVAL, "sigaction", None));
        }
        let is_new = self.change(self.set.with(number))?;
        if block_for_base(number) {
            self.blocked.push((number, thread_token()));
        }
        Ok(is_new)
    }

    /// Stops receiving this signal. Discards it if it is pending, because it could end the process once it is
    /// unblocked.
    pub(super) fn unwant(&mut self, number: i32) {
        while let Ok(true) = self.take(|found, saved| {
            if found != number {
                saved.push(found);
            }
        }) {}
        self.readable |= !self.saved.is_empty();
        self.set = self.set.without(number);
        if self.fd.is_some() && self.process == fork::generation() {
            _ = self.change(self.set);
        }
        if let Some(place) = self.blocked.iter().position(|(blocked, _)| *blocked == number) {
            let (_, thread) = self.blocked.swap_remove(place);
            // The mask of another thread cannot be changed; that thread still blocks the signal.
            if thread == thread_token() {
                unblock_for_base(number);
            }
        }
    }

    /// Reads up to sixteen signals that arrived; returns `false` if there were none.
    ///
    /// # Errors
    /// [`Error::System`] with `read`: `EIO` for a truncated record, or the kernel's error.
    fn take(&mut self, mut each: impl FnMut(i32, &mut Vec<i32>)) -> Result<bool, Error> {
        let Some(fd) = &self.fd else { return Ok(false) };
        let mut records = [0; RECORD * ROOM];
        let length = match nix::unistd::read(fd, &mut records) {
            Ok(length) => length,
            Err(Errno::EAGAIN) => return Ok(false),
            Err(Errno::EINTR) => return Ok(true),
            Err(errno) => return Err(Error::system(errno, "read", None)),
        };
        if length == 0 || length % RECORD != 0 {
            return Err(Error::system(Errno::EIO, "read", None));
        }
        for record in records[..length].chunks_exact(RECORD) {
            let number = u32::from_ne_bytes([record[0], record[1], record[2], record[3]]);
            each(number as i32, &mut self.saved);
        }
        Ok(true)
    }

    /// Passes all signals that arrived to `each`.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub(super) fn take_all(&mut self, mut each: impl FnMut(i32)) -> Result<(), Error> {
        self.readable = false;
        for number in self.saved.drain(..) {
            each(number);
        }
        while self.take(|number, _| each(number))? {}
        Ok(())
    }

    /// Opens a descriptor of this process, in place of the one that it shares with its parent.
    ///
    /// # Errors
    /// [`Error::System`] with `signalfd4`.
    pub(super) fn renew(&mut self) -> Result<(), Error> {
        self.fd = None;
        self.saved.clear();
        if !self.set.is_empty() {
            self.change(self.set)?;
        }
        Ok(())
    }

    fn change(&mut self, set: SignalSet) -> Result<bool, Error> {
        let fresh =
            signalfd(self.fd.as_ref(), set).map_err(|errno| Error::system(errno, "signalfd4", None))?;
        self.set = set;
        let is_new = fresh.is_some();
        if is_new {
            self.fd = fresh;
            self.process = fork::generation();
        }
        Ok(is_new)
    }
}

/// Blocks the signal in this thread. Returns whether the thread did not block it by itself before.
fn block_for_base(number: i32) -> bool {
    BLOCKED.with_borrow_mut(|blocked| {
        let count = &mut blocked[number as usize];
        let before = block(SignalSet::of(number), true);
        let is_ours = *count > 0 || before.is_empty();
        *count += u32::from(is_ours);
        is_ours
    })
}

fn unblock_for_base(number: i32) {
    BLOCKED.with_borrow_mut(|blocked| {
        let count = &mut blocked[number as usize];
        *count = count.saturating_sub(1);
        if *count == 0 {
            block(SignalSet::of(number), false);
        }
    });
}
