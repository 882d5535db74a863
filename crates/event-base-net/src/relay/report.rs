//! What a relay is told and what it tells.

use std::time::Duration;

use event_base::Error;

use super::gait::Transfer;
use super::group::RateGroup;
use super::limit::RateLimit;

/// How a relay works.
#[derive(Clone, Debug, Default)]
pub struct RelayOptions {
    /// Ends the relay when nothing has moved in either direction for so long. `None`: never.
    pub idle_timeout: Option<Duration>,
    /// How long to wait for an end whose connect is still in progress. `None`: as long as the kernel tries
    /// (minutes), or until the idle timeout is over.
    pub connect_timeout: Option<Duration>,
    /// How fast bytes may move. `None`: as fast as they do.
    pub limit: Option<RateLimit>,
    /// A limit shared with other relays, beside its own.
    pub group: Option<RateGroup>,
    /// Bytes that were read from the first descriptor already, and go to the second before all others. They
    /// count as moved, but cost no tokens.
    pub prefix_a_to_b: Vec<u8>,
    /// The same from the second to the first. It is not written before both ends are connected, so a proxy
    /// can let its "connection established" wait for that.
    pub prefix_b_to_a: Vec<u8>,
    /// How bytes are moved.
    pub transfer: Transfer,
}

/// Why a relay ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndReason {
    /// Both directions came to their end.
    End,
    /// An end could not be connected, or reading from it or writing to it failed.
    Error,
    /// Nothing moved for the idle timeout.
    Idle,
    /// [`Net::close`](crate::Net::close) was called.
    Closed,
}

/// What a relay did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelayEnd {
    /// Bytes from the first descriptor that the second took.
    pub bytes_a_to_b: u64,
    /// Bytes from the second descriptor that the first took.
    pub bytes_b_to_a: u64,
    /// Those of both that were spliced and not copied.
    pub bytes_spliced: u64,
    /// From the making of the relay to its end.
    pub duration: Duration,
    /// Why it ended.
    pub reason: EndReason,
    /// What failed, for [`EndReason::Error`]: a system error of `connect`, `read` or `write` with the
    /// descriptor's number, which is closed by now. `ETIMEDOUT` of `connect` also stands for the connect
    /// timeout.
    pub error: Option<Error>,
}

/// What a relay has done so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelayStats {
    /// Bytes from the first descriptor that the second has taken.
    pub bytes_a_to_b: u64,
    /// Bytes from the second descriptor that the first has taken.
    pub bytes_b_to_a: u64,
    /// Bytes read from the first descriptor that the second has not taken.
    pub held_a_to_b: usize,
    /// Bytes read from the second descriptor that the first has not taken.
    pub held_b_to_a: usize,
    /// Bytes taken, in both directions together, that were spliced and not copied.
    pub bytes_spliced: u64,
    /// Since the making of the relay.
    pub duration: Duration,
}
