//! The PROXY protocol: the header that an upstream reads first.

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::{UnixListener, UnixStream};

use event_base_net::Address;
use event_base_net::proxy::{Endpoint, ProxyOptions, ProxyProtocol, Upstream};
use event_base_net::socket::BindOptions;
use support::alone;
use support::proxy::Running;

/// A proxy at `host` that sends a header to a server of the same family, and that server.
fn with_header(host: &str, version: ProxyProtocol) -> (Running, TcpListener) {
    let server = TcpListener::bind((host, 0)).expect("a port is free");
    let upstream = Upstream::new("server", Address::Internet(server.local_addr().expect("it is bound")));
    let address = Address::internet(host, 0).expect("it is numeric");
    let options = ProxyOptions {
        proxy_protocol: Some(version),
        ..ProxyOptions::new(Endpoint::Bind(address, BindOptions::default()), vec![upstream])
    };
    (Running::start(options), server)
}

/// The bytes that the server reads of a connection on which the client sends "hello", and the client's two addresses.
fn received(proxy: &Running, server: &TcpListener) -> (Vec<u8>, SocketAddr, SocketAddr) {
    let mut client = proxy.dial();
    // Before the connection ends: afterwards it has no peer.
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
    let (proxy, server) = with_header("127.0.0.1", ProxyProtocol::V1);
    let (bytes, client, listener) = received(&proxy, &server);
    let line = format!("PROXY TCP4 127.0.0.1 127.0.0.1 {} {}\r\nhello", client.port(), listener.port());
    assert_eq!(String::from_utf8_lossy(&bytes), line);
}

#[test]
fn version_1_over_ipv6() {
    let _turn = alone();
    let (proxy, server) = with_header("::1", ProxyProtocol::V1);
    let (bytes, client, listener) = received(&proxy, &server);
    let line = format!("PROXY TCP6 ::1 ::1 {} {}\r\nhello", client.port(), listener.port());
    assert_eq!(String::from_utf8_lossy(&bytes), line);
}

#[test]
fn version_2_over_ipv4() {
    let _turn = alone();
    let (proxy, server) = with_header("127.0.0.1", ProxyProtocol::V2);
    let (bytes, client, listener) = received(&proxy, &server);
    let mut expected = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0C\x7F\0\0\x01\x7F\0\0\x01".to_vec();
    expected.extend(client.port().to_be_bytes());
    expected.extend(listener.port().to_be_bytes());
    expected.extend(b"hello");
    assert_eq!(bytes, expected);
}

#[test]
fn version_2_over_ipv6() {
    let _turn = alone();
    let (proxy, server) = with_header("::1", ProxyProtocol::V2);
    let (bytes, client, listener) = received(&proxy, &server);
    let mut expected = b"\r\n\r\n\0\r\nQUIT\n\x21\x21\x00\x24".to_vec();
    for address in [client, listener] {
        let SocketAddr::V6(address) = address else { panic!("{address} is not IPv6") };
        expected.extend(address.ip().octets());
    }
    expected.extend(client.port().to_be_bytes());
    expected.extend(listener.port().to_be_bytes());
    expected.extend(b"hello");
    assert_eq!(bytes, expected);
}

#[test]
fn an_ipv4_client_of_a_dual_stack_listener_has_an_ipv4_address() {
    let _turn = alone();
    let (proxy, server) = with_header("::", ProxyProtocol::V1);
    let port = proxy.port().port();
    let mut client = std::net::TcpStream::connect(("127.0.0.1", port)).expect("it accepts IPv4 too");
    client.write_all(b"hello").expect("it is open");
    client.shutdown(std::net::Shutdown::Write).expect("it is open");
    let mut text = String::new();
    server.accept().expect("it comes").0.read_to_string(&mut text).expect("it ends");
    let from = client.local_addr().expect("it is bound").port();
    assert_eq!(text, format!("PROXY TCP4 127.0.0.1 127.0.0.1 {from} {port}\r\nhello"));
}

#[test]
fn unix_sockets_are_unknown_in_version_1_and_paths_in_version_2_on_the_wire() {
    let _turn = alone();
    let folder = std::env::temp_dir().join(format!("event-base-header-{}", std::process::id()));
    std::fs::create_dir(&folder).expect("it is new");
    let (server_path, proxy_path) = (folder.join("server"), folder.join("socket"));
    let server = UnixListener::bind(&server_path).expect("the path is free");
    let path = |path: &std::path::Path| Address::path(path.to_str().expect("it is text")).expect("it fits");
    for version in [ProxyProtocol::V1, ProxyProtocol::V2] {
        let options = ProxyOptions {
            proxy_protocol: Some(version),
            ..ProxyOptions::new(
                Endpoint::Bind(path(&proxy_path), BindOptions::default()),
                vec![Upstream::new("server", path(&server_path))],
            )
        };
        let proxy = Running::start(options);
        let mut client = UnixStream::connect(&proxy_path).expect("it accepts");
        client.write_all(b"hello").expect("it is open");
        client.shutdown(std::net::Shutdown::Write).expect("it is open");
        let mut bytes = Vec::new();
        server.accept().expect("it comes").0.read_to_end(&mut bytes).expect("it ends");
        let expected = match version {
            ProxyProtocol::V1 => b"PROXY UNKNOWN\r\nhello".to_vec(),
            ProxyProtocol::V2 => {
                let mut expected = b"\r\n\r\n\0\r\nQUIT\n\x21\x31\x00\xD8".to_vec();
                expected.extend([0; 108]);
                expected.extend(proxy_path.to_str().expect("it is text").as_bytes());
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
