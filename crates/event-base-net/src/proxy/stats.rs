//! What a proxy tells of itself.

use std::time::Duration;

use super::health::UpstreamState;

/// What a proxy, or one thread of it, has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Connections accepted.
    pub accepted: u64,
    /// Connections under way, those still being made to an upstream included.
    pub open: u64,
    /// Connections that no upstream took.
    pub refused: u64,
    /// Connections that an upstream took and that ended by an error.
    pub failed: u64,
    /// Bytes towards upstreams.
    pub bytes_a_to_b: u64,
    /// Bytes from upstreams.
    pub bytes_b_to_a: u64,
}

/// What became of the connections to one upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamStats {
    /// Which.
    pub name: String,
    /// Its share.
    pub weight: u32,
    /// Whether it gets connections.
    pub state: UpstreamState,
    /// Connections it took.
    pub connected: u64,
    /// Connections under way, those still being made included.
    pub open: u64,
    /// Connects that failed. A connection that another upstream took then counts here all the same.
    pub refused: u64,
    /// Connections that ended by an error.
    pub failed: u64,
    /// Bytes towards it.
    pub bytes_a_to_b: u64,
    /// Bytes from it.
    pub bytes_b_to_a: u64,
    /// The time that connects took which succeeded, all together.
    pub connect_time: Duration,
    /// The longest of them.
    pub longest_connect: Duration,
}

/// What a proxy has done so far. The numbers are read one after the other while its threads go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyStats {
    /// All of it.
    pub total: Traffic,
    /// By thread.
    pub threads: Vec<Traffic>,
    /// By upstream, in the order of the list now in force. What upstreams did that are no longer in it is in
    /// the total.
    pub upstreams: Vec<UpstreamStats>,
}
