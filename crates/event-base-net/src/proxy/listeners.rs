//! The listening sockets of a proxy: one descriptor for each thread.

use std::os::fd::OwnedFd;

use super::options::Endpoint;
use crate::address::Address;
use crate::failure::{Result, from_io};
use crate::socket::{self, BoundPath};

/// What [`open`] returns.
#[derive(Debug)]
pub(super) struct Listeners {
    /// One for each thread.
    pub(super) sockets: Vec<OwnedFd>,
    /// Whether they are one socket, and not one each.
    pub(super) is_shared: bool,
    pub(super) address: Address,
    /// The path to remove when accepting ends.
    pub(super) path: Option<BoundPath>,
}

/// Opens a listening descriptor for each of `threads`.
///
/// All are one socket, so that no other process can bind its address and take connections. With
/// [`reuse_port`](socket::BindOptions::reuse_port) at an internet address, each thread has a socket of its own on Linux,
/// over which the kernel distributes connections (`SO_REUSEPORT`, `socket(7)`). Other systems do not distribute them.
pub(super) fn open(endpoint: Endpoint, threads: usize) -> Result<Listeners> {
    let (first, distributed, path) = match endpoint {
        Endpoint::Inherited(fd) => (fd, None, None),
        Endpoint::Bind(address, options) => {
            let socket = socket::listen(&address, &options)?;
            let path = BoundPath::of(&socket, &address)?;
            (socket, (options.reuse_port && cfg!(target_os = "linux")).then_some(options), path)
        }
    };
    let address = socket::address(&first)?;
    let mut sockets = vec![first];
    while sockets.len() < threads {
        sockets.push(match &distributed {
            Some(options) => socket::listen(&address, options)?,
            None => sockets[0].try_clone().map_err(|error| from_io(&error, "fcntl", None))?,
        });
    }
    let is_shared = threads > 1 && distributed.is_none();
    Ok(Listeners { sockets, is_shared, address, path })
}
