//! The PROXY protocol on the wire: what an upstream reads first.

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::{UnixListener, UnixStream};

use event_base_net::Address;
use event_base_net::proxy::{Endpoint, ProxyOptions, ProxyProtocol, Upstream};
use event_base_net::socket::BindOptions;
use support::alone;
use support::proxy::Running;

/// A proxy at `host` that introduces itself to a server of the same family, which is answered too.
fn introduced(host: &str, version: ProxyProtocol) -> (Running, TcpListener) {
    let server = TcpListener::bind((host, 0)).expect("a port is free");
    let upstream = Upstream::new("server", Address::Internet(server.local_addr().expect("it is bound")));
    let address = Address::internet(host, 0).expect("it is numeric");
    let options = ProxyOptions {
        proxy_protocol: Some(version),
        ..ProxyOptions::new(Endpoint::Bind(address, BindOptions::default()), vec![upstream])
    };
    (Running::start(options), server)
}

/// What the server reads of a connection that says "hello", and the two ends of that connection.
fn heard(proxy: &Running, server: &TcpListener) -> (Vec<u8>, SocketAddr, SocketAddr) {
    let mut client = proxy.dial();
    // Asked now: a connection that is over has no peer any more.
    let near = client.local_addr().expect("it is bound");
    let far = client.peer_addr().expect("it is connected");
    client.write_all(b"hello").expect("it is open");
    client.shutdown(std::net::Shutdown::Write).expect("it is open");
    let mut bytes = Vec::new();
    server.accept().expect("it comes").0.read_to_end(&mut bytes).expect("it ends");
    (bytes, near, far)
}

#[test]
fn version_1_over_ipv4() {
    let _turn = alone();
    let (proxy, server) = introduced("127.0.0.1", ProxyProtocol::V1);
    let (bytes, client, door) = heard(&proxy, &server);
    let line = format!("PROXY TCP4 127.0.0.1 127.0.0.1 {} {}\r\nhello", client.port(), door.port());
    assert_eq!(String::from_utf8_lossy(&bytes), line);
}

#[test]
fn version_1_over_ipv6() {
    let _turn = alone();
    let (proxy, server) = introduced("::1", ProxyProtocol::V1);
    let (bytes, client, door) = heard(&proxy, &server);
    let line = format!("PROXY TCP6 ::1 ::1 {} {}\r\nhello", client.port(), door.port());
    assert_eq!(String::from_utf8_lossy(&bytes), line);
}

#[test]
fn version_2_over_ipv4() {
    let _turn = alone();
    let (proxy, server) = introduced("127.0.0.1", ProxyProtocol::V2);
    let (bytes, client, door) = heard(&proxy, &server);
    let mut expected = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0C\x7F\0\0\x01\x7F\0\0\x01".to_vec();
    expected.extend(client.port().to_be_bytes());
    expected.extend(door.port().to_be_bytes());
    expected.extend(b"hello");
    assert_eq!(bytes, expected);
}

#[test]
fn version_2_over_ipv6() {
    let _turn = alone();
    let (proxy, server) = introduced("::1", ProxyProtocol::V2);
    let (bytes, client, door) = heard(&proxy, &server);
    let mut expected = b"\r\n\r\n\0\r\nQUIT\n\x21\x21\x00\x24".to_vec();
    for address in [client, door] {
        let SocketAddr::V6(address) = address else { panic!("{address} is not IPv6") };
        expected.extend(address.ip().octets());
    }
    expected.extend(client.port().to_be_bytes());
    expected.extend(door.port().to_be_bytes());
    expected.extend(b"hello");
    assert_eq!(bytes, expected);
}

#[test]
fn ipv4_at_a_dual_stack_door_is_told_as_ipv4() {
    let _turn = alone();
    let (proxy, server) = introduced("::", ProxyProtocol::V1);
    let door = proxy.port().port();
    let mut client = std::net::TcpStream::connect(("127.0.0.1", door)).expect("it takes IPv4 as well");
    client.write_all(b"hello").expect("it is open");
    client.shutdown(std::net::Shutdown::Write).expect("it is open");
    let mut text = String::new();
    server.accept().expect("it comes").0.read_to_string(&mut text).expect("it ends");
    let from = client.local_addr().expect("it is bound").port();
    assert_eq!(text, format!("PROXY TCP4 127.0.0.1 127.0.0.1 {from} {door}\r\nhello"));
}

#[test]
fn unix_sockets_in_both_versions() {
    let _turn = alone();
    let folder = std::env::temp_dir().join(format!("event-base-header-{}", std::process::id()));
    std::fs::create_dir(&folder).expect("it is new");
    let (server_path, door_path) = (folder.join("server"), folder.join("door"));
    let server = UnixListener::bind(&server_path).expect("the path is free");
    let path = |path: &std::path::Path| Address::path(path.to_str().expect("it is text")).expect("it fits");
    for version in [ProxyProtocol::V1, ProxyProtocol::V2] {
        let options = ProxyOptions {
            proxy_protocol: Some(version),
            ..ProxyOptions::new(
                Endpoint::Bind(path(&door_path), BindOptions::default()),
                vec![Upstream::new("server", path(&server_path))],
            )
        };
        let proxy = Running::start(options);
        let mut client = UnixStream::connect(&door_path).expect("it accepts");
        client.write_all(b"hello").expect("it is open");
        client.shutdown(std::net::Shutdown::Write).expect("it is open");
        let mut bytes = Vec::new();
        server.accept().expect("it comes").0.read_to_end(&mut bytes).expect("it ends");
        let expected = match version {
            ProxyProtocol::V1 => b"PROXY UNKNOWN\r\nhello".to_vec(),
            ProxyProtocol::V2 => {
                let mut expected = b"\r\n\r\n\0\r\nQUIT\n\x21\x31\x00\xD8".to_vec();
                expected.extend([0; 108]);
                expected.extend(door_path.to_str().expect("it is text").as_bytes());
                expected.resize(16 + 216, 0);
                expected.extend(b"hello");
                expected
            }
        };
        assert_eq!(bytes, expected, "{version:?}");
        drop(proxy);
    }
    std::fs::remove_dir_all(folder).expect("it is ours");
}
