//! The problems of a proxy, and the queue in which they wait for its owner.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use event_base::Error;
use parking_lot::Mutex;

use crate::address::Address;

/// The length of the queue; further problems are counted and dropped.
const CAPACITY: usize = 1024;

/// A problem of a proxy, which continues, except after [`ThreadFailed`](Self::ThreadFailed).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// A connect to an upstream failed. Reported at most once a second for each upstream.
    ConnectFailed {
        /// The upstream's name.
        upstream: String,
        /// The address that the last connect failed at; the first one where several were raced.
        address: Address,
        /// The failure of the last connect.
        error: Error,
        /// The number of failed connects since the last report, this one included.
        times: u64,
    },
    /// An upstream is passed over: each of its servers is down.
    UpstreamDown {
        /// The upstream's name.
        upstream: String,
        /// The address that the last connect failed at; the first one where several were raced.
        address: Address,
        /// The failure of the last connect.
        error: Error,
        /// The time until a connection probes a server of it.
        retry_after: Duration,
    },
    /// A connect succeeded to an upstream that was passed over, or an upstream that had no address has one.
    UpstreamUp {
        /// The upstream's name.
        upstream: String,
    },
    /// A name could not be looked up. The addresses that it had stay in use; without any, the upstream is down.
    LookupFailed {
        /// The upstream's name.
        upstream: String,
        /// The name that was looked up.
        host: String,
        /// The resolver's reason, as text for the operator.
        reason: String,
        /// The time until the next look-up. `None`: this one is still in progress, and its answer will be used.
        retry_after: Option<Duration>,
    },
    /// A thread cannot accept for now: descriptors or memory ran out, or the socket was shut down elsewhere.
    AcceptFailed {
        /// The failure of `accept`.
        error: Error,
        /// The time until it tries again. Reported once per run of failures.
        retry_after: Duration,
    },
    /// A thread failed, and the proxy ends.
    ThreadFailed {
        /// The reason, as text for the operator.
        reason: String,
    },
    /// This number of problems was dropped, because the queue was full.
    Dropped(u64),
}

#[derive(Debug, Default)]
struct Queue {
    problems: VecDeque<Problem>,
    dropped: u64,
}

/// A bounded queue, so that no thread ever waits for the owner of the proxy.
pub(super) struct Problems {
    queue: Mutex<Queue>,
    notify: Box<dyn Fn() + Send + Sync>,
}

impl fmt::Debug for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Problems").field("queue", &self.queue).finish_non_exhaustive()
    }
}

impl Problems {
    pub(super) fn new(notify: Box<dyn Fn() + Send + Sync>) -> Self {
        Problems { queue: Mutex::default(), notify }
    }

    pub(super) fn put(&self, problem: Problem) {
        let mut queue = self.queue.lock();
        if queue.problems.len() < CAPACITY {
            queue.problems.push_back(problem);
        } else {
            queue.dropped += 1;
        }
        drop(queue);
        self.notify();
    }

    /// Notifies the owner of the proxy.
    pub(super) fn notify(&self) {
        (self.notify)();
    }

    pub(super) fn take(&self) -> Vec<Problem> {
        let mut queue = self.queue.lock();
        let mut problems: Vec<_> = queue.problems.drain(..).collect();
        let dropped = std::mem::take(&mut queue.dropped);
        drop(queue);
        if dropped > 0 {
            problems.push(Problem::Dropped(dropped));
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_beyond_the_capacity_are_counted_and_reported_last() {
        let problems = Problems::new(Box::new(|| {}));
        for number in 0..CAPACITY + 3 {
            problems.put(Problem::UpstreamUp { upstream: number.to_string() });
        }
        let taken = problems.take();
        assert_eq!(taken.len(), CAPACITY + 1);
        assert_eq!(taken.last(), Some(&Problem::Dropped(3)));
        assert_eq!(problems.take(), []);
    }
}
