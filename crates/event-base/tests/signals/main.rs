//! Real signals. Dispositions belong to the whole process, so every test here holds one lock, and these tests have a
//! binary of their own.

#[path = "../support/mod.rs"]
mod support;

mod arrival;
mod conformance;
mod dispositions;
mod endings;
mod inspection;
mod interrupted_waits;
mod other_code;
mod repeated_calls;
mod sharing;
#[cfg(target_os = "linux")]
mod signalfd;
mod threads;
mod timeouts;

use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, raise, sigaction};

use event_base::{Base, EventId, EventSpec};

use support::{base_from, config_by_handler, shared_base};

pub(crate) const USR1: i32 = Signal::SIGUSR1 as i32;
pub(crate) const USR2: i32 = Signal::SIGUSR2 as i32;

/// Held by a test while it uses signals.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A base that receives signals through the handler, whatever the mode and the environment.
pub(crate) fn handler_base() -> Base {
    base_from(&config_by_handler())
}

/// The same for several threads; in a mode without locks the test is not applicable.
pub(crate) fn shared_handler_base() -> Option<Base> {
    shared_base().map(|_| handler_base())
}

pub(crate) fn watch(base: &Base, number: i32) -> EventId {
    base.create_and_add(EventSpec::signal(number), None).unwrap()
}

pub(crate) fn send(number: i32, times: usize) {
    let signal = Signal::try_from(number).unwrap();
    for _ in 0..times {
        raise(signal).unwrap();
    }
}

/// The disposition of a signal, which is not changed.
pub(crate) fn disposition(signal: Signal) -> SigAction {
    let current = swap(signal, &SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty()));
    swap(signal, &current);
    current
}

#[expect(unsafe_code, reason = "`sigaction` has no safe form")]
pub(crate) fn swap(signal: Signal, action: &SigAction) -> SigAction {
    // SAFETY: the new disposition ignores the signal, is the default, or calls a function that only accesses an atomic.
    unsafe { sigaction(signal, action) }.unwrap()
}

/// The same in a form that can be compared: not all bits of a mask that the C library returns are defined.
pub(crate) fn what_it_does(signal: Signal) -> String {
    let action = disposition(signal);
    format!("{:?}, {:?}", action.handler(), action.flags())
}

/// The function that an action calls, if any.
pub(crate) fn named(handler: SigHandler) -> String {
    format!("{handler:?}")
}
