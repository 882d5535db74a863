//! Failures of the loops and measures.

use std::fmt;
use std::io;

/// A failed step of a measure. A measure that fails reports no figure.
#[derive(Debug)]
pub enum Failure {
    /// A call of libevent failed; the name is that of the C function.
    Libevent(&'static str),
    /// A call of the engine failed.
    Engine(event_base::Error),
    /// A system call of the measure itself failed.
    System(&'static str, io::Error),
    /// The loop did not do the work of the measure, so its time is meaningless.
    Wrong(String),
}

impl Failure {
    /// The failure of the system call that has just returned an error.
    #[must_use]
    pub fn last_system_error(call: &'static str) -> Self {
        Self::System(call, io::Error::last_os_error())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Libevent(function) => write!(formatter, "libevent: {function} failed"),
            Self::Engine(error) => write!(formatter, "engine: {error}"),
            Self::System(call, error) => write!(formatter, "{call}: {error}"),
            Self::Wrong(what) => write!(formatter, "wrong run: {what}"),
        }
    }
}

impl std::error::Error for Failure {}

impl From<event_base::Error> for Failure {
    fn from(error: event_base::Error) -> Self {
        Self::Engine(error)
    }
}
