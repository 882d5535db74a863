//! Proxies on threads of their own.
//!
//! JavaScript holds one as an External, whose end, with the environment at the latest, ends the threads. They
//! never call into JavaScript: they ring, and JavaScript fetches what there is to hear.

use std::fmt;

use event_base::Error;
use event_base_net::proxy::{
    AddressUse, Balance, Endpoint, HealthOptions, Problem, Proxy, ProxyOptions, ProxyProtocol, Traffic,
    Upstream, UpstreamState, UpstreamStats, UpstreamTarget,
};
use event_base_net::{Address, ListenOptions, RateLimit};
use napi::bindgen_prelude::{External, Function, Object};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Env, Status};
use napi_derive::napi;

use crate::address::{BindingAddress, address};
use crate::descriptor::take;
use crate::error::{Outcome, make};
use crate::socket::BindingBindOptions;
use crate::time::{duration, milliseconds};

/// A version of the PROXY protocol; 0 means none.
fn protocol(version: u32) -> Option<ProxyProtocol> {
    match version {
        0 => None,
        1 => Some(ProxyProtocol::V1),
        _ => Some(ProxyProtocol::V2),
    }
}

/// Rings in an environment: weak, and ringing once is enough.
type Bell = ThreadsafeFunction<(), (), (), Status, false, true, 1>;

/// A proxy that runs until this is dropped.
pub struct ProxyOwner {
    proxy: Proxy,
}

impl fmt::Debug for ProxyOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.proxy.fmt(f)
    }
}

/// An upstream.
#[napi(object)]
#[derive(Debug)]
pub struct BindingUpstream {
    /// Identifies it.
    pub name: String,
    /// Where it is. The host may be a name, which the proxy looks up.
    pub target: BindingAddress,
    /// Its weight.
    pub weight: u32,
}

/// How a proxy works. Negative times, rates of 0 and a `proxy_protocol` of 0 mean none.
#[napi(object)]
#[derive(Debug)]
pub struct BindingProxyOptions {
    /// Where it listens; missing for a descriptor.
    pub listen: Option<BindingAddress>,
    /// The listening socket where there is no address; the proxy's from here on.
    pub fd: i32,
    /// How it binds.
    pub bind: BindingBindOptions,
    /// Connections accepted in one pass.
    pub batch: u32,
    /// How many threads.
    pub threads: u32,
    /// Where it forwards to.
    pub upstreams: Vec<BindingUpstream>,
    /// The fewest connections count, not the turn.
    pub least_connections: bool,
    /// Whether the addresses of a name are one server, and not one each.
    pub addresses_as_one: bool,
    /// Milliseconds between two look-ups of a name.
    pub lookup_interval: f64,
    /// Milliseconds that a connect to one server may take.
    pub connect_timeout: f64,
    /// Milliseconds without a byte.
    pub idle_timeout: f64,
    /// Bytes a second in a connection.
    pub rate: f64,
    /// Bytes at once.
    pub burst: f64,
    /// Bytes a second in all connections together.
    pub total_rate: f64,
    /// Bytes at once in all of them.
    pub total_burst: f64,
    /// The version of the header.
    pub proxy_protocol: u32,
    /// Failures in a row.
    pub failures: u32,
    /// Milliseconds out at first.
    pub backoff: f64,
    /// Milliseconds out at most.
    pub max_backoff: f64,
}

fn upstreams(list: Vec<BindingUpstream>) -> Result<Vec<Upstream>, Error> {
    list.into_iter()
        .map(|BindingUpstream { name, target: BindingAddress { place, port }, weight }| {
            // TypeScript checks the port; one below 0 means a path.
            let target = match (Address::internet(&place, port.max(0) as u16), u16::try_from(port)) {
                (Err(_), Ok(port)) => UpstreamTarget::Name { host: place, port },
                _ => UpstreamTarget::Address(address(place, port)?),
            };
            Ok(Upstream { name, target, weight })
        })
        .collect()
}

fn limit(rate: f64, burst: f64) -> Option<RateLimit> {
    (rate > 0.0).then_some(RateLimit { rate: rate as u64, burst: burst as u64 })
}

impl TryFrom<BindingProxyOptions> for ProxyOptions {
    type Error = Error;

    fn try_from(told: BindingProxyOptions) -> Result<Self, Error> {
        let list = upstreams(told.upstreams)?;
        let listen = match told.listen {
            Some(place) => Endpoint::Bind(address(place.place, place.port)?, told.bind.into()),
            None => Endpoint::Inherited(take(told.fd, "accept")?),
        };
        let standard = HealthOptions::default();
        Ok(ProxyOptions {
            accept: ListenOptions { batch: told.batch, ..ListenOptions::default() },
            threads: told.threads,
            balance: if told.least_connections { Balance::LeastConnections } else { Balance::RoundRobin },
            addresses: if told.addresses_as_one { AddressUse::One } else { AddressUse::All },
            lookup_interval: duration(told.lookup_interval),
            connect_timeout: duration(told.connect_timeout),
            idle_timeout: duration(told.idle_timeout),
            limit: limit(told.rate, told.burst),
            total_limit: limit(told.total_rate, told.total_burst),
            proxy_protocol: protocol(told.proxy_protocol),
            health: HealthOptions {
                failures: told.failures,
                backoff: duration(told.backoff).unwrap_or(standard.backoff),
                max_backoff: duration(told.max_backoff).unwrap_or(standard.max_backoff),
            },
            ..ProxyOptions::new(listen, list)
        })
    }
}

/// Starts a proxy. `listener` is called, from the environment's own loop, when there is something to
/// [hear](proxy_take).
#[napi(catch_unwind)]
pub fn proxy_start(
    options: BindingProxyOptions,
    #[napi(ts_arg_type = "() => void")] listener: Function<'_, (), ()>,
) -> napi::Result<Outcome<External<ProxyOwner>>> {
    let bell: Bell =
        listener.build_threadsafe_function::<()>().weak::<true>().max_queue_size::<1>().build()?;
    let ring = move || {
        // Refused only where it rings already, or where nobody is left to hear it.
        _ = bell.call((), ThreadsafeFunctionCallMode::NonBlocking);
    };
    let started = ProxyOptions::try_from(options).and_then(|options| Proxy::start(options, ring));
    Ok(Outcome(started.map(|proxy| External::new(ProxyOwner { proxy }))))
}

/// Where it listens.
#[napi(catch_unwind)]
pub fn proxy_address(owner: &External<ProxyOwner>) -> BindingAddress {
    BindingAddress::from(owner.proxy.address())
}

/// Forwards new connections to other upstreams.
#[napi(catch_unwind)]
pub fn proxy_set_upstreams(owner: &External<ProxyOwner>, list: Vec<BindingUpstream>) -> Outcome<()> {
    upstreams(list).and_then(|list| owner.proxy.set_upstreams(list)).into()
}

/// Accepts no more and ends with the last connection; a negative timeout means none.
#[napi(catch_unwind)]
pub fn proxy_drain(owner: &External<ProxyOwner>, timeout: f64) {
    owner.proxy.drain(duration(timeout));
}

/// Ends everything at once, without waiting for it.
#[napi(catch_unwind)]
pub fn proxy_stop(owner: &External<ProxyOwner>) {
    owner.proxy.stop();
}

/// Ends everything at once, and waits for it.
#[napi(catch_unwind)]
pub fn proxy_end(owner: &External<ProxyOwner>) {
    owner.proxy.stop();
    owner.proxy.join();
}

/// Whether all threads have ended.
#[napi(catch_unwind)]
pub fn proxy_is_over(owner: &External<ProxyOwner>) -> bool {
    owner.proxy.is_over()
}

/// What a proxy, or one thread, has done.
#[napi(object)]
#[derive(Debug)]
pub struct BindingTraffic {
    /// Connections accepted.
    pub accepted: f64,
    /// Connections under way.
    pub open: f64,
    /// Connections nobody took.
    pub refused: f64,
    /// Connections that ended by an error.
    pub failed: f64,
    /// Bytes towards upstreams.
    pub bytes_a_to_b: f64,
    /// Bytes from upstreams.
    pub bytes_b_to_a: f64,
}

impl From<&Traffic> for BindingTraffic {
    fn from(traffic: &Traffic) -> Self {
        BindingTraffic {
            accepted: traffic.accepted as f64,
            open: traffic.open as f64,
            refused: traffic.refused as f64,
            failed: traffic.failed as f64,
            bytes_a_to_b: traffic.bytes_a_to_b as f64,
            bytes_b_to_a: traffic.bytes_b_to_a as f64,
        }
    }
}

/// What became of the connections to one upstream.
#[napi(object)]
#[derive(Debug)]
pub struct BindingUpstreamStats {
    /// Which.
    pub name: String,
    /// Its share.
    pub weight: u32,
    /// Up, down, or being found out.
    #[napi(ts_type = "'up' | 'down' | 'probing'")]
    pub state: String,
    /// Milliseconds until it is tried again; -1 unless it is down.
    pub retry_after: f64,
    /// Connections it took.
    pub connected: f64,
    /// Connections under way.
    pub open: f64,
    /// Connects that failed.
    pub refused: f64,
    /// Connections that ended by an error.
    pub failed: f64,
    /// Bytes towards it.
    pub bytes_a_to_b: f64,
    /// Bytes from it.
    pub bytes_b_to_a: f64,
    /// Milliseconds of connects that succeeded.
    pub connect_ms: f64,
    /// The longest of them.
    pub longest_connect_ms: f64,
}

impl From<UpstreamStats> for BindingUpstreamStats {
    fn from(stats: UpstreamStats) -> Self {
        let (state, retry_after) = match stats.state {
            UpstreamState::Up => ("up", -1.0),
            UpstreamState::Probing => ("probing", -1.0),
            UpstreamState::Down { retry_after } => ("down", milliseconds(retry_after)),
        };
        BindingUpstreamStats {
            name: stats.name,
            weight: stats.weight,
            state: state.to_owned(),
            retry_after,
            connected: stats.connected as f64,
            open: stats.open as f64,
            refused: stats.refused as f64,
            failed: stats.failed as f64,
            bytes_a_to_b: stats.bytes_a_to_b as f64,
            bytes_b_to_a: stats.bytes_b_to_a as f64,
            connect_ms: milliseconds(stats.connect_time),
            longest_connect_ms: milliseconds(stats.longest_connect),
        }
    }
}

/// What a proxy has done so far.
#[napi(object)]
#[derive(Debug)]
pub struct BindingProxyStats {
    /// All of it.
    pub total: BindingTraffic,
    /// By thread.
    pub threads: Vec<BindingTraffic>,
    /// By upstream.
    pub upstreams: Vec<BindingUpstreamStats>,
}

/// What it has done so far.
#[napi(catch_unwind)]
pub fn proxy_stats(owner: &External<ProxyOwner>) -> BindingProxyStats {
    let stats = owner.proxy.stats();
    BindingProxyStats {
        total: BindingTraffic::from(&stats.total),
        threads: stats.threads.iter().map(BindingTraffic::from).collect(),
        upstreams: stats.upstreams.into_iter().map(BindingUpstreamStats::from).collect(),
    }
}

/// What there is to hear.
#[napi(
    catch_unwind,
    ts_return_type = "Array<\
        | { kind: 'connectFailed', upstream: string, address: BindingAddress, error: Error, times: number }\n\
        | { kind: 'upstreamDown', upstream: string, address: BindingAddress, error: Error, retryAfter: number }\n\
        | { kind: 'upstreamUp', upstream: string }\n\
        | { kind: 'lookupFailed', upstream: string, host: string, reason: string, retryAfter?: number }\n\
        | { kind: 'acceptFailed', error: Error, retryAfter: number }\n\
        | { kind: 'threadFailed', reason: string }\n\
        | { kind: 'dropped', times: number }>"
)]
pub fn proxy_take<'env>(env: &'env Env, owner: &External<ProxyOwner>) -> napi::Result<Vec<Object<'env>>> {
    owner.proxy.take_problems().into_iter().map(|problem| tell(env, problem)).collect()
}

fn tell(env: &Env, problem: Problem) -> napi::Result<Object<'_>> {
    let mut told = Object::new(env)?;
    match problem {
        Problem::ConnectFailed { upstream, address, error, times } => {
            told.set("kind", "connectFailed")?;
            told.set("upstream", upstream)?;
            told.set("address", BindingAddress::from(&address))?;
            told.set("error", make(env, error)?)?;
            told.set("times", times as f64)?;
        }
        Problem::UpstreamDown { upstream, address, error, retry_after } => {
            told.set("kind", "upstreamDown")?;
            told.set("upstream", upstream)?;
            told.set("address", BindingAddress::from(&address))?;
            told.set("error", make(env, error)?)?;
            told.set("retryAfter", milliseconds(retry_after))?;
        }
        Problem::UpstreamUp { upstream } => {
            told.set("kind", "upstreamUp")?;
            told.set("upstream", upstream)?;
        }
        Problem::LookupFailed { upstream, host, reason, retry_after } => {
            told.set("kind", "lookupFailed")?;
            told.set("upstream", upstream)?;
            told.set("host", host)?;
            told.set("reason", reason)?;
            if let Some(retry_after) = retry_after {
                told.set("retryAfter", milliseconds(retry_after))?;
            }
        }
        Problem::AcceptFailed { error, retry_after } => {
            told.set("kind", "acceptFailed")?;
            told.set("error", make(env, error)?)?;
            told.set("retryAfter", milliseconds(retry_after))?;
        }
        Problem::ThreadFailed { reason } => {
            told.set("kind", "threadFailed")?;
            told.set("reason", reason)?;
        }
        Problem::Dropped(times) => {
            told.set("kind", "dropped")?;
            told.set("times", times as f64)?;
        }
        _ => {}
    }
    Ok(told)
}
