//! A stream is spliced while its pieces are large, and copied while they are small.

#![cfg(target_os = "linux")]

mod support;

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use event_base_net::{Completion, EndReason, RelayOptions, RelayStats, SourceKey, Transfer, socket};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::stat::Mode;
use support::{Bed, alone, each_method, open_descriptors, pattern};

/// A FIFO that holds a mebibyte, open for both directions.
fn roomy_fifo(name: &str) -> OwnedFd {
    let folder = std::env::temp_dir().join(format!("event-base-net-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("the folder can be made");
    let path = folder.join("fifo");
    nix::unistd::mkfifo(&path, Mode::S_IRWXU).expect("a FIFO can be made");
    let flags = OFlag::O_RDWR | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let fifo = nix::fcntl::open(&path, flags, Mode::empty()).expect("it opens");
    fcntl(&fifo, FcntlArg::F_SETPIPE_SZ(1 << 20)).expect("a mebibyte is what everybody may have");
    std::fs::remove_dir_all(folder).expect("the folder can be removed");
    fifo
}

fn stats(bed: &Bed, key: SourceKey) -> RelayStats {
    bed.net.stats(key).expect("it is running")
}

/// The source has all bytes of a piece before the relay reads, so that the size of each piece is known.
#[test]
fn large_pieces_are_spliced_and_small_ones_are_copied() {
    let _turn = alone();
    let source = roomy_fifo("source");
    let write = source.try_clone().expect("a descriptor is free");
    let (near, far) = socket::pair().expect("a pair");
    let mut bed = Bed::new();
    let key = bed.net.relay(source, near, RelayOptions::default()).expect("both can be watched");

    let mut sent = 0;
    let mut send = |bed: &mut Bed, length: usize, seed: u64| {
        let bytes = pattern(length, seed);
        assert_eq!(socket::write(&write, &bytes), Ok(Some(length)));
        sent += length as u64;
        let mut back = Vec::new();
        while back.len() < length {
            bed.run_for(Duration::ZERO);
            let mut part = vec![0; length];
            while let Some(count) = socket::read(&far, &mut part).expect("it is open") {
                back.extend_from_slice(&part[..count]);
            }
        }
        assert!(back == bytes, "bytes differ");
        let stats = stats(bed, key);
        assert_eq!((stats.bytes_a_to_b, stats.held_a_to_b), (sent, 0));
        stats.bytes_spliced
    };

    assert_eq!(send(&mut bed, 100, 1), 0);
    assert_eq!(send(&mut bed, 65_536, 2), 0);
    assert_eq!(send(&mut bed, 65_536, 3), 0);
    // Two large pieces in a row were copied; from here on everything is spliced.
    assert_eq!(send(&mut bed, 65_536, 4), 65_536);
    for round in 1..=4 {
        assert_eq!(send(&mut bed, 10, 4 + round), 65_536 + 10 * round);
    }
    // Four small ones in a row were spliced.
    assert_eq!(send(&mut bed, 10, 9), 65_536 + 40);
    bed.net.close(key).expect("it is running");
    assert_eq!(bed.run_to_end(key).bytes_spliced, 65_536 + 40);
}

#[test]
fn a_fixed_transfer_is_used_for_everything() {
    each_method(|method, bed| {
        for transfer in [Transfer::Copy, Transfer::Splice] {
            let (key, mut client, mut server) =
                bed.relay(RelayOptions { transfer, ..RelayOptions::default() });
            let bytes = pattern(2_000_000, 1);
            let sent = bytes.clone();
            let sending = thread::spawn(move || {
                client.write_all(&sent).expect("the relay reads");
                client.shutdown(Shutdown::Write).expect("it is connected");
                client.read_to_end(&mut Vec::new()).expect("the stream ends properly");
            });
            let reading = thread::spawn(move || {
                let mut received = Vec::new();
                server.read_to_end(&mut received).expect("the stream ends properly");
                received
            });
            let end = bed.run_to_end(key);
            assert_eq!((end.reason, end.bytes_a_to_b), (EndReason::End, 2_000_000), "{method}");
            // The read that follows an empty splice may find bytes that have just arrived.
            assert_eq!(end.bytes_spliced > 0, transfer == Transfer::Splice, "{method}");
            assert!(reading.join().expect("the server does not panic") == bytes, "{method}: bytes differ");
            sending.join().expect("the client does not panic");
        }
    });
}

/// The bytes that a full sink did not take are dropped with the relay, and their pipe is closed.
#[test]
fn a_relay_that_ends_with_bytes_in_its_pipe_closes_the_pipe() {
    each_method(|method, bed| {
        let before = open_descriptors();
        let (key, client, server) =
            bed.relay(RelayOptions { transfer: Transfer::Splice, ..RelayOptions::default() });
        client.set_nonblocking(true).expect("it is a socket");
        let open = open_descriptors();
        bed.run_to(|bed| {
            while (&client).write(&[5; 65_536]).is_ok() {}
            stats(bed, key).held_a_to_b > 0
        });
        assert_eq!(open_descriptors(), open + 2, "{method}: one pipe is in use");
        bed.net.close(key).expect("it is running");
        assert_eq!(bed.run_to_end(key).reason, EndReason::Closed, "{method}");
        drop((client, server));
        assert_eq!(open_descriptors(), before, "{method}");
    });
}

/// More sinks are full than pipes may be in use: the other relays copy, nothing is lost, and every pipe is closed.
#[test]
fn the_number_of_pipes_is_bounded_and_the_last_relay_closes_them() {
    const RELAYS: usize = 40;
    const SIZE: usize = 2 << 20;
    let _turn = alone();
    let before = open_descriptors();
    let mut bed = Bed::new();
    let base = open_descriptors() - before;
    let mut servers = Vec::new();
    let mut senders = Vec::new();
    let mut keys = Vec::new();
    for index in 0..RELAYS {
        // The kernel buffers less for unix sockets than what is sent.
        let (a, mut client) = UnixStream::pair().expect("a pair");
        let (b, server) = UnixStream::pair().expect("a pair");
        let options = RelayOptions { transfer: Transfer::Splice, ..RelayOptions::default() };
        keys.push(bed.net.relay(a.into(), b.into(), options).expect("both can be watched"));
        servers.push(server);
        senders.push(thread::spawn(move || {
            client.write_all(&pattern(SIZE, index as u64 + 1)).expect("the relay reads");
            client.shutdown(Shutdown::Write).expect("it is connected");
            client.read_to_end(&mut Vec::new()).expect("the stream ends properly");
        }));
    }
    bed.run_to(|bed| keys.iter().all(|key| stats(bed, *key).held_a_to_b > 0));
    // Four descriptors for each relay, and two for each of at most 32 pipes.
    let pipes = open_descriptors() - before - base - RELAYS * 4;
    assert!((1..=64).contains(&pipes) && pipes.is_multiple_of(2), "{pipes} descriptors of pipes");

    let readers = servers.into_iter().enumerate().map(|(index, mut server)| {
        thread::spawn(move || {
            let mut received = Vec::new();
            server.read_to_end(&mut received).expect("the stream ends properly");
            assert!(received == pattern(SIZE, index as u64 + 1), "bytes differ");
        })
    });
    let readers: Vec<_> = readers.collect();
    let mut left = RELAYS;
    bed.run_until(|_, completion| {
        let Completion::RelayEnded { end, .. } = completion else { panic!("unexpected: {completion:?}") };
        assert_eq!((end.reason, end.bytes_a_to_b), (EndReason::End, SIZE as u64));
        left -= 1;
        left == 0
    });
    for thread in readers.into_iter().chain(senders) {
        thread.join().expect("the peer does not panic");
    }
    assert_eq!(open_descriptors(), before + base);
}
