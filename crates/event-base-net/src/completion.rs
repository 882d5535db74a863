//! What a [`Net`](crate::Net) reports to the caller that runs its loop.

use std::os::fd::OwnedFd;
use std::time::Duration;

use event_base::Error;

use crate::address::Address;
use crate::failure::Result;
use crate::relay::RelayEnd;
use crate::source::SourceKey;

/// One event of a source, returned by [`Net::completion`](crate::Net::completion).
#[derive(Debug)]
#[non_exhaustive]
pub enum Completion {
    /// A listener accepted a connection. The caller owns the descriptor.
    Accepted {
        /// The listener.
        key: SourceKey,
        /// The connection, non-blocking and close-on-exec.
        fd: OwnedFd,
        /// The client's address.
        peer: Address,
    },
    /// A listener could not accept.
    AcceptFailed {
        /// The listener.
        key: SourceKey,
        /// The failure of `accept`, or of registering the listener.
        error: Error,
        /// The time until it tries again, reported once per run of failures: descriptors or memory ran out, or the
        /// socket was shut down elsewhere. `None`: it cannot work again; the listener is closed and its key no longer
        /// exists.
        retry_after: Option<Duration>,
    },
    /// A connect ended, and its key no longer exists.
    Connected {
        /// The connect.
        key: SourceKey,
        /// The connection, which the caller owns, or a system error of `connect`: `ETIMEDOUT` if the timeout expired,
        /// otherwise the failure of the first attempt.
        result: Result<OwnedFd>,
        /// The index of the address that is connected; 0 after a failure.
        address: usize,
        /// The attempts that failed: the index of the address and the failure, in the order of the failures.
        failures: Vec<(usize, Error)>,
    },
    /// A connect ended because its client closed the connection on whose behalf the connect was made.
    ConnectAbandoned {
        /// The connect.
        key: SourceKey,
    },
    /// A relay ended; both descriptors are closed and its key no longer exists.
    RelayEnded {
        /// The relay.
        key: SourceKey,
        /// What it did and why it ended.
        end: RelayEnd,
    },
}
