//! Signals: each has one number on libevent's side and another on the engine's, so that both can have a handler.
#![expect(unsafe_code, reason = "handlers are installed and signals sent")]

use std::ffi::c_int;
use std::io::Error;
use std::ptr;
use std::sync::atomic::{AtomicI64, Ordering};

/// The number of signals of a program.
pub(crate) const SIGNALS: usize = 3;

/// The number of arrivals that neither side handled, by signal.
static UNHANDLED: [AtomicI64; 65] = [const { AtomicI64::new(0) }; 65];

extern "C" fn unhandled(number: c_int) {
    UNHANDLED[number as usize].fetch_add(1, Ordering::Relaxed);
}

/// The number of a signal. The order is the same on both sides.
pub(crate) fn number(is_libevent: bool, signal: usize) -> c_int {
    let numbers = match (signal, is_libevent) {
        (0, true) => libc::SIGUSR1,
        (0, false) => libc::SIGUSR2,
        (more, _) => libc::SIGRTMIN() + 2 * more as c_int,
    };
    if signal > 0 && !is_libevent { numbers + 1 } else { numbers }
}

/// The signal that has a number.
pub(crate) fn signal(is_libevent: bool, of: c_int) -> Option<usize> {
    (0..SIGNALS).find(|signal| number(is_libevent, *signal) == of)
}

/// Counts signals that no side handles, so that they do not end the process.
pub(crate) fn prepare() {
    for (is_libevent, signal) in
        [true, false].iter().flat_map(|side| (0..SIGNALS).map(|signal| (*side, signal)))
    {
        // SAFETY: every field may be all zeroes.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = handler();
        action.sa_flags = libc::SA_RESTART;
        // SAFETY: the record lives across the call; what it names touches an atomic only.
        let done =
            unsafe { libc::sigaction(number(is_libevent, signal), &raw const action, ptr::null_mut()) };
        assert_eq!(done, 0, "sigaction: {}", Error::last_os_error());
    }
}

fn handler() -> libc::sighandler_t {
    let handler: extern "C" fn(c_int) = unhandled;
    handler as *const () as libc::sighandler_t
}

/// Whether no side has a handler.
pub(crate) fn is_unhandled(number: c_int) -> bool {
    // SAFETY: every field may be all zeroes.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: the record lives across the call.
    unsafe { libc::sigaction(number, ptr::null(), &raw mut action) };
    action.sa_sigaction == handler()
}

/// Sends a signal a number of times, to this thread or to the process, which has no other thread that accepts it. Returns
/// the number that no side handled.
pub(crate) fn send(number: c_int, times: u16, to_process: bool) -> i64 {
    let before = UNHANDLED[number as usize].load(Ordering::Relaxed);
    for _ in 0..times {
        let sent = if to_process {
            // SAFETY: there are handlers for all signals in use.
            unsafe { libc::kill(std::process::id() as libc::pid_t, number) }
        } else {
            // SAFETY: as above.
            unsafe { libc::raise(number) }
        };
        assert_eq!(sent, 0, "kill: {}", Error::last_os_error());
    }
    UNHANDLED[number as usize].load(Ordering::Relaxed) - before
}
