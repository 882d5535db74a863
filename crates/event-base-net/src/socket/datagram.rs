//! UDP sockets, and receiving or sending many datagrams in one call.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use event_base::Error;
use socket2::{SockAddr, Socket, Type};

use super::message;
use super::transfer::retry;
use crate::address::Address;
use crate::failure::{Result, from_io, system};

/// The most datagrams that [`receive_many`] and [`send_many`] accept in one call. Each needs memory on the stack.
pub const MOST_DATAGRAMS: usize = 64;

/// Options of [`bind_datagram`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DatagramOptions {
    /// Other sockets of the same user can be bound to the same address (`SO_REUSEPORT`). Linux distributes the senders
    /// over them; other systems deliver all datagrams to one.
    pub reuse_port: bool,
    /// An IPv6 socket does not receive IPv4 datagrams (`IPV6_V6ONLY`).
    pub ipv6_only: bool,
}

/// One datagram of a batch. Its bytes are at the beginning of its slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Datagram {
    /// The number of bytes in the slot. 0 is an empty datagram.
    pub length: usize,
    /// Whether the datagram was longer than the slot and was cut (`MSG_TRUNC`). Ignored when sending.
    pub truncated: bool,
    /// Receiving: the sender, or `None` for a sender without an internet address. Sending: the receiver, or `None` for
    /// the socket's peer.
    pub address: Option<SocketAddr>,
}

/// A UDP socket that receives at `address`. Port 0 lets the kernel choose; see [`address`](super::address()).
///
/// # Errors
/// * [`Error::OutOfRange`]: not an internet address.
/// * `socket`, `setsockopt` or `bind` (`EADDRINUSE`, `EADDRNOTAVAIL`, `EACCES`, ...).
pub fn bind_datagram(address: &Address, options: &DatagramOptions) -> Result<OwnedFd> {
    let socket = open(address)?;
    let fd = Some(socket.as_raw_fd());
    if options.reuse_port {
        socket.set_reuse_port(true).map_err(|error| from_io(&error, "setsockopt", fd))?;
    }
    if matches!(address, Address::Internet(SocketAddr::V6(_))) {
        // Set in both cases: the default differs between systems and can be configured.
        socket.set_only_v6(options.ipv6_only).map_err(|error| from_io(&error, "setsockopt", fd))?;
    }
    socket.bind(&address.to_kernel("bind")?).map_err(|error| from_io(&error, "bind", fd))?;
    Ok(socket.into())
}

/// A UDP socket whose peer is `address`. It receives from that address alone, sends to it by default, and reports that
/// no socket is bound there (`ECONNREFUSED`). This call sends nothing.
///
/// # Errors
/// * [`Error::OutOfRange`]: not an internet address.
/// * `socket` or `connect` (`ENETUNREACH`, ...).
pub fn connect_datagram(address: &Address) -> Result<OwnedFd> {
    let socket = open(address)?;
    let fd = Some(socket.as_raw_fd());
    let remote = address.to_kernel("connect")?;
    loop {
        match connect(&socket, &remote) {
            Ok(()) => return Ok(socket.into()),
            // The address of a datagram socket may be set again.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(from_io(&error, "connect", fd)),
        }
    }
}

fn connect(socket: &Socket, remote: &SockAddr) -> io::Result<()> {
    #[cfg(test)]
    if let Some(errno) = crate::faults::next(crate::faults::Call::Connect) {
        return Err(errno.into());
    }
    socket.connect(remote)
}

fn open(address: &Address) -> Result<Socket> {
    if !matches!(address, Address::Internet(_)) {
        return Err(Error::OutOfRange("address"));
    }
    // `Socket::new` sets close-on-exec and, on Darwin, SO_NOSIGPIPE.
    let socket = Socket::new(address.domain(), Type::DGRAM, None);
    let socket = socket.map_err(|error| from_io(&error, "socket", None))?;
    super::set_nonblocking(&socket, true)?;
    Ok(socket)
}

/// Receives the datagrams that have arrived, at most one for each slot of `slots` (adjacent slots of `size` bytes) and
/// each element of `datagrams`. Returns their number, or `None` if none has arrived. Does not block, also on a blocking
/// descriptor. One system call on Linux and FreeBSD (`recvmmsg(2)`), one for each datagram elsewhere.
///
/// # Errors
/// * [`Error::OutOfRange`]: no slot, or more than [`MOST_DATAGRAMS`].
/// * `recvmmsg` or `recvmsg`: `ECONNREFUSED` on a connected socket if no socket is bound to the peer's address,
///   `ENOTSOCK`, `EBADF`. A failure after the first datagram is returned by the next call.
pub fn receive_many(
    fd: impl AsFd,
    slots: &mut [u8],
    size: usize,
    datagrams: &mut [Datagram],
) -> Result<Option<usize>> {
    check(slots.len(), size, datagrams.len())?;
    let fd = fd.as_fd();
    let received = retry(|| message::receive(fd, slots.chunks_exact_mut(size), datagrams));
    received.map_err(|errno| system(errno, message::RECEIVE, Some(fd.as_raw_fd())))
}

/// Sends `datagrams` from their slots (see [`receive_many`]) in order. Returns the number that were sent, counted from
/// the first, or `None` if none can be sent now. Does not block. One system call on Linux and FreeBSD (`sendmmsg(2)`),
/// one for each datagram elsewhere.
///
/// # Errors
/// * [`Error::OutOfRange`]: no datagram, more than [`MOST_DATAGRAMS`] or than slots, or one longer than its slot.
/// * `sendmmsg` or `sendmsg`, for the first datagram: `EMSGSIZE`, `EDESTADDRREQ`, `ECONNREFUSED`, `ENETUNREACH`,
///   `EPERM`, `EINVAL`, `ENOTSOCK`, `EBADF`. A failure of a later datagram is returned by the call that starts with it.
pub fn send_many(fd: impl AsFd, slots: &[u8], size: usize, datagrams: &[Datagram]) -> Result<Option<usize>> {
    check(slots.len(), size, datagrams.len())?;
    if datagrams.iter().any(|datagram| datagram.length > size) {
        return Err(Error::OutOfRange("length"));
    }
    let fd = fd.as_fd();
    let parts = || slots.chunks_exact(size).zip(datagrams).map(|(slot, datagram)| &slot[..datagram.length]);
    let sent = retry(|| message::send(fd, parts(), datagrams));
    sent.map_err(|errno| system(errno, message::SEND, Some(fd.as_raw_fd())))
}

fn check(bytes: usize, size: usize, datagrams: usize) -> Result<()> {
    let slots = bytes.checked_div(size).ok_or(Error::OutOfRange("size"))?;
    if datagrams == 0 || datagrams > MOST_DATAGRAMS || datagrams > slots {
        return Err(Error::OutOfRange("datagrams"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use nix::errno::Errno;

    use super::*;
    use crate::faults::{self, Call};

    #[test]
    fn a_connect_that_a_signal_interrupts_is_repeated() {
        let peer =
            bind_datagram(&Address::internet("127.0.0.1", 0).unwrap(), &DatagramOptions::default()).unwrap();
        let address = super::super::address(&peer).unwrap();
        faults::inject(Call::Connect, Errno::EINTR);
        let socket = connect_datagram(&address).unwrap();
        assert_eq!((super::super::peer(&socket), faults::left()), (Ok(address.clone()), 0));
        faults::inject(Call::Connect, Errno::ENETUNREACH);
        let refused = connect_datagram(&address).unwrap_err();
        assert_eq!(crate::failure::errno(&refused), Some(Errno::ENETUNREACH));
    }
}
