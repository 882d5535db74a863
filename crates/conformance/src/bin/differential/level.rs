//! Replacements of the waits that receive all descriptors each time, like those of `interpose`.
//!
//! libevent calls `poll` and `select`, the engine `ppoll` and `pselect`.
#![expect(unsafe_code, reason = "C functions are replaced and called")]

use std::ffi::{c_int, c_long, c_ulong, c_void};
use std::os::fd::RawFd;
use std::ptr;

use crate::interpose::{Machine, Micros, in_charge, real};

static NO_TIME: libc::timespec = libc::timespec { tv_sec: 0, tv_nsec: 0 };

fn of_timespec(timeout: *const libc::timespec) -> Option<Micros> {
    // SAFETY: the caller passes null or a time.
    let timeout = unsafe { timeout.as_ref() };
    timeout.map(|time| time.tv_sec as u64 * 1_000_000 + (time.tv_nsec as u64).div_ceil(1000))
}

/// `ppoll` of the kernel, without the machine.
///
/// # Safety
/// `entries` has room for `count`, and `timeout` is null or a time.
unsafe fn real_poll(
    entries: *mut libc::pollfd,
    count: libc::nfds_t,
    timeout: *const libc::timespec,
    mask: *const libc::sigset_t,
) -> c_int {
    // The kernel writes the time that is left.
    // SAFETY: the caller passes null or a time.
    let left = unsafe { timeout.as_ref() }.copied();
    let timeout = left.as_ref().map_or(ptr::null(), ptr::from_ref);
    let (entries, timeout) = (entries.expose_provenance() as c_long, timeout.expose_provenance() as c_long);
    let mask = mask.expose_provenance() as c_long;
    // SAFETY: the caller's arguments; a set of signals has eight bytes for the kernel.
    unsafe { real()(libc::SYS_ppoll, entries, count as c_long, timeout, mask, 8, 0) as c_int }
}

/// The present readiness of one descriptor, from the kernel.
pub(crate) fn ready(fd: RawFd, events: i16) -> i16 {
    let mut entry = libc::pollfd { fd, events, revents: 0 };
    // SAFETY: the record and the time live across the call.
    unsafe { real_poll(&raw mut entry, 1, &raw const NO_TIME, ptr::null()) };
    entry.revents
}

fn wait_poll(machine: &dyn Machine, entries: &mut [libc::pollfd], timeout: Option<Micros>) -> c_int {
    entries.iter_mut().for_each(|entry| entry.revents = 0);
    if machine.is_blind() {
        return 0;
    }
    let count = entries.len();
    // SAFETY: the entries and the time live across the call.
    let found =
        unsafe { real_poll(entries.as_mut_ptr(), count as libc::nfds_t, &raw const NO_TIME, ptr::null()) };
    let ready: Vec<_> = (0..count)
        .filter(|place| entries[*place].revents != 0)
        .map(|place| (place, entries[place].fd))
        .collect();
    settle(machine, found, &ready, count, timeout)
}

/// The wait is over if it found something, or was not to last.
fn settle(
    machine: &dyn Machine,
    found: c_int,
    ready: &[(usize, RawFd)],
    count: usize,
    timeout: Option<Micros>,
) -> c_int {
    machine.found_level(ready, count);
    if found == 0 && timeout != Some(0) {
        machine.pass_time(timeout);
    }
    found
}

#[unsafe(no_mangle)]
unsafe extern "C" fn poll(entries: *mut libc::pollfd, count: libc::nfds_t, timeout: c_int) -> c_int {
    let timeout = u64::try_from(timeout).ok().map(|milliseconds| milliseconds * 1000);
    if let Some(machine) = in_charge() {
        // SAFETY: the caller's array.
        let entries = unsafe { slice(entries, count) };
        return wait_poll(machine, entries, timeout);
    }
    let time = timeout.map(|time| libc::timespec {
        tv_sec: (time / 1_000_000) as libc::time_t,
        tv_nsec: (time % 1_000_000 * 1000) as c_long,
    });
    // SAFETY: the caller's array; the time lives across the call.
    unsafe { real_poll(entries, count, time.as_ref().map_or(ptr::null(), ptr::from_ref), ptr::null()) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn ppoll(
    entries: *mut libc::pollfd,
    count: libc::nfds_t,
    timeout: *const libc::timespec,
    mask: *const libc::sigset_t,
) -> c_int {
    if let Some(machine) = in_charge() {
        // SAFETY: the caller's array.
        let entries = unsafe { slice(entries, count) };
        return wait_poll(machine, entries, of_timespec(timeout));
    }
    // SAFETY: the caller's arguments, unchanged.
    unsafe { real_poll(entries, count, timeout, mask) }
}

/// # Safety
/// `entries` has room for `count`.
unsafe fn slice<'a>(entries: *mut libc::pollfd, count: libc::nfds_t) -> &'a mut [libc::pollfd] {
    if entries.is_null() {
        return &mut [];
    }
    // SAFETY: as the caller promises.
    unsafe { std::slice::from_raw_parts_mut(entries, count as usize) }
}

const BITS: usize = c_ulong::BITS as usize;

/// The words of a set of descriptors below `limit`.
///
/// # Safety
/// `set` is null, or has as many bits.
unsafe fn words<'a>(set: *mut libc::fd_set, limit: usize) -> &'a mut [c_ulong] {
    if set.is_null() {
        return &mut [];
    }
    // SAFETY: as the caller promises; a set is an array of words.
    unsafe { std::slice::from_raw_parts_mut(set.cast(), limit.div_ceil(BITS)) }
}

/// `pselect` of the kernel, without the machine.
///
/// # Safety
/// The sets have `limit` bits or are null, and the time is one or null.
unsafe fn real_select(limit: c_int, sets: [*mut libc::fd_set; 3], timeout: *const libc::timespec) -> c_int {
    let sets = sets.map(|set| set.expose_provenance() as c_long);
    // SAFETY: the caller passes null or a time.
    let left = unsafe { timeout.as_ref() }.copied();
    let timeout = left.as_ref().map_or(ptr::null(), ptr::from_ref).expose_provenance() as c_long;
    // SAFETY: the caller's arguments, and no signal mask.
    unsafe { real()(libc::SYS_pselect6, limit.into(), sets[0], sets[1], sets[2], timeout, 0) as c_int }
}

/// # Safety
/// As for [`real_select`].
unsafe fn wait_select(
    machine: &dyn Machine,
    limit: c_int,
    sets: [*mut libc::fd_set; 3],
    timeout: Option<Micros>,
) -> c_int {
    let count = limit as usize;
    if machine.is_blind() {
        for set in sets {
            // SAFETY: the caller's sets.
            unsafe { words(set, count) }.fill(0);
        }
        return 0;
    }
    // SAFETY: the caller's sets.
    let found = unsafe { real_select(limit, sets, &raw const NO_TIME) };
    let is_in = |set: *mut libc::fd_set, fd: usize| {
        // SAFETY: the caller's sets.
        unsafe { words(set, count) }.get(fd / BITS).is_some_and(|word| word & (1 << (fd % BITS)) != 0)
    };
    let is_ready = |fd: &usize| sets.iter().any(|set| is_in(*set, *fd));
    let ready: Vec<_> = match found {
        1.. => (0..count).filter(is_ready).map(|fd| (fd, fd as RawFd)).collect(),
        _ => Vec::new(),
    };
    settle(machine, found, &ready, count, timeout)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn select(
    limit: c_int,
    readers: *mut libc::fd_set,
    writers: *mut libc::fd_set,
    others: *mut libc::fd_set,
    timeout: *mut libc::timeval,
) -> c_int {
    // SAFETY: the caller passes null or a time.
    let time = unsafe { timeout.as_ref() };
    if let Some(machine) = in_charge() {
        let timeout = time.map(|time| time.tv_sec as u64 * 1_000_000 + time.tv_usec as u64);
        // SAFETY: the caller's sets.
        return unsafe { wait_select(machine, limit, [readers, writers, others], timeout) };
    }
    let time = time.map(|time| libc::timespec { tv_sec: time.tv_sec, tv_nsec: time.tv_usec * 1000 });
    let time = time.as_ref().map_or(ptr::null(), ptr::from_ref);
    // SAFETY: the caller's sets.
    unsafe { real_select(limit, [readers, writers, others], time) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pselect(
    limit: c_int,
    readers: *mut libc::fd_set,
    writers: *mut libc::fd_set,
    others: *mut libc::fd_set,
    timeout: *const libc::timespec,
    _mask: *const c_void,
) -> c_int {
    match in_charge() {
        // SAFETY: the caller's sets.
        Some(machine) => unsafe {
            wait_select(machine, limit, [readers, writers, others], of_timespec(timeout))
        },
        // SAFETY: the caller's sets and time.
        None => unsafe { real_select(limit, [readers, writers, others], timeout) },
    }
}
