//! Messages for the operator of a program: problems that the engine handled by itself, or could not handle.
//!
//! Rules:
//! - A message does not replace an error: whatever can be returned to a caller is returned.
//! - The callback runs without any lock, so that it may use any base and set another callback. A message that arises
//!   under the lock of a base is recorded in the base and reported once the lock is released.
//! - A message that the callback itself causes is written to standard error and not passed to the callback.

use std::cell::Cell;
use std::fmt;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::sync::RwLock;

/// The severity of a message (`EVENT_LOG_*`, with libevent's numbers).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Severity {
    /// Details.
    Debug = 0,
    /// Information that the user requested.
    Message = 1,
    /// A problem of the program or its environment, which the engine handled.
    Warning = 2,
    /// A problem that the engine could not handle.
    Error = 3,
}

impl Severity {
    /// libevent's name of the severity: `debug`, `msg`, `warn` or `err`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Severity::Debug => "debug",
            Severity::Message => "msg",
            Severity::Warning => "warn",
            Severity::Error => "err",
        }
    }
}

/// One message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogMessage<'a> {
    /// Its severity.
    pub severity: Severity,
    /// The text, one line. It may change in any version.
    pub text: &'a str,
    /// The [number](crate::Base::number) of the base, if it was created already.
    pub base: Option<u64>,
    /// The name of the backend, if the message is about one.
    pub method: Option<&'static str>,
}

/// `[warn] text`, as libevent writes it.
impl fmt::Display for LogMessage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {}", self.severity.word(), self.text)
    }
}

impl LogMessage<'_> {
    /// Writes the message to standard error, except one of [`Severity::Debug`]; without a callback the engine does the
    /// same. Ignores errors of standard error.
    pub fn print(&self) {
        if self.severity > Severity::Debug {
            // One write, so that the line is not mixed with output of other threads.
            _ = std::io::stderr().write_all(format!("{self}\n").as_bytes());
        }
    }
}

/// A callback for messages. It runs on the thread that caused the message, which can be any.
pub type LogCallback = Arc<dyn Fn(&LogMessage<'_>) + Send + Sync>;

static CALLBACK: RwLock<Option<LogCallback>> = RwLock::new(None);

thread_local!(static IS_REPORTING: Cell<bool> = const { Cell::new(false) });

/// Passes every message of the process to `callback` from now on (`event_set_log_callback`). With `None`, the default,
/// messages are written to standard error, except those of [`Severity::Debug`].
///
/// The callback may use bases and set callbacks; if it panics, the message is written to standard error. Another thread
/// that is reporting a message may still call the callback that was set before.
///
/// ```
/// use std::sync::Arc;
/// use event_base::set_log_callback;
///
/// set_log_callback(Some(Arc::new(|message| eprintln!("event-base: {message}"))));
/// set_log_callback(None);
/// ```
pub fn set_log_callback(callback: Option<LogCallback>) {
    let before = std::mem::replace(&mut *CALLBACK.write(), callback);
    // Outside the lock: dropping what it captured may report messages.
    drop(before);
}

/// Reports a message. Must not be called under a base's lock.
pub(crate) fn report(message: &LogMessage<'_>) {
    struct Reported;
    impl Drop for Reported {
        fn drop(&mut self) {
            IS_REPORTING.set(false);
        }
    }
    // The guard is dropped before the call.
    let callback = CALLBACK.read().clone();
    let Some(callback) = callback else { return message.print() };
    if IS_REPORTING.replace(true) {
        return message.print();
    }
    let _reported = Reported;
    if catch_unwind(AssertUnwindSafe(|| callback(message))).is_err() {
        message.print();
    }
}
