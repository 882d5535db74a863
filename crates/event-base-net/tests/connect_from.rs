//! Connects from a given local address.

mod support;

use std::net::{IpAddr, SocketAddr, TcpListener};

use event_base_net::Address;
use event_base_net::socket::{self, ConnectOptions};
use nix::errno::Errno;
use support::{alone, errno, open_descriptors};

fn from(local_address: &str, local_port: u16) -> ConnectOptions {
    let local_address = local_address.parse::<IpAddr>().ok();
    ConnectOptions { local_address, local_port, ..ConnectOptions::default() }
}

fn port_of(address: event_base_net::Result<Address>) -> (String, u16) {
    let Ok(Address::Internet(address)) = address else { panic!("it is an internet address") };
    (address.ip().to_string(), address.port())
}

/// Loopback has more than one address.
#[cfg(target_os = "linux")]
mod any_of_loopback {
    use event_base_net::Completion;
    use event_base_net::socket::{OptionValue, SocketOption};

    use super::*;
    use crate::support::each_method;

    #[test]
    fn the_peer_sees_the_local_address_that_was_set() {
        each_method(|method, bed| {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
            let target = Address::Internet(listener.local_addr().expect("it is bound"));
            // Any address of 127.0.0.0/8 is this host's.
            let key = bed.net.connect_with(&target, None, &from("127.0.0.42", 0)).expect("it begins");
            let mut found = None;
            bed.run_until(|_, completion| {
                let Completion::Connected { key: of, result, .. } = completion else {
                    panic!("unexpected: {completion:?}")
                };
                assert_eq!(of, key, "{method}");
                found = Some(result.expect("it listens"));
                true
            });
            let (_, peer) = listener.accept().expect("it is connected");
            assert_eq!(peer.ip().to_string(), "127.0.0.42", "{method}");
            let fd = found.expect("it has ended");
            let shared = socket::get_option(&fd, SocketOption::BindAddressNoPort);
            assert_eq!(shared, Ok(OptionValue::Switch(true)), "{method}");
        });
    }
}

#[test]
fn a_local_port_that_was_set_is_used_and_can_be_used_again() {
    let _turn = alone();
    for host in ["127.0.0.1", "::1"] {
        let listener = TcpListener::bind((host, 0)).expect("a port is free");
        let own = listener.local_addr().expect("it is bound");
        let target = Address::Internet(own);
        // Held, so that no other socket gets it; both sockets set SO_REUSEADDR.
        let holder = socket2::Socket::new(socket2::Domain::for_address(own), socket2::Type::STREAM, None)
            .expect("there is room");
        holder.set_reuse_address(true).expect("it is an option");
        holder.bind(&SocketAddr::new(own.ip(), 0).into()).expect("a port is free");
        let (_, port) = port_of(socket::address(&holder));
        for local in [host, "none"] {
            let fd = socket::connect_with(&target, &from(local, port)).expect("the port is free again");
            assert_eq!(port_of(socket::address(&fd)).1, port, "{local}");
            let (far, peer) = listener.accept().expect("it is connected");
            assert_eq!(peer.port(), port, "{local}");
            // The far end closes first, so that no connection of this port lingers on this side.
            drop(far);
            support::await_readable(&fd);
        }
    }
}

#[test]
fn a_local_address_that_cannot_be_bound_is_refused_immediately() {
    let _turn = alone();
    let before = open_descriptors();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let own = listener.local_addr().expect("it is bound");
    let target = Address::Internet(own);
    let refusal = |address: &Address, options: &ConnectOptions| {
        errno(&socket::connect_with(address, options).expect_err("it cannot be bound"))
    };
    assert_eq!(refusal(&target, &from("198.51.100.1", 0)), (Errno::EADDRNOTAVAIL, "bind"));
    assert_eq!(refusal(&target, &from("127.0.0.1", own.port())), (Errno::EADDRINUSE, "bind"));
    assert_eq!(refusal(&target, &from("::1", 0)), (Errno::EAFNOSUPPORT, "bind"));
    let v6 = Address::internet("::1", own.port()).expect("it is numeric");
    assert_eq!(refusal(&v6, &from("127.0.0.1", 0)), (Errno::EAFNOSUPPORT, "bind"));
    let path = Address::path("/nonexistent/path").expect("it is short");
    assert_eq!(refusal(&path, &from("127.0.0.1", 0)), (Errno::EAFNOSUPPORT, "bind"));
    assert_eq!(refusal(&path, &from("none", 5)), (Errno::EAFNOSUPPORT, "bind"));
    let transparent = ConnectOptions { transparent: true, ..ConnectOptions::default() };
    assert_eq!(refusal(&path, &transparent), (Errno::EOPNOTSUPP, "setsockopt"));
    let free = ConnectOptions { free_bind: true, ..ConnectOptions::default() };
    assert_eq!(refusal(&path, &free), (Errno::EOPNOTSUPP, "setsockopt"));
    drop(listener);
    assert_eq!(open_descriptors(), before);
}

#[cfg(not(target_os = "linux"))]
#[test]
fn options_that_the_system_lacks_are_refused() {
    let _turn = alone();
    let target = Address::internet("127.0.0.1", 1).expect("it is numeric");
    for options in [
        ConnectOptions { transparent: true, ..ConnectOptions::default() },
        ConnectOptions { free_bind: true, ..ConnectOptions::default() },
    ] {
        let refused = socket::connect_with(&target, &options).expect_err("only Linux has it");
        assert_eq!(errno(&refused), (Errno::ENOPROTOOPT, "setsockopt"));
    }
}
