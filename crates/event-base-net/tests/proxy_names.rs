//! Upstreams that are names: how their addresses are looked up and used.

mod support;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use event_base_net::proxy::{AddressUse, HealthOptions, Problem, ProxyOptions, Upstream, UpstreamState};
use support::alone;
use support::proxy::{
    Answer, Running, Script, Server, loopback, refusing, threads_named, twin_hosts, twins, until_threads,
};

const HOUR: Duration = Duration::from_secs(3600);

fn hosts(hosts: &[&str]) -> Vec<IpAddr> {
    hosts.iter().map(|host| host.parse().expect("it is an address")).collect()
}

/// Options for upstreams at `port` of each name, which are looked up once unless a connect fails.
fn named(script: &Arc<Script>, names: &[&str], port: u16) -> ProxyOptions {
    let upstreams = names.iter().map(|name| Upstream::named(*name, *name, port)).collect();
    let second = Duration::from_secs(1);
    ProxyOptions {
        threads: 2,
        resolver: Arc::clone(script) as Arc<_>,
        lookup_interval: None,
        health: HealthOptions { failures: 3, backoff: Duration::from_millis(1), max_backoff: second },
        ..ProxyOptions::new(loopback(), upstreams)
    }
}

#[test]
fn localhost_is_looked_up_by_the_system() {
    let _turn = alone();
    let server = Server::start(b'a');
    for addresses in [AddressUse::All, AddressUse::One] {
        let upstreams = vec![Upstream::named("local", "localhost", server.address.port())];
        let proxy = Running::start(ProxyOptions { addresses, ..ProxyOptions::new(loopback(), upstreams) });
        for _ in 0..4 {
            assert_eq!(proxy.greeting(), Some(b'a'), "{addresses:?}");
        }
    }
}

#[test]
fn an_upstream_whose_name_cannot_be_looked_up_is_down_until_a_look_up_succeeds() {
    let _turn = alone();
    let server = Server::start(b'a');
    let script = Script::new();
    script.set("later", Answer::Failure("unknown for now"));
    let proxy = Running::start(named(&script, &["later"], server.address.port()));
    assert_eq!(proxy.greeting(), None);
    let stats = proxy.stats();
    assert!(matches!(stats.upstreams[0].state, UpstreamState::Down { .. }), "{stats:?}");
    let problems = proxy.until_problem("failure", |one| matches!(one, Problem::LookupFailed { .. }));
    let Some(Problem::LookupFailed { upstream, host, reason, retry_after: Some(retry_after) }) =
        problems.first()
    else {
        panic!("{problems:?}")
    };
    assert_eq!([upstream, host, reason], ["later", "later", "unknown for now"]);
    assert_eq!(*retry_after, Duration::from_millis(100));

    script.addresses("later", &hosts(&["127.0.0.1"]));
    proxy.until_problem("return", |one| *one == Problem::UpstreamUp { upstream: "later".to_owned() });
    assert_eq!(proxy.greeting(), Some(b'a'));
    assert_eq!(proxy.stats().upstreams[0].state, UpstreamState::Up);
}

#[test]
fn connections_wait_for_the_first_look_up() {
    let _turn = alone();
    let server = Server::start(b'a');
    let script = Script::new();
    let proxy = Running::start(named(&script, &["slow"], server.address.port()));
    script.until_calls("slow", 0);
    let mut clients = [proxy.dial(), proxy.dial()];
    assert_eq!(proxy.stats().total.accepted, 0);
    script.addresses("slow", &hosts(&["127.0.0.1"]));
    for client in &mut clients {
        assert_eq!(support::proxy::greeting(client), Some(b'a'));
    }
    assert_eq!(proxy.stats().total.refused, 0);
}

#[test]
fn a_look_up_without_an_answer_delays_connections_no_longer_than_the_connect_timeout() {
    let _turn = alone();
    let script = Script::new();
    let connect_timeout = Some(Duration::from_millis(50));
    let proxy = Running::start(ProxyOptions { connect_timeout, ..named(&script, &["silent"], 1) });
    assert_eq!(proxy.greeting(), None);
    let problems = proxy.until_problem("failure", |one| matches!(one, Problem::LookupFailed { .. }));
    assert!(matches!(&problems[..], [Problem::LookupFailed { retry_after: None, .. }]), "{problems:?}");
    script.set("silent", Answer::Failure("released"));
}

#[test]
fn each_address_of_a_name_gets_its_share() {
    let _turn = alone();
    let servers = twins();
    let script = Script::new();
    script.addresses("twins", &twin_hosts());
    let proxy = Running::start(named(&script, &["twins"], servers[0].address.port()));
    let row: Vec<_> = (0..20).map(|_| proxy.greeting().expect("a server greets")).collect();
    assert_eq!(row.iter().filter(|one| **one == b'a').count(), 10, "{row:?}");
    let stats = proxy.until("all ended", |stats| stats.total.open == 0);
    assert_eq!(stats.upstreams.len(), 1);
    assert_eq!((stats.upstreams[0].connected, stats.upstreams[0].open), (20, 0));
}

#[test]
fn addresses_that_are_one_server_are_raced_and_the_one_that_answered_comes_first() {
    let _turn = alone();
    let [first, second] = twins();
    let script = Script::new();
    script.addresses("twins", &twin_hosts());
    let port = first.address.port();
    let addresses = AddressUse::One;
    let proxy = Running::start(ProxyOptions { addresses, ..named(&script, &["twins"], port) });
    for _ in 0..4 {
        assert_eq!(proxy.greeting(), Some(b'a'));
    }
    drop(first);
    for _ in 0..4 {
        assert_eq!(proxy.greeting(), Some(b'b'));
    }
    // The address that works now stays the first, also when the other one is back.
    let _back = Server::start_at(SocketAddr::new(twin_hosts()[0], port), b'a');
    for _ in 0..4 {
        assert_eq!(proxy.greeting(), Some(b'b'));
    }
    let stats = proxy.until("all ended", |stats| stats.total.open == 0);
    assert_eq!((stats.upstreams[0].connected, stats.upstreams[0].refused), (12, 0));
    assert!(proxy.take_problems().is_empty());
    drop(second);
}

#[test]
fn a_name_is_looked_up_at_each_interval_and_new_connections_use_the_new_addresses() {
    let _turn = alone();
    let servers = twins();
    let [v4, v6] = twin_hosts();
    let script = Script::new();
    script.addresses("moves", &[v4]);
    let options = named(&script, &["moves"], servers[0].address.port());
    let proxy = Running::start(ProxyOptions { lookup_interval: Some(Duration::from_millis(5)), ..options });
    assert_eq!(proxy.greeting(), Some(b'a'));
    script.until_calls("moves", 3);
    script.addresses("moves", &[v6]);
    let give_up = Instant::now() + support::PATIENCE;
    while proxy.greeting() != Some(b'b') {
        assert!(Instant::now() < give_up, "the new address is not used");
    }
    assert_eq!([proxy.greeting(), proxy.greeting()], [Some(b'b'); 2]);
}

#[test]
fn a_failed_connect_leads_to_another_look_up() {
    let _turn = alone();
    let [first, _second] = twins();
    let [v4, v6] = twin_hosts();
    let script = Script::new();
    script.addresses("moves", &[v4]);
    let proxy = Running::start(named(&script, &["moves"], first.address.port()));
    assert_eq!(proxy.greeting(), Some(b'a'));
    assert_eq!(script.calls("moves"), 1);
    script.addresses("moves", &[v6]);
    drop(first);
    let give_up = Instant::now() + support::PATIENCE;
    while proxy.greeting() != Some(b'b') {
        assert!(Instant::now() < give_up, "the new address is not used");
    }
    assert!(script.calls("moves") >= 2);
}

#[test]
fn a_failed_look_up_keeps_the_addresses() {
    let _turn = alone();
    let server = Server::start(b'a');
    let script = Script::new();
    script.addresses("kept", &hosts(&["127.0.0.1"]));
    let options = named(&script, &["kept"], server.address.port());
    let proxy = Running::start(ProxyOptions { lookup_interval: Some(Duration::from_millis(5)), ..options });
    assert_eq!(proxy.greeting(), Some(b'a'));
    script.set("kept", Answer::Failure("gone"));
    proxy.until_problem("failure", |one| matches!(one, Problem::LookupFailed { .. }));
    assert_eq!(proxy.greeting(), Some(b'a'));
    assert_eq!(proxy.stats().upstreams[0].state, UpstreamState::Up);
}

#[test]
fn a_look_up_that_hangs_delays_no_other_one() {
    let _turn = alone();
    let server = Server::start(b'a');
    let script = Script::new();
    script.addresses("quick", &hosts(&["127.0.0.1"]));
    let names = ["one", "two", "three", "quick"];
    let options = named(&script, &names, server.address.port());
    let proxy = Running::start(ProxyOptions { lookup_interval: Some(Duration::from_millis(5)), ..options });
    script.until_calls("quick", 5);
    assert_eq!(proxy.greeting(), Some(b'a'));
    for name in &names[..3] {
        assert_eq!(script.calls(name), 1);
        script.set(name, Answer::Failure("released"));
    }
}

#[test]
fn a_proxy_ends_while_a_look_up_hangs() {
    let _turn = alone();
    // The threads of earlier tests end on their own.
    until_threads("proxy names", 0);
    let script = Script::new();
    let proxy = Running::start(named(&script, &["silent"], 1));
    script.until_calls("silent", 0);
    let waiting = proxy.dial();
    proxy.stop();
    proxy.until_over();
    proxy.join();
    drop((waiting, proxy));
    // The idle thread ends. The other one still waits for the answer.
    until_threads("proxy names", 1);
    assert_eq!(script.calls("silent"), 1);
    script.set("silent", Answer::Failure("released"));
    until_threads("proxy names", 0);
}

#[test]
fn a_new_list_is_used_once_its_names_are_looked_up() {
    let _turn = alone();
    let servers = twins();
    let [v4, v6] = twin_hosts();
    let port = servers[0].address.port();
    let script = Script::new();
    script.addresses("old", &[v4]);
    let proxy = Running::start(named(&script, &["old"], port));
    assert_eq!(proxy.greeting(), Some(b'a'));
    proxy.set_upstreams(vec![Upstream::named("new", "new", port)]).expect("the list is valid");
    script.until_calls("new", 0);
    assert_eq!([proxy.greeting(), proxy.greeting()], [Some(b'a'); 2]);
    assert_eq!(proxy.stats().upstreams[0].name, "old");
    script.addresses("new", &[v6]);
    proxy.until("the new list", |stats| stats.upstreams[0].name == "new");
    let give_up = Instant::now() + support::PATIENCE;
    while proxy.greeting() != Some(b'b') {
        assert!(Instant::now() < give_up, "the new list is not used");
    }
}

#[test]
fn the_first_name_may_be_in_a_later_list() {
    let _turn = alone();
    let server = Server::start(b'a');
    let (dead, _kept) = refusing();
    let script = Script::new();
    script.addresses("name", &hosts(&["127.0.0.1"]));
    let upstreams = vec![Upstream::new("dead", event_base_net::Address::Internet(dead))];
    let proxy = Running::start(ProxyOptions { upstreams, ..named(&script, &["name"], 1) });
    assert_eq!(proxy.greeting(), None);
    proxy.set_upstreams(vec![Upstream::named("n", "name", server.address.port())]).expect("it is valid");
    let give_up = Instant::now() + support::PATIENCE;
    while proxy.greeting() != Some(b'a') {
        assert!(Instant::now() < give_up, "the name is not looked up");
    }
}

#[test]
fn an_invalid_list_with_a_name_starts_no_thread() {
    let _turn = alone();
    until_threads("proxy names", 0);
    let server = Server::start(b'a');
    let proxy = Running::to(vec![server.upstream()], 1);
    let twice = vec![Upstream::named("n", "localhost", 1); 2];
    let refused = proxy.set_upstreams(twice);
    assert_eq!(refused, Err(event_base::Error::OutOfRange("list of upstreams")));
    assert_eq!(threads_named("proxy names"), 0);
    assert_eq!(proxy.greeting(), Some(b'a'));
}

#[test]
fn an_interval_of_zero_is_refused() {
    let _turn = alone();
    let script = Script::new();
    let options = ProxyOptions { lookup_interval: Some(Duration::ZERO), ..named(&script, &["name"], 1) };
    let refused = event_base_net::proxy::Proxy::start(options, || {}).err();
    assert_eq!(refused, Some(event_base::Error::OutOfRange("look-up interval")));
    let hour = ProxyOptions { lookup_interval: Some(HOUR), ..named(&script, &["name"], 1) };
    drop(Running::start(hour));
    script.set("name", Answer::Failure("released"));
}
