//! Signals of POSIX: of one event, of one base, and of the process.

use event_base::{EventId, What};
use napi_derive::napi;

use crate::error::Outcome;
use crate::handle::Handle;

/// The highest number of a signal.
#[napi(catch_unwind)]
pub fn max_signal() -> i32 {
    event_base::MAX_SIGNAL
}

/// Installs the handler of a signal again, if a base uses the signal and other code has replaced the handler. The
/// other handler is then called too.
#[napi(catch_unwind)]
pub fn signal_reassert(number: i32) -> Outcome<()> {
    event_base::reassert_signal(number).into()
}

/// How the base receives signals.
#[napi(catch_unwind)]
pub fn base_signal_method(handle: Handle) -> Outcome<&'static str> {
    handle.base().signal_method().into()
}

/// Activates the events of a signal.
#[napi(catch_unwind)]
pub fn base_activate_by_signal(handle: Handle, number: i32) -> Outcome<()> {
    handle.base().activate_by_signal(number).into()
}

/// Activates a signal event, whose callback then runs `calls` times.
#[napi(catch_unwind)]
pub fn event_activate_signal(handle: Handle, event: f64, what: u32, calls: u32) -> Outcome<()> {
    let what = What::from_bits_truncate(what as u8);
    handle.base().activate_signal(EventId::from_bits(event as u64), what, calls).map(drop).into()
}
