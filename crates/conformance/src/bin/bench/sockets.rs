//! Socket pairs, and the one-byte messages that travel over them.
#![expect(unsafe_code, reason = "recv and send on raw descriptors, as a C program would")]

use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;

use event_base_conformance::Failure;

/// Connected pairs of non-blocking sockets.
pub(crate) struct Pairs(Vec<(UnixStream, UnixStream)>);

impl Pairs {
    /// `count` pairs.
    ///
    /// # Errors
    /// Usually, that the limit of open files is too low.
    pub(crate) fn new(count: usize) -> Result<Self, Failure> {
        raise_limit(2 * count + 64)?;
        let pairs: io::Result<_> = (0..count).map(|_| pair()).collect();
        Ok(Self(pairs.map_err(|error| Failure::System("socketpair", error))?))
    }

    /// The descriptor that is read from.
    pub(crate) fn reader(&self, index: usize) -> RawFd {
        self.0[index].0.as_raw_fd()
    }

    /// The descriptor that is written to.
    pub(crate) fn writer(&self, index: usize) -> RawFd {
        self.0[index].1.as_raw_fd()
    }

    /// How many pairs there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

fn pair() -> io::Result<(UnixStream, UnixStream)> {
    let (reader, writer) = UnixStream::pair()?;
    reader.set_nonblocking(true)?;
    writer.set_nonblocking(true)?;
    Ok((reader, writer))
}

/// Receives one byte; false when there was none.
#[inline]
pub(crate) fn receive(fd: RawFd) -> bool {
    let mut byte = 0_u8;
    // SAFETY: the buffer is one byte long and lives across the call.
    unsafe { libc::recv(fd, (&raw mut byte).cast(), 1, 0) == 1 }
}

/// Sends one byte; false when that failed.
#[inline]
pub(crate) fn send(fd: RawFd) -> bool {
    let byte = b'e';
    // SAFETY: the buffer is one byte long and lives across the call.
    unsafe { libc::send(fd, (&raw const byte).cast(), 1, 0) == 1 }
}

/// Raises the limit of open files.
///
/// # Errors
/// If the system allows fewer.
pub(crate) fn raise_limit(files: usize) -> Result<(), Failure> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure lives across the call.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Err(Failure::last_system_error("getrlimit"));
    }
    let files = files as libc::rlim_t;
    if limit.rlim_cur >= files {
        return Ok(());
    }
    if limit.rlim_max < files {
        let message = format!("{files} open files wanted, {} allowed", limit.rlim_max);
        let error = io::Error::new(ErrorKind::ResourceBusy, message);
        return Err(Failure::System("setrlimit", error));
    }
    limit.rlim_cur = files;
    // SAFETY: the structure lives across the call.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } != 0 {
        return Err(Failure::last_system_error("setrlimit"));
    }
    Ok(())
}
