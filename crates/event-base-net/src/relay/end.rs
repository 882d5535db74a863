//! One end of a relay: its descriptor, and the events registered for it.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use event_base::{Base, Error, EventId, EventSpec, Features, SystemError, What};
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv};
use socket2::SockRef;

use crate::failure::{Result, system};
#[cfg(test)]
use crate::faults;
use crate::socket;
use crate::source::{Role, SourceKey};

/// An event that is created when it is first needed. It remembers whether it is added, so that a change to the
/// current state costs nothing.
#[derive(Debug)]
struct Watch {
    interest: What,
    tag: u64,
    event: Option<EventId>,
    added: bool,
    /// Whether it was not dispatched since it was added, so that the kernel may have refused it.
    fresh: bool,
}

impl Watch {
    fn new(interest: What, role: Role, key: SourceKey) -> Self {
        Watch { interest, tag: role.tag(key), event: None, added: false, fresh: false }
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
            #[cfg(test)]
            if let Some(errno) = faults::next(faults::Call::Register) {
                return Err(system(errno, "epoll_ctl", Some(fd.as_raw_fd())));
            }
            base.add(event, None)?
        } else {
            base.del(event)?
        }
        self.added = wanted;
        self.fresh = wanted;
        Ok(())
    }

    /// Called when the event was dispatched: [confirms](Self::confirm) it if that is the first time.
    fn confirm_fresh(&mut self, base: &Base, fd: &OwnedFd) -> Result<()> {
        if std::mem::take(&mut self.fresh) { self.confirm(base, fd) } else { Ok(()) }
    }

    /// Adds the event again if it was added and the engine has dropped it.
    fn confirm(&mut self, base: &Base, fd: &OwnedFd) -> Result<()> {
        let Some(event) = self.event.filter(|_| self.added) else { return Ok(()) };
        if base.pending(event, self.interest)?.is_empty() {
            self.added = false;
            self.set(base, fd, true)?;
        }
        Ok(())
    }

    fn free(&self, base: &Base) {
        if let Some(event) = self.event {
            // The events of a closed base are freed already.
            let _ = base.free(event);
        }
    }
}

#[derive(Debug)]
pub(super) struct End {
    fd: OwnedFd,
    is_socket: bool,
    is_tcp: bool,
    read: Watch,
    write: Watch,
    closed: Watch,
    /// Edge-triggered, because the end of the stream that was read is reported as long as it is watched for.
    reset: Watch,
    /// Whether `reset` is added whenever nothing else is.
    watches_reset: bool,
    /// The half-close or reset of the peer was reported, and watching for it would only report it again.
    half_closed: bool,
    connecting: bool,
    /// The error with which the connect had failed before the relay was created.
    connect_failure: Option<Error>,
    /// The error with which the connection failed, if a write or a check received it. The kernel reports such an
    /// error once; afterwards a read returns what has arrived and then 0, as at the end of a stream.
    broken: Option<Error>,
    /// A write failed with `EPIPE`, which may be all that is left of a reset: see [`cut`](Self::cut).
    refuses_writes: bool,
}

impl End {
    /// Prepares `fd` for a relay. `index` is 0 or 1.
    ///
    /// `known` means that it is non-blocking and connected already, which saves the checks.
    pub(super) fn new(fd: OwnedFd, key: SourceKey, index: usize, known: bool) -> Result<Self> {
        if !known {
            socket::set_nonblocking(&fd, true)?;
        }
        // The result also shows the kind: ENOTSOCK for no socket, another error for a socket that is not TCP.
        let no_delay = SockRef::from(&fd).set_tcp_nodelay(true);
        let is_tcp = no_delay.is_ok();
        let errno = no_delay.err().and_then(|error| error.raw_os_error());
        let is_socket = errno != Some(Errno::ENOTSOCK as i32);
        // A connect to a path succeeds or fails immediately.
        let in_progress = if is_tcp && !known { is_connecting(&fd) } else { Ok(false) };
        Ok(End {
            fd,
            is_socket,
            is_tcp,
            // The end of the stream is reported together with its last bytes, and costs no pass of its own.
            read: Watch::new(What::READ | What::CLOSED, Role::Read(index), key),
            write: Watch::new(What::WRITE, Role::Write(index), key),
            closed: Watch::new(What::CLOSED, Role::Closed(index), key),
            reset: Watch::new(What::CLOSED | What::ET, Role::Closed(index), key),
            watches_reset: false,
            half_closed: false,
            connecting: in_progress == Ok(true),
            connect_failure: in_progress.err(),
            broken: None,
            refuses_writes: false,
        })
    }

    /// The error of a connect that had failed already. Returned once.
    pub(super) fn take_connect_failure(&mut self) -> Option<Error> {
        self.connect_failure.take()
    }

    /// Whether its connect is still in progress.
    pub(super) fn is_connecting(&self) -> bool {
        self.connecting
    }

    /// Waits for the outcome of its connect. The same event reports that `timeout` has expired.
    pub(super) fn watch_connect(&mut self, base: &Base, timeout: Option<Duration>) -> Result<()> {
        self.write.set(base, &self.fd, true)?;
        match (self.write.event, timeout) {
            (Some(event), Some(timeout)) => base.add(event, Some(timeout)),
            _ => Ok(()),
        }
    }

    /// Called when the event of [`watch_connect`](Self::watch_connect) fired. Returns the error if the connect failed
    /// or timed out.
    pub(super) fn on_connected(&mut self, base: &Base, what: What) -> Result<()> {
        if !what.contains(What::WRITE) && !socket::is_writable(&self.fd) {
            return Err(system(Errno::ETIMEDOUT, "connect", Some(self.fd.as_raw_fd())));
        }
        socket::connect_outcome(&self.fd)?;
        self.connecting = false;
        if let Some(event) = self.write.event {
            base.remove_timer(event)?;
        }
        self.watch_write(base, false)
    }

    /// Whether its connect has succeeded or failed, and no event has reported that yet.
    pub(super) fn has_connect_ended(&self) -> bool {
        self.connecting && socket::is_writable(&self.fd)
    }

    pub(super) fn watch_read(&mut self, base: &Base, wanted: bool) -> Result<()> {
        self.read.set(base, &self.fd, wanted)
    }

    pub(super) fn watch_write(&mut self, base: &Base, wanted: bool) -> Result<()> {
        if wanted {
            // Level-triggered and edge-triggered events cannot share a descriptor. A reset makes it writable.
            self.reset.set(base, &self.fd, false)?;
        }
        self.write.set(base, &self.fd, wanted)?;
        if self.watches_reset && !wanted {
            self.reset.set(base, &self.fd, true)?;
        }
        Ok(())
    }

    /// Watches for the reset of a TCP peer whose stream was read to its end, on backends that are edge-triggered. Called
    /// once nothing more is read.
    pub(super) fn watch_reset(&mut self, base: &Base) -> Result<()> {
        if self.is_tcp && base.features()?.contains(Features::ET) {
            self.closed.set(base, &self.fd, false)?;
            self.watches_reset = true;
            self.reset.set(base, &self.fd, !self.write.added)?;
        }
        Ok(())
    }

    /// Called when a watch for the peer's close fired after its stream was read to its end. Returns the error if the
    /// connection has failed.
    pub(super) fn on_reset(&mut self, base: &Base) -> Result<Option<Error>> {
        self.closed.set(base, &self.fd, false)?;
        // A read returns the end of the stream again.
        let error = socket::error(&self.fd, "write")?.map(Error::System);
        Ok(error.map(|error| *self.broken.get_or_insert(error)))
    }

    /// Called when an event was dispatched and no byte could be moved. If the kernel refuses a registration when the
    /// engine polls, the engine drops it and reports readiness. Such an event is added again here, which returns the
    /// kernel's error.
    pub(super) fn confirm_watches(&mut self, base: &Base) -> Result<()> {
        self.read.confirm(base, &self.fd)?;
        self.write.confirm(base, &self.fd)
    }

    /// Called when an event was dispatched: bytes may have moved although the kernel refused its registration.
    pub(super) fn confirm_fresh(&mut self, base: &Base, role: Role) -> Result<()> {
        match role {
            Role::Read(_) => self.read.confirm_fresh(base, &self.fd),
            Role::Write(_) => self.write.confirm_fresh(base, &self.fd),
            _ => Ok(()),
        }
    }

    /// Watches for the peer's reset while nothing is read, on backends that support it.
    pub(super) fn watch_closed(&mut self, base: &Base) -> Result<()> {
        if self.half_closed { Ok(()) } else { self.closed.set(base, &self.fd, true) }
    }

    /// Whether the peer has ended its stream, which may be behind bytes that are not read yet.
    pub(super) fn is_half_closed(&self) -> bool {
        self.half_closed
    }

    /// Called when the watch for the peer's close fired. Returns the error if the connection has failed and
    /// nothing is left to read in front of it. With `drop_unread`, bytes that are left to read do not matter.
    pub(super) fn on_closed(&mut self, base: &Base, drop_unread: bool) -> Result<Option<Error>> {
        self.half_closed = true;
        self.closed.set(base, &self.fd, false)?;
        if self.read.added || !self.is_socket {
            return Ok(None);
        }
        if drop_unread {
            return Ok(socket::error(&self.fd, "read")?.map(Error::System));
        }
        // Bytes that arrived before a reset are returned first. A failure that is returned here is not
        // returned again.
        match recv(self.fd.as_raw_fd(), &mut [0], MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT) {
            Ok(_) | Err(Errno::EAGAIN | Errno::EINTR) => Ok(None),
            Err(errno) => {
                let error = system(errno, "read", Some(self.fd.as_raw_fd()));
                Ok(Some(*self.broken.get_or_insert(error)))
            }
        }
    }

    pub(super) fn receive(&self, buffer: &mut [u8]) -> nix::Result<Option<usize>> {
        #[cfg(test)]
        if let Some(errno) = faults::next(faults::Call::Receive) {
            return Err(errno);
        }
        socket::receive(self.fd.as_fd(), self.is_socket, buffer)
    }

    pub(super) fn send(&self, buffer: &[u8]) -> nix::Result<Option<usize>> {
        #[cfg(test)]
        if let Some(errno) = faults::next(faults::Call::Send) {
            return Err(errno);
        }
        socket::send(self.fd.as_fd(), self.is_socket, buffer)
    }

    /// Called when a write failed. `EPIPE` means only that the peer takes nothing more; its own stream may still
    /// end properly.
    pub(super) fn write_failed(&mut self, error: Error) {
        if matches!(error, Error::System(SystemError { errno, .. }) if errno == Errno::EPIPE as i32) {
            self.refuses_writes = true;
        } else {
            self.broken.get_or_insert(error);
        }
    }

    /// Called when a read returned the end of the stream, of which `received` bytes were read. Returns the error if a
    /// reset has cut the stream. `is_owed` means that not all bytes for this end were written.
    ///
    /// The kernel reports a reset once. `splice` to a socket drops this report if it has moved bytes before
    /// (`splice_to_socket` in `fs/splice.c`, Linux 6.5; `__splice_from_pipe` before). Then writes return `EPIPE`, and
    /// reads 0, as after the end of the stream.
    pub(super) fn cut(&self, received: u64, is_owed: bool) -> Option<Error> {
        let may_be_cut = self.is_tcp && (self.refuses_writes || is_owed);
        let is_cut = may_be_cut && socket::received(self.fd.as_fd()) == Some(received);
        is_cut.then(|| system(Errno::ECONNRESET, "read", Some(self.fd.as_raw_fd())))
    }

    /// Called when a read failed.
    pub(super) fn read_failed(&mut self, error: Error) {
        self.broken.get_or_insert(error);
    }

    /// The error with which the connection failed. With an error, the end of what is read is not the end of the peer's
    /// stream.
    pub(super) fn broken(&self) -> Option<Error> {
        self.broken
    }

    /// Passes the end of the stream on.
    pub(super) fn finish(&self) {
        // ENOTCONN: the peer has reset the connection, which a read reports. ENOTSOCK: a descriptor that cannot
        // be half closed.
        let _ = socket::shutdown(&self.fd, socket::Direction::Write);
    }

    pub(super) fn is_socket(&self) -> bool {
        self.is_socket
    }

    pub(super) fn is_tcp(&self) -> bool {
        self.is_tcp
    }

    /// Watches for reading or for nothing.
    pub(super) fn watch_read_only(&mut self, base: &Base, wanted: bool) -> Result<()> {
        self.reset.set(base, &self.fd, false)?;
        self.write.set(base, &self.fd, false)?;
        self.closed.set(base, &self.fd, false)?;
        self.read.set(base, &self.fd, wanted)
    }

    /// Bytes that the peer's kernel has not acknowledged, and that a reset would discard. 0 for anything but TCP:
    /// what was written to a unix socket stays readable for the peer after a close.
    pub(super) fn unacknowledged(&self) -> usize {
        if self.is_tcp && self.broken.is_none() { socket::unacknowledged(self.fd.as_fd()) } else { 0 }
    }

    /// Whether the connection has failed, so that nothing more reaches the peer.
    pub(super) fn has_failed(&self) -> bool {
        self.broken.is_some() || !matches!(socket::error(&self.fd, "read"), Ok(None))
    }

    /// Makes closing a TCP socket a reset (`SO_LINGER` of 0, socket(7)), so that the peer does not take an
    /// incomplete stream for a complete one. Unix sockets have no reset: Linux reports `ECONNRESET` to a peer whose
    /// bytes were not all read, and the end of the stream to others.
    pub(super) fn reset_on_close(&self) {
        if self.is_socket {
            socket::reset_on_close(&self.fd);
        }
    }

    /// Deletes the event for reading in the engine alone, as the engine does when the kernel refuses it during a poll.
    #[cfg(test)]
    pub(super) fn forget_registration(&self, base: &Base) {
        base.del(self.read.event.expect("it is watched")).expect("the base is open");
    }

    /// Frees its events and closes the descriptor.
    pub(super) fn close(self, base: &Base) {
        drop(self.into_descriptor(base));
    }

    /// Frees its events, and returns the descriptor.
    pub(super) fn into_descriptor(self, base: &Base) -> OwnedFd {
        for watch in [&self.read, &self.write, &self.closed, &self.reset] {
            watch.free(base);
        }
        self.fd
    }
}

/// Whether the connect of a TCP socket is still in progress. Returns the error if the socket has no peer because
/// the connect was refused or because the connection was reset.
///
/// A read distinguishes the two. Bytes that arrived before a reset still have to be passed on, so the read only
/// peeks.
fn is_connecting(fd: &OwnedFd) -> Result<bool> {
    let has_peer = SockRef::from(fd).peer_addr();
    let is_unconnected =
        has_peer.err().and_then(|error| error.raw_os_error()) == Some(Errno::ENOTCONN as i32);
    if !is_unconnected {
        return Ok(false);
    }
    if !socket::is_writable(fd) {
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
