//! A paused relay reads nothing, delivers what it holds, and continues when it is resumed.

mod support;

use std::io::{Read, Write};
use std::net::Shutdown;
use std::thread;
use std::time::Duration;

use event_base::{Error, Features};
use event_base_net::{EndReason, RateLimit, RelayOptions, Transfer};
use nix::errno::Errno;
use socket2::SockRef;
use support::{each_method, errno, pattern};

#[test]
fn nothing_is_read_until_it_is_resumed() {
    each_method(|method, bed| {
        let idle = Duration::from_millis(40);
        let (key, mut client, mut server) =
            bed.relay(RelayOptions { idle_timeout: Some(idle), ..RelayOptions::default() });
        bed.net.pause(key).expect("it is running");
        bed.net.pause(key).expect("it is running");
        client.write_all(b"question").expect("the kernel takes it");
        client.shutdown(Shutdown::Write).expect("it is connected");
        server.write_all(b"answer").expect("the kernel takes it");
        server.shutdown(Shutdown::Write).expect("it is connected");
        // Much longer than the idle timeout, which is suspended.
        assert!(bed.run_for(idle * 8).is_empty(), "{method}");
        let stats = bed.net.stats(key).expect("it is running");
        assert_eq!((stats.bytes_a_to_b, stats.bytes_b_to_a), (0, 0), "{method}");

        bed.net.resume(key).expect("it is running");
        bed.net.resume(key).expect("it is running");
        let end = bed.run_to_end(key);
        assert_eq!((end.reason, end.error), (EndReason::End, None), "{method}");
        assert_eq!((end.bytes_a_to_b, end.bytes_b_to_a), (8, 6), "{method}");
        assert_eq!(bed.net.pause(key), Err(Error::Closed), "{method}");
        assert_eq!(bed.net.resume(key), Err(Error::Closed), "{method}");
    });
}

#[test]
fn the_idle_timeout_starts_again_when_the_relay_is_resumed() {
    each_method(|method, bed| {
        let idle = Duration::from_millis(40);
        let (key, _client, _server) =
            bed.relay(RelayOptions { idle_timeout: Some(idle), ..RelayOptions::default() });
        bed.net.pause(key).expect("it is running");
        assert!(bed.run_for(idle * 4).is_empty(), "{method}");
        bed.net.resume(key).expect("it is running");
        let resumed = bed.net.stats(key).expect("it is running").duration;
        let end = bed.run_to_end(key);
        assert_eq!(end.reason, EndReason::Idle, "{method}");
        assert!(end.duration >= resumed + idle, "{method}: {resumed:?}, {:?}", end.duration);
    });
}

#[test]
fn held_bytes_are_written_while_paused() {
    each_method(|method, bed| {
        for transfer in [Transfer::Copy, Transfer::Splice] {
            const SIZE: usize = 24 << 20;
            let (key, mut client, mut server) =
                bed.relay(RelayOptions { transfer, ..RelayOptions::default() });
            let sending = thread::spawn(move || {
                client.write_all(&pattern(SIZE, 1)).expect("the relay reads in the end");
                client.shutdown(Shutdown::Write).expect("it is connected");
                client.read_to_end(&mut Vec::new()).expect("the stream ends properly");
            });
            bed.run_to(|bed| bed.net.stats(key).expect("it is running").held_a_to_b > 0);
            bed.net.pause(key).expect("it is running");
            let stuck = bed.net.stats(key).expect("it is running");
            let known = stuck.bytes_a_to_b as usize + stuck.held_a_to_b;
            let mut received = vec![0; known];
            let reading = thread::spawn(move || {
                server.read_exact(&mut received).expect("what was read arrives");
                (received, server)
            });
            bed.run_to(|bed| bed.net.stats(key).expect("it is running").held_a_to_b == 0);
            let (mut received, mut server) = reading.join().expect("the server does not panic");
            bed.run_for(Duration::from_millis(20));
            assert_eq!(bed.net.stats(key).expect("it is running").bytes_a_to_b, known as u64, "{method}");

            bed.net.resume(key).expect("it is running");
            let reading = thread::spawn(move || {
                server.read_to_end(&mut received).expect("the stream ends properly");
                assert!(received == pattern(SIZE, 1), "bytes differ");
            });
            let end = bed.run_to_end(key);
            assert_eq!((end.reason, end.bytes_a_to_b), (EndReason::End, SIZE as u64), "{method}");
            reading.join().expect("the server does not panic");
            sending.join().expect("the client does not panic");
        }
    });
}

#[test]
fn a_relay_that_waits_for_tokens_can_be_paused() {
    each_method(|method, bed| {
        let limit = Some(RateLimit { rate: 1000, burst: 10 });
        let (key, mut client, mut server) = bed.relay(RelayOptions { limit, ..RelayOptions::default() });
        client.write_all(&[3; 60]).expect("the relay reads");
        client.shutdown(Shutdown::Write).expect("it is connected");
        bed.run_to(|bed| bed.net.stats(key).expect("it is running").bytes_a_to_b > 0);
        bed.net.pause(key).expect("it is running");
        let moved = bed.net.stats(key).expect("it is running").bytes_a_to_b;
        assert!(bed.run_for(Duration::from_millis(100)).is_empty(), "{method}");
        assert_eq!(bed.net.stats(key).expect("it is running").bytes_a_to_b, moved, "{method}");
        bed.net.resume(key).expect("it is running");
        server.shutdown(Shutdown::Write).expect("it is connected");
        let end = bed.run_to_end(key);
        assert_eq!((end.reason, end.bytes_a_to_b), (EndReason::End, 60), "{method}");
        let mut received = Vec::new();
        server.read_to_end(&mut received).expect("the stream ends properly");
        assert_eq!(received, [3; 60], "{method}");
    });
}

#[test]
fn a_reset_is_noticed_while_paused() {
    each_method(|method, bed| {
        if !bed.base.features().expect("the base is open").contains(Features::EARLY_CLOSE) {
            return;
        }
        let (key, client, _server) = bed.relay(RelayOptions::default());
        bed.net.pause(key).expect("it is running");
        SockRef::from(&client).set_linger(Some(Duration::ZERO)).expect("it is a socket");
        drop(client);
        let end = bed.run_to_end(key);
        assert_eq!(errno(&end.error.expect("it failed")), (Errno::ECONNRESET, "read"), "{method}");
    });
}
