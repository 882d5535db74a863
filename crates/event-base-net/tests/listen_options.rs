//! Options of a listening socket are set before the first connection, and refused where the system lacks them.

mod support;

#[cfg(target_os = "linux")]
use std::io::Write;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use event_base_net::socket::{self, BindOptions, OptionValue, SocketOption};
use event_base_net::{Address, Completion, ListenOptions};
use nix::errno::Errno;
use support::{alone, await_readable, each_method, errno, open_descriptors};

fn any(host: &str) -> Address {
    Address::internet(host, 0).expect("it is numeric")
}

#[track_caller]
fn listen(host: &str, options: BindOptions) -> (OwnedFd, SocketAddr) {
    let listener = socket::listen(&any(host), &options).expect("a port is free");
    let Ok(Address::Internet(address)) = socket::address(&listener) else { panic!("it is bound") };
    (listener, address)
}

/// Accepts the connection that waits.
#[track_caller]
fn accepted(listener: &OwnedFd) -> (OwnedFd, SocketAddr) {
    await_readable(listener);
    let Ok(Some((fd, Address::Internet(peer)))) = socket::accept(listener) else { panic!("one waits") };
    (fd, peer)
}

#[test]
fn the_unspecified_address_accepts_both_families_by_default() {
    let _turn = alone();
    let (listener, address) = listen("::", BindOptions::default());
    let v4 = SocketAddr::from((Ipv4Addr::LOCALHOST, address.port()));
    let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, address.port()));
    for target in [v4, v6] {
        let client = TcpStream::connect(target).expect("it listens");
        let own = client.local_addr().expect("it is connected");
        let (_fd, peer) = accepted(&listener);
        assert_eq!((peer.ip().to_canonical(), peer.port()), (own.ip(), own.port()));
        assert!(peer.is_ipv6(), "an IPv4 peer shows as a mapped address");
    }
    drop(listener);

    let only = |listener: &OwnedFd| socket::get_option(listener, SocketOption::Ipv6Only);
    let (listener, _) = listen("::", BindOptions::default());
    assert_eq!(only(&listener), Ok(OptionValue::Switch(false)));
    let (listener, _) = listen("::", BindOptions { ipv6_only: true, ..BindOptions::default() });
    assert_eq!(only(&listener), Ok(OptionValue::Switch(true)));
}

#[test]
fn connections_inherit_the_options_of_the_listener() {
    let _turn = alone();
    let options = BindOptions {
        no_delay: true,
        keep_alive: true,
        keep_alive_idle: Some(Duration::from_millis(41_500)),
        ..BindOptions::default()
    };
    for host in ["127.0.0.1", "::1"] {
        let (listener, address) = listen(host, options);
        let _client = TcpStream::connect(address).expect("it listens");
        let (fd, _) = accepted(&listener);
        for socket in [&listener, &fd] {
            let on = Ok(OptionValue::Switch(true));
            assert_eq!(socket::get_option(socket, SocketOption::NoDelay), on, "{host}");
            assert_eq!(socket::get_option(socket, SocketOption::KeepAlive), on, "{host}");
            let idle = Ok(OptionValue::Time(Some(Duration::from_secs(42))));
            assert_eq!(socket::get_option(socket, SocketOption::KeepAliveIdle), idle, "{host}");
        }
        // By default no option is set.
        let (listener, address) = listen(host, BindOptions::default());
        let _client = TcpStream::connect(address).expect("it listens");
        let off = Ok(OptionValue::Switch(false));
        assert_eq!(socket::get_option(accepted(&listener).0, SocketOption::KeepAlive), off, "{host}");
    }
}

#[test]
fn two_sockets_share_an_address_if_both_set_the_option() {
    let shared = BindOptions { reuse_port: true, ..BindOptions::default() };
    each_method(|method, bed| {
        let (first, address) = listen("127.0.0.1", shared);
        let refused = socket::listen(&Address::Internet(address), &BindOptions::default());
        assert_eq!(errno(&refused.expect_err("it does not share")), (Errno::EADDRINUSE, "bind"), "{method}");
        let second = socket::listen(&Address::Internet(address), &shared).expect("both share it");
        let keys = [first, second]
            .map(|listener| bed.net.listen(listener, ListenOptions::default()).expect("it listens"));
        // The kernel chooses by the client's port: a hundred connections do not all reach the same socket.
        let _clients: Vec<_> = (0..100).map(|_| TcpStream::connect(address).expect("it listens")).collect();
        let mut counts = [0, 0];
        bed.run_until(|_, completion| {
            let Completion::Accepted { key, .. } = completion else { panic!("unexpected: {completion:?}") };
            counts[usize::from(key == keys[1])] += 1;
            counts[0] + counts[1] == 100
        });
        // Darwin and FreeBSD deliver all of them to one socket.
        if cfg!(target_os = "linux") {
            assert!(counts[0] > 0 && counts[1] > 0, "{method}: {counts:?}");
        }
    });
}

#[test]
fn options_that_the_address_family_lacks_are_refused() {
    let _turn = alone();
    let before = open_descriptors();
    let folder = std::env::temp_dir().join(format!("event-base-net-bind-{}", std::process::id()));
    let path = Address::path(folder.to_str().expect("it is text")).expect("it is short");
    let base = BindOptions::default();
    let time = Some(Duration::from_secs(1));
    let wanted = [
        BindOptions { reuse_port: true, ..base },
        BindOptions { ipv6_only: true, ..base },
        BindOptions { transparent: true, ..base },
        BindOptions { free_bind: true, ..base },
        BindOptions { fast_open: 1, ..base },
        BindOptions { defer_accept: time, ..base },
        BindOptions { no_delay: true, ..base },
        BindOptions { keep_alive: true, ..base },
        BindOptions { keep_alive_idle: time, ..base },
    ];
    for options in wanted {
        let refused = socket::listen(&path, &options).expect_err("a path does not have it");
        assert_eq!(errno(&refused), (Errno::EOPNOTSUPP, "setsockopt"), "{options:?}");
        assert!(!folder.exists(), "{options:?}");
    }
    let v4 = socket::listen(&any("127.0.0.1"), &wanted[1]).expect_err("IPv4 does not have it");
    assert_eq!(errno(&v4), (Errno::EOPNOTSUPP, "setsockopt"));
    assert_eq!(open_descriptors(), before);
}

#[cfg(not(target_os = "linux"))]
#[test]
fn options_that_the_system_lacks_are_refused() {
    let _turn = alone();
    let base = BindOptions::default();
    for options in [
        BindOptions { transparent: true, ..base },
        BindOptions { free_bind: true, ..base },
        BindOptions { fast_open: 1, ..base },
        BindOptions { defer_accept: Some(Duration::from_secs(1)), ..base },
    ] {
        let refused = socket::listen(&any("127.0.0.1"), &options).expect_err("only Linux has it");
        assert_eq!(errno(&refused), (Errno::ENOPROTOOPT, "setsockopt"), "{options:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn an_address_that_does_not_exist_yet_can_be_bound() {
    let _turn = alone();
    // Addresses for documentation (RFC 5737, RFC 3849): no host has them, and nothing is sent to them.
    for host in ["198.51.100.1", "2001:db8::1"] {
        let refused = socket::listen(&any(host), &BindOptions::default()).expect_err("no host has it");
        assert_eq!(errno(&refused), (Errno::EADDRNOTAVAIL, "bind"));
        let (_listener, address) = listen(host, BindOptions { free_bind: true, ..BindOptions::default() });
        assert_eq!(address.ip().to_string(), host);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_transparent_listener_needs_a_privilege() {
    let _turn = alone();
    let options = BindOptions { transparent: true, ..BindOptions::default() };
    for host in ["127.0.0.1", "::1"] {
        match socket::listen(&any(host), &options) {
            Ok(listener) => {
                let on = socket::get_option(&listener, SocketOption::Transparent);
                assert_eq!(on, Ok(OptionValue::Switch(true)), "{host}");
            }
            Err(error) => assert_eq!(errno(&error), (Errno::EPERM, "setsockopt"), "{host}"),
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_deferred_connection_is_not_reported_before_it_has_data() {
    let _turn = alone();
    let (listener, address) = listen(
        "127.0.0.1",
        BindOptions { defer_accept: Some(Duration::from_secs(60)), ..BindOptions::default() },
    );
    let mut client = TcpStream::connect(address).expect("it listens");
    assert_eq!(
        socket::accept(&listener).map(|accepted| accepted.is_some()),
        Ok(false),
        "it has sent nothing"
    );
    client.write_all(b"x").expect("it is connected");
    let (fd, _) = accepted(&listener);
    assert_eq!(socket::read(&fd, &mut [0; 4]), Ok(Some(1)));
    let Ok(OptionValue::Time(Some(time))) = socket::get_option(&listener, SocketOption::DeferAccept) else {
        panic!("it was set")
    };
    assert!(time >= Duration::from_secs(60), "{time:?}");
    let long = BindOptions { defer_accept: Some(Duration::MAX), ..BindOptions::default() };
    let refused = socket::listen(&any("127.0.0.1"), &long);
    assert_eq!(refused.expect_err("it does not fit a C int"), event_base::Error::OutOfRange("value"));
}

#[cfg(target_os = "linux")]
#[test]
fn the_queue_of_fast_open_has_the_requested_length() {
    let _turn = alone();
    let length = |listener: &OwnedFd| socket::get_option(listener, SocketOption::FastOpen);
    let (listener, _) = listen("127.0.0.1", BindOptions { fast_open: 7, ..BindOptions::default() });
    assert_eq!(length(&listener), Ok(OptionValue::Count(7)));
    let (listener, _) = listen("127.0.0.1", BindOptions::default());
    assert_eq!(length(&listener), Ok(OptionValue::Count(0)));
}

#[test]
fn a_socket_that_another_program_opened_is_checked() {
    let _turn = alone();
    let refusal = |fd: &dyn AsFd, backlog| {
        errno(&socket::check_listening(fd.as_fd(), backlog).expect_err("it does not listen"))
    };
    let (pipe, _far) = socket::pipe().expect("a descriptor is free");
    assert_eq!(refusal(&pipe, None), (Errno::ENOTSOCK, "getsockopt"));
    assert_eq!(refusal(&pipe, Some(1)), (Errno::ENOTSOCK, "getsockopt"));
    let (pair, _far) = socket::pair().expect("a descriptor is free");
    assert_eq!(refusal(&pair, None), (Errno::EINVAL, "getsockopt"));
    assert_eq!(refusal(&pair, Some(1)), (Errno::EINVAL, "listen"));
    let datagrams = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port is free");
    assert_eq!(refusal(&datagrams, None), (Errno::EINVAL, "getsockopt"));
    assert_eq!(refusal(&datagrams, Some(1)), (Errno::EOPNOTSUPP, "listen"));

    let bound =
        socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("there is room");
    bound.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("a port is free");
    assert_eq!(refusal(&bound, None), (Errno::EINVAL, "getsockopt"));
    assert_eq!(socket::check_listening(&bound, Some(u32::MAX)), Ok(()));
    assert_eq!(socket::check_listening(&bound, None), Ok(()));
    let Ok(Address::Internet(address)) = socket::address(&bound) else { panic!("it is bound") };
    TcpStream::connect(address).expect("it listens");
}

#[test]
fn a_listener_that_starts_paused_accepts_once_it_is_resumed() {
    each_method(|method, bed| {
        let (listener, address) = listen("127.0.0.1", BindOptions::default());
        let options = ListenOptions { paused: true, ..ListenOptions::default() };
        let key = bed.net.listen(listener, options).expect("it can be watched");
        let _client = TcpStream::connect(address).expect("it listens");
        assert!(bed.run_for(Duration::from_millis(20)).is_empty(), "{method}");
        bed.net.resume(key).expect("it is a listener");
        bed.run_until(|_, completion| matches!(completion, Completion::Accepted { .. }));
    });
}
