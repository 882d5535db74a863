//! Changing the upstreams of a proxy that runs.

mod support;

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use event_base::Error;
use support::alone;
use support::proxy::{Running, Server};

#[test]
fn open_connections_continue_and_new_ones_use_the_new_list() {
    let _turn = alone();
    let servers = [Server::start(b'a'), Server::start(b'b'), Server::start(b'c')];
    let proxy = Running::to(vec![servers[0].upstream(), servers[1].upstream()], 2);
    let mut old = [proxy.dial(), proxy.dial()];
    for client in &mut old {
        client.read_exact(&mut [0]).expect("a server greets");
    }
    proxy.set_upstreams(vec![servers[1].upstream(), servers[2].upstream()]).expect("the list is sound");
    // Each thread uses the list from its next pass; the call does not wait for that.
    while proxy.greeting() == Some(b'a') {}
    let row: Vec<_> = (0..10).map(|_| proxy.greeting().expect("a server greets")).collect();
    assert!(row.iter().filter(|one| **one == b'c').count() >= 4, "{row:?}");
    for client in &mut old {
        client.write_all(b"still").expect("it is open");
        let mut bytes = [0; 5];
        client.read_exact(&mut bytes).expect("it is open");
        assert_eq!(&bytes, b"still");
    }
    let stats = proxy.stats();
    let names: Vec<_> = stats.upstreams.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["b", "c"]);
    // An upstream that stays keeps its statistics; one that was removed counts in the total.
    assert!(stats.upstreams[0].connected > row.iter().filter(|one| **one == b'b').count() as u64);
    let listed: u64 = stats.upstreams.iter().map(|one| one.connected).sum();
    assert!(listed < stats.total.accepted, "{stats:?}");
}

#[test]
fn no_connection_is_lost_while_the_list_changes_under_load() {
    let _turn = alone();
    let servers = Arc::new([Server::start(b'a'), Server::start(b'b')]);
    let proxy = Arc::new(Running::to(vec![servers[0].upstream()], 2));
    let (over, counted) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (proxy, over, counted) = (Arc::clone(&proxy), Arc::clone(&over), Arc::clone(&counted));
            std::thread::spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    assert!(proxy.greeting().is_some(), "a connection was lost");
                    counted.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for round in 0..200 {
        let before = counted.load(Ordering::Relaxed);
        proxy.set_upstreams(vec![servers[round % 2].upstream()]).expect("the list is sound");
        while counted.load(Ordering::Relaxed) == before && !clients.iter().any(|one| one.is_finished()) {
            std::thread::yield_now();
        }
    }
    over.store(true, Ordering::Relaxed);
    for client in clients {
        client.join().expect("it lost nothing");
    }
    let stats = proxy.until("all ended", |stats| stats.total.open == 0);
    assert_eq!((stats.total.refused, stats.total.failed), (0, 0));
    assert_eq!(stats.total.accepted, counted.load(Ordering::Relaxed) as u64);
}

#[test]
fn an_invalid_list_is_refused_and_the_old_one_stays() {
    let _turn = alone();
    let server = Server::start(b'a');
    let proxy = Running::to(vec![server.upstream()], 1);
    let twice = vec![server.upstream(), server.upstream()];
    for wrong in [vec![], twice] {
        assert_eq!(proxy.set_upstreams(wrong), Err(Error::OutOfRange("list of upstreams")));
    }
    assert_eq!(proxy.greeting(), Some(b'a'));
}
