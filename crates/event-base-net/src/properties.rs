//! Properties of addresses and headers, which hold for any input. The tests below check them with the inputs of the
//! corpus, and the fuzzer (`crates/fuzz`) with its own. A function panics if its property does not hold.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str;

use event_base::Error;

use crate::address::Address;
use crate::proxy::{ProxyProtocol, header};

const PORT: u16 = 8080;
/// The most bytes of a path in a socket address, without and with its terminating NUL (`unix(7)`; `sys/un.h` of the BSDs).
const PATH: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// A host is accepted if the standard library accepts it without its zone. It is the same after it was formatted, and
/// after it was in the kernel's form.
pub fn host(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    let parsed = Address::internet(text, PORT);
    match text.split_once('%') {
        None => assert_eq!(parsed.is_ok(), text.parse::<IpAddr>().is_ok(), "{text:?}"),
        Some((host, zone)) => {
            let is_number = !zone.is_empty() && zone.bytes().all(|byte| byte.is_ascii_digit());
            let is_valid = host.parse::<Ipv6Addr>().is_ok() && is_number && zone.parse::<u32>().is_ok();
            assert!(parsed.is_ok() || !is_valid, "{text:?} is refused");
        }
    }
    match parsed {
        Ok(address) => {
            let formatted = address.host().expect("an internet address has a host");
            assert_eq!(Address::internet(&formatted, PORT).as_ref(), Ok(&address), "{text:?}");
            is_the_same_in_the_kernel(&address);
        }
        Err(error) => assert_eq!(error, Error::OutOfRange("host")),
    }
}

/// A path is accepted if a socket address can hold it, and it is the same after it was in the kernel's form.
pub fn path(input: &[u8]) {
    let is_valid = match input {
        [] | [0] => false,
        [0, name @ ..] => !name.contains(&0) && name.len() <= PATH,
        name => !name.contains(&0) && name.len() <= PATH,
    };
    match Address::path(input) {
        Ok(address) => {
            assert!(is_valid, "{input:?} is accepted");
            is_the_same_in_the_kernel(&address);
        }
        Err(error) => {
            assert!(!is_valid, "{input:?} is refused");
            assert_eq!(error, Error::OutOfRange("path"));
        }
    }
}

fn is_the_same_in_the_kernel(address: &Address) {
    let there = address.to_kernel("bind").expect("an accepted address fits");
    assert_eq!(&Address::from_kernel(&there), address);
}

/// A header has the addresses that it was made from. The input chooses the version and both addresses.
pub fn header_round_trip(input: &[u8]) {
    let mut rest = input;
    let version = if take::<1>(&mut rest) == [1] { ProxyProtocol::V1 } else { ProxyProtocol::V2 };
    let (peer, local) = (any_address(&mut rest), any_address(&mut rest));
    let bytes = header(version, &peer, &local);
    let written = match (canonical(&peer), canonical(&local)) {
        (End::Internet(one), End::Internet(other)) if one.is_ipv4() == other.is_ipv4() => {
            Some((End::Internet(one), End::Internet(other)))
        }
        (End::Path(one), End::Path(other)) if version == ProxyProtocol::V2 => {
            Some((End::Path(one), End::Path(other)))
        }
        _ => None,
    };
    let read = match version {
        ProxyProtocol::V1 => read_text(&bytes),
        ProxyProtocol::V2 => read_binary(&bytes),
    };
    assert_eq!(read, written, "{peer:?} {local:?}");
}

/// An end of a connection, as a header can describe it.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Internet(SocketAddr),
    Path(Vec<u8>),
}

fn canonical(address: &Address) -> End {
    match address {
        Address::Internet(address) => {
            End::Internet(SocketAddr::new(address.ip().to_canonical(), address.port()))
        }
        Address::Path(path) => End::Path(padded(path)),
        Address::Unnamed => End::Path(padded(&[])),
    }
}

fn padded(path: &[u8]) -> Vec<u8> {
    let mut padded = path.to_vec();
    padded.resize(108, 0);
    padded
}

/// Reads a header of version 1.
fn read_text(bytes: &[u8]) -> Option<(End, End)> {
    // The protocol's maximum.
    assert!(bytes.len() <= 107, "{bytes:?} is too long");
    let line = str::from_utf8(bytes).expect("ASCII").strip_suffix("\r\n").expect("an end of line");
    let words: Vec<&str> = line.split(' ').collect();
    if words == ["PROXY", "UNKNOWN"] {
        return None;
    }
    let [proxy, family, peer, local, peer_port, local_port] = words[..] else { panic!("{line:?}") };
    assert_eq!(proxy, "PROXY");
    let end = |host: &str, port: &str| {
        let ip: IpAddr = match family {
            "TCP4" => IpAddr::V4(host.parse().expect("an IPv4 address")),
            "TCP6" => IpAddr::V6(host.parse().expect("an IPv6 address")),
            other => panic!("the family {other}"),
        };
        End::Internet(SocketAddr::new(ip, port.parse().expect("a port")))
    };
    Some((end(peer, peer_port), end(local, local_port)))
}

/// Reads a header of version 2.
fn read_binary(bytes: &[u8]) -> Option<(End, End)> {
    let rest = bytes.strip_prefix(b"\r\n\r\n\0\r\nQUIT\n").expect("the signature");
    let [0x21, family, high, low, addresses @ ..] = rest else { panic!("{rest:?}") };
    assert_eq!(addresses.len(), usize::from(u16::from_be_bytes([*high, *low])));
    let mut rest = addresses;
    let ends = match family {
        0x00 => None,
        0x11 => {
            let (peer, local) = (take::<4>(&mut rest), take::<4>(&mut rest));
            Some(internet(Ipv4Addr::from(peer), Ipv4Addr::from(local), &mut rest))
        }
        0x21 => {
            let (peer, local) = (take::<16>(&mut rest), take::<16>(&mut rest));
            Some(internet(Ipv6Addr::from(peer), Ipv6Addr::from(local), &mut rest))
        }
        0x31 => {
            let (peer, local) = (take::<108>(&mut rest), take::<108>(&mut rest));
            Some((End::Path(peer.to_vec()), End::Path(local.to_vec())))
        }
        other => panic!("the family {other:#x}"),
    };
    assert!(rest.is_empty(), "{} bytes too many", rest.len());
    ends
}

fn internet(peer: impl Into<IpAddr>, local: impl Into<IpAddr>, rest: &mut &[u8]) -> (End, End) {
    let mut end = |ip: IpAddr| End::Internet(SocketAddr::new(ip, u16::from_be_bytes(take(rest))));
    (end(peer.into()), end(local.into()))
}

/// An address of any kind, from the bytes of an input.
fn any_address(rest: &mut &[u8]) -> Address {
    let [kind] = take(rest);
    match kind % 5 {
        0 => {
            Address::Internet(SocketAddr::new(IpAddr::from(take::<4>(rest)), u16::from_be_bytes(take(rest))))
        }
        1 => {
            Address::Internet(SocketAddr::new(IpAddr::from(take::<16>(rest)), u16::from_be_bytes(take(rest))))
        }
        2 => {
            let mapped = Ipv4Addr::from(take::<4>(rest)).to_ipv6_mapped();
            Address::Internet(SocketAddr::new(IpAddr::V6(mapped), u16::from_be_bytes(take(rest))))
        }
        3 => {
            let length = usize::from(take::<1>(rest)[0]).min(rest.len());
            let (name, after) = rest.split_at(length);
            *rest = after;
            Address::path(name).unwrap_or(Address::Unnamed)
        }
        _ => Address::Unnamed,
    }
}

/// Takes bytes from the front; zeros where none are left.
fn take<const N: usize>(rest: &mut &[u8]) -> [u8; N] {
    let length = N.min(rest.len());
    let (front, after) = rest.split_at(length);
    let mut taken = [0; N];
    taken[..length].copy_from_slice(front);
    *rest = after;
    taken
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::{env, fs};

    use super::*;

    /// Checks a property with every input of a folder.
    fn replay(folder: &str, property: fn(&[u8])) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../__test__/fuzz/corpus").join(folder);
        let mut count = 0;
        for file in fs::read_dir(&root).expect("the corpus") {
            property(&fs::read(file.expect("a file").path()).expect("a file"));
            count += 1;
        }
        assert!(count > 5, "{} has {count} inputs", root.display());
    }

    #[test]
    fn hosts_of_the_corpus_are_the_same_after_formatting() {
        replay("host", host);
    }

    #[test]
    fn paths_of_the_corpus_are_the_same_after_a_conversion_for_the_kernel() {
        replay("path", path);
    }

    #[test]
    fn headers_of_the_corpus_have_the_addresses_they_were_made_from() {
        replay("header", header_round_trip);
    }
}
