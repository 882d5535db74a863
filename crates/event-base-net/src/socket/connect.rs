//! Connecting, optionally from a given local address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use event_base::Error;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::{SockRef, Socket, Type};

use super::configure::set_option;
use super::open::open;
use super::option::{OptionValue, SocketOption};
use crate::address::Address;
use crate::failure::{Result, from_io, system};

/// The local address that [`connect_with`] connects from. The kernel chooses each part that is not set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectOptions {
    /// An address of this host, of the same family as the remote address.
    pub local_address: Option<IpAddr>,
    /// A port, bound with `SO_REUSEADDR`, so that a port that was in use until recently can be used again. 0: any.
    pub local_port: u16,
    /// The local address may belong to another host, such as the client of a proxy (`IP_TRANSPARENT`;
    /// Linux, privileged).
    pub transparent: bool,
    /// The local address need not exist yet (`IP_FREEBIND`; Linux).
    pub free_bind: bool,
}

/// Opens a socket and starts to connect it to `address`. The connect may be done when this returns. Once the socket is
/// writable, [`connect_outcome`] returns the result.
///
/// # Errors
/// `socket` or `connect`, if the kernel refuses immediately: `ENOENT`, `ECONNREFUSED` or `EAGAIN` (a full queue) for a
/// path, `EADDRNOTAVAIL`, `ENETUNREACH`, `EACCES`, ...
pub fn connect(address: &Address) -> Result<OwnedFd> {
    connect_with(address, &ConnectOptions::default())
}

/// As [`connect`], from the local address that `options` specify.
///
/// # Errors
/// Those of [`connect`], and
/// * `bind`: `EADDRNOTAVAIL` (not an address of this host), `EADDRINUSE`, `EACCES`; `EAFNOSUPPORT` where the
///   local address is of another family, or `address` is a path;
/// * `setsockopt`: `EOPNOTSUPP` for a path, `ENOPROTOOPT` where the system lacks an option, `EPERM`.
pub fn connect_with(address: &Address, options: &ConnectOptions) -> Result<OwnedFd> {
    let kernel = address.to_kernel("connect")?;
    let local = options.local(address)?;
    let socket = open(address)?;
    for (option, on) in
        [(SocketOption::Transparent, options.transparent), (SocketOption::FreeBind, options.free_bind)]
    {
        if on {
            set_option(&socket, option, OptionValue::Switch(true))?;
        }
    }
    if let Some(local) = local {
        bind(&socket, local)?;
    }
    #[cfg(test)]
    if let Some(errno) = crate::faults::next(crate::faults::Call::Connect) {
        return Err(system(errno, "connect", Some(socket.as_raw_fd())));
    }
    loop {
        match socket.connect(&kernel) {
            Ok(()) => return Ok(socket.into()),
            Err(error) => match error.raw_os_error().map(Errno::from_raw) {
                Some(Errno::EINPROGRESS | Errno::EALREADY | Errno::EISCONN) => return Ok(socket.into()),
                Some(Errno::EINTR) => {}
                _ => return Err(from_io(&error, "connect", Some(socket.as_raw_fd()))),
            },
        }
    }
}

/// Returns the outcome of a connect once its socket is writable.
///
/// A socket can connect to itself if no socket listens on a port of this host: the kernel chooses the same port as the
/// local one, and both ends of the handshake (RFC 9293, section 3.5, simultaneous open) are one socket. Such a
/// connection is reported as refused. Closing the socket then resets it, so that the port is free immediately.
///
/// # Errors
/// `connect`: the pending error of the socket (`SO_ERROR`), `ECONNREFUSED` for a socket that is connected to itself, or
/// `EINPROGRESS` where the connect has not ended; `getsockopt`: `ENOTSOCK`, `EBADF`.
pub fn connect_outcome(fd: impl AsFd) -> Result<()> {
    let fd = fd.as_fd();
    if let Some(error) = super::error(fd, "connect")? {
        return Err(Error::System(error));
    }
    let socket = SockRef::from(&fd);
    let peer = match socket.peer_addr() {
        Err(error) if error.raw_os_error() == Some(Errno::ENOTCONN as i32) => {
            return Err(system(Errno::EINPROGRESS, "connect", Some(fd.as_raw_fd())));
        }
        // On macOS getpeername(2) returns EINVAL for a connection that was reset already. A read reports the reset.
        peer => peer.ok().and_then(|address| address.as_socket()),
    };
    if peer.is_none() || socket.local_addr().ok().and_then(|address| address.as_socket()) != peer {
        return Ok(());
    }
    // A program may connect a datagram socket to itself on purpose.
    if socket.r#type().is_ok_and(|kind| kind != Type::STREAM) {
        return Ok(());
    }
    super::reset_on_close(fd);
    Err(system(Errno::ECONNREFUSED, "connect", Some(fd.as_raw_fd())))
}

/// Whether the descriptor is ready for writing, or has failed.
pub(crate) fn is_writable(fd: &OwnedFd) -> bool {
    poll(&mut [PollFd::new(fd.as_fd(), PollFlags::POLLOUT)], PollTimeout::ZERO).is_ok_and(|count| count > 0)
}

impl ConnectOptions {
    /// The address to bind before connecting to `remote`.
    fn local(&self, remote: &Address) -> Result<Option<SocketAddr>> {
        let unspecified = match remote {
            Address::Internet(remote) if remote.is_ipv4() => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            Address::Internet(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            _ if self.transparent || self.free_bind => {
                return Err(system(Errno::EOPNOTSUPP, "setsockopt", None));
            }
            _ if *self != ConnectOptions::default() => return Err(system(Errno::EAFNOSUPPORT, "bind", None)),
            _ => return Ok(None),
        };
        let address = self.local_address.unwrap_or(unspecified);
        // The error of a wrong family differs between systems.
        if address.is_ipv4() != unspecified.is_ipv4() {
            return Err(system(Errno::EAFNOSUPPORT, "bind", None));
        }
        let is_chosen = self.local_address.is_some() || self.local_port != 0;
        Ok(is_chosen.then(|| SocketAddr::new(address, self.local_port)))
    }
}

fn bind(socket: &Socket, local: SocketAddr) -> Result<()> {
    let fd = Some(socket.as_raw_fd());
    if local.port() == 0 {
        // Without this option `bind` chooses the port, which is then in use for every destination (ip(7)). Other
        // systems have no equivalent.
        let _ = set_option(socket, SocketOption::BindAddressNoPort, OptionValue::Switch(true));
    } else {
        socket.set_reuse_address(true).map_err(|error| from_io(&error, "setsockopt", fd))?;
    }
    socket.bind(&local.into()).map_err(|error| from_io(&error, "bind", fd))
}
