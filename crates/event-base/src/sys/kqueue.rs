//! The system calls `kqueue` and `kevent`, or on Linux libkqueue's functions of these names.
//!
//! nix offers them on the BSDs only, but the backend also runs on Linux, for tests.
#![expect(unsafe_code, reason = "neither call has a safe form on every system the backend runs on")]

use std::fmt;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use std::time::Duration;

use nix::errno::Errno;

use abi::kevent;

#[cfg(bsd_kernel)]
pub(crate) mod abi {
    pub(crate) use libc::{
        EV_ADD, EV_CLEAR, EV_DELETE, EV_ENABLE, EV_EOF, EV_ERROR, EV_ONESHOT, EV_RECEIPT, EVFILT_READ,
        EVFILT_SIGNAL, EVFILT_TIMER, EVFILT_USER, EVFILT_WRITE, NOTE_NSECONDS, NOTE_TRIGGER, kevent,
    };

    // The record and the function `kevent` have the same name, in two namespaces.
    pub(super) use libc::kqueue;

    /// Keeps `EVFILT_READ` silent until as many bytes as requested can be read (kqueue(2)).
    pub(crate) const QUIET: u32 = libc::NOTE_LOWAT;

    /// Makes `EVFILT_READ` report a regular file at its end too, as poll(2) does. Only FreeBSD has it (kqueue(2)).
    #[cfg(target_os = "freebsd")]
    pub(crate) const AT_THE_END: u32 = libc::NOTE_FILE_POLL;
    #[cfg(not(target_os = "freebsd"))]
    pub(crate) const AT_THE_END: u32 = 0;

    /// Whether the descriptor of a kqueue is readable while it has something to report.
    pub(crate) const IS_POLLABLE: bool = true;

    /// Whether a call that writes receipts returns their number (kqueue(2)).
    pub(super) const COUNTS_RECEIPTS: bool = true;

    /// The error that a receipt contains, or 0.
    pub(super) fn error(receipt: &kevent) -> i64 {
        if receipt.flags & EV_ERROR == 0 { 0 } else { receipt.data as i64 }
    }

    /// Without leeway (`NOTE_CRITICAL`), and running while the machine sleeps, as Darwin's `CLOCK_MONOTONIC` does.
    #[cfg(target_vendor = "apple")]
    pub(crate) const TIMER_FLAGS: u32 = NOTE_NSECONDS | libc::NOTE_CRITICAL | libc::NOTE_MACH_CONTINUOUS_TIME;
    #[cfg(not(target_vendor = "apple"))]
    pub(crate) const TIMER_FLAGS: u32 = NOTE_NSECONDS;
}

/// libkqueue's `sys/event.h`.
#[cfg(not(bsd_kernel))]
pub(crate) mod abi {
    #![allow(non_camel_case_types, reason = "the C name")]

    #[derive(Clone, Copy)]
    #[repr(C)]
    pub(crate) struct kevent {
        pub(crate) ident: usize,
        pub(crate) filter: i16,
        pub(crate) flags: u16,
        pub(crate) fflags: u32,
        pub(crate) data: isize,
        pub(crate) udata: *mut libc::c_void,
    }

    pub(crate) const EVFILT_READ: i16 = -1;
    pub(crate) const EVFILT_WRITE: i16 = -2;
    pub(crate) const EVFILT_SIGNAL: i16 = -6;
    pub(crate) const EVFILT_TIMER: i16 = -7;
    pub(crate) const EVFILT_USER: i16 = -11;
    pub(crate) const EV_ADD: u16 = 0x0001;
    pub(crate) const EV_DELETE: u16 = 0x0002;
    pub(crate) const EV_ENABLE: u16 = 0x0004;
    pub(crate) const EV_ONESHOT: u16 = 0x0010;
    pub(crate) const EV_CLEAR: u16 = 0x0020;
    pub(crate) const EV_RECEIPT: u16 = 0x0040;
    pub(crate) const EV_EOF: u16 = 0x8000;
    pub(crate) const EV_ERROR: u16 = 0x4000;
    pub(crate) const NOTE_NSECONDS: u32 = 0x0004;
    pub(crate) const NOTE_TRIGGER: u32 = 0x0100_0000;
    pub(crate) const TIMER_FLAGS: u32 = NOTE_NSECONDS;

    /// Not `NOTE_LOWAT`, for which libkqueue sets an option of the socket that affects its reader.
    pub(crate) const QUIET: u32 = 0;

    /// libkqueue has no such flag.
    pub(crate) const AT_THE_END: u32 = 0;

    /// The descriptor is one end of a pipe, which only notifies libkqueue when it is closed.
    pub(crate) const IS_POLLABLE: bool = false;

    /// libkqueue 2.3.1 writes a receipt for each change but returns 0: `scripts/kqueue/receipts.c`.
    pub(super) const COUNTS_RECEIPTS: bool = false;

    /// The error that a receipt contains, or 0. libkqueue 2.3.1 does not set `EV_ERROR` in receipts
    /// (`scripts/kqueue/receipts.c`), and refuses to enable an enabled filter with `EEXIST`
    /// (`scripts/kqueue/enable.c`).
    pub(super) fn error(receipt: &kevent) -> i64 {
        if receipt.data == libc::EEXIST as isize { 0 } else { receipt.data as i64 }
    }

    #[link(name = "kqueue")]
    unsafe extern "C" {
        pub(super) fn kqueue() -> libc::c_int;
        pub(super) fn kevent(
            kq: libc::c_int,
            changes: *const kevent,
            change_count: libc::c_int,
            events: *mut kevent,
            event_count: libc::c_int,
            timeout: *const libc::timespec,
        ) -> libc::c_int;
    }
}

// A token is 64 bits wide and travels in a pointer.
const _: () = assert!(size_of::<usize>() == size_of::<u64>());

/// The longest wait, 11 days: kqueue(2) does not define a limit. The loop repeats a wait that ends early.
const MOST_SECONDS: u64 = 1_000_000;

/// A change, its receipt, or an event that the kernel reports.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Kevent(kevent);

// SAFETY: the pointer of the record is a number that is never dereferenced.
unsafe impl Send for Kevent {}
// SAFETY: as above; there is no interior mutability.
unsafe impl Sync for Kevent {}

impl Kevent {
    /// Room for a result.
    pub(crate) const EMPTY: Self = {
        // SAFETY: every field is a number or a raw pointer, for which all zeroes is a value.
        Kevent(unsafe { std::mem::zeroed() })
    };

    pub(crate) fn new(ident: usize, filter: i16, token: u64) -> Self {
        let mut record = Self::EMPTY;
        record.0.ident = ident;
        record.0.filter = filter;
        record.0.udata = ptr::without_provenance_mut(token as usize);
        record
    }

    pub(crate) fn with_flags(mut self, flags: u16) -> Self {
        self.0.flags |= flags;
        self
    }

    pub(crate) fn with_note(mut self, fflags: u32, data: isize) -> Self {
        self.0.fflags |= fflags;
        self.0.data = data as _;
        self
    }

    pub(crate) fn ident(&self) -> usize {
        self.0.ident
    }

    pub(crate) fn filter(&self) -> i16 {
        self.0.filter
    }

    pub(crate) fn flags(&self) -> u16 {
        self.0.flags
    }

    pub(crate) fn data(&self) -> i64 {
        self.0.data as i64
    }

    /// The outcome of a change, of which this is the receipt.
    pub(crate) fn result(&self) -> nix::Result<()> {
        match abi::error(&self.0) {
            0 => Ok(()),
            errno => Err(Errno::from_raw(errno as i32)),
        }
    }

    pub(crate) fn token(&self) -> u64 {
        let udata = self.0.udata;
        udata.addr() as u64
    }
}

impl fmt::Debug for Kevent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Kevent")
            .field("ident", &self.ident())
            .field("filter", &self.filter())
            .field("flags", &format_args!("{:#x}", self.flags()))
            .field("data", &self.data())
            .field("token", &format_args!("{:#x}", self.token()))
            .finish()
    }
}

/// A kqueue, closed when dropped.
///
/// A child process does not inherit it (kqueue(2)), and its number may be another file there. Only the process that
/// made it closes it.
#[derive(Debug)]
pub(crate) struct Kqueue {
    /// Atomic, because it can be [replaced](Self::replace) while it is shared.
    number: AtomicI32,
    owner: AtomicU32,
    replacements: AtomicU32,
}

impl Kqueue {
    pub(crate) fn new() -> nix::Result<Self> {
        // SAFETY: the call has no arguments.
        let number = Errno::result(unsafe { abi::kqueue() })?;
        let kqueue = Kqueue {
            number: AtomicI32::new(number),
            owner: AtomicU32::new(std::process::id()),
            replacements: AtomicU32::new(0),
        };
        // A forked child does not inherit it, but a program that replaces this one (execve) does.
        // SAFETY: the kernel made this descriptor just now, and it stays open during the call.
        let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
        nix::fcntl::fcntl(borrowed, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC))?;
        Ok(kqueue)
    }

    /// Its number.
    pub(crate) fn number(&self) -> RawFd {
        self.number.load(Ordering::Acquire)
    }

    fn is_ours(&self) -> bool {
        self.owner.load(Ordering::Relaxed) == std::process::id()
    }

    /// How often it was [replaced](Self::replace).
    pub(crate) fn replacements(&self) -> u32 {
        self.replacements.load(Ordering::Acquire)
    }

    /// Puts `fresh` in the place of this one, under the same number unless the number is another file by now. A thread
    /// that waits on it continues to wait on the old one; on Darwin its wait fails with `EBADF` (`kqueue_drain` in XNU's
    /// `kern_event.c`); with libkqueue no thread may wait.
    pub(crate) fn replace(&self, fresh: Kqueue) -> nix::Result<()> {
        self.replacements.fetch_add(1, Ordering::AcqRel);
        if abi::IS_POLLABLE && self.is_ours() {
            // Closes the old one.
            // SAFETY: both are open descriptors of this module.
            let result = unsafe { libc::dup2(fresh.number(), self.number()) };
            Errno::result(result)?;
            // dup2 loses close-on-exec.
            // SAFETY: the descriptor is open during the call.
            let borrowed = unsafe { BorrowedFd::borrow_raw(self.number()) };
            nix::fcntl::fcntl(borrowed, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC))?;
            return Ok(());
        }
        // libkqueue keeps its objects by number, so a duplicate is no kqueue. After a fork the old number may be
        // another file, and must not be closed.
        let was_ours = self.is_ours();
        let old = self.number.swap(fresh.number.swap(-1, Ordering::AcqRel), Ordering::AcqRel);
        self.owner.store(std::process::id(), Ordering::Relaxed);
        if was_ours {
            close(old);
        }
        Ok(())
    }

    /// Makes the changes, all of which must have `EV_RECEIPT`, and returns the receipts.
    pub(crate) fn change<'a>(
        &self,
        changes: &[Kevent],
        receipts: &'a mut [Kevent],
    ) -> nix::Result<&'a [Kevent]> {
        debug_assert!(changes.len() == receipts.len());
        loop {
            match self.call(changes, receipts, Some(Duration::ZERO)) {
                // The changes were made, and only the poll for events was interrupted (kqueue(2)). Making them again
                // returns the receipts.
                Err(Errno::EINTR) => {}
                Ok(_) if !abi::COUNTS_RECEIPTS => return Ok(receipts),
                result => return result.map(|count| &receipts[..count]),
            }
        }
    }

    /// Makes one change.
    pub(crate) fn one(&self, record: Kevent) -> nix::Result<()> {
        let mut receipt = [Kevent::EMPTY];
        let receipts = self.change(&[record.with_flags(abi::EV_RECEIPT)], &mut receipt)?;
        receipts.first().map_or(Ok(()), Kevent::result)
    }

    /// Waits for at most `timeout`, without limit if there is none.
    pub(crate) fn wait(&self, events: &mut [Kevent], timeout: Option<Duration>) -> nix::Result<usize> {
        self.call(&[], events, timeout)
    }

    fn call(
        &self,
        changes: &[Kevent],
        events: &mut [Kevent],
        timeout: Option<Duration>,
    ) -> nix::Result<usize> {
        let timeout = timeout.map(|timeout| libc::timespec {
            tv_sec: timeout.as_secs().min(MOST_SECONDS) as libc::time_t,
            tv_nsec: timeout.subsec_nanos() as libc::c_long,
        });
        // SAFETY: both slices are valid for their lengths and `Kevent` is a transparent wrapper of the
        // kernel's record; `timeout` is null or points to a timespec that outlives the call.
        let count = unsafe {
            kevent(
                self.number(),
                changes.as_ptr().cast(),
                changes.len() as libc::c_int,
                events.as_mut_ptr().cast(),
                events.len() as libc::c_int,
                timeout.as_ref().map_or(ptr::null(), ptr::from_ref),
            )
        };
        Errno::result(count).map(|count| count as usize)
    }
}

/// A filter that [`trigger`](Self::trigger) makes ready (`EVFILT_USER`), under a number that no descriptor has.
#[derive(Debug)]
pub(crate) struct UserFilter {
    kqueue: Arc<Kqueue>,
    record: Kevent,
}

impl UserFilter {
    /// No descriptor has this number. The backend also registers filters of this kind under numbers of descriptors.
    const IDENT: usize = 1 << 32;

    /// Registers it, edge-triggered.
    pub(crate) fn new(kqueue: Arc<Kqueue>, token: u64) -> nix::Result<Self> {
        let filter = UserFilter { kqueue, record: Kevent::new(Self::IDENT, abi::EVFILT_USER, token) };
        filter.install()?;
        Ok(filter)
    }

    /// Registers it again, after the kqueue was replaced.
    pub(crate) fn install(&self) -> nix::Result<()> {
        self.kqueue.one(self.record.with_flags(abi::EV_ADD | abi::EV_CLEAR))
    }

    /// Makes the kqueue report the filter. Any thread.
    pub(crate) fn trigger(&self) {
        _ = self.kqueue.one(self.record.with_note(abi::NOTE_TRIGGER, 0));
    }
}

impl Drop for Kqueue {
    fn drop(&mut self) {
        if self.is_ours() {
            close(self.number());
        }
    }
}

fn close(number: RawFd) {
    if number >= 0 {
        // SAFETY: this module owns the descriptor, and does not use it after this call.
        drop(unsafe { OwnedFd::from_raw_fd(number) });
    }
}
