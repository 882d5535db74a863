//! What a proxy is told.

use std::os::fd::OwnedFd;
use std::time::Duration;

use event_base::Error;

use crate::accept::ListenOptions;
use crate::address::Address;
use crate::failure::Result;
use crate::relay::RateLimit;
use crate::socket::BindOptions;

/// More native threads than this are a mistake.
pub const MAX_THREADS: u32 = 1024;
/// More upstreams than this are a mistake.
pub const MAX_UPSTREAMS: usize = 1024;
/// The heaviest an upstream can be.
pub const MAX_WEIGHT: u32 = 256;

/// Where a proxy accepts.
#[derive(Debug)]
pub enum Door {
    /// It binds, and closes what it bound.
    At(Address, BindOptions),
    /// A socket that listens already, an inherited one for instance. The proxy owns it.
    Inherited(OwnedFd),
}

/// One place to forward to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// Tells it from the others, and recognises it in [`Proxy::set_upstreams`](super::Proxy::set_upstreams).
    pub name: String,
    /// Its addresses, at least one. Those after the first are tried where the ones before do not answer, and
    /// the one that answered is tried first from then on.
    pub addresses: Vec<Address>,
    /// How many connections it gets in proportion to the others: 1 to [`MAX_WEIGHT`].
    pub weight: u32,
}

impl Upstream {
    /// An upstream with one address and the weight 1.
    #[must_use]
    pub fn new(name: impl Into<String>, address: Address) -> Self {
        Upstream { name: name.into(), addresses: vec![address], weight: 1 }
    }
}

/// How connections are spread over upstreams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Balance {
    /// Each gets its turn, all threads taken together; where weights differ, the turns of the heavy ones are
    /// spread evenly between those of the others.
    #[default]
    RoundRobin,
    /// Whichever has the fewest connections open for its weight, those being made included, all threads taken
    /// together. Between equals it is whose turn it is.
    LeastConnections,
}

/// Which header tells the upstream where a connection came from: HAProxy's PROXY protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyProtocol {
    /// One line of text.
    V1,
    /// Binary.
    V2,
}

/// When an upstream that cannot be connected to is passed over. No connection is made only to find out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthOptions {
    /// After how many failed connects in a row; at least 1.
    pub failures: u32,
    /// For how long at first. Then one connection tries it again; while those fail, the time doubles.
    pub backoff: Duration,
    /// The longest it gets; at least `backoff`.
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
    pub door: Door,
    /// How each thread accepts.
    pub accept: ListenOptions,
    /// How many native threads, each with a base of its own: 1 to [`MAX_THREADS`].
    pub threads: u32,
    /// Where it forwards to: 1 to [`MAX_UPSTREAMS`], no two with one name.
    pub upstreams: Vec<Upstream>,
    /// How connections are spread over them.
    pub balance: Balance,
    /// How long a connect to one address may take. `None`: as long as the kernel tries, which is minutes.
    pub connect_timeout: Option<Duration>,
    /// Ends a connection in which nothing has moved for so long. `None`: never.
    pub idle_timeout: Option<Duration>,
    /// How fast bytes may move in a connection, each direction for itself.
    pub limit: Option<RateLimit>,
    /// Which header is sent ahead of a connection's bytes.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// When an upstream is passed over.
    pub health: HealthOptions,
}

impl ProxyOptions {
    /// A proxy on one thread from `door` to `upstreams`, everything else as it is by default.
    #[must_use]
    pub fn new(door: Door, upstreams: Vec<Upstream>) -> Self {
        ProxyOptions {
            door,
            accept: ListenOptions::default(),
            threads: 1,
            upstreams,
            balance: Balance::default(),
            connect_timeout: Some(Duration::from_secs(10)),
            idle_timeout: None,
            limit: None,
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
        if let Some(limit) = &self.limit {
            limit.check()?;
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
