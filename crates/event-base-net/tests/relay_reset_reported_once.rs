//! The kernel reports a reset once. After a write has returned it, reads return 0, as at the end of a stream. `splice`
//! may drop the report; the tests drop it by reading `SO_ERROR`.

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::time::Duration;

use event_base_net::{EndReason, RelayOptions, RelayStats, SourceKey};
use nix::errno::Errno;
use socket2::SockRef;
use support::{Bed, connection, each_method, errno};

#[test]
fn a_reset_that_a_write_returned_is_not_passed_on_as_an_end() {
    each_method(|method, bed| {
        let (key, mut client, mut server) = bed.relay(RelayOptions::default());
        // The answer arrives first, so that the relay writes to the connection before it reads from it.
        server.write_all(b"an answer").expect("it is connected");
        client.write_all(b"half a request").expect("it is connected");
        SockRef::from(&client).set_linger(Some(Duration::ZERO)).expect("it is a socket");
        drop(client);

        let end = bed.run_to_end(key);
        assert_eq!(end.reason, EndReason::Error, "{method}");
        assert_eq!(errno(&end.error.expect("it failed")).0, Errno::ECONNRESET, "{method}");
        let mut received = Vec::new();
        let failure = server.read_to_end(&mut received).expect_err("a reset is not an end");
        assert_eq!(failure.kind(), ErrorKind::ConnectionReset, "{method}");
        assert!(b"half a request".starts_with(&received), "{method}");
    });
}

/// Resets the connection of the server, and drops the kernel's report of it.
#[cfg(target_os = "linux")]
fn reset_silently(server: TcpStream, end: &OwnedFd) {
    SockRef::from(&server).set_linger(Some(Duration::ZERO)).expect("it is a socket");
    drop(server);
    while SockRef::from(end).take_error().expect("it is a socket").is_none() {}
}

/// A relay, its client and its server, and a second descriptor of the end at the server.
#[cfg(target_os = "linux")]
fn watched(bed: &mut Bed) -> (SourceKey, TcpStream, TcpStream, OwnedFd) {
    let (a, client) = connection();
    let (b, server) = connection();
    let end = b.try_clone().expect("descriptors are left");
    let key = bed.net.relay(a, b, RelayOptions::default()).expect("two sockets can be relayed");
    (key, client, server, end)
}

/// Sends until the relay holds bytes of this direction.
#[cfg(target_os = "linux")]
fn fill(bed: &mut Bed, key: SourceKey, mut sender: &TcpStream, held: fn(&RelayStats) -> usize) {
    sender.set_nonblocking(true).expect("it is a socket");
    while held(&bed.net.stats(key).expect("it runs")) == 0 {
        while sender.write(&[7; 65_536]).is_ok() {}
        bed.run_for(Duration::from_millis(1));
    }
}

/// Reads at the client until the relay has ended, and then what is left. The client must not find an end.
#[cfg(target_os = "linux")]
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
#[cfg(target_os = "linux")]
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
#[cfg(target_os = "linux")]
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

#[test]
fn a_stream_that_ended_properly_stays_complete_when_a_later_write_fails() {
    each_method(|method, bed| {
        let (key, mut client, mut server) = bed.relay(RelayOptions::default());
        client.write_all(b"a request").expect("it is connected");
        // A proper end. Only a write finds out that the peer accepts nothing more.
        drop(client);
        let mut received = [0; 9];
        bed.run_to(|bed| bed.net.stats(key).expect("it runs").bytes_a_to_b == 9);
        server.read_exact(&mut received).expect("it arrives");
        assert_eq!(&received, b"a request", "{method}");
        for _ in 0..2 {
            server.write_all(b"an answer").expect("it is connected");
            let completions = bed.run_for(Duration::from_millis(10));
            if !completions.is_empty() {
                break;
            }
        }
        assert_eq!(server.read(&mut received).expect("the stream ends properly"), 0, "{method}");
    });
}
