//! The choice of an upstream for a connection.

mod support;

use event_base_net::proxy::{Balance, ProxyOptions, Upstream};
use support::proxy::{Running, Server, loopback, refusing};
use support::{alone, read_to_reset};

#[test]
fn upstreams_take_turns_over_all_threads() {
    let _turn = alone();
    let servers = [Server::start(b'a'), Server::start(b'b'), Server::start(b'c')];
    let proxy = Running::to(servers.iter().map(Server::upstream).collect(), 3);
    let mut counts = [0; 3];
    for _ in 0..30 {
        counts[usize::from(proxy.greeting().expect("a server greets") - b'a')] += 1;
    }
    assert_eq!(counts, [10; 3]);
    let stats = proxy.until("all ended", |stats| stats.total.open == 0);
    assert_eq!((stats.total.accepted, stats.total.refused), (30, 0));
    assert!(stats.upstreams.iter().all(|one| (one.connected, one.open, one.bytes_b_to_a) == (10, 0, 10)));
    assert_eq!(stats.threads.iter().map(|one| one.accepted).sum::<u64>(), 30);
}

#[test]
fn connections_are_spread_in_proportion_to_weights() {
    let _turn = alone();
    let servers = [Server::start(b'a'), Server::start(b'b')];
    let mut list: Vec<_> = servers.iter().map(Server::upstream).collect();
    list[0].weight = 3;
    let proxy = Running::to(list, 2);
    let row: Vec<_> = (0..40).map(|_| proxy.greeting().expect("a server greets")).collect();
    assert_eq!(row.iter().filter(|one| **one == b'a').count(), 30);
}

#[test]
fn the_upstream_with_the_fewest_connections_is_next() {
    let _turn = alone();
    let servers = [Server::start(b'a'), Server::start(b'b')];
    let upstreams = servers.iter().map(Server::upstream).collect();
    let options = ProxyOptions {
        threads: 2,
        balance: Balance::LeastConnections,
        ..ProxyOptions::new(loopback(), upstreams)
    };
    let proxy = Running::start(options);
    let mut held = [Vec::new(), Vec::new()];
    for _ in 0..10 {
        let mut client = proxy.dial();
        let mut byte = [0];
        std::io::Read::read_exact(&mut client, &mut byte).expect("a server greets");
        held[usize::from(byte[0] - b'a')].push(client);
    }
    assert_eq!(held.each_ref().map(Vec::len), [5, 5]);
    held[1].clear();
    proxy.until("the second free", |stats| stats.upstreams[1].open == 0);
    for _ in 0..5 {
        let mut client = proxy.dial();
        let mut byte = [0];
        std::io::Read::read_exact(&mut client, &mut byte).expect("a server greets");
        assert_eq!(byte[0], b'b');
        held[1].push(client);
    }
}

#[test]
fn an_upstream_that_refuses_is_tried_once_and_the_next_one_takes_the_connection() {
    let _turn = alone();
    let server = Server::start(b'a');
    let (dead, _kept) = refusing();
    let (also_dead, _kept_too) = refusing();
    let list = vec![
        Upstream::new("dead", event_base_net::Address::Internet(dead)),
        server.upstream(),
        Upstream::new("also dead", event_base_net::Address::Internet(also_dead)),
    ];
    let proxy = Running::to(list, 1);
    for _ in 0..3 {
        assert_eq!(proxy.greeting(), Some(b'a'));
    }
    let stats = proxy.until("all ended", |stats| stats.total.open == 0);
    assert_eq!((stats.total.accepted, stats.total.refused, stats.upstreams[1].connected), (3, 0, 3));
    assert_eq!(stats.upstreams.iter().map(|one| one.open).sum::<u64>(), 0);
}

#[test]
fn a_connection_is_reset_after_each_upstream_has_refused_it_once() {
    let _turn = alone();
    let (one, _kept) = refusing();
    let (other, _kept_too) = refusing();
    let list = vec![
        Upstream::new("one", event_base_net::Address::Internet(one)),
        Upstream::new("other", event_base_net::Address::Internet(other)),
    ];
    let proxy = Running::to(list, 1);
    for _ in 0..5 {
        assert_eq!(read_to_reset(&mut proxy.dial()), b"");
    }
    let stats = proxy.until("all ended", |stats| stats.total.open == 0);
    assert_eq!((stats.total.accepted, stats.total.refused, stats.total.failed), (5, 5, 0));
    // Also when both are passed over.
    assert_eq!(stats.upstreams.iter().map(|one| one.refused).collect::<Vec<_>>(), [5, 5]);
}
