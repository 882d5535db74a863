//! The statistics of a proxy.

use std::time::Duration;

use super::health::UpstreamState;

/// The connections and bytes of a proxy, or of one thread of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Connections accepted.
    pub accepted: u64,
    /// Open connections, those that wait for an upstream included.
    pub open: u64,
    /// Connections that ended before an upstream was connected: no upstream could be, or the client closed first.
    pub refused: u64,
    /// Connections to an upstream that ended with an error.
    pub failed: u64,
    /// Connections to an upstream in which no byte moved for the idle timeout, or for the half-close timeout.
    pub timed_out: u64,
    /// How often a thread stopped accepting because the largest number of connections was open.
    pub accept_pauses: u64,
    /// Bytes from clients to upstreams.
    pub bytes_a_to_b: u64,
    /// Bytes from upstreams to clients.
    pub bytes_b_to_a: u64,
}

/// The connections and bytes of one upstream, all of its addresses together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamStats {
    /// The upstream's name.
    pub name: String,
    /// Its weight, or that of each of its addresses.
    pub weight: u32,
    /// Whether it gets connections: the best state of its servers.
    pub state: UpstreamState,
    /// Connects that succeeded.
    pub connected: u64,
    /// Open connections, connects in progress included.
    pub open: u64,
    /// Connects that failed, also where another server then took the connection.
    pub refused: u64,
    /// Connections that ended with an error.
    pub failed: u64,
    /// Bytes from clients to the upstream.
    pub bytes_a_to_b: u64,
    /// Bytes from the upstream to clients.
    pub bytes_b_to_a: u64,
    /// The duration of all successful connects together.
    pub connect_time: Duration,
    /// The duration of the longest one.
    pub longest_connect: Duration,
}

/// The statistics of a proxy. Its threads continue while the numbers are read, one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyStats {
    /// The sums over all threads.
    pub total: Traffic,
    /// By thread.
    pub threads: Vec<Traffic>,
    /// By upstream, in the order of the list in use. Upstreams that are no longer in the list count in the total
    /// only.
    pub upstreams: Vec<UpstreamStats>,
}
