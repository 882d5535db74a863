//! Signals through a descriptor: one signalfd for all signals of a base, read when it is readable.
//!
//! The kernel gives a signal to the descriptor only if no thread takes it otherwise, so every thread has to hold
//! it back. That is done here for one thread, the one that adds the first event for the signal: the base cannot
//! know the others. Equal signals that wait together are one, except real-time ones; of several bases in one
//! process that wait for the same signal this way, one gets it. Hence it has to be asked for.

use std::cell::RefCell;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;

use crate::error::Error;
use crate::sync::thread_token;
use crate::sys::signal::{Disposition, HIGHEST, SignalSet, hold_back, signalfd};

/// One record of the kernel's; it begins with the signal's number.
const RECORD: usize = 128;
/// Records in one read.
const ROOM: usize = 16;

thread_local! {
    /// How many bases rely on this thread holding each signal back that it did not hold back by itself.
    static HELD: RefCell<[u32; HIGHEST as usize + 1]> = const { RefCell::new([0; HIGHEST as usize + 1]) };
}

/// The descriptor, and who holds what back for it.
#[derive(Debug, Default)]
pub(super) struct SignalFd {
    fd: Option<OwnedFd>,
    set: SignalSet,
    /// The signals that are held back for this base, and by which thread.
    held: Vec<(i32, usize)>,
    /// What was read when a signal was given up, of the others.
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

    /// Whether something may have arrived.
    #[inline]
    pub(super) fn is_readable(&self) -> bool {
        self.readable
    }

    /// From now on this signal arrives here. Answers whether the descriptor is new.
    ///
    /// # Errors
    /// [`Error::System`] with `signalfd4`, or with `sigaction` for a signal that cannot be had.
    pub(super) fn want(&mut self, number: i32) -> Result<bool, Error> {
        // A descriptor takes these without complaint and never tells them; the C library keeps some to itself.
        if [libc::SIGKILL, libc::SIGSTOP].contains(&number) || Disposition::current(number).is_err() {
            return Err(Error::system(Errno::EINVAL, "sigaction", None));
        }
        let is_new = self.change(self.set.with(number))?;
        if hold_for_base(number) {
            self.held.push((number, thread_token()));
        }
        Ok(is_new)
    }

    /// From now on it does not. One that waits is dropped: nobody wants it, and the process might die of it.
    pub(super) fn unwant(&mut self, number: i32) {
        while let Ok(true) = self.take(|found, saved| {
            if found != number {
                saved.push(found);
            }
        }) {}
        self.readable |= !self.saved.is_empty();
        if self.fd.is_some() {
            _ = self.change(self.set.without(number));
        }
        if let Some(place) = self.held.iter().position(|(held, _)| *held == number) {
            let (_, thread) = self.held.swap_remove(place);
            // Another thread's mask cannot be changed; it goes on holding the signal back.
            if thread == thread_token() {
                let_go_for_base(number);
            }
        }
    }

    /// Takes what arrived, up to sixteen; `false` if nothing did.
    ///
    /// # Errors
    /// [`Error::System`] with `read`: `EIO` for a record that is cut off, or what the kernel says.
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

    /// Hands over all that arrived.
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

    /// A descriptor of this process's own, in place of the one it shares with the process it was forked from.
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
        }
        Ok(is_new)
    }
}

/// Whether this thread holds the signal back for a base, and not of itself.
fn hold_for_base(number: i32) -> bool {
    HELD.with_borrow_mut(|held| {
        let count = &mut held[number as usize];
        let before = hold_back(SignalSet::of(number), true);
        let is_ours = *count > 0 || before.is_empty();
        *count += u32::from(is_ours);
        is_ours
    })
}

fn let_go_for_base(number: i32) {
    HELD.with_borrow_mut(|held| {
        let count = &mut held[number as usize];
        *count = count.saturating_sub(1);
        if *count == 0 {
            hold_back(SignalSet::of(number), false);
        }
    });
}
