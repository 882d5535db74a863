//! The listening sockets of a proxy: one descriptor for each thread.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use socket2::SockRef;

use super::options::Endpoint;
use crate::address::Address;
use crate::failure::{Result, from_io};
use crate::socket::{self, BindOptions, BoundPath};

/// What [`open`] returns.
#[derive(Debug)]
pub(super) struct Listeners {
    /// One for each thread.
    pub(super) sockets: Vec<OwnedFd>,
    pub(super) address: Address,
    /// The path to remove when accepting ends.
    pub(super) path: Option<BoundPath>,
}

/// Opens a listening descriptor for each of `threads`.
///
/// On Linux each thread gets a socket of its own at an internet address, over which the kernel spreads connections
/// (`SO_REUSEPORT`, `socket(7)`). The first one is bound before that option is set, so that an address in use is
/// `EADDRINUSE`, unless the caller sets [`BindOptions::reuse_port`]. Other systems do not spread connections, and
/// paths and inherited sockets cannot be bound twice: there all threads accept from one queue.
pub(super) fn open(endpoint: Endpoint, threads: usize) -> Result<Listeners> {
    let (first, spread, path) = match endpoint {
        Endpoint::Inherited(fd) => (fd, None, None),
        Endpoint::Bind(address, options) => {
            let spread = match &address {
                Address::Internet(_) if cfg!(target_os = "linux") && threads > 1 => Some(options),
                _ => None,
            };
            let socket = socket::listen(&address, &options)?;
            let path = BoundPath::of(&socket, &address)?;
            (socket, spread, path)
        }
    };
    let address = socket::address(&first)?;
    let mut sockets = vec![first];
    let failed = |error, syscall| from_io(&error, syscall, None);
    if let Some(options) = spread {
        let shared = BindOptions { reuse_port: true, ..options };
        SockRef::from(&sockets[0].as_fd())
            .set_reuse_port(true)
            .map_err(|error| from_io(&error, "setsockopt", Some(sockets[0].as_raw_fd())))?;
        while sockets.len() < threads {
            sockets.push(socket::listen(&address, &shared)?);
        }
    }
    while sockets.len() < threads {
        sockets.push(sockets[0].try_clone().map_err(|error| failed(error, "fcntl"))?);
    }
    Ok(Listeners { sockets, address, path })
}
