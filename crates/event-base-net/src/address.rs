//! Addresses of sockets: an internet address with a port, a path, or none.

use std::ffi::OsStr;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::unix::ffi::OsStrExt;

use event_base::Error;
use nix::net::if_::{if_indextoname, if_nametoindex};
use socket2::{Domain, SockAddr};

use crate::failure::{Result, from_io};

/// The address of a socket.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Address {
    /// IPv4 or IPv6 with a port.
    Internet(SocketAddr),
    /// A unix socket's path. A leading NUL byte makes it a name in Linux's abstract namespace.
    Path(Vec<u8>),
    /// The address of a unix socket that is not bound: an end of a pair, or a client.
    Unnamed,
}

impl Address {
    /// The address of `port` at a numeric IPv4 or IPv6 `host`; no name is looked up. A link-local IPv6 address is
    /// followed by its interface, `fe80::1%eth0` or `fe80::1%2` (RFC 4007, section 11).
    ///
    /// # Errors
    /// [`Error::OutOfRange`] when `host` is not a numeric address, or its interface does not exist.
    pub fn internet(host: &str, port: u16) -> Result<Self> {
        let refused = Error::OutOfRange("host");
        let Some((address, zone)) = host.split_once('%') else {
            let host: IpAddr = host.parse().map_err(|_| refused)?;
            return Ok(Address::Internet(SocketAddr::new(host, port)));
        };
        let address: Ipv6Addr = address.parse().map_err(|_| refused)?;
        let scope = if is_digits(zone) { zone.parse().ok() } else { if_nametoindex(zone).ok() };
        let scope = scope.ok_or(refused)?;
        Ok(Address::Internet(SocketAddrV6::new(address, port, 0, scope).into()))
    }

    /// The numeric host of an internet address, in the form that [`internet`](Self::internet) takes. `None` for other
    /// addresses.
    #[must_use]
    pub fn host(&self) -> Option<String> {
        match self {
            Address::Internet(SocketAddr::V6(address)) if address.scope_id() != 0 => {
                let (host, scope) = (address.ip(), address.scope_id());
                let name = if_indextoname(scope).ok().and_then(|name| name.into_string().ok());
                // An interface that was removed has no name, or an empty one. A name of digits would be a number.
                let name = name.filter(|name| !is_digits(name));
                Some(format!("{host}%{}", name.unwrap_or_else(|| scope.to_string())))
            }
            Address::Internet(address) => Some(address.ip().to_string()),
            _ => None,
        }
    }

    /// The unix socket at `path`, or in the abstract namespace where `path` begins with a NUL byte.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] when `path` is empty, has a NUL byte after the first byte, or is longer than a socket
    /// address can hold (107 bytes on Linux, unix(7)).
    pub fn path(path: impl Into<Vec<u8>>) -> Result<Self> {
        let path: Vec<u8> = path.into();
        let inner_nul = path.iter().skip(1).any(|byte| *byte == 0);
        if path.is_empty() || path == [0] || inner_nul || unix(&path).is_err() {
            return Err(Error::OutOfRange("path"));
        }
        Ok(Address::Path(path))
    }

    /// Converts the address for the kernel. `syscall` is the call that an error names.
    pub(crate) fn to_kernel(&self, syscall: &'static str) -> Result<SockAddr> {
        match self {
            Address::Internet(address) => Ok(SockAddr::from(*address)),
            Address::Path(path) => unix(path).map_err(|error| from_io(&error, syscall, None)),
            Address::Unnamed => Err(Error::OutOfRange("address")),
        }
    }

    pub(crate) fn from_kernel(address: &SockAddr) -> Self {
        if let Some(address) = address.as_socket() {
            return Address::Internet(address);
        }
        if let Some(path) = address.as_pathname() {
            return Address::Path(path.as_os_str().as_bytes().to_vec());
        }
        match address.as_abstract_namespace() {
            Some(name) => Address::Path([&[0], name].concat()),
            None => Address::Unnamed,
        }
    }

    pub(crate) fn domain(&self) -> Domain {
        match self {
            Address::Internet(address) => Domain::for_address(*address),
            Address::Path(_) | Address::Unnamed => Domain::UNIX,
        }
    }
}

/// Whether a text has only digits, or is empty.
fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

fn unix(path: &[u8]) -> std::io::Result<SockAddr> {
    SockAddr::unix(OsStr::from_bytes(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_both_families_and_paths_are_the_same_after_a_conversion_for_the_kernel() {
        for address in [
            Address::internet("127.0.0.1", 80).unwrap(),
            Address::internet("::1", 65_535).unwrap(),
            Address::path("/tmp/somewhere").unwrap(),
            Address::path(&b"\0abstract"[..]).unwrap(),
        ] {
            assert_eq!(Address::from_kernel(&address.to_kernel("bind").unwrap()), address);
        }
    }

    #[test]
    fn a_link_local_address_has_its_interface() {
        // The first interface is the loopback.
        let name = if_indextoname(1).unwrap().into_string().unwrap();
        for zone in ["1", &name] {
            let address = Address::internet(&format!("fe80::1%{zone}"), 80).unwrap();
            assert_eq!(
                address,
                Address::Internet(SocketAddrV6::new("fe80::1".parse().unwrap(), 80, 0, 1).into())
            );
            assert_eq!(address.host(), Some(format!("fe80::1%{name}")));
            assert_eq!(Address::from_kernel(&address.to_kernel("bind").unwrap()), address);
        }
        let unknown = Address::internet("fe80::1%4000000000", 80).unwrap();
        assert_eq!(unknown.host().as_deref(), Some("fe80::1%4000000000"));
        assert_eq!(Address::internet("::1", 80).unwrap().host().as_deref(), Some("::1"));
        assert_eq!(Address::path("/tmp/somewhere").unwrap().host(), None);
        for host in [
            "fe80::1%",
            "fe80::1%+1",
            "fe80::1%4294967296",
            "fe80::1%nowhere",
            "127.0.0.1%1",
            "fe80::1%1%1",
            "%1",
        ] {
            assert_eq!(Address::internet(host, 1), Err(Error::OutOfRange("host")), "{host:?}");
        }
    }

    #[test]
    fn an_invalid_host_or_path_is_refused() {
        for host in ["", "localhost", "1.2.3", "1.2.3.256", "[::1]", "::1 "] {
            assert_eq!(Address::internet(host, 1), Err(Error::OutOfRange("host")), "{host:?}");
        }
        for path in [&b""[..], b"\0", b"a\0b", b"\0a\0", &[b'a'; 200]] {
            assert_eq!(Address::path(path), Err(Error::OutOfRange("path")), "{path:?}");
        }
    }
}
