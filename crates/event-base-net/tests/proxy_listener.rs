//! The listening socket of a proxy: one for all threads, of which each gets connections.

mod support;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use event_base_net::Address;
use event_base_net::proxy::{Endpoint, ProxyStats};
use event_base_net::socket::{self, BindOptions};
use nix::errno::Errno;
use support::proxy::{Running, Server, sharing};
use support::{PATIENCE, alone, errno};

fn each_thread_has_accepted(stats: &ProxyStats) -> bool {
    stats.threads.iter().all(|thread| thread.accepted > 0)
}

#[test]
fn no_other_socket_can_listen_at_the_address_however_many_threads_accept() {
    let _turn = alone();
    let server = Server::start(b'a');
    for threads in [1, 2, 5] {
        let proxy = Running::to(vec![server.upstream()], threads);
        for options in [BindOptions::default(), sharing()] {
            let refused = socket::listen(proxy.address(), &options).expect_err("the address is in use");
            assert_eq!(errno(&refused), (Errno::EADDRINUSE, "bind"), "{threads} threads");
        }
        assert_eq!(proxy.greeting(), Some(b'a'));
    }
}

#[test]
fn with_reuse_port_each_thread_has_a_socket_and_others_can_listen_too() {
    let _turn = alone();
    if !cfg!(target_os = "linux") {
        return;
    }
    let server = Server::start(b'a');
    let any = Address::internet("127.0.0.1", 0).expect("it is numeric");
    let proxy = Running::at(Endpoint::Bind(any, sharing()), vec![server.upstream()], 3);
    // The kernel distributes by a hash of the addresses, so each socket gets connections sooner or later.
    let give_up = Instant::now() + PATIENCE;
    while !each_thread_has_accepted(&proxy.stats()) {
        assert_eq!(proxy.greeting(), Some(b'a'));
        assert!(Instant::now() < give_up, "{:?}", proxy.stats());
    }
    let stranger = TcpListener::from(socket::listen(proxy.address(), &sharing()).expect("it is shared"));
    stranger.set_nonblocking(true).expect("it is a socket");
    let mut kept = Vec::new();
    while stranger.accept().is_err() {
        kept.push(TcpStream::connect(proxy.port()).expect("a socket listens"));
        assert!(Instant::now() < give_up, "the stranger gets no connection");
    }
    let refused = socket::listen(proxy.address(), &BindOptions::default()).expect_err("it must share");
    assert_eq!(errno(&refused), (Errno::EADDRINUSE, "bind"));
}

/// Linux wakes the first loop that waits. Without the others moving to the front, one thread would get all of these.
#[test]
fn each_thread_gets_connections_that_arrive_one_at_a_time() {
    let _turn = alone();
    if !cfg!(target_os = "linux") {
        return;
    }
    let server = Server::start(b'a');
    let path = std::env::temp_dir().join(format!("event-base-listener-{}", std::process::id()));
    let path = Address::path(path.to_str().expect("it is text")).expect("it fits");
    for (address, threads) in [(Address::internet("127.0.0.1", 0).expect("it is numeric"), 4), (path, 2)] {
        let listener = Endpoint::Bind(address, BindOptions::default());
        let proxy = Running::at(listener, vec![server.upstream()], threads);
        for count in 1..=16 * u64::from(threads) {
            match proxy.address() {
                Address::Path(_) => drop(socket::connect(proxy.address()).expect("it listens")),
                _ => drop(proxy.greeted()),
            }
            proxy.until("it ended", |stats| stats.total.accepted >= count && stats.total.open == 0);
            if each_thread_has_accepted(&proxy.stats()) {
                break;
            }
        }
        assert!(each_thread_has_accepted(&proxy.stats()), "{:?}", proxy.stats());
    }
}

#[test]
fn each_thread_gets_connections_that_arrive_together() {
    let _turn = alone();
    let server = Server::start(b'a');
    let proxy = Running::to(vec![server.upstream()], 3);
    let give_up = Instant::now() + PATIENCE;
    let mut opened = 0;
    while !each_thread_has_accepted(&proxy.stats()) {
        let clients: Vec<_> = (0..4)
            .map(|_| {
                let port = proxy.port();
                thread::spawn(move || {
                    (0..8).map(|_| TcpStream::connect(port).expect("it listens")).collect::<Vec<_>>()
                })
            })
            .collect();
        let mut clients: Vec<_> =
            clients.into_iter().flat_map(|one| one.join().expect("it does not panic")).collect();
        opened += clients.len() as u64;
        for client in &mut clients {
            client.read_exact(&mut [0]).expect("a server greets");
        }
        assert!(Instant::now() < give_up, "{:?}", proxy.stats());
    }
    let stats = proxy.until("all accepted", |stats| stats.total.accepted == opened);
    assert_eq!((stats.total.refused, stats.total.failed), (0, 0));
}

#[test]
fn the_address_is_free_once_all_threads_have_stopped_accepting() {
    let _turn = alone();
    let server = Server::start(b'a');
    for threads in [1, 4] {
        let proxy = Running::to(vec![server.upstream()], threads);
        let mut client = proxy.greeted();
        proxy.drain(None);
        let give_up = Instant::now() + PATIENCE;
        let successor = loop {
            match socket::listen(proxy.address(), &BindOptions::default()) {
                Ok(successor) => break successor,
                Err(error) => assert_eq!(errno(&error), (Errno::EADDRINUSE, "bind")),
            }
            assert!(Instant::now() < give_up, "a thread still listens");
            thread::sleep(Duration::from_millis(1));
        };
        // The connection goes on.
        client.write_all(b"x").expect("it is open");
        client.read_exact(&mut [0]).expect("it is open");
        drop((client, successor));
        proxy.until_over();
    }
}
