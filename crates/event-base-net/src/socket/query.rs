//! Properties of a descriptor.

use std::os::fd::{AsFd, AsRawFd};

use event_base::SystemError;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use socket2::SockRef;

use crate::address::Address;
use crate::failure::{Result, from_io, system};

/// The local address of a socket.
///
/// # Errors
/// `getsockname`: `ENOTSOCK`, `EBADF`.
pub fn address(fd: impl AsFd) -> Result<Address> {
    let fd = fd.as_fd();
    #[cfg(test)]
    if let Some(errno) = crate::faults::next(crate::faults::Call::Address) {
        return Err(system(errno, "getsockname", Some(fd.as_raw_fd())));
    }
    let address = SockRef::from(&fd).local_addr();
    let address = address.map_err(|error| from_io(&error, "getsockname", Some(fd.as_raw_fd())))?;
    Ok(Address::from_kernel(&address))
}

/// The address of the peer of a socket.
///
/// # Errors
/// `getpeername`: `ENOTCONN`, `ENOTSOCK`, `EBADF`.
pub fn peer(fd: impl AsFd) -> Result<Address> {
    let fd = fd.as_fd();
    let address = SockRef::from(&fd).peer_addr();
    let address = address.map_err(|error| from_io(&error, "getpeername", Some(fd.as_raw_fd())))?;
    Ok(Address::from_kernel(&address))
}

/// Returns and clears the pending error of a socket (`SO_ERROR`). `syscall` is the call that the error belongs to:
/// `"connect"` for a socket that was connecting.
///
/// # Errors
/// `getsockopt`: `ENOTSOCK`, `EBADF`.
pub fn error(fd: impl AsFd, syscall: &'static str) -> Result<Option<SystemError>> {
    let fd = fd.as_fd();
    let number = fd.as_raw_fd();
    match SockRef::from(&fd).take_error() {
        Ok(None) => Ok(None),
        Ok(Some(error)) => {
            Ok(error.raw_os_error().map(|errno| SystemError { errno, syscall, fd: Some(number) }))
        }
        Err(error) => Err(from_io(&error, "getsockopt", Some(number))),
    }
}

/// Makes the descriptor non-blocking or blocking. The mode belongs to the open file description, and so to every
/// descriptor that was duplicated from it, also in other processes.
///
/// # Errors
/// `fcntl`: `EBADF`.
pub fn set_nonblocking(fd: impl AsFd, nonblocking: bool) -> Result<()> {
    let fd = fd.as_fd();
    let failed = |errno| system(errno, "fcntl", Some(fd.as_raw_fd()));
    let old = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL).map_err(failed)?);
    let mut new = old;
    new.set(OFlag::O_NONBLOCK, nonblocking);
    if new != old {
        fcntl(fd, FcntlArg::F_SETFL(new)).map_err(failed)?;
    }
    Ok(())
}

/// Makes the kernel close the descriptor in `exec`, as it does with all descriptors that are opened here.
///
/// # Errors
/// `fcntl`: `EBADF`.
pub fn set_close_on_exec(fd: impl AsFd) -> Result<()> {
    let fd = fd.as_fd();
    let done = fcntl(fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC));
    done.map_err(|errno| system(errno, "fcntl", Some(fd.as_raw_fd())))?;
    Ok(())
}
