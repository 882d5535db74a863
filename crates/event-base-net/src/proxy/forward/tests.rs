//! Connects of a proxy that fail, on one thread.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

use event_base::LoopFlags;

use super::*;
use crate::completion::Completion;
use crate::connect::tests::silent;
use crate::faults::{self, Call};
use crate::proxy::options::{AddressUse, Balance, Endpoint, HealthOptions, ProxyProtocol, Upstream};
use crate::proxy::{
    Command, Directory, ListSettings, Listeners, LookupTimes, Problems, Settings, SystemResolver,
    ThreadState, UpstreamStats, listeners,
};
use crate::socket::BindOptions;

const SECOND: Duration = Duration::from_secs(1);

/// The worker of a proxy whose threads were not started.
fn worker(upstream: Upstream, found: &[SocketAddr], health: HealthOptions) -> Worker {
    worker_with(None, upstream, found, health)
}

fn worker_with(
    proxy_protocol: Option<ProxyProtocol>,
    upstream: Upstream,
    found: &[SocketAddr],
    health: HealthOptions,
) -> Worker {
    let any = Address::Internet((Ipv4Addr::LOCALHOST, 0).into());
    let endpoint = Endpoint::Bind(any, BindOptions::default());
    let Listeners { mut sockets, .. } = listeners::open(endpoint, 1).unwrap();
    let list_settings =
        ListSettings { balance: Balance::RoundRobin, addresses: AddressUse::One, health, threads: 1 };
    let times = LookupTimes { interval: None, backoff: SECOND, max_backoff: SECOND, limit: SECOND };
    let mut directory = Directory::new(vec![upstream], list_settings, times).unwrap();
    directory.names.settle("name", Ok(found.to_vec()), Duration::ZERO);
    let settings = Settings { connect_timeout: Some(SECOND / 4), proxy_protocol, ..Settings::default() };
    let threads = [ThreadState::new().unwrap()].into();
    let resolver = Arc::new(SystemResolver);
    let problems = Problems::new(Box::new(|| {}));
    let shared = Shared::new(settings, threads, directory, resolver, problems, None);
    Worker::new(shared, 0, sockets.remove(0)).unwrap()
}

/// Gives the worker a connection of a client, which is returned.
fn accept(worker: &mut Worker) -> OwnedFd {
    let (near, far) = socket::pair().unwrap();
    worker.accepted(near, Address::Unnamed);
    far
}

/// Runs the loop of the worker until a connect has ended.
fn finish_connect(worker: &mut Worker) {
    let base = worker.here().base.clone();
    loop {
        base.run(LoopFlags::ONCE, |_, ready| worker.net.ready(&ready)).unwrap();
        match worker.net.completion() {
            Some(Completion::Connected { key, result: Ok(fd), address, .. }) => {
                return worker.connected(key, fd, address);
            }
            Some(Completion::Connected { key, result: Err(error), failures, .. }) => {
                return worker.connect_failed(key, error, &failures);
            }
            Some(other) => panic!("unexpected: {other:?}"),
            None => {}
        }
    }
}

fn stats(worker: &Worker) -> UpstreamStats {
    worker.shared.upstreams().stats(worker.now(), |_| Duration::ZERO).remove(0)
}

fn failed(errno: Errno) -> Error {
    crate::failure::system(errno, "connect", None)
}

/// The address and the error of each failed connect that was reported.
fn reported(worker: &Worker) -> Vec<(Address, Error)> {
    let failures = worker.shared.problems.take().into_iter().filter_map(|problem| match problem {
        Problem::ConnectFailed { address, error, .. } => Some((address, error)),
        _ => None,
    });
    failures.collect()
}

#[test]
fn a_failure_whose_cause_is_this_host_does_not_take_an_upstream_down() {
    for own in [Errno::EADDRNOTAVAIL, Errno::EMFILE, Errno::ENOBUFS, Errno::ENOMEM] {
        let address = Address::internet("127.0.0.1", 1).unwrap();
        let health = HealthOptions { failures: 1, ..HealthOptions::default() };
        let mut worker = worker(Upstream::new("a", address.clone()), &[], health);
        faults::inject(Call::Connect, own);
        accept(&mut worker);
        let after = stats(&worker);
        assert_eq!((after.state, after.refused, after.open), (UpstreamState::Up, 1, 0), "{own}");
        assert_eq!(worker.here().counters.refused.get(), 1);
        // The report does not name the descriptor, which is closed.
        assert_eq!(reported(&worker), [(address, failed(own))]);

        faults::inject(Call::Connect, Errno::ECONNREFUSED);
        accept(&mut worker);
        assert!(matches!(stats(&worker).state, UpstreamState::Down { .. }));
    }
}

#[test]
fn a_probe_that_fails_on_this_host_is_made_again_by_the_next_connection() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = Address::Internet(server.local_addr().unwrap());
    let backoff = Duration::from_nanos(1);
    let health = HealthOptions { failures: 1, backoff, max_backoff: backoff };
    let mut worker = worker(Upstream::new("a", address), &[], health);
    faults::inject(Call::Connect, Errno::ECONNREFUSED);
    accept(&mut worker);
    faults::inject(Call::Connect, Errno::EADDRNOTAVAIL);
    accept(&mut worker);
    assert_eq!(stats(&worker).state, UpstreamState::Probing);
    let choice = worker.upstreams.pick(&[], || worker.now()).unwrap();
    assert!(choice.probe, "no connection probes it any more");
    worker.upstreams.server(choice.server).state.health.abandon_probe();

    let _client = accept(&mut worker);
    finish_connect(&mut worker);
    assert_eq!((stats(&worker).state, stats(&worker).connected), (UpstreamState::Up, 1));
    assert!(worker.shared.problems.take().contains(&Problem::UpstreamUp { upstream: "a".to_owned() }));
}

#[test]
fn of_several_addresses_the_first_failure_that_is_the_servers_is_reported() {
    let found = ["127.0.0.1", "127.0.0.2", "127.0.0.3"].map(|host| SocketAddr::new(host.parse().unwrap(), 0));
    let address = |index: usize| Address::internet(&found[index].ip().to_string(), 1).unwrap();
    for (errnos, first) in [
        ([Errno::EADDRNOTAVAIL, Errno::ECONNREFUSED, Errno::EHOSTUNREACH], 1),
        ([Errno::ENETUNREACH, Errno::ECONNREFUSED, Errno::EADDRNOTAVAIL], 0),
        ([Errno::EADDRNOTAVAIL; 3], 0),
    ] {
        let mut worker = worker(Upstream::named("n", "name", 1), &found, HealthOptions::default());
        errnos.into_iter().for_each(|errno| faults::inject(Call::Connect, errno));
        accept(&mut worker);
        finish_connect(&mut worker);
        assert_eq!(reported(&worker), [(address(first), failed(errnos[first]))], "{errnos:?}");
    }
}

#[test]
fn a_timeout_is_reported_as_such_although_an_address_has_refused() {
    let (listener, _queue) = silent();
    let silent = listener.local_addr().unwrap();
    let upstream = Upstream::named("n", "name", silent.port());
    let other = SocketAddr::new("127.0.0.2".parse().unwrap(), 0);
    let mut worker = worker(upstream, &[other, silent], HealthOptions::default());
    faults::inject(Call::Connect, Errno::ECONNREFUSED);
    accept(&mut worker);
    finish_connect(&mut worker);
    let [(address, error)] = reported(&worker).try_into().unwrap();
    assert_eq!(errno(&error), Some(Errno::ETIMEDOUT));
    assert_eq!(
        address,
        Address::internet("127.0.0.2", silent.port()).unwrap(),
        "the one that was tried first"
    );
}

#[test]
fn the_time_that_connects_took_is_counted() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = Address::Internet(server.local_addr().unwrap());
    let mut worker = worker(Upstream::new("a", address), &[], HealthOptions::default());
    // Time of the proxy's clock has to pass before the connect.
    std::thread::sleep(Duration::from_millis(20));
    let mut clients = Vec::new();
    let mut longest = Duration::ZERO;
    let before_all = worker.now();
    for count in 1..=3 {
        let before = worker.now();
        clients.push(accept(&mut worker));
        finish_connect(&mut worker);
        longest = longest.max(worker.now() - before);
        let after = stats(&worker);
        assert_eq!(after.connected, count);
        assert!(after.longest_connect > Duration::ZERO && after.longest_connect <= longest, "{after:?}");
        assert!(after.connect_time >= after.longest_connect, "{after:?}");
        assert!(after.connect_time <= worker.now() - before_all, "{after:?}");
        assert_eq!(after.connect_time > after.longest_connect, count > 1, "{after:?}");
    }
}

#[test]
fn both_peers_of_a_connection_whose_header_cannot_be_made_receive_a_reset() {
    let [server, clients] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let upstream = Upstream::new("a", Address::Internet(server.local_addr().unwrap()));
    let mut worker = worker_with(Some(ProxyProtocol::V2), upstream, &[], HealthOptions::default());
    let client = TcpStream::connect(clients.local_addr().unwrap()).unwrap();
    let (near, peer) = clients.accept().unwrap();
    worker.accepted(near.into(), Address::Internet(peer));
    faults::inject(Call::Address, Errno::ENOBUFS);
    finish_connect(&mut worker);
    assert_eq!(faults::left(), 0);
    for mut stream in [client, server.accept().unwrap().0] {
        let received = std::io::Read::read(&mut stream, &mut [0]);
        assert_eq!(received.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    }
    assert_eq!((worker.here().counters.failed.get(), worker.here().counters.open.get()), (1, 0));
}

#[test]
fn a_wait_that_fails_for_lack_of_memory_is_repeated() {
    let mut worker = worker(Upstream::named("n", "name", 1), &[], HealthOptions::default());
    for errno in [Errno::ENOMEM; 3] {
        faults::inject(Call::Dispatch, errno);
    }
    worker.shared.end(Command::Stop);
    assert_eq!(worker.run(), Ok(()));
    assert_eq!(faults::left(), 0);
}

#[test]
fn a_wait_that_fails_for_another_reason_ends_the_thread() {
    let mut worker = worker(Upstream::named("n", "name", 1), &[], HealthOptions::default());
    faults::inject(Call::Dispatch, Errno::EIO);
    worker.shared.end(Command::Stop);
    assert_eq!(worker.run(), Err(crate::failure::system(Errno::EIO, "poll", None)));
}
