//! A whole proxy on threads of its own.
//!
//! Ground rules:
//! - Each thread has a base, a [`Net`](crate::Net) and a listener; a connection stays on the thread that
//!   accepted it.
//! - On the path of bytes nobody locks: what threads share there are the atomics of `counters.rs`, and whose
//!   turn an upstream is. Locks are taken for a connect that failed, for commands and for problems, each for
//!   moments.
//! - Commands go through a queue for each thread and the wake-up of its base, so whoever gives one waits for
//!   nobody. Problems go the other way through one bounded queue.
//! - A thread that panics or fails takes the other threads along, and never the process.

mod connections;
mod counters;
mod doors;
mod header;
mod health;
mod options;
mod problem;
mod shared;
mod stats;
mod threads;
mod upstreams;
mod worker;

use std::fmt;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

pub use health::UpstreamState;
pub use options::{
    Balance, Door, HealthOptions, MAX_THREADS, MAX_UPSTREAMS, MAX_WEIGHT, ProxyOptions, ProxyProtocol,
    Upstream,
};
use parking_lot::Mutex;
use problem::Outbox;
pub use problem::Problem;
use shared::{Command, Fixed, Shared, ThreadShared};
pub use stats::{ProxyStats, Traffic, UpstreamStats};
use upstreams::Upstreams;

use crate::address::Address;
use crate::failure::Result;
use crate::relay::{RateGroup, RelayOptions};

/// A TCP proxy that runs on native threads. Its calls may be made from any thread and wait for nothing, but
/// for [`join`](Self::join).
///
/// Dropping it ends it at once, and returns when its threads have ended, which takes them a pass of their
/// loops.
///
/// ```
/// use std::io::{Read, Write};
/// use std::net::{TcpListener, TcpStream};
/// use event_base_net::{Address, socket::BindOptions};
/// use event_base_net::proxy::{Door, Proxy, ProxyOptions, Upstream};
///
/// let server = TcpListener::bind("127.0.0.1:0")?;
/// let upstream = Upstream::new("the server", Address::Internet(server.local_addr()?));
/// let door = Door::At(Address::internet("127.0.0.1", 0)?, BindOptions::default());
/// let proxy = Proxy::start(ProxyOptions { threads: 2, ..ProxyOptions::new(door, vec![upstream]) }, || {})?;
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
    /// Binds every listener, then starts the threads. `bell` is called, on any of them, when there are
    /// [problems](Self::take_problems) and when the last thread [has ended](Self::is_over); it must not block.
    ///
    /// # Errors
    /// [`Error::OutOfRange`](event_base::Error::OutOfRange) for options outside their ranges; otherwise what
    /// the kernel refused, of `socket`, `bind` (`EADDRINUSE`, `EADDRNOTAVAIL`, `EACCES`), `listen`,
    /// `epoll_create1`, `pthread_create` (`EAGAIN`) and others. Nothing is left open then, and nothing was
    /// accepted.
    pub fn start(options: ProxyOptions, bell: impl Fn() + Send + Sync + 'static) -> Result<Self> {
        options.check()?;
        let ProxyOptions {
            door,
            accept,
            threads,
            upstreams,
            balance,
            connect_timeout,
            idle_timeout,
            limit,
            total_limit,
            proxy_protocol,
            health,
        } = options;
        let count = threads as usize;
        let upstreams = Upstreams::new(upstreams, balance, count, health, None)?;
        let (doors, address) = doors::open(door, count)?;
        let group = total_limit.map(RateGroup::new).transpose()?;
        let relay = RelayOptions { idle_timeout, limit, group, ..RelayOptions::default() };
        let fixed = Fixed { accept, balance, connect_timeout, relay, proxy_protocol, health };
        let bases = (0..count).map(|_| ThreadShared::new()).collect::<Result<_>>()?;
        let shared = Arc::new(Shared::new(fixed, bases, upstreams, Outbox::new(Box::new(bell))));
        let threads = Mutex::new(threads::start(&shared, doors)?);
        Ok(Proxy { shared, address, threads })
    }

    /// Where it listens; after port 0, with the port that was chosen.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// How many threads it was started with.
    #[must_use]
    pub fn thread_count(&self) -> usize {
        self.shared.threads.len()
    }

    /// What it has done so far.
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
            total.bytes_a_to_b += one.bytes_a_to_b;
            total.bytes_b_to_a += one.bytes_b_to_a;
        }
        ProxyStats { total, threads, upstreams: self.shared.upstreams().stats(self.shared.clock.now()) }
    }

    /// Forwards new connections to these upstreams. Those under way go on, also to upstreams that are not
    /// among them; one that is keeps its numbers and what is known of its health.
    ///
    /// # Errors
    /// [`Error::OutOfRange`](event_base::Error::OutOfRange) for a list that is empty or too long, a weight
    /// outside its range, an upstream without an address, or two with one name. The old list stays then.
    pub fn set_upstreams(&self, list: Vec<Upstream>) -> Result<()> {
        let Fixed { balance, health, .. } = self.shared.options;
        let old = self.shared.upstreams();
        let new = Upstreams::new(list, balance, self.shared.threads.len(), health, Some(&old))?;
        self.shared.set_upstreams(Arc::new(new));
        Ok(())
    }

    /// Accepts no more, except what waits in the kernel's queue, and ends when the last connection has ended,
    /// or after `timeout`, with those that are left then. A second call can only make that sooner.
    pub fn drain(&self, timeout: Option<Duration>) {
        self.shared.tell_all(Command::Drain(timeout));
    }

    /// Ends everything at once.
    pub fn stop(&self) {
        self.shared.tell_all(Command::Stop);
    }

    /// Whether every thread has ended, and all that belonged to it is closed.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.shared.is_over()
    }

    /// What went wrong since the last call, the oldest first.
    #[must_use]
    pub fn take_problems(&self) -> Vec<Problem> {
        self.shared.outbox.take()
    }

    /// Waits until every thread has ended, which without [`stop`](Self::stop) or [`drain`](Self::drain) they
    /// do not. Not for a thread that others rely on.
    pub fn join(&self) {
        for thread in std::mem::take(&mut *self.threads.lock()) {
            // It caught its own panic.
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
    fn a_panic_ends_the_proxy_and_nothing_else() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let upstream = Upstream::new("server", Address::Internet(server.local_addr().unwrap()));
        let door = Door::At(Address::internet("127.0.0.1", 0).unwrap(), BindOptions::default());
        let (ring, rung) = channel();
        let options = ProxyOptions { threads: 3, ..ProxyOptions::new(door, vec![upstream]) };
        let proxy = Proxy::start(options, move || ring.send(()).unwrap()).unwrap();
        let Address::Internet(address) = *proxy.address() else { panic!("it is an internet address") };
        let _client = TcpStream::connect(address).unwrap();
        let _arrived = server.accept().unwrap();

        proxy.shared.threads[1].tell(Command::Panic);
        while !proxy.is_over() {
            rung.recv().unwrap();
        }
        let reason = "a thread of the proxy panicked: a test asked for it".to_owned();
        assert_eq!(proxy.take_problems(), [Problem::ThreadFailed { reason }]);
        // Later commands find nobody.
        proxy.drain(None);
        proxy.stop();
        proxy.join();
        assert!(TcpStream::connect(address).is_err());
    }
}
