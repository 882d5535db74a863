//! Messages for whoever looks after a program: what the engine put right by itself, or could not.
//!
//! Ground rules:
//! - A message replaces no error: whatever a caller can be told is told to the caller.
//! - The callback is called without any lock, so that it may use any base and set another callback. What is
//!   found under a base's lock is noted there and told once the lock is dropped.
//! - What a callback logs itself, through the engine, goes to the standard error and not to the callback.

use std::cell::Cell;
use std::fmt;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::sync::RwLock;

/// How much a message matters (`EVENT_LOG_*`, with libevent's numbers).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Severity {
    /// For the curious.
    Debug = 0,
    /// Something that was asked for.
    Message = 1,
    /// Something is wrong in the program or its surroundings; the engine dealt with it.
    Warning = 2,
    /// The engine could not deal with it.
    Error = 3,
}

impl Severity {
    /// libevent's word for it: `debug`, `msg`, `warn` or `err`.
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
    /// How much it matters.
    pub severity: Severity,
    /// The message itself, for people: one line, whose words may change.
    pub text: &'a str,
    /// The [number](crate::Base::number) of the base it is about, if there is one already.
    pub base: Option<u64>,
    /// The name of the backend it is about, if it is about one.
    pub method: Option<&'static str>,
}

/// `[warn] text`, as libevent writes it.
impl fmt::Display for LogMessage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {}", self.severity.word(), self.text)
    }
}

impl LogMessage<'_> {
    /// Writes the message to the standard error, as happens without a callback: all but those for the
    /// curious. A standard error that cannot be written to is no reason to fail.
    pub fn print(&self) {
        if self.severity > Severity::Debug {
            // In one write, so that what others write does not stand in the middle of the line.
            _ = std::io::stderr().write_all(format!("{self}\n").as_bytes());
        }
    }
}

/// What is called with each message, on the thread where it arose, whichever that is.
pub type LogCallback = Arc<dyn Fn(&LogMessage<'_>) + Send + Sync>;

static CALLBACK: RwLock<Option<LogCallback>> = RwLock::new(None);

thread_local!(static TELLING: Cell<bool> = const { Cell::new(false) });

/// Has every message of the process told to `callback` from now on (`event_set_log_callback`). With `None`
/// warnings, errors and what was asked for go to the standard error, which is how it begins.
///
/// The callback may do whatever it likes, use bases and set callbacks included; if it panics, the message
/// goes to the standard error. A message under way on another thread may still reach the callback before.
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
    // Only now: what it holds may log when it goes.
    drop(before);
}

/// Tells a message. Never under a base's lock.
pub(crate) fn tell(message: &LogMessage<'_>) {
    struct Told;
    impl Drop for Told {
        fn drop(&mut self) {
            TELLING.set(false);
        }
    }
    // The guard is gone before the call.
    let callback = CALLBACK.read().clone();
    let Some(callback) = callback else { return message.print() };
    if TELLING.replace(true) {
        return message.print();
    }
    let _told = Told;
    if catch_unwind(AssertUnwindSafe(|| callback(message))).is_err() {
        message.print();
    }
}
