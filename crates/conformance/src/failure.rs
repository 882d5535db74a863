//! What can go wrong while the two loops are driven.

use std::fmt;
use std::io;

/// A failed step of a measure. A measure that fails reports no figure.
#[derive(Debug)]
pub enum Failure {
    /// libevent refused; the name is that of the C function.
    Libevent(&'static str),
    /// The engine refused.
    Engine(event_base::Error),
    /// A system call of the measure itself failed.
    System(&'static str, io::Error),
    /// The loop did something else than the measure asked for, so that the
    /// time it took says nothing.
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
