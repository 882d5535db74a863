//! A peer that does not read slows the other one, and costs a bounded amount of memory and no processor time.

mod support;

use std::io::{Read, Write};
use std::net::Shutdown;
use std::thread;
use std::time::Duration;

use event_base_net::{EndReason, RelayOptions};
use support::{each_method, pattern};

#[test]
fn a_source_is_not_read_while_its_sink_is_full() {
    each_method(|method, bed| {
        let (key, client, mut server) = bed.relay(RelayOptions::default());
        let bytes = pattern(24 << 20, 3);
        let sent = bytes.clone();
        let sending = thread::spawn(move || {
            let mut client = client;
            client.write_all(&sent).expect("the relay reads in the end");
            client.shutdown(Shutdown::Write).expect("it is connected");
            client
        });

        bed.run_to(|bed| bed.net.stats(key).expect("it is running").held_a_to_b > 0);
        let busy = bed.run_at_rest(key, Duration::from_millis(400));
        let stuck = bed.net.stats(key).expect("it is running");
        assert!(stuck.bytes_a_to_b < 20 << 20, "{method}: the kernel's buffers took {}", stuck.bytes_a_to_b);
        assert!(stuck.held_a_to_b <= 256 * 1024, "{method}: {} bytes held", stuck.held_a_to_b);
        assert!(busy < Duration::from_millis(100), "{method}: busy for {busy:?} with nothing to do");

        let reading = thread::spawn(move || {
            let mut received = Vec::new();
            server.read_to_end(&mut received).expect("the stream ends properly");
            assert!(received == bytes);
        });
        let end = bed.run_to_end(key);
        assert_eq!((end.reason, end.error), (EndReason::End, None));
        assert_eq!(end.bytes_a_to_b, 24 << 20);
        reading.join().expect("the server does not panic");
        sending.join().expect("the client does not panic");
    });
}

#[test]
fn one_direction_continues_while_the_other_is_full() {
    each_method(|_, bed| {
        let (key, client, server) = bed.relay(RelayOptions::default());
        let mut writer = client.try_clone().expect("a descriptor is free");
        // The server does not read, so this thread is blocked until the relay is closed.
        let stuck = thread::spawn(move || while writer.write(&[1; 65_536]).is_ok() {});
        bed.run_to(|bed| bed.net.stats(key).expect("it is running").held_a_to_b > 0);

        let back = pattern(2_000_000, 9);
        let sent = back.clone();
        let answering = thread::spawn(move || {
            let mut server = server;
            server.write_all(&sent).expect("the relay reads");
            server
        });
        let reading = thread::spawn(move || {
            let mut client = client;
            let mut received = vec![0; back.len()];
            client.read_exact(&mut received).expect("the bytes arrive");
            assert!(received == back);
        });
        while !reading.is_finished() {
            bed.run_for(Duration::from_millis(20));
        }
        reading.join().expect("the client does not panic");
        let server = answering.join().expect("the server does not panic");
        bed.net.close(key).expect("it is running");
        assert_eq!(bed.run_to_end(key).reason, EndReason::Closed);
        stuck.join().expect("the sender was stopped");
        drop(server);
    });
}
