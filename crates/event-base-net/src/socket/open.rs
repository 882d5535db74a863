//! Opening descriptors: accept, pair, pipe.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::errno::Errno;
use socket2::{SockAddr, SockRef, Socket, Type};

use crate::address::Address;
use crate::failure::{Result, from_io, system, would_block};

/// The next connection that waits and the address of its peer, or `None` if none waits.
///
/// # Errors
/// `accept`: `EMFILE` and `ENFILE` (no descriptor is free), `ECONNABORTED` (the connection was closed before it was
/// accepted; the next call may succeed), ...
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

// Darwin has no accept4, so close-on-exec is set by a second call.
#[cfg(target_vendor = "apple")]
fn accept_raw(listener: &Socket) -> std::io::Result<(Socket, SockAddr)> {
    let (socket, peer) = listener.accept()?;
    socket.set_nonblocking(true)?;
    Ok((socket, peer))
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

/// A pipe: first the end to read from, then the end to write to.
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

/// A stream socket of the address's family.
pub(super) fn open(address: &Address) -> Result<Socket> {
    // `Socket::new` sets close-on-exec and, on Darwin, SO_NOSIGPIPE.
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
