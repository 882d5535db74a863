//! Moving bytes and ending: read, write, shutdown, close.

use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd};

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, Shutdown, UnixAddr, sendmsg};

use crate::failure::{Result, system, would_block};

/// Which direction of a connection [`shutdown`] ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Nothing more is read.
    Read,
    /// Nothing more is written: the peer reads the end of the stream.
    Write,
    /// Neither.
    Both,
}

/// Reads into `buffer`: how many bytes came (0 at the end of the stream, or when `buffer` is empty), or
/// `None` when nothing is there yet.
///
/// # Errors
/// `read`: `ECONNRESET`, `EBADF`, ...
pub fn read(fd: impl AsFd, buffer: &mut [u8]) -> Result<Option<usize>> {
    let fd = fd.as_fd();
    receive(fd, false, buffer).map_err(|errno| system(errno, "read", Some(fd.as_raw_fd())))
}

/// Copies what a socket would [`read()`] into `buffer` and leaves it there (`recv(2)` with `MSG_PEEK`): how many bytes
/// (0 at the end of the stream, or when `buffer` is empty), or `None` when nothing is there yet. Never blocks, whatever
/// the descriptor's mode.
///
/// What was seen keeps the socket readable, so a level-triggered event fires again at once; wait for more with an
/// edge-triggered one.
///
/// # Errors
/// `recv`: `ENOTSOCK` of what is no socket, `ECONNRESET`, `ENOTCONN`, `EBADF`, ...
pub fn peek(fd: impl AsFd, buffer: &mut [u8]) -> Result<Option<usize>> {
    let fd = fd.as_fd().as_raw_fd();
    let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
    retry(|| nix::sys::socket::recv(fd, buffer, flags)).map_err(|errno| system(errno, "recv", Some(fd)))
}

/// Writes from `buffer`: how many bytes were taken, or `None` when none could be.
///
/// On a socket a vanished peer is `EPIPE` and no signal is raised. For other descriptors the kernel has no
/// such request (short of process-wide signal settings): a pipe without a reader raises `SIGPIPE` in a
/// process that has not ignored it, as Node.js and every Rust program have.
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

/// Writes from several buffers as if they were one (`writev(2)`); otherwise like [`write()`].
///
/// # Errors
/// `writev`: `EPIPE`, `ECONNRESET`, `EBADF`, ...; `EINVAL` for more than 1024 buffers.
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

/// Closes the descriptor, owned or a bare number, and tells what the kernel made of it, which dropping it does
/// not. A descriptor that was open is gone in either case.
///
/// # Errors
/// `close`: `EBADF` for a number that is none; `EIO` and the like, of files that wrote late.
pub fn close(fd: impl IntoRawFd) -> Result<()> {
    let number = fd.into_raw_fd();
    match nix::unistd::close(number) {
        // Linux has released the number by then; trying again could close someone else's.
        Ok(()) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(system(errno, "close", Some(number))),
    }
}

/// [`read`] where the caller may know that `fd` is a socket: `recv` is the shorter way through the kernel.
pub(crate) fn receive(fd: BorrowedFd<'_>, socket: bool, buffer: &mut [u8]) -> nix::Result<Option<usize>> {
    if socket {
        retry(|| nix::sys::socket::recv(fd.as_raw_fd(), buffer, MsgFlags::empty()))
    } else {
        retry(|| nix::unistd::read(fd, buffer))
    }
}

/// [`write`] where the caller knows whether `fd` is a socket.
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

// Darwin's sockets are made free of SIGPIPE when they are opened (SO_NOSIGPIPE).
#[cfg(target_vendor = "apple")]
fn quiet() -> MsgFlags {
    MsgFlags::empty()
}

/// Makes a call again that a signal broke off; `None` where it would block.
pub(super) fn retry(mut call: impl FnMut() -> nix::Result<usize>) -> nix::Result<Option<usize>> {
    loop {
        match call() {
            Ok(count) => return Ok(Some(count)),
            Err(Errno::EINTR) => {}
            Err(errno) if would_block(errno) => return Ok(None),
            Err(errno) => return Err(errno),
        }
    }
}
