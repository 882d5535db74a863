//! The limit of open connections, and the timeout of connections that are half closed.

mod support;

use std::io::{ErrorKind, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use event_base::Error;
use event_base_net::Address;
use event_base_net::proxy::{Proxy, ProxyOptions, Upstream};
use support::proxy::{Running, Server, Silent, greeting, loopback, refusing};
use support::{PATIENCE, alone, read_to_reset};

fn limited(upstream: Upstream, threads: u32, most: u32) -> Running {
    Running::start(ProxyOptions {
        threads,
        max_connections: Some(most),
        ..ProxyOptions::new(loopback(), vec![upstream])
    })
}

#[test]
fn at_the_limit_connections_wait_in_the_queue_and_are_accepted_as_others_end() {
    let _turn = alone();
    let server = Server::start(b'a');
    for threads in [1, 3] {
        let proxy = limited(server.upstream(), threads, 2);
        let mut open: Vec<_> = (0..2).map(|_| proxy.dial()).collect();
        for client in &mut open {
            assert_eq!(greeting(client), Some(b'a'));
        }
        let mut waiting: Vec<_> = (0..4).map(|_| proxy.dial()).collect();
        let stats = proxy.until("it pauses", |stats| stats.total.accept_pauses > 0);
        assert_eq!((stats.total.accepted, stats.total.open), (2, 2));
        while !waiting.is_empty() {
            let accepted = proxy.stats().total.accepted;
            drop(open.remove(0));
            // The kernel's queue is in the order of the connections.
            let mut next = waiting.remove(0);
            assert_eq!(greeting(&mut next), Some(b'a'));
            open.push(next);
            let stats = proxy.stats();
            assert_eq!((stats.total.accepted, stats.total.open), (accepted + 1, 2), "{threads} threads");
        }
        drop(open);
        let stats = proxy.until("all ended", |stats| stats.total.open == 0);
        assert_eq!((stats.total.accepted, stats.total.refused, stats.total.failed), (6, 0, 0));
    }
}

#[test]
fn connections_far_beyond_the_limit_are_all_served_by_all_threads() {
    let _turn = alone();
    let server = Server::start(b'a');
    for threads in [1, 4] {
        let proxy = limited(server.upstream(), threads, 3);
        let clients: Vec<_> = (0..12)
            .map(|_| {
                let port = proxy.port();
                thread::spawn(move || {
                    for _ in 0..20 {
                        let mut client = TcpStream::connect(port).expect("it listens");
                        client.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
                        assert_eq!(greeting(&mut client), Some(b'a'));
                    }
                })
            })
            .collect();
        for client in clients {
            client.join().expect("it is served");
        }
        let stats = proxy.until("all ended", |stats| stats.total.open == 0);
        assert_eq!((stats.total.accepted, stats.total.refused, stats.total.failed), (240, 0, 0));
        assert!(stats.total.accept_pauses > 0);
    }
}

#[test]
fn a_thread_at_the_limit_stays_paused_when_the_upstreams_change() {
    let _turn = alone();
    let server = Server::start(b'a');
    let proxy = limited(server.upstream(), 1, 1);
    let mut open = proxy.dial();
    assert_eq!(greeting(&mut open), Some(b'a'));
    let mut waiting = proxy.dial();
    proxy.set_upstreams(vec![server.upstream()]).expect("it is valid");
    drop(open);
    assert_eq!(greeting(&mut waiting), Some(b'a'));
    drop(waiting);
    let stats = proxy.until("both ended", |stats| (stats.total.accepted, stats.total.open) == (2, 0));
    assert_eq!(stats.total.accept_pauses, 2, "one for each connection");
}

/// The kernel wakes one thread for a connection, so the place that becomes free has to go to a thread that is paused.
#[test]
fn a_connection_that_waits_after_the_upstreams_changed_gets_the_next_place() {
    let _turn = alone();
    let server = Server::start(b'a');
    for _ in 0..20 {
        let proxy = limited(server.upstream(), 2, 1);
        let mut open = proxy.dial();
        assert_eq!(greeting(&mut open), Some(b'a'));
        proxy.until("one pauses", |stats| stats.total.accept_pauses >= 1);
        proxy.set_upstreams(vec![server.upstream()]).expect("it is valid");
        // The thread of the connection runs once more before the next connection is made.
        open.write_all(b"x").expect("it is open");
        assert_eq!(greeting(&mut open), Some(b'x'));
        let mut next = proxy.dial();
        proxy.until("the other one pauses", |stats| stats.total.accept_pauses >= 2);
        drop(open);
        assert_eq!(greeting(&mut next), Some(b'a'));
    }
}

#[test]
fn a_connection_without_an_upstream_releases_its_place() {
    let _turn = alone();
    let (dead, _kept) = refusing();
    for threads in [1, 2] {
        let proxy = limited(Upstream::new("dead", Address::Internet(dead)), threads, 1);
        for _ in 0..10 {
            assert_eq!(proxy.greeting(), None);
        }
        proxy.until("all ended", |stats| (stats.total.refused, stats.total.open) == (10, 0));
    }
}

#[test]
fn a_connection_that_waits_for_its_upstream_counts() {
    let _turn = alone();
    let silent = Silent::new();
    let proxy = limited(Upstream::new("silent", Address::Internet(silent.address)), 2, 1);
    let clients = [proxy.dial(), proxy.dial()];
    let stats = proxy.until("it pauses", |stats| stats.total.accept_pauses > 0);
    assert_eq!((stats.total.accepted, stats.total.open), (1, 1));
    drop(clients);
}

#[test]
fn a_drain_at_the_limit_resets_the_connections_that_it_leaves_no_place_for() {
    let _turn = alone();
    let server = Server::start(b'a');
    for threads in [1, 3] {
        let proxy = limited(server.upstream(), threads, 1);
        let mut open = proxy.dial();
        assert_eq!(greeting(&mut open), Some(b'a'));
        let mut waiting = [proxy.dial(), proxy.dial()];
        proxy.drain(None);
        for client in &mut waiting {
            assert!(read_to_reset(client).is_empty());
        }
        open.write_all(b"x").expect("it is open");
        assert_eq!(greeting(&mut open), Some(b'x'));
        drop(open);
        proxy.until_over();
        assert_eq!(proxy.stats().total.accepted, 1);
    }
}

#[test]
fn a_limit_of_no_connections_is_refused() {
    let _turn = alone();
    let server = Server::start(b'a');
    let options =
        ProxyOptions { max_connections: Some(0), ..ProxyOptions::new(loopback(), vec![server.upstream()]) };
    assert_eq!(Proxy::start(options, || {}).err(), Some(Error::OutOfRange("number of connections")));
}

#[test]
fn a_connection_to_an_upstream_that_reads_nothing_is_reset_after_the_half_close_timeout() {
    let _turn = alone();
    let upstream = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = Address::Internet(upstream.local_addr().expect("it is bound"));
    for threads in [1, 2] {
        let proxy = Running::start(ProxyOptions {
            threads,
            half_close_timeout: Some(Duration::from_millis(200)),
            ..ProxyOptions::new(loopback(), vec![Upstream::new("deaf", address.clone())])
        });
        // A connection that is open in both directions is not affected.
        let _open = proxy.dial();
        let [mut client, half_closed] = [proxy.dial(), proxy.dial()];
        half_closed.shutdown(Shutdown::Write).expect("it is open");
        let peers = [(); 3].map(|()| upstream.accept().expect("the proxy connects"));
        // More than all buffers hold. The end of the client's stream could not arrive.
        let cut = client.write_all(&vec![7; 1 << 26]).expect_err("the upstream reads nothing");
        assert!(matches!(cut.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{cut}");
        let stats = proxy.until("both ended", |stats| stats.total.open == 1);
        assert_eq!((stats.total.timed_out, stats.total.failed), (2, 0));
        drop(peers);
    }
}

#[test]
fn a_proxy_limits_half_closed_connections_and_connects_by_default() {
    let _turn = alone();
    let options = ProxyOptions::new(loopback(), Vec::new());
    assert_eq!(options.half_close_timeout, Some(Duration::from_secs(600)));
    assert_eq!(options.connect_timeout, Some(Duration::from_secs(10)));
    assert_eq!((options.idle_timeout, options.max_connections), (None, None));
}
