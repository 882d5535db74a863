//! When a peer resets its connection, the relay ends, the other peer is reset, and nothing is left.

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use event_base::Features;
use event_base_net::{EndReason, RelayOptions};
use nix::errno::Errno;
use socket2::SockRef;
use support::{each_method, errno, open_descriptors, read_to_reset};

/// Closes the connection with a reset.
fn reset(stream: TcpStream) {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("it is a socket");
}

#[test]
fn a_reset_is_passed_on_as_a_reset() {
    each_method(|method, bed| {
        let before = open_descriptors();
        let (key, mut client, mut server) = bed.relay(RelayOptions::default());
        client.write_all(b"half a mess").expect("the relay reads");
        bed.run_to(|bed| bed.net.stats(key).expect("it is running").bytes_a_to_b == 11);
        reset(client);
        let end = bed.run_to_end(key);
        assert_eq!(end.reason, EndReason::Error, "{method}");
        assert_eq!(errno(&end.error.expect("it failed")), (Errno::ECONNRESET, "read"), "{method}");
        assert_eq!(end.bytes_a_to_b, 11, "{method}");

        server.read_exact(&mut [0; 11]).expect("what was passed on is there");
        let cut = server.read(&mut [0; 8]).expect_err("the stream broke off");
        assert_eq!(cut.kind(), ErrorKind::ConnectionReset, "{method}");
        drop(server);
        assert_eq!(open_descriptors(), before, "{method}");
    });
}

#[test]
fn bytes_that_arrived_before_a_reset_are_delivered_to_a_full_sink() {
    each_method(|method, bed| {
        if !bed.base.features().expect("the base is open").contains(Features::EARLY_CLOSE) {
            return;
        }
        let (key, client, mut server) = bed.relay(RelayOptions::default());
        client.set_nonblocking(true).expect("it is a socket");
        // Until neither the relay nor the kernel accepts more.
        let mut quiet = 0;
        while quiet < 3 || bed.net.stats(key).expect("it is running").held_a_to_b == 0 {
            quiet = if (&client).write(&[5; 65_536]).is_ok() { 0 } else { quiet + 1 };
            bed.run_for(Duration::from_millis(10));
        }
        reset(client);
        let stats = bed.net.stats(key).expect("it is running");
        let read = stats.bytes_a_to_b + stats.held_a_to_b as u64;
        // The sink is full, so the reset waits behind the bytes.
        assert!(bed.run_for(Duration::from_millis(50)).is_empty(), "{method}");
        let reading = thread::spawn(move || read_to_reset(&mut server));
        let end = bed.run_to_end(key);
        assert_eq!(end.reason, EndReason::Error, "{method}");
        assert_eq!(errno(&end.error.expect("it failed")).0, Errno::ECONNRESET, "{method}");
        let received = reading.join().expect("the server does not panic");
        assert_eq!(received.len() as u64, end.bytes_a_to_b, "{method}");
        assert!(end.bytes_a_to_b > read, "{method}: what the kernel held was dropped");
    });
}

#[test]
fn a_reset_of_a_full_sink_is_noticed() {
    each_method(|method, bed| {
        let before = open_descriptors();
        let (key, client, server) = bed.relay(RelayOptions::default());
        client.set_nonblocking(true).expect("it is a socket");
        let mut quiet = 0;
        while quiet < 3 {
            quiet = if (&client).write(&[5; 65_536]).is_ok() { 0 } else { quiet + 1 };
            bed.run_for(Duration::from_millis(10));
        }
        reset(server);
        let end = bed.run_to_end(key);
        assert_eq!(end.reason, EndReason::Error, "{method}");
        drop(client);
        assert_eq!(open_descriptors(), before, "{method}");
    });
}

#[test]
fn resets_of_both_peers_are_one_completion() {
    each_method(|method, bed| {
        let before = open_descriptors();
        let (key, client, server) = bed.relay(RelayOptions::default());
        reset(client);
        reset(server);
        assert_eq!(bed.run_to_end(key).reason, EndReason::Error, "{method}");
        assert!(bed.run_for(Duration::from_millis(30)).is_empty(), "{method}");
        assert_eq!(open_descriptors(), before, "{method}");
    });
}
