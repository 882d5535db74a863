//! A listener: bounded batches of accepts, and patience when descriptors run out.
//!
//! When no descriptor is free the kernel keeps the connection waiting and the listener stays readable, so
//! asking again at once would spin. The listener stops watching instead and tries again after a pause that
//! doubles from [`FIRST_PAUSE`] to [`LONGEST_PAUSE`] until an accept succeeds. Level-triggered readiness
//! makes that loss-free: whatever still waits is reported as soon as it watches again.

use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use event_base::{Base, Error, EventId, EventSpec, SystemError, What};
use nix::errno::Errno;

use crate::address::Address;
use crate::failure::Result;
use crate::socket;
use crate::source::{Role, SourceKey};

/// The pause after the first accept that found no free descriptor.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
/// The pause between tries in a long shortage.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How a listener accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenOptions {
    /// How many connections it accepts per pass of the loop before others get their turn; at least 1.
    pub batch: u32,
    /// Whether it waits for [`Net::resume`](crate::Net::resume) before it accepts anything.
    pub paused: bool,
}

impl Default for ListenOptions {
    fn default() -> Self {
        ListenOptions { batch: 64, paused: false }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Watching,
    /// By the user.
    Paused,
    /// Until the timer fires.
    Waiting,
}

/// What one step of accepting came to.
#[derive(Debug)]
pub(crate) enum Step {
    Accepted(OwnedFd, Address),
    /// The batch is used up, nothing waits, or the listener does not watch.
    Over,
    /// Tries again by itself; `Some` where it is to be told.
    Shortage(Option<(Error, Duration)>),
    /// The listener is of no more use.
    Dead(Error),
}

#[derive(Debug)]
pub(crate) struct Listener {
    fd: OwnedFd,
    read: EventId,
    timer: EventId,
    state: State,
    batch: u32,
    left: u32,
    /// The pause that a shortage led to last; zero when the last accept succeeded.
    pause: Duration,
}

impl Listener {
    pub(crate) fn new(base: &Base, key: SourceKey, fd: OwnedFd, options: ListenOptions) -> Result<Self> {
        if options.batch == 0 {
            return Err(Error::OutOfRange("batch"));
        }
        let number = fd.as_raw_fd();
        let read = base.create(EventSpec::io(number, What::READ).persist().data(Role::Read(0).tag(key)))?;
        let timer = base.create(EventSpec::timer().data(Role::Deadline.tag(key))).inspect_err(|_| {
            let _ = base.free(read);
        })?;
        let listener = Listener {
            fd,
            read,
            timer,
            state: if options.paused { State::Paused } else { State::Watching },
            batch: options.batch,
            left: 0,
            pause: Duration::ZERO,
        };
        if options.paused {
            return Ok(listener);
        }
        match base.add(read, None) {
            Ok(()) => Ok(listener),
            Err(error) => {
                listener.close(base);
                Err(error)
            }
        }
    }

    /// Called when one of its events fired: whether [`step`](Self::step) is to be called.
    pub(crate) fn ready(&mut self, base: &Base, role: Role) -> Result<bool> {
        match role {
            Role::Deadline if self.state == State::Waiting => {
                self.state = State::Watching;
                base.add(self.read, None)?;
                Ok(false)
            }
            Role::Read(_) if self.state == State::Watching => {
                self.left = self.batch;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Accepts one connection. One at a time, so that none is in between when the listener is paused or
    /// closed by the one before.
    pub(crate) fn step(&mut self, base: &Base) -> Step {
        loop {
            if self.state != State::Watching || self.left == 0 {
                return Step::Over;
            }
            self.left -= 1;
            let error = match socket::accept(&self.fd) {
                Ok(Some((fd, peer))) => {
                    self.pause = Duration::ZERO;
                    return Step::Accepted(fd, peer);
                }
                Ok(None) => return Step::Over,
                Err(error) => error,
            };
            let Error::System(SystemError { errno, .. }) = error else { return Step::Dead(error) };
            match Errno::from_raw(errno) {
                Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM => {
                    return self.wait(base, error);
                }
                Errno::EBADF | Errno::EINVAL | Errno::ENOTSOCK | Errno::EOPNOTSUPP | Errno::EFAULT => {
                    return Step::Dead(error);
                }
                // ECONNABORTED, EPROTO, EPERM (a firewall), and the errors of the new connection's network
                // that Linux hands to accept: they concern one connection, which is gone by now.
                _ => {}
            }
        }
    }

    fn wait(&mut self, base: &Base, error: Error) -> Step {
        let first = self.pause.is_zero();
        self.pause = (self.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        let waiting = base.del(self.read).and_then(|()| base.add(self.timer, Some(self.pause)));
        if let Err(error) = waiting {
            return Step::Dead(error);
        }
        self.state = State::Waiting;
        Step::Shortage(first.then_some((error, self.pause)))
    }

    pub(crate) fn pause(&mut self, base: &Base) -> Result<()> {
        if self.state != State::Paused {
            base.del(self.timer)?;
            base.del(self.read)?;
            self.state = State::Paused;
        }
        Ok(())
    }

    pub(crate) fn resume(&mut self, base: &Base) -> Result<()> {
        if self.state == State::Paused {
            base.add(self.read, None)?;
            self.state = State::Watching;
        }
        Ok(())
    }

    pub(crate) fn close(self, base: &Base) {
        // Out of the engine first, while the descriptor is still this one. A closed base has freed them.
        let _ = base.free(self.read);
        let _ = base.free(self.timer);
    }
}
