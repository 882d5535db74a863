//! What a [`Net`](crate::Net) tells whoever runs its loop.

use std::os::fd::OwnedFd;
use std::time::Duration;

use event_base::Error;

use crate::address::Address;
use crate::failure::Result;
use crate::relay::RelayEnd;
use crate::source::SourceKey;

/// One thing that happened, taken out with [`Net::completion`](crate::Net::completion).
#[derive(Debug)]
#[non_exhaustive]
pub enum Completion {
    /// A listener accepted a connection. Whoever takes the completion owns the descriptor.
    Accepted {
        /// The listener.
        key: SourceKey,
        /// The connection, non-blocking and close-on-exec.
        fd: OwnedFd,
        /// Where it came from.
        peer: Address,
    },
    /// A listener could not accept.
    AcceptFailed {
        /// The listener.
        key: SourceKey,
        /// What `accept` answered.
        error: Error,
        /// When it tries again by itself, told once per run of failures: descriptors or memory ran out.
        /// `None`: it never will, the listener is closed and its key is gone.
        retry_after: Option<Duration>,
    },
    /// A connect ended, and its key with it.
    Connected {
        /// The connect.
        key: SourceKey,
        /// The connection, which the caller owns from here on. Otherwise a system error of `connect`: `ETIMEDOUT`
        /// when the time was over, else the failure of the first attempt.
        result: Result<OwnedFd>,
        /// The index of the address that is connected; 0 where none is.
        address: usize,
        /// The attempts that failed: the index of the address and the failure, in the order of the failures.
        failures: Vec<(usize, Error)>,
    },
    /// A connect ended because the connection on whose behalf it was made was closed by its client.
    ConnectAbandoned {
        /// The connect.
        key: SourceKey,
    },
    /// A relay ended; both descriptors are closed and its key is gone.
    RelayEnded {
        /// The relay.
        key: SourceKey,
        /// What it did and why it ended.
        end: RelayEnd,
    },
}
