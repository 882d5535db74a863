//! Real signals. What a process does on a signal is the whole process's business, so every test here holds one lock,
//! and none of these runs beside other tests.

#[path = "../support/mod.rs"]
mod support;

mod arrival;
mod conformance;
mod dispositions;
mod endings;
mod inspection;
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

/// Held by a test for as long as it has to do with signals.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A base whose signals come by the handler, whatever the mode and the environment say.
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

/// What the process does on a signal: nothing is changed.
pub(crate) fn disposition(signal: Signal) -> SigAction {
    let current = swap(signal, &SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty()));
    swap(signal, &current);
    current
}

#[expect(unsafe_code, reason = "`sigaction` has no safe form")]
pub(crate) fn swap(signal: Signal, action: &SigAction) -> SigAction {
    // SAFETY: what is installed is ignoring, the default, or a function that touches an atomic only.
    unsafe { sigaction(signal, action) }.unwrap()
}

/// The same in a form to be compared: of a mask that the C library hands out, not all bits mean something.
pub(crate) fn what_it_does(signal: Signal) -> String {
    let action = disposition(signal);
    format!("{:?}, {:?}", action.handler(), action.flags())
}

/// Which function an action calls, or that it calls none.
pub(crate) fn named(handler: SigHandler) -> String {
    format!("{handler:?}")
}
