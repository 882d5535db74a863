//! However a relay is closed, both descriptors are closed once, with one completion.

mod support;

use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use event_base::{Base, CountFlags, Error, EventSpec, Features, What};
use event_base_net::{EndReason, Net, RateLimit, RelayOptions, socket};
use nix::errno::Errno;
use support::{connection, each_method, errno, open_descriptors, read_to_reset};

#[test]
fn a_closed_relay_completes_once_and_in_the_loop() {
    each_method(|method, bed| {
        let before = open_descriptors();
        let (key, mut client, mut server) = bed.relay(RelayOptions::default());
        bed.net.close(key).expect("it is running");
        assert!(read_to_reset(&mut client).is_empty(), "{method}");
        assert!(read_to_reset(&mut server).is_empty(), "{method}");

        assert_eq!(bed.net.close(key), Err(Error::Closed), "{method}");
        assert_eq!(bed.net.stats(key), Err(Error::Closed), "{method}");
        let end = bed.run_to_end(key);
        assert_eq!((end.reason, end.error), (EndReason::Closed, None), "{method}");
        assert!(bed.run_for(Duration::from_millis(20)).is_empty(), "{method}");
        drop((client, server));
        assert_eq!(open_descriptors(), before, "{method}");
    });
}

#[test]
fn a_stale_key_does_not_name_the_next_relay() {
    each_method(|method, bed| {
        let (old, ..) = bed.relay(RelayOptions::default());
        bed.net.close(old).expect("it is running");
        bed.run_to_end(old);
        let (new, _client, _server) = bed.relay(RelayOptions::default());
        assert_ne!(old, new, "{method}");
        assert_eq!(bed.net.close(old), Err(Error::Closed), "{method}");
        assert_eq!(bed.net.stats(old), Err(Error::Closed), "{method}");
        assert!(bed.net.stats(new).is_ok(), "{method}");
    });
}

#[test]
fn dropping_the_net_closes_every_descriptor() {
    each_method(|method, bed| {
        let before = open_descriptors();
        let (_, client, server) = bed.relay(RelayOptions::default());
        bed.net = Net::new(bed.base.clone());
        drop((client, server));
        assert_eq!(open_descriptors(), before, "{method}");
        assert!(bed.run_for(Duration::from_millis(20)).is_empty(), "{method}");
    });
}

#[test]
fn a_closed_base_leaves_the_descriptors_to_the_net() {
    let before = {
        let _turn = support::alone();
        let before = open_descriptors();
        let base = Base::new().expect("a base can be made");
        let mut net = Net::new(base.clone());
        let (a, client) = connection();
        let (b, server) = connection();
        let key = net.relay(a, b, RelayOptions::default()).expect("two sockets can be relayed");
        base.close().expect("it is open");
        let (c, third) = connection();
        let (d, fourth) = connection();
        assert_eq!(net.relay(c, d, RelayOptions::default()), Err(Error::Closed));
        assert_eq!(net.close(key), Err(Error::Closed));
        drop((client, server, third, fourth, net, base));
        assert_eq!(open_descriptors(), before);
        before
    };
    assert!(before > 0);
}

#[test]
fn a_descriptor_that_cannot_be_watched_is_refused_and_closed() {
    each_method(|method, bed| {
        if bed.base.features().expect("the base is open").contains(Features::FDS) {
            return;
        }
        let before = open_descriptors();
        for file_first in [true, false] {
            let file: OwnedFd = std::fs::File::open(std::env::current_exe().expect("it has a name"))
                .expect("it exists")
                .into();
            let (near, mut far) = connection();
            let (a, b) = if file_first { (file, near) } else { (near, file) };
            let refused =
                bed.net.relay_or_return(a, b, RelayOptions::default()).expect_err("a file has no readiness");
            assert_eq!(errno(&refused.error), (Errno::EPERM, "epoll_ctl"), "{method}");
            assert!(refused.descriptors.is_none(), "{method}");
            assert!(read_to_reset(&mut far).is_empty(), "{method}");
        }
        assert_eq!(open_descriptors(), before, "{method}");
    });
}

#[test]
fn a_relay_that_is_refused_for_its_arguments_returns_open_descriptors_in_their_order() {
    each_method(|method, bed| {
        let before = open_descriptors();
        let ((mut a, mut client), (mut b, server)) = (connection(), connection());
        let numbers = [a.as_raw_fd(), b.as_raw_fd()];
        let limit = Some(RateLimit { rate: 0, burst: 1 });
        // An edge-triggered event and the level-triggered ones of a relay cannot wait for one descriptor.
        let edge = EventSpec::io(numbers[1], What::READ | What::ET).persist();
        let has_edges = bed.base.features().expect("the base is open").contains(Features::ET);
        let edge = has_edges.then(|| bed.base.create_and_add(edge, None).expect("it is a socket"));
        for limit in [limit, None] {
            if limit.is_none() && !has_edges {
                continue;
            }
            let refused = bed
                .net
                .relay_or_return(a, b, RelayOptions { limit, ..RelayOptions::default() })
                .expect_err("an argument is invalid");
            match limit {
                Some(_) => assert_eq!(refused.error, Error::OutOfRange("rate"), "{method}"),
                None => assert!(matches!(refused.error, Error::BadFlags(_)), "{method}: {refused:?}"),
            }
            [a, b] = refused.descriptors.expect("no system call has failed");
            assert_eq!([a.as_raw_fd(), b.as_raw_fd()], numbers, "{method}");
        }
        let events = bed.base.count_events(CountFlags::ADDED).expect("the base is open");
        assert_eq!(events, usize::from(has_edges), "{method}: no event of the relay is left");
        if let Some(edge) = edge {
            bed.base.free(edge).expect("it exists");
        }
        socket::write(&a, b"open").expect("its peer is open");
        let mut bytes = [0; 4];
        client.read_exact(&mut bytes).expect("they were sent");
        assert_eq!(&bytes, b"open", "{method}");
        drop((a, b, client, server));
        assert_eq!(open_descriptors(), before, "{method}");
    });
}

#[test]
fn a_thousand_relays_leave_nothing_behind() {
    each_method(|method, bed| {
        let before = open_descriptors();
        for round in 0..1000 {
            let (key, client, server) = bed.relay(RelayOptions {
                idle_timeout: Some(Duration::from_secs(60)),
                ..RelayOptions::default()
            });
            drop(if round % 2 == 0 { (client, server) } else { (server, client) });
            assert_eq!(bed.run_to_end(key).reason, EndReason::End, "{method}, round {round}");
        }
        assert_eq!(open_descriptors(), before, "{method}");
    });
}
