//! Opening descriptors: listen, accept, connect, pair, pipe.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::errno::Errno;
use socket2::{SockAddr, SockRef, Socket, Type};

use crate::address::Address;
use crate::failure::{Result, from_io, system, would_block};

/// The queue of connections that wait to be accepted, unless told otherwise. The kernel lowers it to its own
/// limit (`net.core.somaxconn` on Linux, where 4096 is the default).
pub const DEFAULT_BACKLOG: u32 = 4096;

/// How [`listen`] binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BindOptions {
    /// How many connections may wait to be accepted.
    pub backlog: u32,
    /// Lets other sockets of the same user listen at the same address, and spreads the connections over
    /// them (`SO_REUSEPORT`). Not for paths.
    pub reuse_port: bool,
    /// Keeps an IPv6 socket from taking IPv4 connections as well (`IPV6_V6ONLY`).
    pub ipv6_only: bool,
}

impl Default for BindOptions {
    fn default() -> Self {
        BindOptions { backlog: DEFAULT_BACKLOG, reuse_port: false, ipv6_only: false }
    }
}

/// A socket that listens at `address`. Port 0 lets the kernel choose; see [`address`](super::address).
///
/// An internet socket is bound with `SO_REUSEADDR`, so a port left a moment ago can be used again. A path
/// must not exist yet, and stays when the socket is closed.
///
/// # Errors
/// `socket`, `setsockopt`, `bind` (`EADDRINUSE`, `EADDRNOTAVAIL`, `EACCES`, ...) or `listen`.
pub fn listen(address: &Address, options: &BindOptions) -> Result<OwnedFd> {
    let kernel = address.to_kernel("bind")?;
    let socket = open(address)?;
    let fd = Some(socket.as_raw_fd());
    if let Address::Internet(inner) = address {
        socket.set_reuse_address(true).map_err(|error| from_io(&error, "setsockopt", fd))?;
        if options.reuse_port {
            socket.set_reuse_port(true).map_err(|error| from_io(&error, "setsockopt", fd))?;
        }
        if inner.is_ipv6() {
            // Written in both cases: the default differs between systems and can be configured.
            socket.set_only_v6(options.ipv6_only).map_err(|error| from_io(&error, "setsockopt", fd))?;
        }
    }
    socket.bind(&kernel).map_err(|error| from_io(&error, "bind", fd))?;
    let backlog = i32::try_from(options.backlog).unwrap_or(i32::MAX);
    socket.listen(backlog).map_err(|error| from_io(&error, "listen", fd))?;
    Ok(socket.into())
}

/// The next waiting connection and where it came from, or `None` when there is none.
///
/// # Errors
/// `accept`: above all `EMFILE` and `ENFILE` (no descriptor is free) and `ECONNABORTED` (the connection
/// was given up before it was accepted; the next call may succeed).
pub fn accept(listener: impl AsFd) -> Result<Option<(OwnedFd, Address)>> {
    let listener = listener.as_fd();
    loop {
        match accept_raw(&SockRef::from(&listener)) {
            Ok((socket, peer)) => return Ok(Some((socket.into(), Address::from_kernel(&peer)))),
            Err(error) => match error.raw_os_error().map(Errno::from_raw) {
                Some(Errno::EINTR) => {}
                Some(errno) if would_block(errno) => return Ok(None),
                _ => return Err(from_io(&error, "accept", Some(listener.as_raw_fd()))),
            },
        }
    }
}

#[cfg(not(target_vendor = "apple"))]
fn accept_raw(listener: &Socket) -> std::io::Result<(Socket, SockAddr)> {
    use nix::sys::socket::SockFlag;
    listener.accept4((SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC).bits())
}

// Darwin has no accept4, so the descriptor is made close-on-exec a moment after it exists.
#[cfg(target_vendor = "apple")]
fn accept_raw(listener: &Socket) -> std::io::Result<(Socket, SockAddr)> {
    let (socket, peer) = listener.accept()?;
    socket.set_nonblocking(true)?;
    Ok((socket, peer))
}

/// A socket on its way to `address`: in progress or already connected. Once it is writable,
/// [`error`](super::error) tells how it went.
///
/// # Errors
/// `socket` or `connect`, where the kernel refuses at once: `ENOENT`, `ECONNREFUSED` or `EAGAIN` (a full
/// queue) for a path, `EADDRNOTAVAIL`, `ENETUNREACH`, `EACCES`, ...
pub fn connect(address: &Address) -> Result<OwnedFd> {
    let kernel = address.to_kernel("connect")?;
    let socket = open(address)?;
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

/// Two connected unix stream sockets.
///
/// # Errors
/// `socketpair`: `EMFILE`, `ENFILE`.
pub fn pair() -> Result<(OwnedFd, OwnedFd)> {
    let (a, b) = Socket::pair(socket2::Domain::UNIX, Type::STREAM, None)
        .map_err(|error| from_io(&error, "socketpair", None))?;
    for end in [&a, &b] {
        end.set_nonblocking(true).map_err(|error| from_io(&error, "fcntl", Some(end.as_raw_fd())))?;
    }
    Ok((a.into(), b.into()))
}

/// A pipe: the end to read from, then the end to write to.
///
/// # Errors
/// `pipe`: `EMFILE`, `ENFILE`.
pub fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    #[cfg(not(target_vendor = "apple"))]
    {
        use nix::fcntl::OFlag;
        nix::unistd::pipe2(OFlag::O_NONBLOCK | OFlag::O_CLOEXEC).map_err(|errno| system(errno, "pipe", None))
    }
    #[cfg(target_vendor = "apple")]
    {
        use nix::fcntl::{FcntlArg, FdFlag, fcntl};
        let ends = nix::unistd::pipe().map_err(|errno| system(errno, "pipe", None))?;
        for end in [&ends.0, &ends.1] {
            fcntl(end, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))
                .map_err(|errno| system(errno, "fcntl", Some(end.as_raw_fd())))?;
            super::set_nonblocking(end, true)?;
        }
        Ok(ends)
    }
}

fn open(address: &Address) -> Result<Socket> {
    // `Socket::new` makes it close-on-exec and, on Darwin, free of SIGPIPE.
    #[cfg(not(target_vendor = "apple"))]
    let kind = Type::STREAM.nonblocking();
    #[cfg(target_vendor = "apple")]
    let kind = Type::STREAM;
    let socket =
        Socket::new(address.domain(), kind, None).map_err(|error| from_io(&error, "socket", None))?;
    #[cfg(target_vendor = "apple")]
    socket.set_nonblocking(true).map_err(|error| from_io(&error, "fcntl", Some(socket.as_raw_fd())))?;
    Ok(socket)
}
