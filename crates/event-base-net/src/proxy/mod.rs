//! A TCP proxy on threads of its own.
//!
//! - Each thread has a base, a [`Net`](crate::Net) and a listener. The listeners share one socket, unless
//!   [`BindOptions::reuse_port`](crate::socket::BindOptions::reuse_port) is set. A connection stays on the thread that
//!   accepted it.
//! - No lock is taken to forward bytes or to choose a server that is up: there, threads share atomics only
//!   (`counters.rs`, `upstreams.rs`). Failed connects, commands and problems take locks for a moment.
//! - Commands go through a queue for each thread, whose base they wake, so that the caller never waits. Problems
//!   return through one bounded queue.
//! - The addresses of names are looked up on threads that do nothing else (`lookups.rs`). Each change makes a new
//!   list of servers, which replaces the old one for new connections.
//! - A thread that panics or fails ends the other threads, and never the process.

mod balance;
mod clock;
mod commands;
mod connection_limit;
mod connections;
mod counters;
mod directory;
mod forward;
mod header;
mod health;
mod listeners;
mod lookups;
mod names;
mod options;
mod problems;
mod resolver;
mod server;
mod shared;
mod stats;
mod threads;
mod upstreams;
mod worker;

use std::fmt;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use commands::{Command, ThreadState};
use directory::Directory;
#[cfg(any(test, fuzzing))]
pub(crate) use header::header;
pub use health::UpstreamState;
use listeners::Listeners;
use names::LookupTimes;
pub use options::{
    AddressUse, Balance, Endpoint, HealthOptions, MAX_ADDRESSES, MAX_THREADS, MAX_UPSTREAMS, MAX_WEIGHT,
    ProxyOptions, ProxyProtocol, Upstream, UpstreamTarget,
};
use parking_lot::Mutex;
pub use problems::Problem;
use problems::Problems;
pub use resolver::{Resolver, SystemResolver};
use shared::{Settings, Shared};
pub use stats::{ProxyStats, Traffic, UpstreamStats};
use upstreams::ListSettings;

use crate::accept::ListenOptions;
use crate::address::Address;
use crate::failure::Result;
use crate::relay::{RateGroup, RelayOptions};

/// The limit of a look-up where connects have no timeout.
const LOOKUP_LIMIT: Duration = Duration::from_secs(10);

/// A TCP proxy that runs on native threads. Its methods may be called on any thread and do not wait, except
/// [`join`](Self::join).
///
/// Dropping it ends it, and returns when its threads have ended, which takes them a pass of their loops. A look-up
/// that is in progress is not waited for.
///
/// ```
/// use std::io::{Read, Write};
/// use std::net::{TcpListener, TcpStream};
/// use event_base_net::{Address, socket::BindOptions};
/// use event_base_net::proxy::{Endpoint, Proxy, ProxyOptions, Upstream};
///
/// let server = TcpListener::bind("127.0.0.1:0")?;
/// let upstream = Upstream::new("the server", Address::Internet(server.local_addr()?));
/// let listen = Endpoint::Bind(Address::internet("127.0.0.1", 0)?, BindOptions::default());
/// let proxy = Proxy::start(ProxyOptions { threads: 2, ..ProxyOptions::new(listen, vec![upstream]) }, || {})?;
///
/// let Address::Internet(address) = proxy.address() else { unreachable!() };
/// let mut client = TcpStream::connect(address)?;
/// client.write_all(b"through")?;
/// let mut bytes = [0; 7];
/// server.accept()?.0.read_exact(&mut bytes)?;
/// assert_eq!(&bytes, b"through");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Proxy {
    shared: Arc<Shared>,
    address: Address,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Proxy {
    /// Binds every listener, then starts the threads. `notify` is called on any of them when there are
    /// [problems](Self::take_problems), and when the last thread [has ended](Self::is_over). It must not block.
    ///
    /// Names are looked up afterwards. Connections are accepted once a server is known, or the first look-up of each
    /// name has ended; until then they wait in the kernel's queue.
    ///
    /// # Errors
    /// [`Error::OutOfRange`](event_base::Error::OutOfRange) for options outside their ranges; otherwise a failure of
    /// `socket`, `bind` (`EADDRINUSE`, `EADDRNOTAVAIL`, `EACCES`), `listen`, `epoll_create1`, `pthread_create`
    /// (`EAGAIN`) and others. Nothing is left open or running then, and nothing was accepted.
    pub fn start(options: ProxyOptions, notify: impl Fn() + Send + Sync + 'static) -> Result<Self> {
        options.check()?;
        let ProxyOptions {
            listen,
            accept,
            threads,
            upstreams,
            balance,
            addresses,
            lookup_interval,
            resolver,
            connect_timeout,
            idle_timeout,
            half_close_timeout,
            max_connections,
            limit,
            total_limit,
            proxy_protocol,
            health,
        } = options;
        let count = threads as usize;
        let times = LookupTimes {
            interval: lookup_interval,
            backoff: health.backoff,
            max_backoff: health.max_backoff,
            limit: connect_timeout.unwrap_or(LOOKUP_LIMIT),
        };
        let list_settings = ListSettings { balance, addresses, health, threads: count };
        let directory = Directory::new(upstreams, list_settings, times)?;
        let Listeners { sockets, is_shared, address, path } = listeners::open(listen, count)?;
        let group = total_limit.map(RateGroup::new).transpose()?;
        let relay =
            RelayOptions { idle_timeout, half_close_timeout, limit, group, ..RelayOptions::default() };
        let accept = ListenOptions { shared: accept.shared || is_shared, ..accept };
        let settings = Settings { accept, connect_timeout, max_connections, relay, proxy_protocol };
        let states = (0..count).map(|_| ThreadState::new()).collect::<Result<_>>()?;
        let problems = Problems::new(Box::new(notify));
        let shared = Shared::new(settings, states, directory, resolver, problems, path);
        shared.lookups.start()?;
        let threads = Mutex::new(threads::start(&shared, sockets)?);
        Ok(Proxy { shared, address, threads })
    }

    /// Where it listens. Port 0 was replaced with the port that the kernel chose.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The number of threads.
    #[must_use]
    pub fn thread_count(&self) -> usize {
        self.shared.threads.len()
    }

    /// The statistics so far.
    #[must_use]
    pub fn stats(&self) -> ProxyStats {
        let mut total = Traffic::default();
        let threads: Vec<_> = self
            .shared
            .threads
            .iter()
            .map(|thread| {
                let counters = &thread.counters;
                Traffic {
                    accepted: counters.accepted.get(),
                    open: counters.open.get(),
                    refused: counters.refused.get(),
                    failed: counters.failed.get(),
                    timed_out: counters.timed_out.get(),
                    accept_pauses: counters.accept_pauses.get(),
                    bytes_a_to_b: counters.bytes_a_to_b.get(),
                    bytes_b_to_a: counters.bytes_b_to_a.get(),
                }
            })
            .collect();
        for one in &threads {
            total.accepted += one.accepted;
            total.open += one.open;
            total.refused += one.refused;
            total.failed += one.failed;
            total.timed_out += one.timed_out;
            total.accept_pauses += one.accept_pauses;
            total.bytes_a_to_b += one.bytes_a_to_b;
            total.bytes_b_to_a += one.bytes_b_to_a;
        }
        let next_lookup = |host: &str| self.shared.lookups.retry_after(host);
        let upstreams = self.shared.upstreams().stats(self.shared.clock.now(), next_lookup);
        ProxyStats { total, threads, upstreams }
    }

    /// Forwards new connections to these upstreams. Open connections continue, also those to upstreams that are not
    /// in the list. An upstream that stays keeps its statistics, its health and the addresses of its name.
    ///
    /// Names are looked up. The list is used from when it has a server, or the first look-up of each name has ended;
    /// the old list is used until then.
    ///
    /// # Errors
    /// [`Error::OutOfRange`](event_base::Error::OutOfRange) for a list that is empty or too long, a weight outside its
    /// range, an upstream without an address or a host, or two upstreams with one name; the old list stays then.
    /// `pthread_create` where the first name needs a thread that cannot be made.
    pub fn set_upstreams(&self, list: Vec<Upstream>) -> Result<()> {
        self.shared.lookups.set(list)
    }

    /// Accepts no more connections, except those in the kernel's queue, and ends when the last connection has ended.
    /// The limit of connections still holds: those in the queue that it leaves no place for are reset. After `timeout`
    /// it ends those that are left. A second call can only make that sooner.
    pub fn drain(&self, timeout: Option<Duration>) {
        self.shared.end(Command::Drain(timeout));
    }

    /// Ends all connections, and the threads.
    pub fn stop(&self) {
        self.shared.end(Command::Stop);
    }

    /// Whether every thread has ended, and all its descriptors are closed.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.shared.is_over()
    }

    /// The problems since the last call, the oldest first.
    #[must_use]
    pub fn take_problems(&self) -> Vec<Problem> {
        self.shared.problems.take()
    }

    /// Blocks until every thread has ended, which they do after [`stop`](Self::stop) or [`drain`](Self::drain).
    pub fn join(&self) {
        for thread in std::mem::take(&mut *self.threads.lock()) {
            // It catches its own panic.
            let _ = thread.join();
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop();
        self.join();
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::sync::mpsc::channel;

    use super::*;
    use crate::socket::BindOptions;

    #[test]
    fn the_totals_are_the_sums_over_the_threads() {
        let upstream = Upstream::new("server", Address::internet("127.0.0.1", 1).unwrap());
        let listen = Endpoint::Bind(Address::internet("127.0.0.1", 0).unwrap(), BindOptions::default());
        let options = ProxyOptions { threads: 3, ..ProxyOptions::new(listen, vec![upstream]) };
        let proxy = Proxy::start(options, || {}).unwrap();
        assert_eq!(proxy.thread_count(), 3);
        for (thread, share) in proxy.shared.threads.iter().zip([1, 10, 100]) {
            let counters = &thread.counters;
            counters.accepted.add(share);
            counters.open.add(2 * share);
            counters.refused.add(3 * share);
            counters.failed.add(4 * share);
            counters.bytes_a_to_b.add(5 * share);
            counters.bytes_b_to_a.add(6 * share);
            counters.timed_out.add(7 * share);
            counters.accept_pauses.add(8 * share);
        }
        let stats = proxy.stats();
        let traffic = |share| Traffic {
            accepted: share,
            open: 2 * share,
            refused: 3 * share,
            failed: 4 * share,
            bytes_a_to_b: 5 * share,
            bytes_b_to_a: 6 * share,
            timed_out: 7 * share,
            accept_pauses: 8 * share,
        };
        assert_eq!((stats.total, stats.threads), (traffic(111), [1, 10, 100].map(traffic).to_vec()));
        let text = format!("{proxy:?} {:?}", proxy.shared.problems);
        assert!(text.contains("Proxy { address: ") && text.contains("Problems { queue: "), "{text}");
    }

    #[test]
    fn a_panic_ends_the_proxy_and_nothing_else() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let upstream = Upstream::new("server", Address::Internet(server.local_addr().unwrap()));
        let listen = Endpoint::Bind(Address::internet("127.0.0.1", 0).unwrap(), BindOptions::default());
        let (notify, notified) = channel();
        let options = ProxyOptions { threads: 3, ..ProxyOptions::new(listen, vec![upstream]) };
        let proxy = Proxy::start(options, move || notify.send(()).unwrap()).unwrap();
        let Address::Internet(address) = *proxy.address() else { panic!("it is an internet address") };
        let _client = TcpStream::connect(address).unwrap();
        let _arrived = server.accept().unwrap();

        proxy.shared.threads[1].send(Command::Panic);
        while !proxy.is_over() {
            notified.recv().unwrap();
        }
        let reason = "a thread of the proxy panicked: a test requested it".to_owned();
        assert_eq!(proxy.take_problems(), [Problem::ThreadFailed { reason }]);
        // Later commands have no effect.
        proxy.drain(None);
        proxy.stop();
        proxy.join();
        assert!(TcpStream::connect(address).is_err());
    }
}
