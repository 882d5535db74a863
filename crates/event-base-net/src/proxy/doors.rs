//! One listening descriptor for each thread.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use socket2::SockRef;

use super::options::Door;
use crate::address::Address;
use crate::failure::{Result, from_io};
use crate::socket::{self, BindOptions};

/// Opens a door for each of `threads`, and says where they are.
///
/// On Linux each thread gets a socket of its own, over which the kernel spreads connections
/// (`SO_REUSEPORT`). The first is bound before it is given that option, so an address that anybody else uses
/// is `EADDRINUSE`, unless sharing it was asked for. Elsewhere the option spreads nothing, and paths and
/// inherited sockets cannot be bound twice: there all threads accept from one queue.
pub(super) fn open(door: Door, threads: usize) -> Result<(Vec<OwnedFd>, Address)> {
    let (first, spread) = match door {
        Door::Inherited(fd) => (fd, None),
        Door::At(address, options) => {
            let spread = match &address {
                Address::Internet(_) if cfg!(target_os = "linux") && threads > 1 => Some(options),
                _ => None,
            };
            (socket::listen(&address, &options)?, spread)
        }
    };
    let address = socket::address(&first)?;
    let mut doors = vec![first];
    let failed = |error, syscall| from_io(&error, syscall, None);
    if let Some(options) = spread {
        let shared = BindOptions { reuse_port: true, ..options };
        SockRef::from(&doors[0].as_fd())
            .set_reuse_port(true)
            .map_err(|error| from_io(&error, "setsockopt", Some(doors[0].as_raw_fd())))?;
        while doors.len() < threads {
            doors.push(socket::listen(&address, &shared)?);
        }
    }
    while doors.len() < threads {
        doors.push(doors[0].try_clone().map_err(|error| failed(error, "fcntl"))?);
    }
    Ok((doors, address))
}
