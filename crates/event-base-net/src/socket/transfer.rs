//! Read, write, shutdown, close.

use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd};

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, Shutdown, UnixAddr, sendmsg};

use crate::failure::{Result, system, would_block};

/// The direction of a connection that [`shutdown`] ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Nothing more is read.
    Read,
    /// Nothing more is written: the peer reads the end of the stream.
    Write,
    /// Nothing more is read or written.
    Both,
}

/// Reads into `buffer`. Returns the number of bytes (0 at the end of the stream, or for an empty `buffer`), or `None` if
/// none have arrived.
///
/// # Errors
/// `read`: `ECONNRESET`, `EBADF`, ...
pub fn read(fd: impl AsFd, buffer: &mut [u8]) -> Result<Option<usize>> {
    let fd = fd.as_fd();
    receive(fd, false, buffer).map_err(|errno| system(errno, "read", Some(fd.as_raw_fd())))
}

/// Copies the bytes that a [`read()`] of a socket would return into `buffer`, and leaves them in the socket (`recv(2)`
/// with `MSG_PEEK`). Returns the number of bytes (0 at the end of the stream, or for an empty `buffer`), or `None` if
/// none have arrived. Does not block, also on a blocking descriptor.
///
/// The socket stays readable, so a level-triggered event fires again immediately; wait for more bytes with an
/// edge-triggered one.
///
/// # Errors
/// `recv`: `ENOTSOCK` if it is not a socket, `ECONNRESET`, `ENOTCONN`, `EBADF`, ...
pub fn peek(fd: impl AsFd, buffer: &mut [u8]) -> Result<Option<usize>> {
    let fd = fd.as_fd().as_raw_fd();
    let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
    retry(|| nix::sys::socket::recv(fd, buffer, flags)).map_err(|errno| system(errno, "recv", Some(fd)))
}

/// Writes from `buffer`. Returns the number of bytes that were accepted, or `None` if the call would block.
///
/// For a socket whose peer has closed the error is `EPIPE`, and no signal is raised. For other descriptors the kernel
/// cannot suppress it: a pipe without a reader raises `SIGPIPE` in a process that does not ignore it. Node.js and Rust
/// programs ignore it.
///
/// # Errors
/// `write`: `EPIPE`, `ECONNRESET`, `EBADF`, ...
pub fn write(fd: impl AsFd, buffer: &[u8]) -> Result<Option<usize>> {
    let fd = fd.as_fd();
    let written = match send(fd, true, buffer) {
        Err(Errno::ENOTSOCK) => send(fd, false, buffer),
        other => other,
    };
    written.map_err(|errno| system(errno, "write", Some(fd.as_raw_fd())))
}

/// As [`write()`], from several buffers as if they were one (`writev(2)`).
///
/// # Errors
/// `writev`: `EPIPE`, `ECONNRESET`, `EBADF`, ...; for more than 1024 buffers `EMSGSIZE` (a socket) or `EINVAL`.
pub fn write_vectored(fd: impl AsFd, buffers: &[IoSlice<'_>]) -> Result<Option<usize>> {
    let fd = fd.as_fd();
    let socket = || sendmsg::<UnixAddr>(fd.as_raw_fd(), buffers, &[], quiet(), None);
    let written = match retry(socket) {
        Err(Errno::ENOTSOCK) => retry(|| nix::sys::uio::writev(fd, buffers)),
        other => other,
    };
    written.map_err(|errno| system(errno, "writev", Some(fd.as_raw_fd())))
}

/// Ends one direction of a connection, or both. The descriptor stays open.
///
/// # Errors
/// `shutdown`: `ENOTCONN`, `ENOTSOCK`, `EBADF`.
pub fn shutdown(fd: impl AsFd, direction: Direction) -> Result<()> {
    let how = match direction {
        Direction::Read => Shutdown::Read,
        Direction::Write => Shutdown::Write,
        Direction::Both => Shutdown::Both,
    };
    let fd = fd.as_fd().as_raw_fd();
    nix::sys::socket::shutdown(fd, how).map_err(|errno| system(errno, "shutdown", Some(fd)))
}

/// Closes the descriptor, owned or a bare number, and returns the kernel's error, which dropping it does not. A
/// descriptor that was open is closed in either case.
///
/// # Errors
/// `close`: `EBADF` for a number that is not an open descriptor; `EIO` and others for delayed writes to a file.
pub fn close(fd: impl IntoRawFd) -> Result<()> {
    let number = fd.into_raw_fd();
    match nix::unistd::close(number) {
        // Linux has released the number already (close(2)). A second call could close a descriptor that another
        // thread has opened since.
        Ok(()) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(system(errno, "close", Some(number))),
    }
}

/// As [`read`], for a caller that knows whether `fd` is a socket: `recv` costs less than `read` in the kernel.
pub(crate) fn receive(fd: BorrowedFd<'_>, socket: bool, buffer: &mut [u8]) -> nix::Result<Option<usize>> {
    if socket {
        retry(|| nix::sys::socket::recv(fd.as_raw_fd(), buffer, MsgFlags::empty()))
    } else {
        retry(|| nix::unistd::read(fd, buffer))
    }
}

/// As [`write`], for a caller that knows whether `fd` is a socket.
pub(crate) fn send(fd: BorrowedFd<'_>, socket: bool, buffer: &[u8]) -> nix::Result<Option<usize>> {
    if socket {
        retry(|| nix::sys::socket::send(fd.as_raw_fd(), buffer, quiet()))
    } else {
        retry(|| nix::unistd::write(fd, buffer))
    }
}

#[cfg(not(target_vendor = "apple"))]
fn quiet() -> MsgFlags {
    MsgFlags::MSG_NOSIGNAL
}

// Sockets on Darwin get SO_NOSIGPIPE when they are opened.
#[cfg(target_vendor = "apple")]
fn quiet() -> MsgFlags {
    MsgFlags::empty()
}

/// Repeats a call that a signal interrupts. `None`: it would block.
pub(crate) fn retry(mut call: impl FnMut() -> nix::Result<usize>) -> nix::Result<Option<usize>> {
    loop {
        match call() {
            Ok(count) => return Ok(Some(count)),
            Err(Errno::EINTR) => {}
            Err(errno) if would_block(errno) => return Ok(None),
            Err(errno) => return Err(errno),
        }
    }
}
