//! All bytes arrive, in order, in both directions at the same time.

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;

use event_base_net::{Completion, EndReason, RelayOptions, Transfer};
use support::{Bed, alone, each_method, pattern};

/// Sends `bytes` in pieces of changing size, then ends its direction.
fn send(mut to: TcpStream, bytes: Vec<u8>) {
    let mut rest = &bytes[..];
    let mut piece = 1;
    while !rest.is_empty() {
        let now = piece.min(rest.len());
        to.write_all(&rest[..now]).expect("the relay reads");
        rest = &rest[now..];
        piece = (piece * 7 + 3) % 200_003;
    }
    to.shutdown(Shutdown::Write).expect("it is connected");
}

fn receive(mut from: TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).expect("the stream ends properly");
    bytes
}

fn exchange(bed: &mut Bed, transfer: Transfer, sizes: &[usize]) {
    let mut threads = Vec::new();
    let mut expected = Vec::new();
    for (index, size) in sizes.iter().enumerate() {
        let (key, client, server) = bed.relay(RelayOptions { transfer, ..RelayOptions::default() });
        let there = pattern(*size, index as u64 + 1);
        let back = pattern(size / 2, index as u64 + 1000);
        expected.push((key, there.len() as u64, back.len() as u64));
        for (end, sent, wanted) in [(client, there.clone(), back.clone()), (server, back, there)] {
            let sender = end.try_clone().expect("a descriptor is free");
            threads.push(thread::spawn(move || send(sender, sent)));
            threads.push(thread::spawn(move || assert!(receive(end) == wanted, "bytes differ")));
        }
    }
    bed.run_until(|_, completion| {
        let Completion::RelayEnded { key, end } = completion else { panic!("unexpected: {completion:?}") };
        let at = expected.iter().position(|entry| entry.0 == key).expect("one of these relays");
        let (_, there, back) = expected.swap_remove(at);
        assert_eq!((end.reason, end.error), (EndReason::End, None));
        assert_eq!((end.bytes_a_to_b, end.bytes_b_to_a), (there, back));
        expected.is_empty()
    });
    for thread in threads {
        thread.join().expect("the peer does not panic");
    }
}

#[test]
fn every_size_arrives_on_every_method() {
    each_method(|_, bed| {
        for transfer in [Transfer::Adaptive, Transfer::Copy, Transfer::Splice] {
            exchange(bed, transfer, &[0, 1, 2, 4095, 65_536, 262_144, 262_145, 3_000_001]);
        }
    });
}

#[test]
fn a_hundred_relays_do_not_mix_their_bytes() {
    let _turn = alone();
    let sizes: Vec<usize> = (0..100).map(|index| index * 1709 % 90_001).collect();
    for transfer in [Transfer::Adaptive, Transfer::Splice] {
        exchange(&mut Bed::new(), transfer, &sizes);
    }
}

#[test]
fn unix_sockets_and_other_descriptors_are_relayed() {
    let _turn = alone();
    let mut bed = Bed::new();
    // A FIFO that is open for both directions behaves like a terminal or a device.
    let folder = std::env::temp_dir().join(format!("event-base-net-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("the folder can be made");
    let path = folder.join("fifo");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("a FIFO can be made");
    let fifo = std::fs::File::options().read(true).write(true).open(&path).expect("it opens");
    let (near, far) = event_base_net::socket::pair().expect("a pair");
    let key = bed.net.relay(near, fifo.into(), RelayOptions::default()).expect("both can be watched");

    // What is written to the FIFO is read from it again, and so returns to the pair.
    let message = pattern(30_000, 5);
    assert_eq!(event_base_net::socket::write(&far, &message), Ok(Some(message.len())));
    let mut back = Vec::new();
    while back.len() < message.len() {
        bed.run_for(std::time::Duration::from_millis(5));
        let mut part = [0; 4096];
        while let Some(count) = event_base_net::socket::read(&far, &mut part).expect("it is open") {
            back.extend_from_slice(&part[..count]);
        }
    }
    assert!(back == message);
    bed.net.close(key).expect("it is running");
    assert_eq!(bed.run_to_end(key).bytes_b_to_a, 30_000);
    std::fs::remove_dir_all(folder).expect("the folder can be removed");
}
