//! A connect in progress, to one address or raced over several.
//!
//! Several addresses are raced as RFC 8305 ("Happy Eyeballs Version 2") specifies: the address families alternate,
//! beginning with the family of the first address; the next attempt starts when the previous one has failed, or
//! after the attempt delay; the first attempt that connects wins, and the descriptors of the others are closed.

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use event_base::{Base, Error, EventId, EventSpec, Features, Ready, What};
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, SockaddrStorage, getpeername, recv};

use crate::address::Address;
use crate::failure::{Result, errno, is_shortage, system};
#[cfg(test)]
use crate::faults;
use crate::socket::{self, ConnectOptions};
use crate::source::{Role, SourceKey};

/// The time between the starts of two attempts of one connect: the value that RFC 8305, section 5, recommends.
pub const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// The argument of [`Net::connect_request`](crate::Net::connect_request).
#[derive(Clone, Copy, Debug)]
pub struct ConnectRequest<'a> {
    /// Where to connect to; at least one address. Several addresses are raced (RFC 8305).
    pub addresses: &'a [Address],
    /// The index of the address that is tried first; the others follow in their order.
    pub first: usize,
    /// The longest time the whole connect may take, all addresses included. `None`: as long as the kernel tries,
    /// which is minutes.
    pub timeout: Option<Duration>,
    /// The time between the starts of two attempts, [`ATTEMPT_DELAY`] by default.
    pub attempt_delay: Duration,
    /// The local address to connect from.
    pub options: ConnectOptions,
    /// A connection on whose behalf this connect is made. The connect ends with
    /// [`ConnectAbandoned`](crate::Completion::ConnectAbandoned) when the client resets that connection, or closes
    /// it without having sent a byte: one that has sent bytes may wait for the answer. It is watched once the connect
    /// has taken `attempt_delay`. The descriptor has to stay open until the connect has ended.
    pub client: Option<BorrowedFd<'a>>,
}

impl<'a> ConnectRequest<'a> {
    /// A connect to `addresses` without a timeout.
    #[must_use]
    pub fn new(addresses: &'a [Address]) -> Self {
        ConnectRequest {
            addresses,
            first: 0,
            timeout: None,
            attempt_delay: ATTEMPT_DELAY,
            options: ConnectOptions::default(),
            client: None,
        }
    }
}

/// How a connect ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// With the index of the address.
    Connected(OwnedFd, usize),
    /// With the first failure, or `ETIMEDOUT`.
    Failed(Error),
    /// The client closed its connection.
    Abandoned,
}

/// An attempt at one address.
#[derive(Debug)]
struct Attempt {
    /// The index of the address.
    index: usize,
    fd: OwnedFd,
    event: EventId,
}

#[derive(Debug)]
struct Client {
    fd: RawFd,
    event: Option<EventId>,
}

#[derive(Debug)]
pub(crate) struct Connecting {
    key: SourceKey,
    options: ConnectOptions,
    attempt_delay: Duration,
    attempts: Vec<Attempt>,
    /// Addresses that were not tried yet. The next one is the last element.
    waiting: Vec<(usize, Address)>,
    failures: Vec<(usize, Error)>,
    client: Option<Client>,
    timer: Option<EventId>,
    deadline: Option<Duration>,
}

impl Connecting {
    /// Starts the first attempt. If every address is refused immediately, [`is_over`](Self::is_over) is true
    /// afterwards.
    pub(crate) fn new(base: &Base, key: SourceKey, request: &ConnectRequest<'_>) -> Result<Self> {
        if request.addresses.is_empty() {
            return Err(Error::OutOfRange("number of addresses"));
        }
        let mut connecting = Connecting {
            key,
            options: request.options,
            attempt_delay: request.attempt_delay,
            attempts: Vec::with_capacity(1),
            waiting: Vec::new(),
            failures: Vec::new(),
            client: request.client.map(|fd| Client { fd: fd.as_raw_fd(), event: None }),
            timer: None,
            deadline: None,
        };
        let started = if let [address] = request.addresses {
            connecting.start(base, 0, address)
        } else {
            let order = order(request.addresses, request.first % request.addresses.len());
            connecting.waiting =
                order.into_iter().rev().map(|index| (index, request.addresses[index].clone())).collect();
            connecting.start_next(base);
            Ok(())
        };
        let started = started.and_then(|()| connecting.set_deadline(base, request.timeout));
        match started.and_then(|()| connecting.arm(base)) {
            Ok(()) => Ok(connecting),
            Err(error) => {
                connecting.close(base);
                Err(error)
            }
        }
    }

    fn set_deadline(&mut self, base: &Base, timeout: Option<Duration>) -> Result<()> {
        self.deadline = timeout.map(|timeout| Ok(base.monotonic()?.saturating_add(timeout))).transpose()?;
        Ok(())
    }

    fn start(&mut self, base: &Base, index: usize, address: &Address) -> Result<()> {
        let fd = socket::connect_with(address, &self.options)?;
        // A connection that is established already is writable, so the loop reports it too.
        let interest = EventSpec::io(fd.as_raw_fd(), What::WRITE).data(Role::Write(0).tag(self.key));
        let event = base.create(interest)?;
        #[cfg(test)]
        let added = match faults::next(faults::Call::Register) {
            Some(errno) => Err(system(errno, "epoll_ctl", Some(fd.as_raw_fd()))),
            None => base.add(event, None),
        };
        #[cfg(not(test))]
        let added = base.add(event, None);
        if let Err(error) = added {
            let _ = base.free(event);
            cancel(fd);
            return Err(error);
        }
        self.attempts.push(Attempt { index, fd, event });
        Ok(())
    }

    /// Starts the next attempt. Addresses that are refused immediately are skipped.
    fn start_next(&mut self, base: &Base) {
        while let Some((index, address)) = self.waiting.pop() {
            match self.start(base, index, &address) {
                Ok(()) => return,
                Err(error) => {
                    self.failures.push((index, error));
                    if is_shortage(&error) {
                        // Another address would need the same resource.
                        self.waiting.clear();
                    }
                }
            }
        }
    }

    /// Arms the timer for what is due first: the next attempt, watching the client, or the deadline.
    fn arm(&mut self, base: &Base) -> Result<()> {
        let has_next_step =
            !self.waiting.is_empty() || self.client.as_ref().is_some_and(|client| client.event.is_none());
        let left = match self.deadline {
            Some(deadline) => Some(deadline.saturating_sub(base.monotonic()?)),
            None => None,
        };
        let wait = match (has_next_step, left) {
            (true, Some(left)) => left.min(self.attempt_delay),
            (true, None) => self.attempt_delay,
            (false, Some(left)) => left,
            (false, None) => return Ok(()),
        };
        let timer = match self.timer {
            Some(timer) => timer,
            None => {
                let timer = EventSpec::timer().data(Role::Deadline.tag(self.key));
                *self.timer.insert(base.create(timer)?)
            }
        };
        base.add(timer, Some(wait))
    }

    /// Called when one of its events fired. `None`: the connect goes on.
    pub(crate) fn ready(&mut self, base: &Base, role: Role, ready: &Ready) -> Option<Outcome> {
        let outcome = match role {
            Role::Write(_) => {
                let index = self.attempts.iter().position(|attempt| attempt.event == ready.id)?;
                self.finish_attempt(base, index)
            }
            Role::Closed(_) => self.check_client(),
            _ => self.on_timer(base),
        };
        match outcome {
            Ok(None) if self.is_over() => Some(Outcome::Failed(self.first_failure())),
            Ok(outcome) => outcome,
            Err(error) => Some(Outcome::Failed(error)),
        }
    }

    /// Handles the readiness of an attempt. If the attempt has failed, the next one starts.
    fn finish_attempt(&mut self, base: &Base, position: usize) -> Result<Option<Outcome>> {
        let Attempt { index, fd, event } = self.attempts.remove(position);
        let mut outcome = socket::connect_outcome(&fd);
        let has_no_outcome = outcome.as_ref().is_err_and(|error| errno(error) == Some(Errno::EINPROGRESS));
        if has_no_outcome && socket::is_writable(&fd) {
            // The socket is connected by now, or another owner of the descriptor has shut it down, or has received the
            // error, which the kernel reports once.
            outcome = match socket::connect_outcome(&fd) {
                Err(error) if errno(&error) == Some(Errno::EINPROGRESS) => {
                    Err(system(Errno::ENOTCONN, "connect", Some(fd.as_raw_fd())))
                }
                outcome => outcome,
            };
        } else if has_no_outcome {
            // The attempt is still in progress: the kernel refused the registration when the engine polled, and the
            // engine reported that as readiness. The event has to be added again.
            match base.add(event, None) {
                Ok(()) => {
                    self.attempts.insert(position, Attempt { index, fd, event });
                    return Ok(None);
                }
                refused => outcome = refused,
            }
        }
        let _ = base.free(event);
        match outcome {
            Ok(()) => return Ok(Some(Outcome::Connected(fd, index))),
            Err(error) => self.failures.push((index, error)),
        }
        cancel(fd);
        if !self.waiting.is_empty() {
            self.start_next(base);
            self.arm(base)?;
        }
        Ok(None)
    }

    fn on_timer(&mut self, base: &Base) -> Result<Option<Outcome>> {
        let is_late = match self.deadline {
            Some(deadline) => base.monotonic()? >= deadline,
            None => false,
        };
        if is_late {
            return self.on_deadline(base).map(Some);
        }
        self.start_next(base);
        if let Some(client) = &mut self.client
            && client.event.is_none()
        {
            // A backend that does not report a close reports the end of the stream to readers, until bytes arrive.
            let reports_close = base.features()?.contains(Features::EARLY_CLOSE);
            let what = if reports_close { What::CLOSED } else { What::READ };
            let interest = EventSpec::io(client.fd, what).data(Role::Closed(0).tag(self.key));
            let event = *client.event.insert(base.create(interest)?);
            base.add(event, None)?;
        }
        self.arm(base)?;
        Ok(None)
    }

    /// The deadline has expired. After a pause of the process (`SIGSTOP`, a suspended machine) a connection may be
    /// established that the loop has not reported yet: `epoll_wait` then fails with `EINTR` (`signal(7)`).
    fn on_deadline(&mut self, base: &Base) -> Result<Outcome> {
        self.waiting.clear();
        while let Some(position) = self.attempts.iter().position(|attempt| socket::is_writable(&attempt.fd)) {
            if let Some(outcome) = self.finish_attempt(base, position)? {
                return Ok(outcome);
            }
        }
        match self.attempts.first() {
            Some(attempt) => {
                let late = system(Errno::ETIMEDOUT, "connect", Some(attempt.fd.as_raw_fd()));
                Ok(Outcome::Failed(late))
            }
            None => Ok(Outcome::Failed(self.first_failure())),
        }
    }

    /// Called when the client's connection was reported as closed or readable. A client that has sent bytes may still
    /// wait for the answer, so the connect continues for it.
    fn check_client(&self) -> Result<Option<Outcome>> {
        let Some(client) = &self.client else { return Ok(None) };
        // Bytes that arrived before a reset can still be read, but a connection that was reset has no peer.
        if getpeername::<SockaddrStorage>(client.fd) == Err(Errno::ENOTCONN) {
            return Ok(Some(Outcome::Abandoned));
        }
        match recv(client.fd, &mut [0], MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT) {
            Ok(1..) | Err(Errno::EAGAIN | Errno::EINTR) => Ok(None),
            Ok(_) | Err(_) => Ok(Some(Outcome::Abandoned)),
        }
    }

    /// Whether all attempts have ended and no address is left to try.
    pub(crate) fn is_over(&self) -> bool {
        self.attempts.is_empty() && self.waiting.is_empty()
    }

    pub(crate) fn first_failure(&self) -> Error {
        let late = || system(Errno::ETIMEDOUT, "connect", None);
        self.failures.first().map_or_else(late, |(_, error)| *error)
    }

    /// Releases what is left and returns the failed attempts, in their order.
    pub(crate) fn close(self, base: &Base) -> Vec<(usize, Error)> {
        let client = self.client.and_then(|client| client.event);
        for event in self.timer.into_iter().chain(client) {
            let _ = base.free(event);
        }
        for attempt in self.attempts {
            // The event is freed before the descriptor is closed.
            let _ = base.free(attempt.event);
            cancel(attempt.fd);
        }
        self.failures
    }
}

/// Closes the descriptor of an attempt that is not used. If it has connected already, the server receives a reset: the end
/// of a stream without bytes would look as if the client had sent none.
fn cancel(fd: OwnedFd) {
    socket::reset_on_close(&fd);
}

/// The order of attempts, as indices: the address `first`, then the families alternately, each in its own order.
fn order(addresses: &[Address], first: usize) -> Vec<usize> {
    let rest = (0..addresses.len()).filter(|index| *index != first);
    let all: Vec<_> = std::iter::once(first).chain(rest).collect();
    let domain = addresses[first].domain();
    let (same, other): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|index| addresses[*index].domain() == domain);
    let mut order = Vec::with_capacity(addresses.len());
    for position in 0..same.len().max(other.len()) {
        order.extend(same.get(position));
        order.extend(other.get(position));
    }
    order
}

#[cfg(test)]
pub(crate) mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    /// A connect to the address of a listener.
    fn start(base: &Base, listener: &TcpListener, timeout: Option<Duration>) -> Result<Connecting> {
        let addresses = [Address::Internet(listener.local_addr().unwrap())];
        let key = SourceKey::from_bits(1 << 24).unwrap();
        Connecting::new(base, key, &ConnectRequest { timeout, ..ConnectRequest::new(&addresses) })
    }

    /// A listener whose queue is full, so that connects get no answer, and the connections in its queue.
    pub(crate) fn silent() -> (TcpListener, Vec<TcpStream>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        nix::sys::socket::listen(&listener, nix::sys::socket::Backlog::new(0).unwrap()).unwrap();
        let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(250)).ok();
        (listener, std::iter::from_fn(connect).take(9).collect())
    }

    #[test]
    fn the_families_alternate_and_begin_with_that_of_the_first_address() {
        let hosts = ["::1", "::2", "::3", "127.0.0.1", "127.0.0.2"];
        let addresses = hosts.map(|host| Address::internet(host, 1).unwrap());
        assert_eq!(order(&addresses, 0), [0, 3, 1, 4, 2]);
        assert_eq!(order(&addresses, 2), [2, 3, 0, 4, 1]);
        assert_eq!(order(&addresses, 4), [4, 0, 3, 1, 2]);
        assert_eq!(order(&addresses[..1], 0), [0]);
    }

    #[test]
    fn readiness_without_a_connection_is_waited_for_again() {
        let base = Base::new().unwrap();
        let (listener, _queue) = silent();
        let mut connecting = start(&base, &listener, None).unwrap();
        assert!(matches!(connecting.finish_attempt(&base, 0), Ok(None)));
        let attempt = &connecting.attempts[0];
        assert_eq!(base.pending(attempt.event, What::WRITE), Ok(What::WRITE));
        connecting.close(&base);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_connect_whose_error_was_received_elsewhere_fails_at_its_deadline() {
        let base = Base::new().unwrap();
        let (listener, _queue) = silent();
        let mut connecting = start(&base, &listener, None).unwrap();
        let other = connecting.attempts[0].fd.try_clone().unwrap();
        // Linux ends a connect in progress with ECONNRESET, which it reports once.
        let _ = socket2::SockRef::from(&other).shutdown(std::net::Shutdown::Both);
        let _ = socket::error(&other, "connect");
        assert!(socket::is_writable(&other));
        let Ok(Outcome::Failed(error)) = connecting.on_deadline(&base) else { panic!("it has failed") };
        assert_eq!(errno(&error), Some(Errno::ENOTCONN));
        connecting.close(&base);
    }

    /// Accepts the connection of an attempt that was cancelled, and returns what a read returns.
    fn read_cancelled(listener: &TcpListener) -> std::io::Result<usize> {
        let (mut peer, _) = listener.accept().unwrap();
        std::io::Read::read(&mut peer, &mut [0])
    }

    #[test]
    fn a_server_receives_a_reset_from_an_attempt_that_is_closed() {
        let base = Base::new().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let connecting = start(&base, &listener, None).unwrap();
        connecting.close(&base);
        assert_eq!(read_cancelled(&listener).unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    }

    #[test]
    fn a_server_receives_a_reset_from_an_attempt_that_cannot_be_registered() {
        let base = Base::new().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        faults::inject(faults::Call::Register, Errno::ENOSPC);
        let refused = start(&base, &listener, None).unwrap_err();
        assert_eq!(errno(&refused), Some(Errno::ENOSPC));
        assert_eq!(read_cancelled(&listener).unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    }

    #[test]
    fn a_connection_that_is_established_when_the_deadline_expires_is_not_late() {
        let base = Base::new().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut connecting = start(&base, &listener, Some(Duration::ZERO)).unwrap();
        let _peer = listener.accept().unwrap();
        // The timer is dispatched without a poll before it, as after a wait that a signal interrupted.
        let outcome = connecting.on_timer(&base);
        assert!(matches!(outcome, Ok(Some(Outcome::Connected(_, 0)))), "{outcome:?}");
        connecting.close(&base);
    }
}
