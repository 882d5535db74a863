//! One end of a relay: its descriptor and what the engine watches on it.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use event_base::{Base, Error, EventId, EventSpec, SystemError, What};
use nix::errno::Errno;
use socket2::SockRef;

use crate::failure::Result;
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
    /// A write was told that the connection had failed. The kernel tells it once: after it, reading ends as if the
    /// peer had ended its stream.
    broken: Option<Error>,
}

impl End {
    /// Makes `fd` fit for a relay. `index` is 0 or 1.
    pub(super) fn new(fd: OwnedFd, key: SourceKey, index: usize) -> Result<Self> {
        socket::set_nonblocking(&fd, true)?;
        // Says in the same breath whether it is a socket; ENOPROTOOPT and the like: not TCP.
        let no_delay = SockRef::from(&fd).set_tcp_nodelay(true);
        let errno = no_delay.err().and_then(|error| error.raw_os_error());
        let socket = errno != Some(Errno::ENOTSOCK as i32);
        Ok(End {
            fd,
            socket,
            // The end of the stream is told along with its last bytes, and costs no pass of its own.
            read: Watch::new(What::READ | What::CLOSED, Role::Read(index), key),
            write: Watch::new(What::WRITE, Role::Write(index), key),
            closed: Watch::new(What::CLOSED, Role::Closed(index), key),
            half_closed: false,
            broken: None,
        })
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
        socket::receive(self.fd.as_fd(), buffer)
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
            let _ = SockRef::from(&self.fd).set_linger(Some(std::time::Duration::ZERO));
        }
    }

    /// Takes it out of the engine and closes the descriptor.
    pub(super) fn close(self, base: &Base) {
        for watch in [&self.read, &self.write, &self.closed] {
            watch.free(base);
        }
    }
}

impl AsFd for End {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
