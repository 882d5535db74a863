//! Bytes that were read before the relay was created are written first.

mod support;

use std::io::{Read, Write};
use std::net::Shutdown;
use std::thread;

use event_base_net::{EndReason, RateLimit, RelayOptions, Transfer};
use nix::errno::Errno;
use support::{connection, each_method, errno, open_descriptors, pattern};

#[test]
fn a_prefix_is_delivered_first_in_each_direction() {
    each_method(|method, bed| {
        for transfer in [Transfer::Copy, Transfer::Splice] {
            let (key, mut client, mut server) = bed.relay(RelayOptions {
                prefix_a_to_b: b"hello ".to_vec(),
                prefix_b_to_a: b"welcome ".to_vec(),
                transfer,
                ..RelayOptions::default()
            });
            client.write_all(b"server").expect("the relay reads");
            server.write_all(b"client").expect("the relay reads");
            client.shutdown(Shutdown::Write).expect("it is connected");
            server.shutdown(Shutdown::Write).expect("it is connected");
            let end = bed.run_to_end(key);
            assert_eq!((end.reason, end.error), (EndReason::End, None), "{method}");
            assert_eq!((end.bytes_a_to_b, end.bytes_b_to_a), (12, 14), "{method}");
            let mut received = String::new();
            server.read_to_string(&mut received).expect("the stream ends properly");
            assert_eq!(received, "hello server", "{method}");
            received.clear();
            client.read_to_string(&mut received).expect("the stream ends properly");
            assert_eq!(received, "welcome client", "{method}");
        }
    });
}

/// More than the kernel accepts in one write.
#[test]
fn a_large_prefix_waits_for_its_sink_and_the_source_is_not_read_meanwhile() {
    each_method(|method, bed| {
        const PREFIX: usize = 20 << 20;
        let (key, mut client, mut server) = bed.relay(RelayOptions {
            prefix_a_to_b: pattern(PREFIX, 1),
            // It costs no tokens.
            limit: Some(RateLimit { rate: 1 << 20, burst: 1 << 20 }),
            ..RelayOptions::default()
        });
        let stats = bed.net.stats(key).expect("it is running");
        assert!(stats.held_a_to_b > 0 && stats.bytes_a_to_b > 0, "{method}: {stats:?}");
        assert_eq!(stats.held_a_to_b as u64 + stats.bytes_a_to_b, PREFIX as u64, "{method}");
        client.write_all(&pattern(100_000, 2)).expect("it is connected");
        client.shutdown(Shutdown::Write).expect("it is connected");
        bed.run_to(|bed| bed.handed > 0 || bed.net.stats(key).is_ok());
        assert!(bed.net.stats(key).expect("it is running").bytes_a_to_b < PREFIX as u64, "{method}");
        let reading = thread::spawn(move || {
            let mut received = Vec::new();
            server.read_to_end(&mut received).expect("the stream ends properly");
            received
        });
        let end = bed.run_to_end(key);
        assert_eq!((end.reason, end.bytes_a_to_b), (EndReason::End, PREFIX as u64 + 100_000), "{method}");
        let received = reading.join().expect("the server does not panic");
        assert!(received[..PREFIX] == pattern(PREFIX, 1), "{method}: bytes differ");
        assert!(received[PREFIX..] == pattern(100_000, 2), "{method}: bytes differ");
        drop(client);
    });
}

#[test]
fn a_sink_that_closed_before_its_prefix_ends_that_direction_only() {
    each_method(|method, bed| {
        let before = open_descriptors();
        let (a, b) = event_base_net::socket::pair().expect("a pair");
        let (near, mut client) = connection();
        drop(b);
        let options = RelayOptions { prefix_a_to_b: b"too late".to_vec(), ..RelayOptions::default() };
        let key = bed.net.relay(near, a, options).expect("both can be watched");
        let end = bed.run_to_end(key);
        assert_eq!(end.reason, EndReason::Error, "{method}");
        assert_eq!(errno(&end.error.expect("it failed")), (Errno::EPIPE, "write"), "{method}");
        assert_eq!(end.bytes_a_to_b, 0, "{method}");
        assert_eq!(client.read(&mut [0; 8]).unwrap_or_default(), 0, "{method}");
        drop(client);
        assert_eq!(open_descriptors(), before, "{method}");
    });
}

#[test]
fn the_prefix_of_a_relay_that_is_closed_or_refused_is_dropped() {
    each_method(|method, bed| {
        let before = open_descriptors();
        let prefix = || RelayOptions { prefix_b_to_a: pattern(20 << 20, 3), ..RelayOptions::default() };
        let (key, client, server) = bed.relay(prefix());
        bed.net.close(key).expect("it is running");
        assert_eq!(bed.run_to_end(key).reason, EndReason::Closed, "{method}");
        drop((client, server));
        if !bed.base.features().expect("the base is open").contains(event_base::Features::FDS) {
            let (near, _client) = connection();
            let file = std::fs::File::open("Cargo.toml").expect("it is there");
            let refused = bed.net.relay(near, file.into(), prefix()).expect_err("a file is always ready");
            assert_eq!(errno(&refused).0, Errno::EPERM, "{method}");
        }
        assert_eq!(open_descriptors(), before, "{method}");
    });
}
