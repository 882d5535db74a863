//! The error type of the engine.
//!
//! An error either refuses an invalid call (a stale id, contradictory flags, a loop inside its own callback), or is
//! [`Error::System`] with the error of a system call. Calls that only change the state of a base never return the
//! latter.

use std::fmt;
use std::os::fd::RawFd;

/// A system call that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SystemError {
    /// The positive `errno`.
    pub errno: i32,
    /// The system call's name.
    pub syscall: &'static str,
    /// The descriptor that the call was made on, if any.
    pub fd: Option<RawFd>,
}

/// Why a call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// No backend satisfies the configuration.
    NoMethod,
    /// The base is closed, or the id is that of an event that no longer exists.
    Closed,
    /// The loop is already running.
    Reentrant,
    /// The flags contradict each other.
    BadFlags(&'static str),
    /// The event, or an event of the base, is active.
    Active,
    /// The event is being finalized.
    Finalizing,
    /// A base without locks belongs to another thread, or a thread that did not enter the loop called for a step.
    WrongThread,
    /// This process is a forked child that has not called [`reinit`](crate::Base::reinit) for the base.
    Forked,
    /// A number is outside its range.
    OutOfRange(&'static str),
    /// In debug mode: the descriptor is a socket, pipe or FIFO in blocking mode, which can block the loop.
    Blocking(RawFd),
    /// In debug mode: the engine's own structures contradict each other. Always a bug of the engine.
    Internal(&'static str),
    /// A system call failed.
    System(SystemError),
}

impl Error {
    pub(crate) fn system(errno: nix::errno::Errno, syscall: &'static str, fd: Option<RawFd>) -> Self {
        Error::System(SystemError { errno: errno as i32, syscall, fd })
    }
}

impl fmt::Display for SystemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let errno = nix::errno::Errno::from_raw(self.errno);
        write!(f, "{errno:?}: {}, {}", errno.desc(), self.syscall)?;
        match self.fd {
            Some(fd) => write!(f, " fd {fd}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NoMethod => f.write_str("no backend satisfies the configuration"),
            Error::Closed => f.write_str("the base is closed or the event no longer exists"),
            Error::Reentrant => f.write_str("the loop is already running"),
            Error::BadFlags(why) => f.write_str(why),
            Error::Active => f.write_str("an event is active"),
            Error::Finalizing => f.write_str("the event is being finalized"),
            Error::WrongThread => f.write_str("the base, or its loop, belongs to another thread"),
            Error::Forked => {
                f.write_str("the process was forked and the base was not reinitialized in the child")
            }
            Error::OutOfRange(what) => write!(f, "{what} is out of range"),
            Error::Blocking(fd) => write!(f, "descriptor {fd} is in blocking mode (O_NONBLOCK is not set)"),
            Error::Internal(what) => write!(f, "internal inconsistency: {what}"),
            Error::System(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {}
