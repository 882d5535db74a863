//! The kernel reports a reset once, and `splice` may drop the report. Then reads return 0, as at the end of a stream. The
//! tests drop the report by reading `SO_ERROR`.
#![cfg(target_os = "linux")]

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::time::Duration;

use event_base_net::{RelayOptions, RelayStats, SourceKey};
use socket2::SockRef;
use support::{Bed, connection, each_method};

/// Resets the connection of the server, and drops the kernel's report of it.
fn reset_silently(server: TcpStream, end: &OwnedFd) {
    SockRef::from(&server).set_linger(Some(Duration::ZERO)).expect("it is a socket");
    drop(server);
    while SockRef::from(end).take_error().expect("it is a socket").is_none() {}
}

/// A relay, its client and its server, and a second descriptor of the end at the server.
fn watched(bed: &mut Bed) -> (SourceKey, TcpStream, TcpStream, OwnedFd) {
    let (a, client) = connection();
    let (b, server) = connection();
    let end = b.try_clone().expect("descriptors are left");
    let key = bed.net.relay(a, b, RelayOptions::default()).expect("two sockets can be relayed");
    (key, client, server, end)
}

/// Sends until the relay holds bytes of this direction.
fn fill(bed: &mut Bed, key: SourceKey, mut sender: &TcpStream, held: fn(&RelayStats) -> usize) {
    sender.set_nonblocking(true).expect("it is a socket");
    while held(&bed.net.stats(key).expect("it runs")) == 0 {
        while sender.write(&[7; 65_536]).is_ok() {}
        bed.run_for(Duration::from_millis(1));
    }
}

/// Reads at the client until the relay has ended, and then what is left. The client must not find an end.
fn assert_cut(bed: &mut Bed, mut client: TcpStream, method: &str) {
    client.set_nonblocking(true).expect("it is a socket");
    let mut completions = Vec::new();
    while completions.is_empty() {
        while client.read(&mut [0; 65_536]).is_ok_and(|count| count > 0) {}
        completions = bed.run_for(Duration::from_millis(1));
    }
    client.set_nonblocking(false).expect("it is a socket");
    let failure = client.read_to_end(&mut Vec::new()).expect_err("a reset is not an end");
    assert_eq!(failure.kind(), ErrorKind::ConnectionReset, "{method}");
}

#[test]
fn a_reset_whose_report_was_dropped_is_not_passed_on_as_an_end() {
    each_method(|method, bed| {
        let (key, client, server, end) = watched(bed);
        fill(bed, key, &client, |stats| stats.held_a_to_b);
        reset_silently(server, &end);
        assert_cut(bed, client, method);
    });
}

/// The relay does not read from the end when a write to it fails.
#[test]
fn a_reset_whose_report_was_dropped_is_not_passed_on_as_an_end_behind_bytes_that_are_held() {
    each_method(|method, bed| {
        let (key, client, server, end) = watched(bed);
        fill(bed, key, &client, |stats| stats.held_a_to_b);
        fill(bed, key, &server, |stats| stats.held_b_to_a);
        reset_silently(server, &end);
        bed.run_for(Duration::from_millis(1));
        assert_cut(bed, client, method);
    });
}
