//! What went wrong, on its way to whoever holds the proxy.
//!
//! Nobody waits for anybody: the queue is bounded, and what does not fit is counted.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use event_base::Error;
use parking_lot::Mutex;

/// Problems that wait to be taken; more are counted and dropped.
const MOST_WAITING: usize = 1024;

/// Something the holder of a proxy may want to know. The proxy goes on, except after
/// [`ThreadFailed`](Self::ThreadFailed).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// An upstream did not take a connection. Told at most once a second for each upstream.
    ConnectFailed {
        /// Which.
        upstream: String,
        /// What the last connect came to.
        error: Error,
        /// How many failed since it was told last, this one included.
        times: u64,
    },
    /// An upstream is passed over from now on.
    UpstreamDown {
        /// Which.
        upstream: String,
        /// What the last connect came to.
        error: Error,
        /// When it is tried again.
        retry_after: Duration,
    },
    /// An upstream that was passed over took a connection.
    UpstreamUp {
        /// Which.
        upstream: String,
    },
    /// A thread could not accept, since descriptors or memory ran out.
    AcceptFailed {
        /// What `accept` answered.
        error: Error,
        /// When it tries again. Told once per run of failures.
        retry_after: Duration,
    },
    /// A thread failed, and the proxy ends.
    ThreadFailed {
        /// Why, for people.
        reason: String,
    },
    /// So many problems were dropped, since nobody took those before.
    Dropped(u64),
}

#[derive(Debug, Default)]
struct Waiting {
    problems: VecDeque<Problem>,
    dropped: u64,
}

/// Where the threads put what they have to tell.
pub(super) struct Outbox {
    waiting: Mutex<Waiting>,
    bell: Box<dyn Fn() + Send + Sync>,
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox").field("waiting", &self.waiting).finish_non_exhaustive()
    }
}

impl Outbox {
    pub(super) fn new(bell: Box<dyn Fn() + Send + Sync>) -> Self {
        Outbox { waiting: Mutex::default(), bell }
    }

    pub(super) fn put(&self, problem: Problem) {
        let mut waiting = self.waiting.lock();
        if waiting.problems.len() < MOST_WAITING {
            waiting.problems.push_back(problem);
        } else {
            waiting.dropped += 1;
        }
        drop(waiting);
        self.ring();
    }

    pub(super) fn ring(&self) {
        (self.bell)();
    }

    pub(super) fn take(&self) -> Vec<Problem> {
        let mut waiting = self.waiting.lock();
        let mut problems: Vec<_> = waiting.problems.drain(..).collect();
        let dropped = std::mem::take(&mut waiting.dropped);
        drop(waiting);
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
    fn what_does_not_fit_is_counted_and_told_last() {
        let outbox = Outbox::new(Box::new(|| {}));
        for number in 0..MOST_WAITING + 3 {
            outbox.put(Problem::UpstreamUp { upstream: number.to_string() });
        }
        let problems = outbox.take();
        assert_eq!(problems.len(), MOST_WAITING + 1);
        assert_eq!(problems.last(), Some(&Problem::Dropped(3)));
        assert_eq!(outbox.take(), []);
    }
}
