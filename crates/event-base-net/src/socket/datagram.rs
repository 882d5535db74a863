//! Datagrams: bound and connected UDP sockets, and many datagrams in one call.

use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use event_base::Error;
use socket2::{Socket, Type};

use super::message;
use super::transfer::retry;
use crate::address::Address;
use crate::failure::{Result, from_io, system};

/// The most datagrams that [`receive_many`] and [`send_many`] take in one call. Each costs room on the stack.
pub const MOST_DATAGRAMS: usize = 64;

/// How [`bind_datagram`] binds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DatagramOptions {
    /// Lets other sockets of the same user be bound to the same address (`SO_REUSEPORT`). Linux spreads the
    /// senders over them; other systems give all to one.
    pub reuse_port: bool,
    /// Keeps an IPv6 socket from taking IPv4 datagrams as well (`IPV6_V6ONLY`).
    pub ipv6_only: bool,
}

/// One datagram of a batch; its bytes are at the beginning of its slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Datagram {
    /// How many bytes are in the slot; 0 is a datagram too.
    pub length: usize,
    /// Whether there were more, which are lost (`MSG_TRUNC`). Not looked at in sending.
    pub truncated: bool,
    /// Received: who sent it, or `None` for a sender without an internet address. Sent: to whom, or `None` for the
    /// socket's peer.
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
        // Written in both cases: the default differs between systems and can be configured.
        socket.set_only_v6(options.ipv6_only).map_err(|error| from_io(&error, "setsockopt", fd))?;
    }
    socket.bind(&address.to_kernel("bind")?).map_err(|error| from_io(&error, "bind", fd))?;
    Ok(socket.into())
}

/// A UDP socket whose peer is at `address`: it receives from nobody else, sends there unless told otherwise, and
/// hears that nobody is there (`ECONNREFUSED`). Nothing is sent by this call.
///
/// # Errors
/// * [`Error::OutOfRange`]: not an internet address.
/// * `socket` or `connect` (`ENETUNREACH`, ...).
pub fn connect_datagram(address: &Address) -> Result<OwnedFd> {
    let socket = open(address)?;
    let fd = Some(socket.as_raw_fd());
    socket.connect(&address.to_kernel("connect")?).map_err(|error| from_io(&error, "connect", fd))?;
    Ok(socket.into())
}

fn open(address: &Address) -> Result<Socket> {
    if !matches!(address, Address::Internet(_)) {
        return Err(Error::OutOfRange("address"));
    }
    // `Socket::new` makes it close-on-exec and, on Darwin, free of SIGPIPE.
    let socket = Socket::new(address.domain(), Type::DGRAM, None);
    let socket = socket.map_err(|error| from_io(&error, "socket", None))?;
    super::set_nonblocking(&socket, true)?;
    Ok(socket)
}

/// Receives what has arrived, at most one datagram for each slot of `slots` (which are of `size` bytes, one behind
/// the other) and of `datagrams`: how many, or `None` when none is there. Never blocks, whatever the descriptor's
/// mode. One system call on Linux and FreeBSD (`recvmmsg(2)`), one for each datagram elsewhere.
///
/// # Errors
/// * [`Error::OutOfRange`]: no slot, or more than [`MOST_DATAGRAMS`].
/// * `recvmmsg` or `recvmsg`: `ECONNREFUSED` on a connected socket whose datagram nobody took, `ENOTSOCK`, `EBADF`.
///   One that comes behind the first datagram is left for the next call.
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

/// Sends `datagrams` out of their slots (see [`receive_many`]) in order: how many of them, from the first on, or
/// `None` when none could be. Never blocks. One system call on Linux and FreeBSD (`sendmmsg(2)`), one for each
/// datagram elsewhere.
///
/// # Errors
/// * [`Error::OutOfRange`]: no datagram, more than [`MOST_DATAGRAMS`] or than there are slots, or one longer than
///   its slot.
/// * `sendmmsg` or `sendmsg`, about the first datagram: `EMSGSIZE`, `EDESTADDRREQ`, `ECONNREFUSED`, `ENETUNREACH`,
///   `EPERM`, `EINVAL`, `ENOTSOCK`, `EBADF`. One about a later datagram is left for the call that begins with it.
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
