//! Rate limits and the idle timeout of a proxy.

mod support;

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use event_base_net::RateLimit;
use event_base_net::proxy::ProxyOptions;
use support::proxy::{Running, Server, loopback};
use support::{alone, pattern, read_to_reset};

/// Sends 30 kB over each of four connections to an echo server. Returns the time until all bytes are back.
fn echo_all(proxy: &Running) -> Duration {
    let begin = Instant::now();
    let mut clients: Vec<_> = (0..4).map(|_| proxy.dial()).collect();
    let bytes = pattern(30_000, 1);
    for client in &mut clients {
        client.write_all(&bytes).expect("it fits into the buffers");
        client.shutdown(std::net::Shutdown::Write).expect("it is open");
    }
    for client in &mut clients {
        let mut back = Vec::new();
        client.read_to_end(&mut back).expect("it ends well");
        assert_eq!(back[1..], bytes);
    }
    begin.elapsed()
}

#[test]
fn a_total_limit_is_shared_by_all_connections_of_all_threads() {
    let _turn = alone();
    let server = Server::start(b'a');
    let options = ProxyOptions {
        threads: 3,
        total_limit: Some(RateLimit { rate: 200_000, burst: 20_000 }),
        ..ProxyOptions::new(loopback(), vec![server.upstream()])
    };
    let proxy = Running::start(options);
    // Each direction moves 120 kB, 20 of which are the burst. A limit for each thread would take a third of the time,
    // one for each connection a tenth.
    assert!(echo_all(&proxy) >= Duration::from_millis(495));
    proxy.until("all ended", |stats| stats.total.open == 0 && stats.total.bytes_a_to_b == 120_000);
}

#[test]
fn a_limit_is_each_connections_own() {
    let _turn = alone();
    let server = Server::start(b'a');
    let options = ProxyOptions {
        threads: 2,
        limit: Some(RateLimit { rate: 100_000, burst: 10_000 }),
        ..ProxyOptions::new(loopback(), vec![server.upstream()])
    };
    let proxy = Running::start(options);
    assert!(echo_all(&proxy) >= Duration::from_millis(195));
}

#[test]
fn the_idle_timeout_ends_a_connection() {
    let _turn = alone();
    let server = Server::start(b'a');
    let options = ProxyOptions {
        idle_timeout: Some(Duration::from_millis(50)),
        ..ProxyOptions::new(loopback(), vec![server.upstream()])
    };
    let proxy = Running::start(options);
    let mut client = proxy.dial();
    let begin = Instant::now();
    // Neither peer has ended its stream, so the client is reset.
    assert_eq!(read_to_reset(&mut client), [b'a']);
    assert!(begin.elapsed() >= Duration::from_millis(45));
    let stats = proxy.until("it ended", |stats| stats.total.open == 0);
    assert_eq!((stats.total.failed, stats.total.refused), (0, 0));
}
