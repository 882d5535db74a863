//! Numbers from JavaScript that stand for descriptors, and addresses as they cross the border.
#![expect(unsafe_code, reason = "a descriptor's number is all that JavaScript has of it")]

use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd};

use event_base::{Error, SystemError};
use event_base_net::Address;
use napi_derive::napi;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};

/// The descriptor of this number for the length of one call; the kernel refuses one that is not open.
///
/// # Errors
/// `EBADF` for a negative number.
pub(crate) fn borrow<'call>(fd: i32, syscall: &'static str) -> Result<BorrowedFd<'call>, Error> {
    if fd < 0 {
        return Err(bad(fd, syscall));
    }
    // SAFETY: not -1. Whether it is open is the caller's to know; where it is not, or becomes another
    // file's, system calls answer for that file or with EBADF, and no memory hangs on it.
    Ok(unsafe { BorrowedFd::borrow_raw(fd) })
}

/// Takes over the descriptor of this number.
///
/// # Errors
/// `EBADF` when it is not open.
pub(crate) fn take(fd: i32, syscall: &'static str) -> Result<OwnedFd, Error> {
    fcntl(borrow(fd, syscall)?, FcntlArg::F_GETFD).map_err(|_| bad(fd, syscall))?;
    // SAFETY: it is open, and by the contract of the calling function JavaScript gives it up.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn bad(fd: i32, syscall: &'static str) -> Error {
    Error::System(SystemError { errno: Errno::EBADF as i32, syscall, fd: Some(fd) })
}

/// An address: a host and a port, or a path and -1, or nothing and -2.
#[napi(object)]
#[derive(Debug)]
pub struct BindingAddress {
    /// The numeric host, or the path.
    pub place: String,
    /// The port, or which other kind of address it is.
    pub port: i32,
}

impl From<&Address> for BindingAddress {
    fn from(address: &Address) -> Self {
        match address {
            Address::Internet(internet) => {
                BindingAddress { place: address.host().unwrap_or_default(), port: internet.port().into() }
            }
            Address::Path(path) => {
                BindingAddress { place: String::from_utf8_lossy(path).into_owned(), port: -1 }
            }
            _ => BindingAddress { place: String::new(), port: -2 },
        }
    }
}

/// The address that TypeScript wrote as a place and a port, or a path and -1.
pub(crate) fn address(place: String, port: i32) -> Result<Address, Error> {
    match u16::try_from(port) {
        Ok(port) => Address::internet(&place, port),
        Err(_) => Address::path(place),
    }
}
