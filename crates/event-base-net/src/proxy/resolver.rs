//! The resolver that a proxy looks names up with.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

/// Looks up the addresses of names. Calls are made on threads of the proxy that do nothing else, so they may block.
pub trait Resolver: fmt::Debug + Send + Sync {
    /// The addresses of `host`, the preferred one first. Their ports are ignored.
    ///
    /// # Errors
    /// The reason why there is none. An empty answer counts as a failure too.
    fn resolve(&self, host: &str) -> io::Result<Vec<SocketAddr>>;
}

/// The system's resolver, `getaddrinfo(3)`: `/etc/hosts`, DNS, and whatever else `nsswitch.conf(5)` lists, in the
/// order of RFC 6724.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve(&self, host: &str) -> io::Result<Vec<SocketAddr>> {
        Ok((host, 0).to_socket_addrs()?.collect())
    }
}
