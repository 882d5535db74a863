//! Many datagrams in one call, each with its sender, its length and whether it was cut.

mod support;

use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};

use event_base::Error;
use event_base_net::socket::{self, Datagram, DatagramOptions, MOST_DATAGRAMS};
use event_base_net::{Address, Result};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use support::{alone, await_readable, errno};

const SIZE: usize = 32;

fn bound(host: &str) -> (OwnedFd, SocketAddr) {
    let address = Address::internet(host, 0).expect("it is numeric");
    let fd = socket::bind_datagram(&address, &DatagramOptions::default()).expect("a port is free");
    match socket::address(&fd) {
        Ok(Address::Internet(address)) => (fd, address),
        other => panic!("it is bound to {other:?}"),
    }
}

/// Receives `count` datagrams in batches of `batch`. Returns their bytes and senders, and whether they were cut.
fn receive(fd: &OwnedFd, count: usize, batch: usize) -> Vec<(Vec<u8>, Option<SocketAddr>, bool)> {
    let mut slots = [0; SIZE * MOST_DATAGRAMS];
    let mut all = Vec::new();
    while all.len() < count {
        let mut datagrams = [Datagram::default(); MOST_DATAGRAMS];
        let room = (count - all.len()).min(batch);
        match socket::receive_many(fd, &mut slots, SIZE, &mut datagrams[..room]).expect("it is open") {
            Some(received) => {
                assert!((1..=room).contains(&received));
                for (datagram, slot) in datagrams.iter().zip(slots.chunks(SIZE)).take(received) {
                    all.push((slot[..datagram.length].to_vec(), datagram.address, datagram.truncated));
                }
            }
            None => await_readable(fd),
        }
    }
    all
}

#[test]
fn datagrams_keep_their_bytes_order_and_senders() {
    let _turn = alone();
    for host in ["127.0.0.1", "::1"] {
        let (server, address) = bound(host);
        let (first, second) = (UdpSocket::bind((host, 0)).unwrap(), UdpSocket::bind((host, 0)).unwrap());
        for index in 0..20_u8 {
            let from = if index % 3 == 0 { &second } else { &first };
            from.send_to(&vec![index; usize::from(index)], address).unwrap();
        }
        for (index, (bytes, sender, truncated)) in receive(&server, 20, 8).into_iter().enumerate() {
            assert_eq!(bytes, vec![index as u8; index]);
            let from = if index % 3 == 0 { &second } else { &first };
            assert_eq!(sender, Some(from.local_addr().unwrap()));
            assert!(!truncated);
        }
        let mut slots = [0; SIZE];
        let nothing = socket::receive_many(&server, &mut slots, SIZE, &mut [Datagram::default()]);
        assert_eq!(nothing, Ok(None));
    }
}

#[test]
fn a_datagram_longer_than_its_slot_is_cut_and_marked() {
    let _turn = alone();
    let (server, address) = bound("127.0.0.1");
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    for length in [SIZE - 1, SIZE, SIZE + 1, 2000, 1] {
        client.send_to(&vec![7; length], address).unwrap();
    }
    let received: Vec<_> =
        receive(&server, 5, 8).into_iter().map(|(bytes, _, truncated)| (bytes.len(), truncated)).collect();
    assert_eq!(received, [(SIZE - 1, false), (SIZE, false), (SIZE, true), (SIZE, true), (1, false)]);
}

#[test]
fn datagrams_are_sent_in_order_each_to_its_address() {
    let _turn = alone();
    for host in ["127.0.0.1", "::1"] {
        let (from, from_address) = bound(host);
        let ((first, first_address), (second, second_address)) = (bound(host), bound(host));
        let mut slots = [0; SIZE * 10];
        let datagrams: Vec<_> = (0..10)
            .map(|index| {
                slots[index * SIZE..][..index].fill(index as u8);
                let address = if index % 3 == 0 { second_address } else { first_address };
                Datagram { length: index, truncated: false, address: Some(address) }
            })
            .collect();
        assert_eq!(socket::send_many(&from, &slots, SIZE, &datagrams), Ok(Some(10)));
        let whole = |index: &usize| (vec![*index as u8; *index], Some(from_address), false);
        assert_eq!(receive(&second, 4, 16), [0, 3, 6, 9].iter().map(whole).collect::<Vec<_>>());
        assert_eq!(receive(&first, 6, 16), [1, 2, 4, 5, 7, 8].iter().map(whole).collect::<Vec<_>>());
    }
}

#[test]
fn a_connected_socket_needs_no_address_and_reports_a_refused_datagram() {
    let _turn = alone();
    let (server, address) = bound("127.0.0.1");
    let client = socket::connect_datagram(&Address::Internet(address)).expect("there is a route");
    let hello = Datagram { length: 5, ..Datagram::default() };
    assert_eq!(socket::send_many(&client, b"hello", 5, &[hello]), Ok(Some(1)));
    let sender = receive(&server, 1, 1).remove(0).1;
    let Ok(Address::Internet(own)) = socket::address(&client) else { panic!("it is bound") };
    assert_eq!(sender, Some(own));

    drop(server);
    assert_eq!(socket::send_many(&client, b"hello", 5, &[hello]), Ok(Some(1)));
    await_readable(&client);
    let mut slots = [0; SIZE];
    let refused = socket::receive_many(&client, &mut slots, SIZE, &mut [Datagram::default()]);
    assert_eq!(errno(&refused.unwrap_err()).0, Errno::ECONNREFUSED);
}

#[test]
fn a_sender_without_an_internet_address_is_none() {
    let _turn = alone();
    let (near, far) = socket::pair().expect("a pair");
    let mut slots = [0; SIZE];
    // An address left from another datagram would be returned as the sender.
    let mut datagrams = [Datagram { address: Some(([1, 2, 3, 4], 5).into()), ..Datagram::default() }];
    socket::write(&far, b"hello").expect("there is room");
    assert_eq!(socket::receive_many(&near, &mut slots, SIZE, &mut datagrams), Ok(Some(1)));
    assert_eq!(datagrams, [Datagram { length: 5, truncated: false, address: None }]);
    assert_eq!(&slots[..5], b"hello");
}

#[test]
fn a_failure_concerns_the_first_datagram_and_the_others_are_not_sent() {
    let _turn = alone();
    let (from, _) = bound("127.0.0.1");
    let (server, address) = bound("127.0.0.1");
    let good = Datagram { length: 1, truncated: false, address: Some(address) };
    let nowhere = Datagram { address: None, ..good };
    let batch = [good, nowhere, good];
    let slots = [9; 3];
    assert_eq!(socket::send_many(&from, &slots, 1, &batch), Ok(Some(1)));
    let refused = socket::send_many(&from, &slots[1..], 1, &batch[1..]);
    assert_eq!(errno(&refused.unwrap_err()).0, Errno::EDESTADDRREQ);
    assert_eq!(socket::send_many(&from, &slots[2..], 1, &batch[2..]), Ok(Some(1)));
    assert_eq!(receive(&server, 2, 2).len(), 2);
}

#[test]
fn an_invalid_batch_is_refused() {
    let _turn = alone();
    let (fd, _) = bound("127.0.0.1");
    let mut many = [Datagram::default(); MOST_DATAGRAMS + 1];
    let mut slots = [0; MOST_DATAGRAMS + 1];
    let refused = |answer: Result<Option<usize>>| matches!(answer, Err(Error::OutOfRange(_)));
    assert!(refused(socket::receive_many(&fd, &mut slots, 1, &mut many)));
    assert!(refused(socket::receive_many(&fd, &mut slots, 1, &mut [])));
    assert!(refused(socket::receive_many(&fd, &mut slots, 0, &mut many[..1])));
    assert!(refused(socket::receive_many(&fd, &mut slots[..7], 4, &mut many[..2])));
    assert!(refused(socket::send_many(&fd, &slots, 1, &many)));
    assert!(refused(socket::send_many(&fd, &slots, 1, &[Datagram { length: 2, ..Datagram::default() }])));
    // The largest batch, in as many slots, each of them full.
    let all = &mut many[..MOST_DATAGRAMS];
    assert_eq!(socket::receive_many(&fd, &mut slots[..MOST_DATAGRAMS], 1, all), Ok(None));
    let full = [Datagram { length: 1, ..Datagram::default() }; 2];
    let unaddressed = socket::send_many(&fd, &slots[..2], 1, &full).expect_err("it has no address");
    assert_eq!(errno(&unaddressed).0, Errno::EDESTADDRREQ);
    let path = Address::path("/nonexistent").expect("it is a path");
    assert_eq!(
        socket::bind_datagram(&path, &DatagramOptions::default()).unwrap_err(),
        Error::OutOfRange("address")
    );
    assert_eq!(socket::connect_datagram(&path).unwrap_err(), Error::OutOfRange("address"));
}

#[test]
fn a_blocking_descriptor_does_not_block_and_opened_ones_are_nonblocking() {
    let _turn = alone();
    let (fd, address) = bound("127.0.0.1");
    for opened in [fd, socket::connect_datagram(&Address::Internet(address)).expect("there is a route")] {
        let status = OFlag::from_bits_retain(fcntl(&opened, FcntlArg::F_GETFL).expect("it is open"));
        assert!(status.contains(OFlag::O_NONBLOCK), "it blocks");
        let flags = fcntl(opened.as_fd(), FcntlArg::F_GETFD).expect("it is open");
        assert_eq!(flags & nix::libc::FD_CLOEXEC, nix::libc::FD_CLOEXEC, "it outlives an exec");

        socket::set_nonblocking(&opened, false).expect("it is open");
        let mut slots = [0; SIZE];
        let nothing = socket::receive_many(&opened, &mut slots, SIZE, &mut [Datagram::default()]);
        assert_eq!(nothing, Ok(None));
        assert_eq!(socket::peek(&opened, &mut slots), Ok(None));
    }
}

#[test]
fn two_datagram_sockets_share_a_port_if_both_set_the_option() {
    let _turn = alone();
    let address = Address::internet("127.0.0.1", 0).expect("it is numeric");
    let shared = DatagramOptions { reuse_port: true, ..DatagramOptions::default() };
    let first = socket::bind_datagram(&address, &shared).expect("a port is free");
    let address = socket::address(&first).expect("it is bound");
    socket::bind_datagram(&address, &shared).expect("both agree");
    let alone = socket::bind_datagram(&address, &DatagramOptions::default());
    assert_eq!(errno(&alone.unwrap_err()), (Errno::EADDRINUSE, "bind"));
}

#[test]
fn peeking_leaves_the_bytes_in_the_socket() {
    let _turn = alone();
    let (near, far) = socket::pair().expect("a pair");
    let mut buffer = [0; 8];
    assert_eq!(socket::peek(&near, &mut buffer), Ok(None));
    socket::write(&far, b"hello").expect("there is room");
    assert_eq!(socket::peek(&near, &mut buffer[..3]), Ok(Some(3)));
    assert_eq!(socket::peek(&near, &mut buffer), Ok(Some(5)));
    assert_eq!(socket::read(&near, &mut buffer), Ok(Some(5)));
    assert_eq!(&buffer[..5], b"hello");
    drop(far);
    assert_eq!(socket::peek(&near, &mut buffer), Ok(Some(0)));
    let (pipe, _writer) = socket::pipe().expect("a pipe");
    assert_eq!(errno(&socket::peek(&pipe, &mut buffer).unwrap_err()), (Errno::ENOTSOCK, "recv"));
}
