//! Upstreams that are passed over for a time.

mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use event_base_net::Address;
use event_base_net::proxy::{HealthOptions, Problem, ProxyOptions, Upstream, UpstreamState};
use support::proxy::{Running, Script, Server, loopback, refusing, twin_hosts, twins};
use support::{alone, errno};

#[test]
fn an_upstream_is_passed_over_and_reported_after_consecutive_failures() {
    let _turn = alone();
    let server = Server::start(b'a');
    let (dead, _kept) = refusing();
    let list = vec![Upstream::new("dead", Address::Internet(dead)), server.upstream()];
    let health = HealthOptions {
        failures: 2,
        backoff: Duration::from_secs(3600),
        max_backoff: Duration::from_secs(3600),
    };
    let proxy = Running::start(ProxyOptions { threads: 2, health, ..ProxyOptions::new(loopback(), list) });
    for _ in 0..12 {
        assert_eq!(proxy.greeting(), Some(b'a'));
    }
    let stats = proxy.stats();
    assert_eq!((stats.upstreams[0].refused, stats.upstreams[1].refused), (2, 0));
    assert!(matches!(stats.upstreams[0].state, UpstreamState::Down { .. }), "{stats:?}");
    assert_eq!(stats.upstreams[1].state, UpstreamState::Up);
    let problems = proxy.take_problems();
    let (
        Some(Problem::ConnectFailed { upstream, error, times: 1, .. }),
        Some(Problem::UpstreamDown { retry_after, .. }),
    ) = (problems.first(), problems.last())
    else {
        panic!("{problems:?}")
    };
    assert_eq!((upstream.as_str(), errno(error)), ("dead", (nix::errno::Errno::ECONNREFUSED, "connect")));
    assert_eq!(*retry_after, Duration::from_secs(3600));
}

#[test]
fn one_connection_probes_an_upstream_that_is_passed_over() {
    let _turn = alone();
    let steady = Server::start(b'a');
    let (address, kept) = refusing();
    let list = vec![Upstream::new("b", Address::Internet(address)), steady.upstream()];
    let health = HealthOptions {
        failures: 1,
        backoff: Duration::from_millis(20),
        max_backoff: Duration::from_millis(20),
    };
    let proxy = Running::start(ProxyOptions { threads: 2, health, ..ProxyOptions::new(loopback(), list) });
    let down = |problem: &Problem| matches!(problem, Problem::UpstreamDown { .. });
    assert_eq!((proxy.greeting(), proxy.greeting()), (Some(b'a'), Some(b'a')));
    proxy.until_problem("going down", down);
    // The probe fails, and its connection is given to the other upstream.
    proxy.until("probing", |stats| stats.upstreams[0].state == UpstreamState::Probing);
    assert_eq!((proxy.greeting(), proxy.greeting()), (Some(b'a'), Some(b'a')));
    let problems = proxy.until_problem("staying down", down);
    assert!(!problems.contains(&Problem::UpstreamUp { upstream: "b".to_owned() }), "{problems:?}");

    drop(kept);
    let _back = Server::start_at(address, b'b');
    proxy.until("probing", |stats| stats.upstreams[0].state == UpstreamState::Probing);
    let row = [proxy.greeting(), proxy.greeting()];
    assert!(row.contains(&Some(b'b')) && row.contains(&Some(b'a')), "{row:?}");
    proxy.until_problem("coming back", |one| *one == Problem::UpstreamUp { upstream: "b".to_owned() });
    assert_eq!(proxy.stats().upstreams[0].state, UpstreamState::Up);
    let row: Vec<_> = (0..4).map(|_| proxy.greeting()).collect();
    assert_eq!(row.iter().filter(|one| **one == Some(b'b')).count(), 2);
}

#[test]
fn an_upstream_that_does_not_answer_fails_by_the_connect_timeout() {
    let _turn = alone();
    let server = Server::start(b'a');
    let silent = support::proxy::Silent::new();
    let list = vec![Upstream::new("silent", Address::Internet(silent.address)), server.upstream()];
    let options = ProxyOptions {
        connect_timeout: Some(Duration::from_millis(50)),
        ..ProxyOptions::new(loopback(), list)
    };
    let proxy = Running::start(options);
    assert_eq!((proxy.greeting(), proxy.greeting()), (Some(b'a'), Some(b'a')));
    let problems = proxy.until_problem("failure", |one| matches!(one, Problem::ConnectFailed { .. }));
    let Some(Problem::ConnectFailed { error, .. }) = problems.first() else { panic!("{problems:?}") };
    assert_eq!(errno(error), (nix::errno::Errno::ETIMEDOUT, "connect"));
}

#[test]
fn an_upstream_is_neither_down_nor_up_again_while_another_of_its_addresses_is_up() {
    let _turn = alone();
    let [first, second] = twins();
    let port = first.address.port();
    let script = Script::new();
    script.addresses("twins", &twin_hosts());
    let backoff = Duration::from_millis(1);
    let health = HealthOptions { failures: 1, backoff, max_backoff: backoff };
    let resolver = Arc::clone(&script);
    let list = vec![Upstream::named("both", "twins", port)];
    let proxy = Running::start(ProxyOptions { health, resolver, ..ProxyOptions::new(loopback(), list) });
    drop(first);
    while proxy.stats().upstreams[0].refused < 3 {
        assert_eq!(proxy.greeting(), Some(b'b'));
    }
    let _back = Server::start_at(SocketAddr::new(twin_hosts()[0], port), b'a');
    while proxy.greeting() != Some(b'a') {}
    let problems = proxy.take_problems();
    assert!(problems.iter().all(|one| matches!(one, Problem::ConnectFailed { .. })), "{problems:?}");

    // Without the other one, the upstream is down and up again.
    drop((second, _back));
    assert_eq!(proxy.greeting(), None);
    let is_down = |problem: &Problem| matches!(problem, Problem::UpstreamDown { .. });
    let seen = proxy.until_problem("upstream down", is_down);
    assert!(!seen.contains(&Problem::UpstreamUp { upstream: "both".to_owned() }), "{seen:?}");
    let _back = Server::start_at(SocketAddr::new(twin_hosts()[1], port), b'c');
    while proxy.greeting() != Some(b'c') {}
    proxy.until_problem("upstream up", |problem| {
        *problem == Problem::UpstreamUp { upstream: "both".to_owned() }
    });
}
