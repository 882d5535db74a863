//! One end of a relay: its descriptor and what the engine watches on it.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use std::time::Duration;

use event_base::{Base, Error, EventId, EventSpec, SystemError, What};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, recv};
use socket2::SockRef;

use crate::failure::{Result, system};
use crate::socket;
use crate::source::{Role, SourceKey};

/// An event that is made when it is first wanted, and remembers whether it is added, so that asking for
/// what already holds costs nothing.
#[derive(Debug)]
struct Watch {
    interest: What,
    tag: u64,
    event: Option<EventId>,
    added: bool,
}

impl Watch {
    fn new(interest: What, role: Role, key: SourceKey) -> Self {
        Watch { interest, tag: role.tag(key), event: None, added: false }
    }

    fn set(&mut self, base: &Base, fd: &OwnedFd, wanted: bool) -> Result<()> {
        if wanted == self.added {
            return Ok(());
        }
        let event = match self.event {
            Some(event) => event,
            None => {
                let spec = EventSpec::io(fd.as_raw_fd(), self.interest).persist().data(self.tag);
                *self.event.insert(base.create(spec)?)
            }
        };
        if wanted {
            base.add(event, None)?
        } else {
            base.del(event)?
        }
        self.added = wanted;
        Ok(())
    }

    fn free(&self, base: &Base) {
        if let Some(event) = self.event {
            // A closed base has freed it already.
            let _ = base.free(event);
        }
    }
}

#[derive(Debug)]
pub(super) struct End {
    fd: OwnedFd,
    socket: bool,
    read: Watch,
    write: Watch,
    closed: Watch,
    /// The peer's half-close has been reported, so watching for it would only report it again.
    half_closed: bool,
    connecting: bool,
    /// Why it was of no use to begin with.
    failure: Option<Error>,
    /// A write was told that the connection had failed. The kernel tells it once: after it, reading ends as if the
    /// peer had ended its stream.
    broken: Option<Error>,
}

impl End {
    /// Makes `fd` fit for a relay. `index` is 0 or 1.
    ///
    /// `known` says that it is non-blocking and connected already, which saves asking.
    pub(super) fn new(fd: OwnedFd, key: SourceKey, index: usize, known: bool) -> Result<Self> {
        if !known {
            socket::set_nonblocking(&fd, true)?;
        }
        // Says in the same breath whether it is a socket; ENOPROTOOPT and the like: not TCP.
        let no_delay = SockRef::from(&fd).set_tcp_nodelay(true);
        let is_tcp = no_delay.is_ok();
        let errno = no_delay.err().and_then(|error| error.raw_os_error());
        let socket = errno != Some(Errno::ENOTSOCK as i32);
        // A path is connected at once or not at all.
        let on_its_way = if is_tcp && !known { is_on_its_way(&fd) } else { Ok(false) };
        let connecting = on_its_way == Ok(true);
        Ok(End {
            fd,
            socket,
            // The end of the stream is told along with its last bytes, and costs no pass of its own.
            read: Watch::new(What::READ | What::CLOSED, Role::Read(index), key),
            write: Watch::new(What::WRITE, Role::Write(index), key),
            closed: Watch::new(What::CLOSED, Role::Closed(index), key),
            half_closed: false,
            connecting,
            failure: on_its_way.err(),
            broken: None,
        })
    }

    /// Why its connect failed, where it has failed already. Once.
    pub(super) fn take_failure(&mut self) -> Option<Error> {
        self.failure.take()
    }

    /// Whether its connect is still in progress.
    pub(super) fn is_connecting(&self) -> bool {
        self.connecting
    }

    /// Waits for the outcome of its connect; none within `timeout` is told by the same event.
    pub(super) fn watch_connect(&mut self, base: &Base, timeout: Option<Duration>) -> Result<()> {
        self.write.set(base, &self.fd, true)?;
        match (self.write.event, timeout) {
            (Some(event), Some(timeout)) => base.add(event, Some(timeout)),
            _ => Ok(()),
        }
    }

    /// Called when that event fired: how the connect went.
    pub(super) fn on_connected(&mut self, base: &Base, what: What) -> Result<()> {
        let number = Some(self.fd.as_raw_fd());
        if !what.contains(What::WRITE) {
            return Err(system(Errno::ETIMEDOUT, "connect", number));
        }
        socket::connect_outcome(&self.fd)?;
        self.connecting = false;
        if let Some(event) = self.write.event {
            base.remove_timer(event)?;
        }
        self.watch_write(base, false)
    }

    pub(super) fn watch_read(&mut self, base: &Base, wanted: bool) -> Result<()> {
        self.read.set(base, &self.fd, wanted)
    }

    pub(super) fn watch_write(&mut self, base: &Base, wanted: bool) -> Result<()> {
        self.write.set(base, &self.fd, wanted)
    }

    /// Watches for the peer's reset while nothing is read, on backends that can.
    pub(super) fn watch_closed(&mut self, base: &Base) -> Result<()> {
        if self.half_closed { Ok(()) } else { self.closed.set(base, &self.fd, true) }
    }

    /// Called when the watch for the peer's close fired: why the connection failed, where it did and no
    /// read is going to tell.
    pub(super) fn on_closed(&mut self, base: &Base) -> Result<Option<Error>> {
        self.half_closed = true;
        self.closed.set(base, &self.fd, false)?;
        if self.read.added || !self.socket {
            return Ok(None);
        }
        Ok(socket::error(&self.fd, "read")?.map(Error::System))
    }

    pub(super) fn receive(&self, buffer: &mut [u8]) -> nix::Result<Option<usize>> {
        socket::receive(self.fd.as_fd(), self.socket, buffer)
    }

    pub(super) fn send(&self, buffer: &[u8]) -> nix::Result<Option<usize>> {
        socket::send(self.fd.as_fd(), self.socket, buffer)
    }

    /// Called when a write failed. `EPIPE` says no more than that the peer takes nothing; what it sends may still
    /// come to its end.
    pub(super) fn write_failed(&mut self, error: Error) {
        if !matches!(error, Error::System(SystemError { errno, .. }) if errno == Errno::EPIPE as i32) {
            self.broken.get_or_insert(error);
        }
    }

    /// Why the end of what is read here is not the end of the peer's stream.
    pub(super) fn broken(&self) -> Option<Error> {
        self.broken
    }

    /// Passes the end of the stream on.
    pub(super) fn finish(&self) {
        // ENOTCONN: the peer has reset the connection meanwhile, which reading from it tells. ENOTSOCK: not
        // a kind that can be half closed.
        let _ = socket::shutdown(&self.fd, socket::Direction::Write);
    }

    /// Makes closing the descriptor a reset, so that the peer does not take a stream which broke off for a
    /// complete one.
    pub(super) fn reset_on_close(&self) {
        if self.socket {
            let _ = SockRef::from(&self.fd).set_linger(Some(Duration::ZERO));
        }
    }

    /// Takes it out of the engine and closes the descriptor.
    pub(super) fn close(self, base: &Base) {
        for watch in [&self.read, &self.write, &self.closed] {
            watch.free(base);
        }
    }
}

/// How far a TCP socket is on its way to its peer: whether the connect is still in progress.
///
/// One that has no peer any more was refused, or connected and then reset. Reading tells which: what arrived
/// before a reset is still to be passed on, and is only looked at.
fn is_on_its_way(fd: &OwnedFd) -> Result<bool> {
    let has_peer = SockRef::from(fd).peer_addr();
    let is_unconnected =
        has_peer.err().and_then(|error| error.raw_os_error()) == Some(Errno::ENOTCONN as i32);
    if !is_unconnected {
        return Ok(false);
    }
    if poll(&mut [PollFd::new(fd.as_fd(), PollFlags::POLLOUT)], PollTimeout::ZERO) == Ok(0) {
        return Ok(true);
    }
    match recv(fd.as_raw_fd(), &mut [0], MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT) {
        Ok(_) | Err(Errno::EAGAIN | Errno::EINTR | Errno::ENOTCONN) => Ok(false),
        Err(Errno::ECONNRESET) => Err(system(Errno::ECONNRESET, "read", Some(fd.as_raw_fd()))),
        Err(errno) => Err(system(errno, "connect", Some(fd.as_raw_fd()))),
    }
}

impl AsFd for End {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
