//! Where `splice` fails, the relay copies.

#![cfg(target_os = "linux")]

mod support;

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsRawFd, OwnedFd};
use std::thread;
use std::time::{Duration, Instant};

use event_base_net::{EndReason, RelayOptions, Transfer, socket};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::{MsgFlags, send};
use support::{Bed, PATIENCE, alone, connection, each_method, open_descriptors, pattern};

fn spliced() -> RelayOptions {
    RelayOptions { transfer: Transfer::Splice, ..RelayOptions::default() }
}

fn counter(start: u32) -> OwnedFd {
    EventFd::from_value_and_flags(start, EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)
        .expect("an eventfd can be made")
        .into()
}

/// An eventfd can be read and written, but not spliced.
#[test]
fn descriptors_that_cannot_be_spliced_are_copied() {
    let _turn = alone();
    let mut bed = Bed::new();
    let (near, far) = socket::pair().expect("a pair");
    let eventfd = counter(7);
    let watched = eventfd.try_clone().expect("a descriptor is free");
    let key = bed.net.relay(near, eventfd, spliced()).expect("both can be watched");
    bed.run_to(|bed| bed.net.stats(key).expect("it is running").bytes_b_to_a == 8);
    let mut number = [0; 8];
    assert_eq!(socket::read(&far, &mut number), Ok(Some(8)));
    assert_eq!(u64::from_ne_bytes(number), 7);

    // What is written to it is read from it again, and so returns to the pair.
    assert_eq!(socket::write(&far, &9_u64.to_ne_bytes()), Ok(Some(8)));
    let mut sum = 0;
    bed.run_to(|_| {
        while let Some(count) = socket::read(&far, &mut number).expect("it is open") {
            assert_eq!(count, 8);
            sum += u64::from_ne_bytes(number);
        }
        sum == 9
    });
    assert_eq!(bed.net.stats(key).expect("it is running").bytes_spliced, 0);
    bed.net.close(key).expect("it is running");
    bed.run_to_end(key);
    drop(watched);
}

/// `splice` to a descriptor in append mode is refused (splice(2), EINVAL), and a socket can be put into that
/// mode while its pipe is full.
#[test]
fn no_byte_is_lost_when_splice_is_refused_within_a_stream() {
    each_method(|method, bed| {
        const SIZE: usize = 16 << 20;
        let (a, mut client) = connection();
        let (b, mut server) = connection();
        let sink = b.try_clone().expect("a descriptor is free");
        let key = bed.net.relay(a, b, spliced()).expect("both can be watched");
        let sending = thread::spawn(move || {
            client.write_all(&pattern(SIZE, 3)).expect("the relay reads");
            client.shutdown(Shutdown::Write).expect("it is connected");
            client.read_to_end(&mut Vec::new()).expect("the stream ends properly");
        });
        bed.run_to(|bed| bed.net.stats(key).expect("it is running").held_a_to_b > 0);
        let until_then = bed.net.stats(key).expect("it is running");
        assert!(until_then.bytes_spliced > 0, "{method}");
        let flags = OFlag::from_bits_retain(fcntl(&sink, FcntlArg::F_GETFL).expect("it is open"));
        fcntl(&sink, FcntlArg::F_SETFL(flags | OFlag::O_APPEND)).expect("a socket has flags");
        drop(sink);

        let reading = thread::spawn(move || {
            let mut received = Vec::new();
            server.read_to_end(&mut received).expect("the stream ends properly");
            assert!(received == pattern(SIZE, 3), "bytes differ");
        });
        let end = bed.run_to_end(key);
        assert_eq!((end.reason, end.bytes_a_to_b), (EndReason::End, SIZE as u64), "{method}");
        assert_eq!(end.bytes_spliced, until_then.bytes_spliced, "{method}: spliced after a refusal");
        reading.join().expect("the server does not panic");
        sending.join().expect("the client does not panic");
    });
}

#[test]
fn a_relay_copies_when_no_pipe_can_be_opened() {
    let _turn = alone();
    let mut bed = Bed::new();
    let (key, mut client, mut server) = bed.relay(spliced());
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a process has limits");
    // Below the descriptors that are open: no number is free.
    setrlimit(Resource::RLIMIT_NOFILE, 3, hard).expect("a soft limit may be lowered");
    client.write_all(&[7; 100_000]).expect("the relay reads");
    let moved = loop {
        let completions = bed.run_for(Duration::from_millis(5));
        let stats = bed.net.stats(key);
        if !completions.is_empty() || stats.is_ok_and(|stats| stats.bytes_a_to_b == 100_000) {
            break stats;
        }
    };
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).expect("a soft limit may be raised to where it was");
    let moved = moved.expect("it is running");
    assert_eq!((moved.bytes_a_to_b, moved.bytes_spliced), (100_000, 0));
    let mut received = vec![0; 100_000];
    server.read_exact(&mut received).expect("the bytes arrive");
    assert!(received.iter().all(|byte| *byte == 7));
    assert!(open_descriptors() > 3);
}

/// On Linux `splice` returns `EAGAIN` in front of urgent data, or 0 as at the end of the stream. splice(2) documents
/// neither.
#[test]
fn urgent_data_does_not_end_a_stream_or_keep_the_loop_busy() {
    each_method(|method, bed| {
        let (key, mut client, mut server) = bed.relay(spliced());
        client.write_all(b"before").expect("the relay reads");
        send(client.as_raw_fd(), b"!", MsgFlags::MSG_OOB).expect("TCP has it");
        bed.run_to(|bed| bed.net.stats(key).expect("it is running").bytes_a_to_b == 6);
        // A busy loop would always dispatch events.
        let give_up = Instant::now() + PATIENCE;
        while {
            let handed = bed.handed;
            assert!(bed.run_for(Duration::from_millis(50)).is_empty(), "{method}");
            bed.handed != handed
        } {
            assert!(Instant::now() < give_up, "{method}: never at rest");
        }
        client.write_all(b" and after").expect("the relay reads");
        client.shutdown(Shutdown::Write).expect("it is connected");
        let reading = thread::spawn(move || {
            let mut received = Vec::new();
            server.read_to_end(&mut received).expect("the stream ends properly");
            received
        });
        let end = bed.run_to_end(key);
        assert_eq!((end.reason, end.bytes_a_to_b), (EndReason::End, 16), "{method}");
        assert_eq!(reading.join().expect("the server does not panic"), b"before and after", "{method}");
        drop(client);
    });
}
