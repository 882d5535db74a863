//! The header that informs an upstream of the client's address: versions 1 and 2 of the PROXY protocol, as HAProxy's
//! `proxy-protocol.txt` specifies them.

use std::net::{IpAddr, SocketAddr};

use crate::address::Address;

use super::options::ProxyProtocol;

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Version 2, and the command PROXY: the connection is made on behalf of another node.
const VERSION_AND_COMMAND: u8 = 0x21;
const TCP_OVER_IPV4: u8 = 0x11;
const TCP_OVER_IPV6: u8 = 0x21;
const UNIX_STREAM: u8 = 0x31;
/// A protocol that the header cannot describe; it has no addresses.
const UNSPECIFIED: u8 = 0x00;
/// The length of a path in the header, in bytes.
const PATH: usize = 108;

/// The header for a connection from `peer` that was accepted at `local`.
///
/// Version 1 has `UNKNOWN` for anything but two internet addresses of one family. Version 2 has paths too, cut to 108
/// bytes; the path of an unnamed socket is empty. An IPv4 client of an IPv6 socket has an IPv4 address. Two addresses that
/// do not belong to one family are unspecified.
pub(crate) fn header(version: ProxyProtocol, peer: &Address, local: &Address) -> Vec<u8> {
    match version {
        ProxyProtocol::V1 => text(peer, local),
        ProxyProtocol::V2 => binary(peer, local),
    }
}

/// Both addresses, if they are internet addresses of one family. An IPv4-mapped IPv6 address counts as IPv4.
fn internet(peer: &Address, local: &Address) -> Option<(SocketAddr, SocketAddr)> {
    let canonical = |address: &Address| match address {
        Address::Internet(address) => Some(SocketAddr::new(address.ip().to_canonical(), address.port())),
        _ => None,
    };
    let (peer, local) = (canonical(peer)?, canonical(local)?);
    (peer.is_ipv4() == local.is_ipv4()).then_some((peer, local))
}

fn text(peer: &Address, local: &Address) -> Vec<u8> {
    let Some((peer, local)) = internet(peer, local) else {
        return b"PROXY UNKNOWN\r\n".to_vec();
    };
    let family = if peer.is_ipv4() { "TCP4" } else { "TCP6" };
    format!("PROXY {family} {} {} {} {}\r\n", peer.ip(), local.ip(), peer.port(), local.port()).into_bytes()
}

fn binary(peer: &Address, local: &Address) -> Vec<u8> {
    let mut addresses = Vec::with_capacity(2 * PATH);
    let family = match internet(peer, local) {
        Some((peer, local)) => {
            for address in [peer, local] {
                match address.ip() {
                    IpAddr::V4(ip) => addresses.extend(ip.octets()),
                    IpAddr::V6(ip) => addresses.extend(ip.octets()),
                }
            }
            addresses.extend(peer.port().to_be_bytes());
            addresses.extend(local.port().to_be_bytes());
            if peer.is_ipv4() { TCP_OVER_IPV4 } else { TCP_OVER_IPV6 }
        }
        None if [peer, local].iter().any(|address| matches!(address, Address::Internet(_))) => UNSPECIFIED,
        None => {
            for address in [peer, local] {
                let path = if let Address::Path(path) = address { path.as_slice() } else { &[] };
                let path = &path[..path.len().min(PATH)];
                addresses.extend(path);
                addresses.resize(addresses.len() + PATH - path.len(), 0);
            }
            UNIX_STREAM
        }
    };
    let mut header = SIGNATURE.to_vec();
    header.extend([VERSION_AND_COMMAND, family]);
    // At most 2 * PATH.
    header.extend((addresses.len() as u16).to_be_bytes());
    header.extend(addresses);
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(host: &str, port: u16) -> Address {
        Address::internet(host, port).unwrap()
    }

    #[test]
    fn ipv4_addresses_have_these_bytes() {
        let (peer, local) = (at("192.168.0.1", 56_324), at("10.0.0.2", 443));
        assert_eq!(
            header(ProxyProtocol::V1, &peer, &local),
            b"PROXY TCP4 192.168.0.1 10.0.0.2 56324 443\r\n"
        );
        assert_eq!(
            header(ProxyProtocol::V2, &peer, &local),
            b"\x0D\x0A\x0D\x0A\x00\x0D\x0A\x51\x55\x49\x54\x0A\x21\x11\x00\x0C\
              \xC0\xA8\x00\x01\x0A\x00\x00\x02\xDC\x04\x01\xBB"
        );
    }

    #[test]
    fn ipv6_addresses_have_these_bytes() {
        let (peer, local) = (at("2001:db8::1", 1), at("::1", 65_535));
        assert_eq!(header(ProxyProtocol::V1, &peer, &local), b"PROXY TCP6 2001:db8::1 ::1 1 65535\r\n");
        assert_eq!(
            header(ProxyProtocol::V2, &peer, &local),
            b"\x0D\x0A\x0D\x0A\x00\x0D\x0A\x51\x55\x49\x54\x0A\x21\x21\x00\x24\
              \x20\x01\x0D\xB8\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\
              \x00\x01\xFF\xFF"
        );
    }

    #[test]
    fn the_longest_line_has_the_protocols_maximum_length() {
        let far = at("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65_535);
        assert_eq!(header(ProxyProtocol::V1, &far, &far).len(), 104);
    }

    #[test]
    fn an_ipv4_mapped_address_is_ipv4() {
        let (peer, local) = (at("::ffff:1.2.3.4", 5), at("::ffff:6.7.8.9", 10));
        assert_eq!(header(ProxyProtocol::V1, &peer, &local), b"PROXY TCP4 1.2.3.4 6.7.8.9 5 10\r\n");
        assert_eq!(header(ProxyProtocol::V2, &peer, &local)[13..16], [0x11, 0, 12]);
    }

    #[test]
    fn addresses_of_two_families_are_unknown_in_version_1_and_unspecified_in_version_2() {
        for (peer, local) in [(at("192.0.2.1", 1), at("::1", 2)), (Address::Unnamed, at("192.0.2.1", 1))] {
            assert_eq!(header(ProxyProtocol::V1, &peer, &local), b"PROXY UNKNOWN\r\n");
            assert_eq!(header(ProxyProtocol::V2, &peer, &local), b"\r\n\r\n\0\r\nQUIT\n\x21\0\0\0");
        }
    }

    #[test]
    fn unix_sockets_are_unknown_in_version_1_and_paths_in_version_2() {
        let local = Address::path("/run/proxy").unwrap();
        assert_eq!(header(ProxyProtocol::V1, &Address::Unnamed, &local), b"PROXY UNKNOWN\r\n");
        let bytes = header(ProxyProtocol::V2, &Address::Unnamed, &local);
        let mut expected = b"\r\n\r\n\0\r\nQUIT\n\x21\x31\x00\xD8".to_vec();
        expected.extend([0; 108]);
        expected.extend(b"/run/proxy");
        expected.resize(16 + 216, 0);
        assert_eq!(bytes, expected);
    }
}
