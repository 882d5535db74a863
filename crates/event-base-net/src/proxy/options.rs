//! The options of a proxy.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use event_base::Error;

use super::resolver::{Resolver, SystemResolver};
use crate::accept::ListenOptions;
use crate::address::Address;
use crate::failure::Result;
use crate::relay::{RateLimit, RelayOptions};
use crate::socket::BindOptions;

/// The largest number of native threads of a proxy.
pub const MAX_THREADS: u32 = 1024;
/// The largest number of upstreams of a proxy.
pub const MAX_UPSTREAMS: usize = 1024;
/// The largest weight of an upstream.
pub const MAX_WEIGHT: u32 = 256;
/// The largest number of addresses that a proxy uses of one name; the resolver's first ones.
pub const MAX_ADDRESSES: usize = 64;

/// The default of [`ListenOptions::batch`] in a proxy. Smaller than that of a single listener: of the connections that
/// wait while all threads are busy, the first thread that polls takes this number.
const ACCEPT_BATCH: u32 = 16;

/// Where a proxy accepts.
#[derive(Debug)]
pub enum Endpoint {
    /// An address that the proxy binds. All threads accept from one socket.
    ///
    /// With [`BindOptions::reuse_port`] each thread has a socket of its own on Linux. The kernel distributes connections
    /// by a hash of their addresses, without waking a thread for another's connection. Any process of the same user can
    /// then bind the address too and gets a part of the connections, and connections that wait in the queue of a socket
    /// that closes are reset (`socket(7)`).
    ///
    /// The proxy removes the path of a unix socket as soon as it stops accepting.
    Bind(Address, BindOptions),
    /// A socket that listens already, such as an inherited one. The proxy owns it; its path stays.
    Inherited(OwnedFd),
}

/// Where an upstream is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpstreamTarget {
    /// One address.
    Address(Address),
    /// A host that the proxy's [`resolver`](ProxyOptions::resolver) looks up.
    Name {
        /// The host's name; not empty.
        host: String,
        /// The port at each of its addresses.
        port: u16,
    },
}

/// A server that connections are forwarded to, or a name that several servers have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// Identifies the upstream in statistics, and in [`Proxy::set_upstreams`](super::Proxy::set_upstreams).
    pub name: String,
    /// Where it is.
    pub target: UpstreamTarget,
    /// The share of connections in proportion to other upstreams: 1 to [`MAX_WEIGHT`]. Each address of a name has
    /// this weight under [`AddressUse::All`].
    pub weight: u32,
}

impl Upstream {
    /// An upstream at one address, with weight 1.
    #[must_use]
    pub fn new(name: impl Into<String>, address: Address) -> Self {
        Upstream { name: name.into(), target: UpstreamTarget::Address(address), weight: 1 }
    }

    /// An upstream at the addresses of `host`, with weight 1.
    #[must_use]
    pub fn named(name: impl Into<String>, host: impl Into<String>, port: u16) -> Self {
        let target = UpstreamTarget::Name { host: host.into(), port };
        Upstream { name: name.into(), target, weight: 1 }
    }

    /// The name that has to be looked up.
    pub(super) fn host(&self) -> Option<&str> {
        match &self.target {
            UpstreamTarget::Address(_) => None,
            UpstreamTarget::Name { host, .. } => Some(host),
        }
    }
}

/// How several addresses of one name are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AddressUse {
    /// Each address is a server: it has the upstream's weight, takes part in balancing, and has a health of its
    /// own.
    #[default]
    All,
    /// All addresses are one server. Each connect races them (RFC 8305), beginning with the address that the last
    /// successful connect reached.
    One,
}

/// How connections are spread over upstreams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Balance {
    /// Each server in turn, counted over all threads. The turns of a server with a larger weight are spread evenly
    /// between those of the others.
    #[default]
    RoundRobin,
    /// The server with the fewest open connections in proportion to its weight, connects in progress included,
    /// counted over all threads. Among equals, the next in turn.
    LeastConnections,
}

/// Which header of HAProxy's PROXY protocol informs the upstream of the client's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyProtocol {
    /// One line of text.
    V1,
    /// Binary.
    V2,
}

/// When a server that cannot be connected to is passed over. The health of a server is passive: no connection is
/// made only to check it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthOptions {
    /// The number of consecutive failed connects after which it is passed over; at least 1.
    pub failures: u32,
    /// The first time for which it is passed over. One connection then probes it; each failed probe doubles the
    /// time. A failed look-up of a name is retried at the same intervals, but not sooner than after 100 ms.
    pub backoff: Duration,
    /// The longest such time; at least `backoff`.
    pub max_backoff: Duration,
}

impl Default for HealthOptions {
    /// 3 failures; 1 s, up to 30 s.
    fn default() -> Self {
        HealthOptions { failures: 3, backoff: Duration::from_secs(1), max_backoff: Duration::from_secs(30) }
    }
}

/// How a [`Proxy`](super::Proxy) works.
#[derive(Debug)]
pub struct ProxyOptions {
    /// Where it accepts.
    pub listen: Endpoint,
    /// How each thread accepts.
    pub accept: ListenOptions,
    /// The number of native threads, each with a base of its own: 1 to [`MAX_THREADS`].
    pub threads: u32,
    /// Where it forwards to: 1 to [`MAX_UPSTREAMS`] upstreams with distinct names.
    pub upstreams: Vec<Upstream>,
    /// How connections are spread over the servers.
    pub balance: Balance,
    /// How several addresses of one name are used.
    pub addresses: AddressUse,
    /// The time between two look-ups of one name. `None`: a name is looked up again only after a failure: of the
    /// look-up, or of a connect to one of its addresses.
    pub lookup_interval: Option<Duration>,
    /// Looks names up.
    pub resolver: Arc<dyn Resolver>,
    /// The longest time a connect to one server may take, all addresses that are raced included. A look-up that
    /// takes longer is reported as failed; its answer is used when it arrives. `None`: as long as the kernel tries,
    /// which is minutes, and 10 s for look-ups.
    pub connect_timeout: Option<Duration>,
    /// Ends a connection in which no byte has moved for this time. `None`: never.
    pub idle_timeout: Option<Duration>,
    /// Ends a connection in which no byte has moved for this time, if one side has ended its stream or takes no bytes:
    /// see [`RelayOptions::half_close_timeout`](crate::RelayOptions::half_close_timeout). `None`: only the idle timeout
    /// does.
    pub half_close_timeout: Option<Duration>,
    /// The largest number of open connections, over all threads, those that wait for a server included; at least 1.
    /// At this number no thread accepts, and further connections wait in the kernel's queue. `None`: no limit but that of
    /// descriptors, of which a connection uses two, and two or four more while it splices.
    pub max_connections: Option<u32>,
    /// The rate of each connection, for each direction.
    pub limit: Option<RateLimit>,
    /// The rate of all connections together, for each direction.
    pub total_limit: Option<RateLimit>,
    /// The header that is sent to the upstream ahead of a connection's bytes.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// When a server is passed over.
    pub health: HealthOptions,
}

impl ProxyOptions {
    /// A proxy on one thread from `listen` to `upstreams`, with the defaults otherwise.
    #[must_use]
    pub fn new(listen: Endpoint, upstreams: Vec<Upstream>) -> Self {
        ProxyOptions {
            listen,
            accept: ListenOptions { batch: ACCEPT_BATCH, ..ListenOptions::default() },
            threads: 1,
            upstreams,
            balance: Balance::default(),
            addresses: AddressUse::default(),
            lookup_interval: Some(Duration::from_secs(30)),
            resolver: Arc::new(SystemResolver),
            connect_timeout: Some(Duration::from_secs(10)),
            idle_timeout: None,
            half_close_timeout: RelayOptions::default().half_close_timeout,
            max_connections: None,
            limit: None,
            total_limit: None,
            proxy_protocol: None,
            health: HealthOptions::default(),
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        if self.threads == 0 || self.threads > MAX_THREADS {
            return Err(Error::OutOfRange("number of threads"));
        }
        if self.accept.batch == 0 {
            return Err(Error::OutOfRange("batch"));
        }
        if self.max_connections == Some(0) {
            return Err(Error::OutOfRange("number of connections"));
        }
        for limit in [&self.limit, &self.total_limit].into_iter().flatten() {
            limit.check()?;
        }
        if self.lookup_interval.is_some_and(|interval| interval.is_zero()) {
            return Err(Error::OutOfRange("look-up interval"));
        }
        let HealthOptions { failures, backoff, max_backoff } = self.health;
        if failures == 0 {
            return Err(Error::OutOfRange("number of failures"));
        }
        if max_backoff < backoff {
            return Err(Error::OutOfRange("longest back-off"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(change: impl FnOnce(&mut ProxyOptions)) -> Result<()> {
        let any = Address::internet("127.0.0.1", 0).unwrap();
        let upstream = Upstream::new("a", any.clone());
        let mut options = ProxyOptions::new(Endpoint::Bind(any, BindOptions::default()), vec![upstream]);
        change(&mut options);
        options.check()
    }

    #[test]
    fn the_limits_of_each_range_belong_to_it() {
        let health = |failures, backoff, max_backoff| HealthOptions { failures, backoff, max_backoff };
        let second = Duration::from_secs(1);
        for threads in [1, MAX_THREADS] {
            assert_eq!(with(|options| options.threads = threads), Ok(()));
        }
        for threads in [0, MAX_THREADS + 1] {
            let refused = with(|options| options.threads = threads);
            assert_eq!(refused, Err(Error::OutOfRange("number of threads")));
        }
        assert_eq!(with(|options| options.accept.batch = 0), Err(Error::OutOfRange("batch")));
        assert_eq!(with(|options| options.health = health(1, second, second)), Ok(()));
        let refused = with(|options| options.health = health(1, second, second - Duration::from_nanos(1)));
        assert_eq!(refused, Err(Error::OutOfRange("longest back-off")));
        assert_eq!(with(|options| options.lookup_interval = Some(Duration::from_nanos(1))), Ok(()));
        let refused = with(|options| options.lookup_interval = Some(Duration::ZERO));
        assert_eq!(refused, Err(Error::OutOfRange("look-up interval")));
    }
}
