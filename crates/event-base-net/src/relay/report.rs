//! What a relay is told and what it tells.

use std::time::Duration;

use event_base::Error;

use super::gait::Transfer;
use super::limit::RateLimit;

/// How a relay works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RelayOptions {
    /// Ends the relay when nothing has moved in either direction for so long. `None`: never.
    pub idle_timeout: Option<Duration>,
    /// How fast bytes may move. `None`: as fast as they do.
    pub limit: Option<RateLimit>,
    /// How bytes are moved.
    pub transfer: Transfer,
}

/// Why a relay ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndReason {
    /// Both directions came to their end.
    End,
    /// Reading from or writing to an end failed.
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
    /// What failed, for [`EndReason::Error`]: a system error of `read` or `write` with the descriptor's
    /// number, which is closed by now.
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
