//! The end of a proxy, which leaves nothing behind.

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use event_base::Error;
use event_base_net::proxy::{Endpoint, HealthOptions, Proxy, ProxyOptions, Upstream};
use event_base_net::socket::{self, BindOptions};
use event_base_net::{Address, RateLimit};
use nix::errno::Errno;
use nix::sys::signal::Signal;
use support::proxy::{Running, Server, Silent, loopback, sharing};
use support::{alone, errno, open_descriptors, read_to_reset};

/// The threads of proxies, where the system lists their names.
fn proxy_threads() -> Vec<PathBuf> {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return Vec::new() };
    let name = |task: &PathBuf| std::fs::read_to_string(task.join("comm")).unwrap_or_default();
    tasks.filter_map(|task| Some(task.ok()?.path())).filter(|task| name(task).starts_with("proxy ")).collect()
}

/// Waits until no thread of a proxy is listed. The kernel may list a thread for a moment after it was joined.
#[track_caller]
fn await_no_threads() {
    let give_up = Instant::now() + support::PATIENCE;
    while !proxy_threads().is_empty() {
        assert!(Instant::now() < give_up, "{} threads do not end", proxy_threads().len());
        thread::sleep(Duration::from_millis(1));
    }
}

/// Waits until no more descriptors are open than before: other threads close theirs in their own time.
#[track_caller]
fn await_descriptors(before: usize) {
    let give_up = Instant::now() + support::PATIENCE;
    while open_descriptors() > before {
        assert!(Instant::now() < give_up, "{} descriptors, not {before}", open_descriptors());
        thread::sleep(Duration::from_millis(1));
    }
}

/// Connections that reached a server.
fn greeted(proxy: &Running, count: usize) -> Vec<TcpStream> {
    (0..count).map(|_| proxy.greeted()).collect()
}

#[test]
fn a_drain_lets_open_connections_end_and_accepts_no_more() {
    let _turn = alone();
    let server = Server::start(b'a');
    let proxy = Running::to(vec![server.upstream()], 3);
    let mut clients = greeted(&proxy, 6);
    proxy.drain(None);
    // A connection that is in the queue when the drain starts is served.
    while TcpStream::connect(proxy.port()).is_ok() {
        thread::sleep(Duration::from_millis(5));
    }
    assert!(!proxy.is_over());
    for client in &mut clients {
        client.write_all(b"last words").expect("it is open");
        client.shutdown(Shutdown::Write).expect("it is open");
        let mut words = Vec::new();
        client.read_to_end(&mut words).expect("it ends well");
        assert_eq!(words, b"last words");
    }
    proxy.until_over();
    let stats = proxy.stats();
    assert_eq!((stats.total.open, stats.total.failed), (0, 0));
}

#[test]
fn connections_in_the_queue_are_served_when_a_drain_starts() {
    let _turn = alone();
    let server = Server::start(b'a');
    let proxy = Running::to(vec![server.upstream()], 2);
    for _ in 0..20 {
        // Accepted by the kernel before the drain starts, whether or not a thread has accepted it.
        let clients: Vec<_> = (0..10).map(|_| proxy.dial()).collect();
        let next = Running::to(vec![server.upstream()], 2);
        let fresh: Vec<_> = (0..10).map(|_| next.dial()).collect();
        next.drain(None);
        for mut client in fresh {
            let mut byte = [0];
            client.read_exact(&mut byte).expect("it is served");
            assert_eq!(byte, [b'a']);
        }
        next.until_over();
        drop(clients);
    }
}

#[test]
fn a_drain_ends_what_is_left_after_its_timeout() {
    let _turn = alone();
    let server = Server::start(b'a');
    let proxy = Running::to(vec![server.upstream()], 2);
    let mut clients = greeted(&proxy, 4);
    let begin = Instant::now();
    proxy.drain(Some(Duration::from_millis(50)));
    proxy.until_over();
    assert!(begin.elapsed() >= Duration::from_millis(50));
    for client in &mut clients {
        assert!(read_to_reset(client).is_empty());
    }
}

#[test]
fn a_later_drain_ends_a_proxy_only_sooner() {
    let _turn = alone();
    let server = Server::start(b'a');
    let hour = Duration::from_secs(3600);
    for timeouts in [[Duration::from_millis(50), hour], [Duration::MAX, Duration::from_millis(50)]] {
        let proxy = Running::to(vec![server.upstream()], 2);
        let clients = greeted(&proxy, 2);
        let begin = Instant::now();
        for timeout in timeouts {
            proxy.drain(Some(timeout));
        }
        proxy.drain(None);
        proxy.until_over();
        assert!(begin.elapsed() >= Duration::from_millis(50), "{timeouts:?}");
        drop(clients);
    }
}

#[test]
fn a_stop_with_live_connections_leaves_no_descriptor_and_no_thread() {
    let _turn = alone();
    let server = Server::start(b'a');
    let silent = Silent::new();
    let before = open_descriptors();
    for round in 0..5 {
        let list = vec![server.upstream(), Upstream::new("silent", Address::Internet(silent.address))];
        let proxy = Running::to(list, 4);
        let clients: Vec<_> = (0..20).map(|_| proxy.dial()).collect();
        // Half of them are connected, the others wait for their connects.
        let stats = proxy.until("all accepted", |stats| {
            stats.total.accepted == 20 && stats.upstreams[0].bytes_b_to_a == stats.upstreams[0].connected
        });
        assert_eq!(stats.total.open, 20, "round {round}");
        proxy.stop();
        proxy.until_over();
        let stats = proxy.stats();
        assert_eq!((stats.total.open, stats.total.failed), (0, 0), "round {round}");
        assert!(stats.upstreams.iter().all(|one| one.open == 0), "round {round}: {stats:?}");
        drop((clients, proxy));
    }
    await_descriptors(before);
    await_no_threads();
}

#[test]
fn dropping_a_proxy_ends_it() {
    let _turn = alone();
    let server = Server::start(b'a');
    let proxy = Running::to(vec![server.upstream()], 2);
    let (port, mut clients) = (proxy.port(), greeted(&proxy, 2));
    drop(proxy);
    assert!(TcpStream::connect(port).is_err());
    for client in &mut clients {
        assert!(read_to_reset(client).is_empty());
    }
}

#[test]
fn an_address_that_another_socket_or_proxy_uses_is_refused() {
    let _turn = alone();
    let server = Server::start(b'a');
    let proxy = Running::to(vec![server.upstream()], 2);
    let before = open_descriptors();
    for threads in [1, 2, 4] {
        let listener = Endpoint::Bind(proxy.address().clone(), BindOptions::default());
        let options = ProxyOptions { threads, ..ProxyOptions::new(listener, vec![server.upstream()]) };
        let refused = Proxy::start(options, || {}).expect_err("the address is in use");
        assert_eq!(errno(&refused), (Errno::EADDRINUSE, "bind"));
    }
    await_descriptors(before);
    assert_eq!(proxy.greeting(), Some(b'a'));
}

#[test]
fn two_proxies_share_an_address_where_both_set_reuse_port() {
    let _turn = alone();
    if !cfg!(target_os = "linux") {
        return;
    }
    let server = Server::start(b'a');
    let start = |address| Running::at(Endpoint::Bind(address, sharing()), vec![server.upstream()], 2);
    let first = start(Address::internet("127.0.0.1", 0).expect("it is numeric"));
    let second = start(first.address().clone());
    assert_eq!(first.greeting(), Some(b'a'));
    first.drain(None);
    first.until_over();
    assert_eq!(second.greeting(), Some(b'a'));
}

#[test]
fn options_outside_their_ranges_are_refused() {
    let _turn = alone();
    let server = Server::start(b'a');
    let before = open_descriptors();
    let fresh = || ProxyOptions::new(loopback(), vec![server.upstream()]);
    let second = Duration::from_secs(1);
    let health = |failures, backoff, max_backoff| HealthOptions { failures, backoff, max_backoff };
    let limit = |rate, burst| Some(RateLimit { rate, burst });
    let wrong = [
        ("number of threads", ProxyOptions { threads: 0, ..fresh() }),
        ("number of threads", ProxyOptions { threads: 1025, ..fresh() }),
        ("list of upstreams", ProxyOptions { upstreams: Vec::new(), ..fresh() }),
        ("rate", ProxyOptions { limit: limit(0, 1), ..fresh() }),
        ("burst", ProxyOptions { limit: limit(1, 0), ..fresh() }),
        ("number of failures", ProxyOptions { health: health(0, second, second), ..fresh() }),
        ("longest back-off", ProxyOptions { health: health(1, 2 * second, second), ..fresh() }),
    ];
    for (what, options) in wrong {
        assert_eq!(Proxy::start(options, || {}).err(), Some(Error::OutOfRange(what)));
    }
    await_descriptors(before);
}

#[test]
fn threads_share_a_path_or_an_inherited_socket() {
    let _turn = alone();
    let server = Server::start(b'a');
    let path = std::env::temp_dir().join(format!("event-base-proxy-{}", std::process::id()));
    let address = Address::path(path.to_str().expect("it is text")).expect("it fits");
    let inherited: OwnedFd =
        socket::listen(&Address::internet("127.0.0.1", 0).expect("it is numeric"), &BindOptions::default())
            .expect("a port is free");
    for listener in [Endpoint::Bind(address, BindOptions::default()), Endpoint::Inherited(inherited)] {
        let proxy = Running::at(listener, vec![server.upstream()], 3);
        for _ in 0..10 {
            let mut byte = [0];
            match proxy.address() {
                Address::Path(_) => {
                    let mut client = UnixStream::connect(&path).expect("it accepts");
                    client.read_exact(&mut byte).expect("a server greets");
                }
                _ => byte[0] = proxy.greeting().expect("a server greets"),
            }
            assert_eq!(byte, [b'a']);
        }
        assert_eq!(proxy.stats().threads.iter().map(|one| one.accepted).sum::<u64>(), 10);
    }
    assert!(!path.exists(), "a proxy removes the path that it bound");
}

/// A proxy at a path, in a folder of its own.
fn at_path(name: &str, threads: u32, upstream: Upstream) -> (Running, PathBuf) {
    let path = std::env::temp_dir().join(format!("event-base-{name}-{}", std::process::id()));
    let address = Address::path(path.to_str().expect("it is text")).expect("it fits");
    let listen = Endpoint::Bind(address, BindOptions::default());
    (Running::at(listen, vec![upstream], threads), path)
}

#[test]
fn a_path_is_free_for_a_successor_as_soon_as_accepting_ends() {
    let _turn = alone();
    let server = Server::start(b'a');
    let (proxy, path) = at_path("drained", 3, server.upstream());
    let mut client = UnixStream::connect(&path).expect("it accepts");
    client.read_exact(&mut [0]).expect("a server greets");
    proxy.drain(None);
    let give_up = Instant::now() + support::PATIENCE;
    while path.exists() {
        assert!(Instant::now() < give_up, "the path stays");
        thread::sleep(Duration::from_millis(1));
    }
    assert!(!proxy.is_over());
    let (successor, same) = at_path("drained", 2, server.upstream());
    assert_eq!(same, path);
    client.write_all(b"open").expect("it is open");
    drop(client);
    proxy.until_over();
    drop(proxy);
    // The end of the first proxy leaves the successor's path.
    let mut client = UnixStream::connect(&path).expect("the successor accepts");
    client.read_exact(&mut [0]).expect("a server greets");
    successor.stop();
    successor.until_over();
    assert!(!path.exists());
}

#[test]
fn a_path_that_another_socket_has_taken_stays() {
    let _turn = alone();
    let server = Server::start(b'a');
    let (proxy, path) = at_path("replaced", 1, server.upstream());
    std::fs::remove_file(&path).expect("it is there");
    let _other = std::os::unix::net::UnixListener::bind(&path).expect("the path is free");
    proxy.stop();
    proxy.until_over();
    assert!(path.exists());
    std::fs::remove_file(&path).expect("it is there");
}

#[test]
fn a_path_that_was_removed_already_does_not_keep_a_proxy_from_ending() {
    let _turn = alone();
    let server = Server::start(b'a');
    let (proxy, path) = at_path("removed", 2, server.upstream());
    std::fs::remove_file(&path).expect("it is there");
    proxy.drain(None);
    proxy.until_over();
    assert!(proxy.take_problems().is_empty());
}

#[test]
fn a_client_that_gives_up_while_its_upstream_does_not_answer_holds_no_descriptor() {
    let _turn = alone();
    let silent = Silent::new();
    let before = open_descriptors();
    let upstream = Upstream::new("silent", Address::Internet(silent.address));
    let options = ProxyOptions { connect_timeout: None, ..ProxyOptions::new(loopback(), vec![upstream]) };
    let proxy = Running::start(options);
    let idle = open_descriptors();
    let clients: Vec<_> = (0..10).map(|_| proxy.dial()).collect();
    proxy.until("all accepted", |stats| stats.total.open == 10);
    drop(clients);
    let stats = proxy.until("all given up", |stats| stats.total.open == 0);
    assert_eq!((stats.total.refused, stats.upstreams[0].open, stats.upstreams[0].refused), (10, 0, 0));
    await_descriptors(idle);
    drop(proxy);
    await_descriptors(before);
}

#[test]
fn the_threads_of_a_proxy_block_signals() {
    let _turn = alone();
    let server = Server::start(b'a');
    await_no_threads();
    let _proxy = Running::to(vec![server.upstream()], 2);
    let threads = proxy_threads();
    for thread in &threads {
        let status = std::fs::read_to_string(thread.join("status")).expect("it runs");
        let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:")).expect("Linux lists it");
        let blocked = u64::from_str_radix(blocked.trim(), 16).expect("it is hexadecimal");
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGCHLD, Signal::SIGUSR1] {
            assert_ne!(blocked & 1 << (signal as i32 - 1), 0, "{signal}");
        }
        assert_eq!(blocked & 1 << (Signal::SIGSEGV as i32 - 1), 0);
    }
    assert_eq!(threads.len(), if cfg!(target_os = "linux") { 2 } else { 0 });
}
