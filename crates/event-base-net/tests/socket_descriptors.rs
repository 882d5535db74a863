//! Raw descriptors are non-blocking and close-on-exec, and failures name the call and the descriptor.

mod support;

use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use event_base::Error;
use event_base_net::{Address, socket};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use support::{alone, await_readable, errno, open_descriptors};

#[track_caller]
fn assert_quiet(fd: BorrowedFd<'_>) {
    let status = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL).expect("it is open"));
    assert!(status.contains(OFlag::O_NONBLOCK), "it blocks");
    let flags = fcntl(fd, FcntlArg::F_GETFD).expect("it is open");
    assert_eq!(flags & nix::libc::FD_CLOEXEC, nix::libc::FD_CLOEXEC, "it outlives an exec");
}

fn local(host: &str) -> Address {
    Address::internet(host, 0).expect("it is numeric")
}

#[test]
fn every_opened_descriptor_is_nonblocking_and_close_on_exec() {
    let _turn = alone();
    for host in ["127.0.0.1", "::1"] {
        let listener = socket::listen(&local(host), &socket::BindOptions::default()).expect("a port is free");
        assert_quiet(listener.as_fd());
        assert_eq!(socket::accept(&listener).map(|accepted| accepted.is_none()), Ok(true));
        let client = socket::connect(&socket::address(&listener).expect("it is bound")).expect("it listens");
        assert_quiet(client.as_fd());
        await_readable(&listener);
        let (server, peer) = socket::accept(&listener).expect("it listens").expect("one waits");
        assert_quiet(server.as_fd());
        assert_eq!(socket::address(&client), Ok(peer));
        assert_eq!(socket::error(&client, "connect"), Ok(None));
    }
    let (a, b) = socket::pair().expect("a pair");
    let (read, write) = socket::pipe().expect("a pipe");
    for fd in [&a, &b, &read, &write] {
        assert_quiet(fd.as_fd());
    }
    assert_eq!(socket::address(&a), Ok(Address::Unnamed));
}

#[test]
fn reads_and_writes_distinguish_bytes_would_block_and_the_end() {
    let _turn = alone();
    for (near, far) in [socket::pair().expect("a pair"), socket::pipe().expect("a pipe")] {
        let mut buffer = [0; 16];
        assert_eq!(socket::read(&near, &mut buffer), Ok(None));
        assert_eq!(socket::write(&far, b"hello"), Ok(Some(5)));
        assert_eq!(socket::read(&near, &mut buffer), Ok(Some(5)));
        assert_eq!(&buffer[..5], b"hello");
        assert_eq!(socket::read(&near, &mut []), Ok(Some(0)));
        let block = [0; 65_536];
        let mut written = 0;
        while let Some(count) = socket::write(&far, &block).expect("it is open") {
            written += count;
            assert!(written < 1 << 30, "it is never full");
        }
        assert!(written > 0);
        let mut read = 0;
        let mut large = vec![0; 1 << 20];
        while let Some(count) = socket::read(&near, &mut large).expect("it is open") {
            read += count;
        }
        assert_eq!(read, written);
        drop(far);
        assert_eq!(socket::read(&near, &mut buffer), Ok(Some(0)));
    }
}

#[test]
fn each_direction_can_be_shut_down() {
    let _turn = alone();
    let (near, far) = socket::pair().expect("a pair");
    socket::shutdown(&far, socket::Direction::Write).expect("it is connected");
    assert_eq!(socket::read(&near, &mut [0; 4]), Ok(Some(0)));
    assert_eq!(socket::write(&near, b"x"), Ok(Some(1)));
    socket::shutdown(&far, socket::Direction::Read).expect("it is connected");
    socket::shutdown(&near, socket::Direction::Both).expect("it is connected");
    let (pipe, _) = socket::pipe().expect("a pipe");
    let refused = socket::shutdown(&pipe, socket::Direction::Both).expect_err("it is no socket");
    assert_eq!(errno(&refused), (Errno::ENOTSOCK, "shutdown"));
}

#[test]
fn failures_name_the_call_and_the_descriptor() {
    let _turn = alone();
    let before = open_descriptors();
    let listener =
        socket::listen(&local("127.0.0.1"), &socket::BindOptions::default()).expect("a port is free");
    let taken = socket::address(&listener).expect("it is bound");
    let refused = socket::listen(&taken, &socket::BindOptions::default()).expect_err("it is taken");
    assert_eq!(errno(&refused), (Errno::EADDRINUSE, "bind"));
    let foreign = Address::internet("198.51.100.1", 0).expect("it is numeric");
    let refused = socket::listen(&foreign, &socket::BindOptions::default()).expect_err("it is not ours");
    assert_eq!(errno(&refused), (Errno::EADDRNOTAVAIL, "bind"));
    let refused = socket::peer(&listener).expect_err("a listener has no peer");
    assert_eq!(errno(&refused), (Errno::ENOTCONN, "getpeername"));
    let refused = socket::accept(socket::pair().expect("a pair").0).expect_err("it does not listen");
    assert_eq!(errno(&refused), (Errno::EINVAL, "accept"));
    let Error::System(refused) = socket::read(&listener, &mut [0; 4]).expect_err("a listener has no bytes")
    else {
        panic!("the kernel refused");
    };
    assert_eq!((refused.errno, refused.fd), (Errno::ENOTCONN as i32, Some(listener.as_raw_fd())));
    drop(listener);
    assert_eq!(open_descriptors(), before);
}

#[test]
fn a_port_is_shared_only_if_every_listener_sets_the_option() {
    let _turn = alone();
    let shared = socket::BindOptions { reuse_port: true, ..socket::BindOptions::default() };
    let first = socket::listen(&local("127.0.0.1"), &shared).expect("a port is free");
    let address = socket::address(&first).expect("it is bound");
    let _second = socket::listen(&address, &shared).expect("both agree");
    let refused = socket::listen(&address, &socket::BindOptions::default()).expect_err("this one does not");
    assert_eq!(errno(&refused), (Errno::EADDRINUSE, "bind"));
}

#[test]
fn an_ipv6_only_listener_leaves_the_ipv4_port_free() {
    let _turn = alone();
    let only = socket::BindOptions { ipv6_only: true, ..socket::BindOptions::default() };
    // Another process may use the port in IPv4, so the test searches for one that is free in both families.
    let is_left_free = || {
        let six = socket::listen(&local("::"), &only).expect("a port is free");
        let Ok(Address::Internet(address)) = socket::address(&six) else { panic!("it is bound") };
        let four = Address::internet("0.0.0.0", address.port()).expect("it is numeric");
        socket::listen(&four, &socket::BindOptions::default()).is_ok()
    };
    assert!((0..50).any(|_| is_left_free()));

    let both = socket::listen(&local("::"), &socket::BindOptions::default()).expect("a port is free");
    let Ok(Address::Internet(address)) = socket::address(&both) else { panic!("it is bound") };
    let client = Address::internet("127.0.0.1", address.port()).expect("it is numeric");
    let _client = socket::connect(&client).expect("it takes IPv4 too");
    await_readable(&both);
    assert!(socket::accept(&both).expect("it listens").is_some());
}

#[test]
fn the_blocking_mode_of_a_descriptor_can_be_changed() {
    let _turn = alone();
    let (near, _far) = socket::pair().expect("a pair");
    for blocking in [true, true, false, false] {
        socket::set_nonblocking(&near, !blocking).expect("it is open");
        let status = OFlag::from_bits_retain(fcntl(&near, FcntlArg::F_GETFL).expect("it is open"));
        assert_eq!(status.contains(OFlag::O_NONBLOCK), !blocking);
    }
}

#[test]
fn a_descriptor_can_be_made_close_on_exec() {
    let _turn = alone();
    let (read, write) = nix::unistd::pipe().expect("two descriptors are free");
    let is_set = |fd: &OwnedFd| fcntl(fd, FcntlArg::F_GETFD).expect("it is open") == nix::libc::FD_CLOEXEC;
    assert_eq!([&read, &write].map(is_set), [false, false]);
    for _ in 0..2 {
        socket::set_close_on_exec(&read).expect("it is open");
        assert_eq!([&read, &write].map(is_set), [true, false]);
    }
}

#[test]
fn close_reports_failures_and_releases_the_descriptor() {
    let _turn = alone();
    let before = open_descriptors();
    let (a, b) = socket::pair().expect("a pair");
    assert_eq!(socket::close(a), Ok(()));
    assert_eq!(socket::read(&b, &mut [0; 4]), Ok(Some(0)));
    assert_eq!(socket::close(b), Ok(()));
    assert_eq!(open_descriptors(), before);
}

#[test]
fn several_buffers_are_written_as_one() {
    let _turn = alone();
    let pieces = [b"one".as_slice(), b"", b"two"].map(IoSlice::new);
    for (near, far) in [socket::pair(), socket::pipe()].map(|made| made.expect("two descriptors")) {
        assert_eq!(socket::write_vectored(&far, &pieces), Ok(Some(6)));
        let mut buffer = [0; 16];
        assert_eq!(socket::read(&near, &mut buffer), Ok(Some(6)));
        assert_eq!(&buffer[..6], b"onetwo");
        let large = vec![0; 1 << 20];
        let pieces = [IoSlice::new(&large), IoSlice::new(&large)];
        while socket::write_vectored(&far, &pieces).expect("it is open").is_some() {}
        drop(near);
        let refusal = socket::write_vectored(&far, &pieces).expect_err("the peer has closed");
        assert!(refusal.to_string().contains("EPIPE"), "{refusal}");
    }
}
