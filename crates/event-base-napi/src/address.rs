//! Addresses of sockets, which JavaScript passes as a text and a number.

use event_base::Error;
use event_base_net::Address;
use napi_derive::napi;

/// In place of a port: the text is the path of a unix socket.
const PATH: i32 = -1;
/// In place of a port: the socket has no address.
const UNNAMED: i32 = -2;

/// An address: a host and a port, a path and -1, or an empty text and -2.
#[napi(object)]
#[derive(Debug)]
pub struct BindingAddress {
    /// The numeric host, or the path.
    pub host_or_path: String,
    /// The port, or a negative number that names another kind of address.
    pub port: i32,
}

impl From<&Address> for BindingAddress {
    fn from(address: &Address) -> Self {
        match address {
            Address::Internet(internet) => BindingAddress {
                host_or_path: address.host().unwrap_or_default(),
                port: internet.port().into(),
            },
            Address::Path(path) => {
                BindingAddress { host_or_path: String::from_utf8_lossy(path).into_owned(), port: PATH }
            }
            _ => BindingAddress { host_or_path: String::new(), port: UNNAMED },
        }
    }
}

/// The address that TypeScript passes as a host and a port, or as a path and -1.
pub(crate) fn address(host_or_path: String, port: i32) -> Result<Address, Error> {
    match u16::try_from(port) {
        Ok(port) => Address::internet(&host_or_path, port),
        Err(_) => Address::path(host_or_path),
    }
}

/// As [`address`]. A zone whose name does not exist becomes a number that no interface has, so that the connect to this
/// address fails and the connects to others continue.
pub(crate) fn address_of_several(host: String, port: i32) -> Result<Address, Error> {
    let numeric = host.split_once('%').map(|(host, _zone)| format!("{host}%{}", u32::MAX));
    address(host, port).or_else(|refused| address(numeric.ok_or(refused)?, port))
}
