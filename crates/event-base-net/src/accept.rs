//! A listener: it accepts in bounded batches, and pauses while the system lacks descriptors or memory.
//!
//! When no descriptor is free the kernel leaves the connection in the queue and the listener stays readable, so
//! repeating the call immediately would keep the loop busy. The listener is deregistered instead, and tries again
//! after a pause that doubles from 10 ms to 1 s until an accept succeeds. The same pause follows when the kernel
//! has no room to register the listener again. No connection is lost: readiness is level-triggered, so whatever
//! still waits in the queue is reported once the listener is registered.
//!
//! Several bases may accept from one socket. Linux wakes the first loop that waits, in the order of registration, so
//! that one loop would get nearly all connections of a server with little traffic. A listener that has accepted
//! therefore registers again, which puts it behind the others.

use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use event_base::{Base, Error, EventId, EventSpec, SystemError, What};
use nix::errno::Errno;

use crate::address::Address;
use crate::backoff::Backoff;
use crate::failure::{Result, errno, is_resource_shortage};
#[cfg(test)]
use crate::faults;
use crate::socket;
use crate::source::{Role, SourceKey};

/// How a listener accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenOptions {
    /// The most connections that it accepts per pass of the loop; at least 1.
    pub batch: u32,
    /// Whether listeners of other bases accept from the same socket. The kernel then wakes one of their loops for a
    /// connection, if their backend [can](Base::add_exclusive), and all of them get connections.
    pub shared: bool,
    /// Whether it waits for [`Net::resume`](crate::Net::resume) before it accepts anything.
    pub paused: bool,
}

/// A listener that was not started.
#[derive(Debug)]
pub struct ListenRefused {
    /// The reason.
    pub error: Error,
    /// The descriptor, open and without events of the listener.
    pub fd: OwnedFd,
}

impl Default for ListenOptions {
    fn default() -> Self {
        ListenOptions { batch: 64, shared: false, paused: false }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Watching,
    /// [`Listener::pause`] was called.
    Paused,
    /// A shortage lasts; the timer is armed.
    Waiting,
    /// The pause is over; the next step registers the listener again.
    Returning,
}

/// The result of one step of accepting.
#[derive(Debug)]
pub(crate) enum Step {
    Accepted(OwnedFd, Address),
    /// The batch is used up, no connection waits, or the listener is not registered.
    Over,
    /// The listener tries again by itself. `Some` for the first failure of a run.
    Shortage(Option<(Error, Duration)>),
    /// The listener cannot work any more.
    Dead(Error),
}

/// Decides whether a listener may accept.
pub(crate) trait Admission {
    /// Reserves a place for a connection. If there is none, the listener pauses.
    fn reserve(&self) -> bool;

    /// Releases a place for which no connection was accepted.
    fn release(&self);
}

/// Every connection may be accepted.
pub(crate) struct Unlimited;

impl Admission for Unlimited {
    fn reserve(&self) -> bool {
        true
    }

    fn release(&self) {}
}

#[derive(Debug)]
pub(crate) struct Listener {
    fd: OwnedFd,
    read: EventId,
    timer: EventId,
    state: State,
    shared: bool,
    /// Whether its registration is one of several that the kernel wakes in turn.
    is_exclusive: bool,
    batch: u32,
    left: u32,
    backoff: Backoff,
}

impl Listener {
    pub(crate) fn new(
        base: &Base,
        key: SourceKey,
        fd: OwnedFd,
        options: ListenOptions,
    ) -> std::result::Result<Self, ListenRefused> {
        let (read, timer) = match Listener::events(base, key, &fd, options.batch) {
            Ok(events) => events,
            Err(error) => return Err(ListenRefused { error, fd }),
        };
        let mut listener = Listener {
            fd,
            read,
            timer,
            state: if options.paused { State::Paused } else { State::Watching },
            shared: options.shared,
            is_exclusive: false,
            batch: options.batch,
            left: 0,
            backoff: Backoff::new(),
        };
        if !options.paused
            && let Err(error) = listener.add(base)
        {
            return Err(ListenRefused { error, fd: listener.close(base) });
        }
        Ok(listener)
    }

    /// Creates the event of the socket and the timer.
    fn events(base: &Base, key: SourceKey, fd: &OwnedFd, batch: u32) -> Result<(EventId, EventId)> {
        if batch == 0 {
            return Err(Error::OutOfRange("batch"));
        }
        let spec = EventSpec::io(fd.as_raw_fd(), What::READ).persist();
        let read = base.create(spec.data(Role::Read(0).tag(key)))?;
        let timer = base.create(EventSpec::timer().data(Role::Deadline.tag(key))).inspect_err(|_| {
            let _ = base.free(read);
        })?;
        Ok((read, timer))
    }

    /// Called when one of its events fired. Returns whether [`step`](Self::step) has to be called.
    pub(crate) fn ready(&mut self, role: Role) -> bool {
        match (role, self.state) {
            (Role::Deadline, State::Waiting) => {
                self.state = State::Returning;
                true
            }
            (Role::Read(_), State::Watching) => {
                self.left = self.batch;
                true
            }
            _ => false,
        }
    }

    fn add(&mut self, base: &Base) -> Result<()> {
        if !self.shared {
            return base.add(self.read, None);
        }
        self.is_exclusive = base.add_exclusive(self.read)?;
        Ok(())
    }

    fn register(&mut self, base: &Base) -> Result<()> {
        #[cfg(test)]
        if let Some(errno) = faults::next(faults::Call::Register) {
            return Err(crate::failure::system(errno, "epoll_ctl", Some(self.fd.as_raw_fd())));
        }
        self.add(base)
    }

    /// Accepts one connection. The caller may pause or close the listener between two connections.
    pub(crate) fn step(&mut self, base: &Base, admission: &impl Admission) -> Step {
        if self.state == State::Returning {
            self.left = 0;
            return self.watch_again(base);
        }
        loop {
            if self.state != State::Watching {
                return Step::Over;
            }
            if self.left == 0 {
                return self.end_batch(base);
            }
            if !admission.reserve() {
                return self.pause(base).map_or_else(Step::Dead, |()| Step::Over);
            }
            let is_first = self.left == self.batch;
            self.left -= 1;
            let accepted = self.accept();
            if !matches!(accepted, Ok(Some(_))) {
                admission.release();
            }
            let error = match accepted {
                Ok(Some((fd, peer))) => {
                    self.backoff.reset();
                    return Step::Accepted(fd, peer);
                }
                Ok(None) if is_first => return self.confirm(base),
                Ok(None) => return self.end_batch(base),
                Err(error) => error,
            };
            let Error::System(SystemError { errno, .. }) = error else { return Step::Dead(error) };
            match Errno::from_raw(errno) {
                errno if is_resource_shortage(errno) => return self.wait(base, error),
                // Another owner of the socket has shut it down (shutdown(2)) and can make it listen again. A socket
                // that has a peer cannot listen.
                Errno::EINVAL if socket::peer(&self.fd).is_err() => return self.wait(base, error),
                Errno::EBADF | Errno::EINVAL | Errno::ENOTSOCK | Errno::EOPNOTSUPP | Errno::EFAULT => {
                    return Step::Dead(error);
                }
                // ECONNABORTED, EPROTO, EPERM (a firewall), and the errors of the new connection's network that
                // Linux returns from accept (accept(2)): they concern one connection, which was dropped.
                _ => {}
            }
        }
    }

    fn accept(&self) -> Result<Option<(OwnedFd, Address)>> {
        #[cfg(test)]
        if let Some(errno) = faults::next(faults::Call::Accept) {
            return Err(crate::failure::system(errno, "accept", Some(self.fd.as_raw_fd())));
        }
        socket::accept(&self.fd)
    }

    /// Called when a pass has accepted its share. A listener that shares its socket moves behind the others.
    fn end_batch(&mut self, base: &Base) -> Step {
        if !self.is_exclusive {
            return self.confirm(base);
        }
        match base.del(self.read) {
            Ok(()) => self.watch_again(base),
            Err(error) => Step::Dead(error),
        }
    }

    /// Called when readiness was reported, and what it allows was done. A backend may defer a registration to the next wait.
    /// If the kernel refuses it then, the engine drops the registration and reports readiness, and a connection may wait
    /// nevertheless.
    fn confirm(&mut self, base: &Base) -> Step {
        match base.pending(self.read, What::READ) {
            Ok(pending) if pending.is_empty() => self.watch_again(base),
            Ok(_) => Step::Over,
            Err(error) => Step::Dead(error),
        }
    }

    fn watch_again(&mut self, base: &Base) -> Step {
        match self.register(base) {
            Ok(()) => {
                self.state = State::Watching;
                Step::Over
            }
            Err(error) if errno(&error).is_some_and(is_resource_shortage) => self.wait(base, error),
            Err(error) => Step::Dead(error),
        }
    }

    fn wait(&mut self, base: &Base, error: Error) -> Step {
        let is_first = self.backoff.failures() == 0;
        let pause = self.backoff.next_pause();
        let waiting = base.del(self.read).and_then(|()| base.add(self.timer, Some(pause)));
        if let Err(error) = waiting {
            return Step::Dead(error);
        }
        self.state = State::Waiting;
        Step::Shortage(is_first.then_some((error, pause)))
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
        if self.state != State::Paused {
            return Ok(());
        }
        match self.register(base) {
            Ok(()) => self.state = State::Watching,
            Err(error) if errno(&error).is_some_and(is_resource_shortage) => {
                // The step that the timer leads to reports the shortage if it lasts.
                base.add(self.timer, Some(Duration::ZERO))?;
                self.state = State::Waiting;
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Frees the events, which has to precede the end of the descriptor. A closed base has freed them already.
    pub(crate) fn close(self, base: &Base) -> OwnedFd {
        let _ = base.free(self.read);
        let _ = base.free(self.timer);
        self.fd
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registration_that_no_longer_exists_is_made_again() {
        for waiting in [0, 1, 2] {
            let base = Base::new().unwrap();
            let any = Address::internet("127.0.0.1", 0).unwrap();
            let fd = socket::listen(&any, &socket::BindOptions::default()).unwrap();
            let address = socket::address(&fd).unwrap();
            let key = SourceKey::from_bits(1 << 24).unwrap();
            let options = ListenOptions { batch: 2, ..ListenOptions::default() };
            let mut listener = Listener::new(&base, key, fd, options).unwrap();
            let clients: Vec<OwnedFd> = (0..waiting).map(|_| socket::connect(&address).unwrap()).collect();
            // The engine drops a registration that the kernel refuses during a poll, and reports it as readiness.
            base.del(listener.read).unwrap();
            assert!(listener.ready(Role::Read(0)));
            for _ in &clients {
                assert!(matches!(listener.step(&base, &Unlimited), Step::Accepted(..)));
            }
            assert!(matches!(listener.step(&base, &Unlimited), Step::Over));
            assert!(!base.pending(listener.read, What::READ).unwrap().is_empty(), "{waiting}");
            listener.close(&base);
        }
    }
}
