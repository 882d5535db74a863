//! Options, statistics and results of relays.

use std::os::fd::OwnedFd;
use std::time::Duration;

use event_base::Error;

use super::group::RateGroup;
use super::limit::RateLimit;
use super::transfer::Transfer;

/// The default of [`RelayOptions::half_close_timeout`].
const HALF_CLOSE_TIMEOUT: Duration = Duration::from_secs(600);

/// How a relay works.
#[derive(Clone, Debug)]
pub struct RelayOptions {
    /// Ends the relay when no byte has moved in either direction for this long. `None`: never. Both peers are reset,
    /// except one that got its whole stream.
    pub idle_timeout: Option<Duration>,
    /// Ends the relay when no byte has moved in either direction for this long after one side has ended its stream, or
    /// while one side takes no bytes, which hides the end of the other's stream. So a peer that neither reads nor ends
    /// its stream does not hold two descriptors for ever. `None`: only the idle timeout ends such a relay. The default
    /// is 10 minutes.
    pub half_close_timeout: Option<Duration>,
    /// How long to wait for an end whose connect is still in progress. `None`: as long as the kernel tries
    /// (minutes), or until the idle timeout expires.
    pub connect_timeout: Option<Duration>,
    /// How fast bytes may move. `None`: no limit.
    pub limit: Option<RateLimit>,
    /// A limit shared with other relays, beside its own.
    pub group: Option<RateGroup>,
    /// Bytes that were read from the first descriptor already, and are written to the second before all others.
    /// They count as moved, but cost no tokens.
    pub prefix_a_to_b: Vec<u8>,
    /// Bytes that are written to the first descriptor before all others. Both prefixes are written once both ends are
    /// connected, so a proxy can pass its "connection established" here.
    pub prefix_b_to_a: Vec<u8>,
    /// How bytes are moved.
    pub transfer: Transfer,
}

impl Default for RelayOptions {
    /// No limits but the half-close timeout.
    fn default() -> Self {
        RelayOptions {
            idle_timeout: None,
            half_close_timeout: Some(HALF_CLOSE_TIMEOUT),
            connect_timeout: None,
            limit: None,
            group: None,
            prefix_a_to_b: Vec::new(),
            prefix_b_to_a: Vec::new(),
            transfer: Transfer::default(),
        }
    }
}

/// Why a relay ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndReason {
    /// Both directions have ended.
    End,
    /// An end could not be connected, or reading from it or writing to it failed.
    Error,
    /// No byte moved for the idle timeout, or for the half-close timeout.
    Idle,
    /// [`Net::close`](crate::Net::close) was called.
    Closed,
}

/// A relay that was not started.
#[derive(Debug)]
pub struct RelayRefused {
    /// The reason.
    pub error: Error,
    /// Both descriptors, open and without events of the relay. `None` after a system error, which closed them.
    pub descriptors: Option<[OwnedFd; 2]>,
}

/// The result of a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelayEnd {
    /// Bytes from the first descriptor that the second took.
    pub bytes_a_to_b: u64,
    /// Bytes from the second descriptor that the first took.
    pub bytes_b_to_a: u64,
    /// Those of both that were spliced and not copied.
    pub bytes_spliced: u64,
    /// From the creation of the relay to its end.
    pub duration: Duration,
    /// Why it ended.
    pub reason: EndReason,
    /// The first failure, for [`EndReason::Error`]: a system error of `connect`, `read` or `write` with the
    /// descriptor's number, which is closed by now. `ETIMEDOUT` of `connect` also reports the connect timeout. An
    /// error of another call means that a descriptor could not be watched.
    pub error: Option<Error>,
}

/// The state of a relay that runs.
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
    /// Since the creation of the relay.
    pub duration: Duration,
}

impl RelayStats {
    pub(super) fn into_end(self, reason: EndReason, error: Option<Error>) -> RelayEnd {
        RelayEnd {
            bytes_a_to_b: self.bytes_a_to_b,
            bytes_b_to_a: self.bytes_b_to_a,
            bytes_spliced: self.bytes_spliced,
            duration: self.duration,
            reason,
            error,
        }
    }
}
