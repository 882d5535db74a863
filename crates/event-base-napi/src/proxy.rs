//! Proxies on threads of their own.
//!
//! JavaScript holds a proxy as an External. Its finalizer, which runs with the end of the environment at the latest,
//! ends the threads. They never call into JavaScript: they notify, and JavaScript takes the problems.

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
use crate::descriptor::{borrow, duplicate};
use crate::error::{Outcome, make};
use crate::socket::BindingBindOptions;
use crate::time::{duration, milliseconds};

/// A version of the PROXY protocol. 0 means none.
fn protocol(version: u32) -> Option<ProxyProtocol> {
    match version {
        0 => None,
        1 => Some(ProxyProtocol::V1),
        _ => Some(ProxyProtocol::V2),
    }
}

/// Notifies an environment. It does not keep the environment alive, and holds one notification.
type Notifier = ThreadsafeFunction<(), (), (), Status, false, true, 1>;

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

/// How a proxy works. Negative times, rates of 0, and 0 as `max_connections` and `proxy_protocol` mean none.
#[napi(object)]
#[derive(Debug)]
pub struct BindingProxyOptions {
    /// Where it listens; missing for a descriptor.
    pub listen: Option<BindingAddress>,
    /// The listening socket where there is no address. The proxy owns it.
    pub fd: i32,
    /// How it binds.
    pub bind: BindingBindOptions,
    /// Connections accepted in one pass.
    pub batch: u32,
    /// The number of threads.
    pub threads: u32,
    /// Where it forwards to.
    pub upstreams: Vec<BindingUpstream>,
    /// Whether the server with the fewest connections is next, and not the next in turn.
    pub least_connections: bool,
    /// Whether the addresses of a name are one server, and not one each.
    pub addresses_as_one: bool,
    /// Milliseconds between two look-ups of a name.
    pub lookup_interval: f64,
    /// Milliseconds that a connect to one server may take.
    pub connect_timeout: f64,
    /// Milliseconds without a byte that end a connection.
    pub idle_timeout: f64,
    /// The same where one side has ended its stream or takes no bytes.
    pub half_close_timeout: f64,
    /// The largest number of open connections.
    pub max_connections: u32,
    /// Bytes per second of each connection.
    pub rate: f64,
    /// The burst of each connection, in bytes.
    pub burst: f64,
    /// Bytes per second of all connections together.
    pub total_rate: f64,
    /// The burst of all connections together, in bytes.
    pub total_burst: f64,
    /// The version of the header.
    pub proxy_protocol: u32,
    /// Consecutive failures after which a server is passed over.
    pub failures: u32,
    /// Milliseconds for which it is passed over at first.
    pub backoff: f64,
    /// The longest such time.
    pub max_backoff: f64,
}

fn upstreams(list: Vec<BindingUpstream>) -> Result<Vec<Upstream>, Error> {
    list.into_iter()
        .map(|BindingUpstream { name, target: BindingAddress { host_or_path, port }, weight }| {
            // TypeScript checks the port; one below 0 means a path.
            let target = match (Address::internet(&host_or_path, port.max(0) as u16), u16::try_from(port)) {
                (Err(_), Ok(port)) => UpstreamTarget::Name { host: host_or_path, port },
                _ => UpstreamTarget::Address(address(host_or_path, port)?),
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

    fn try_from(options: BindingProxyOptions) -> Result<Self, Error> {
        let list = upstreams(options.upstreams)?;
        let listen = match options.listen {
            Some(given) => Endpoint::Bind(address(given.host_or_path, given.port)?, options.bind.into()),
            None => Endpoint::Inherited(duplicate(borrow(options.fd, "fcntl")?)?),
        };
        let defaults = HealthOptions::default();
        Ok(ProxyOptions {
            accept: ListenOptions { batch: options.batch, ..ListenOptions::default() },
            threads: options.threads,
            balance: if options.least_connections { Balance::LeastConnections } else { Balance::RoundRobin },
            addresses: if options.addresses_as_one { AddressUse::One } else { AddressUse::All },
            lookup_interval: duration(options.lookup_interval),
            connect_timeout: duration(options.connect_timeout),
            idle_timeout: duration(options.idle_timeout),
            half_close_timeout: duration(options.half_close_timeout),
            max_connections: (options.max_connections > 0).then_some(options.max_connections),
            limit: limit(options.rate, options.burst),
            total_limit: limit(options.total_rate, options.total_burst),
            proxy_protocol: protocol(options.proxy_protocol),
            health: HealthOptions {
                failures: options.failures,
                backoff: duration(options.backoff).unwrap_or(defaults.backoff),
                max_backoff: duration(options.max_backoff).unwrap_or(defaults.max_backoff),
            },
            ..ProxyOptions::new(listen, list)
        })
    }
}

/// Starts a proxy, which takes ownership of an inherited descriptor unless the call fails. `listener` is called in the
/// environment's own loop when there are [problems](proxy_take), and when the proxy [has ended](proxy_is_over).
#[napi(catch_unwind)]
pub fn proxy_start(
    options: BindingProxyOptions,
    #[napi(ts_arg_type = "() => void")] listener: Function<'_, (), ()>,
) -> napi::Result<Outcome<External<ProxyOwner>>> {
    let notifier: Notifier =
        listener.build_threadsafe_function::<()>().weak::<true>().max_queue_size::<1>().build()?;
    let notify = move || {
        // Fails only where a notification is queued already, or the environment has ended.
        _ = notifier.call((), ThreadsafeFunctionCallMode::NonBlocking);
    };
    let inherited = options.listen.is_none().then_some(options.fd);
    let started = ProxyOptions::try_from(options).and_then(|options| Proxy::start(options, notify));
    if let (Ok(_), Some(fd)) = (&started, inherited) {
        // The proxy has a duplicate.
        _ = event_base_net::socket::close(fd);
    }
    Ok(Outcome(started.map(|proxy| External::new(ProxyOwner { proxy }))))
}

/// Where it listens.
#[napi(catch_unwind)]
pub fn proxy_address(owner: &External<ProxyOwner>) -> BindingAddress {
    BindingAddress::from(owner.proxy.address())
}

/// Replaces the list of upstreams.
#[napi(catch_unwind)]
pub fn proxy_set_upstreams(owner: &External<ProxyOwner>, list: Vec<BindingUpstream>) -> Outcome<()> {
    upstreams(list).and_then(|list| owner.proxy.set_upstreams(list)).into()
}

/// Accepts no more connections, and ends with the last one. A negative timeout means none.
#[napi(catch_unwind)]
pub fn proxy_drain(owner: &External<ProxyOwner>, timeout: f64) {
    owner.proxy.drain(duration(timeout));
}

/// Ends all connections and threads, without waiting for them.
#[napi(catch_unwind)]
pub fn proxy_stop(owner: &External<ProxyOwner>) {
    owner.proxy.stop();
}

/// Ends all connections and threads, and waits for them.
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

/// The traffic of a proxy or of one thread.
#[napi(object)]
#[derive(Debug)]
pub struct BindingTraffic {
    /// Connections accepted.
    pub accepted: f64,
    /// Open connections.
    pub open: f64,
    /// Connections that ended before an upstream was connected.
    pub refused: f64,
    /// Connections that ended with an error.
    pub failed: f64,
    /// Connections in which no byte moved for a timeout.
    pub timed_out: f64,
    /// How often a thread stopped accepting at the largest number of connections.
    pub accept_pauses: f64,
    /// Bytes from clients to upstreams.
    pub bytes_a_to_b: f64,
    /// Bytes from upstreams to clients.
    pub bytes_b_to_a: f64,
}

impl From<&Traffic> for BindingTraffic {
    fn from(traffic: &Traffic) -> Self {
        BindingTraffic {
            accepted: traffic.accepted as f64,
            open: traffic.open as f64,
            refused: traffic.refused as f64,
            failed: traffic.failed as f64,
            timed_out: traffic.timed_out as f64,
            accept_pauses: traffic.accept_pauses as f64,
            bytes_a_to_b: traffic.bytes_a_to_b as f64,
            bytes_b_to_a: traffic.bytes_b_to_a as f64,
        }
    }
}

/// The traffic of one upstream.
#[napi(object)]
#[derive(Debug)]
pub struct BindingUpstreamStats {
    /// Its name.
    pub name: String,
    /// Its weight.
    pub weight: u32,
    /// Whether it gets connections.
    #[napi(ts_type = "'up' | 'down' | 'probing'")]
    pub state: String,
    /// Milliseconds until it is probed, or its name is looked up. -1 unless it is down.
    pub retry_after: f64,
    /// Connects that succeeded.
    pub connected: f64,
    /// Open connections.
    pub open: f64,
    /// Connects that failed.
    pub refused: f64,
    /// Connections that ended with an error.
    pub failed: f64,
    /// Bytes from clients to it.
    pub bytes_a_to_b: f64,
    /// Bytes from it to clients.
    pub bytes_b_to_a: f64,
    /// The duration of all successful connects together, in milliseconds.
    pub connect_ms: f64,
    /// The duration of the longest one.
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

/// The statistics of a proxy.
#[napi(object)]
#[derive(Debug)]
pub struct BindingProxyStats {
    /// The sums.
    pub total: BindingTraffic,
    /// By thread.
    pub threads: Vec<BindingTraffic>,
    /// By upstream.
    pub upstreams: Vec<BindingUpstreamStats>,
}

/// The statistics so far.
#[napi(catch_unwind)]
pub fn proxy_stats(owner: &External<ProxyOwner>) -> BindingProxyStats {
    let stats = owner.proxy.stats();
    BindingProxyStats {
        total: BindingTraffic::from(&stats.total),
        threads: stats.threads.iter().map(BindingTraffic::from).collect(),
        upstreams: stats.upstreams.into_iter().map(BindingUpstreamStats::from).collect(),
    }
}

/// The problems since the last call.
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
    owner.proxy.take_problems().into_iter().map(|problem| problem_object(env, problem)).collect()
}

fn problem_object(env: &Env, problem: Problem) -> napi::Result<Object<'_>> {
    let mut object = Object::new(env)?;
    match problem {
        Problem::ConnectFailed { upstream, address, error, times } => {
            object.set("kind", "connectFailed")?;
            object.set("upstream", upstream)?;
            object.set("address", BindingAddress::from(&address))?;
            object.set("error", make(env, error)?)?;
            object.set("times", times as f64)?;
        }
        Problem::UpstreamDown { upstream, address, error, retry_after } => {
            object.set("kind", "upstreamDown")?;
            object.set("upstream", upstream)?;
            object.set("address", BindingAddress::from(&address))?;
            object.set("error", make(env, error)?)?;
            object.set("retryAfter", milliseconds(retry_after))?;
        }
        Problem::UpstreamUp { upstream } => {
            object.set("kind", "upstreamUp")?;
            object.set("upstream", upstream)?;
        }
        Problem::LookupFailed { upstream, host, reason, retry_after } => {
            object.set("kind", "lookupFailed")?;
            object.set("upstream", upstream)?;
            object.set("host", host)?;
            object.set("reason", reason)?;
            if let Some(retry_after) = retry_after {
                object.set("retryAfter", milliseconds(retry_after))?;
            }
        }
        Problem::AcceptFailed { error, retry_after } => {
            object.set("kind", "acceptFailed")?;
            object.set("error", make(env, error)?)?;
            object.set("retryAfter", milliseconds(retry_after))?;
        }
        Problem::ThreadFailed { reason } => {
            object.set("kind", "threadFailed")?;
            object.set("reason", reason)?;
        }
        Problem::Dropped(times) => {
            object.set("kind", "dropped")?;
            object.set("times", times as f64)?;
        }
        _ => {}
    }
    Ok(object)
}
