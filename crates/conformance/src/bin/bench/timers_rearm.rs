//! Pending timers moved to a later deadline, as a server does with idle timeouts. Random deadlines, and equal durations.

use std::time::Duration;

use event_base_conformance::{Failure, Peer};

use crate::interleave::{Figure, Measure};
use crate::random::Random;
use crate::timed::{Timed, timed};
use crate::timers::Count;

/// Re-adds in a sample.
const OPERATIONS: usize = 200_000;

/// The measure for one number of pending timers.
pub(crate) struct Rearm {
    count: usize,
    random: Vec<(usize, Duration)>,
}

impl Rearm {
    /// The measure with `count` timers pending.
    pub(crate) fn new(count: usize) -> Self {
        let mut random = Random::new(3);
        let random = (0..OPERATIONS)
            .map(|_| {
                let index = random.below(count as u64) as usize;
                (index, Duration::from_micros(600_000_000 + random.below(6_000_000_000)))
            })
            .collect();
        Self { count, random }
    }

    fn figure(&self, deadlines: &str) -> Figure {
        Figure {
            name: format!("rearm-{}/{deadlines}", self.count),
            unit: "ns per re-add",
            aim: None,
            steady: true,
        }
    }
}

impl Measure for Rearm {
    type Handler = Count;

    fn figures(&self) -> Vec<Figure> {
        vec![self.figure("random"), self.figure("same")]
    }

    fn prepare<'a, P: Peer>(&mut self, peer: &'a P) -> Result<Vec<P::Event<'a>>, Failure> {
        (0..self.count).map(|index| peer.timer(index)).collect()
    }

    fn sample<'a, P: Peer>(&mut self, peer: &'a P, events: &[P::Event<'a>]) -> Result<Vec<Timed>, Failure> {
        for (index, &event) in events.iter().enumerate() {
            let (_, timeout) = self.random[index % OPERATIONS];
            peer.add(event, Some(timeout))?;
        }
        let operations: Vec<_> =
            self.random.iter().map(|&(index, timeout)| (events[index], timeout)).collect();
        let random = timed(|| {
            let mut operations = operations.iter();
            operations.try_for_each(|&(event, timeout)| peer.add(event, Some(timeout)))
        })?;
        let idle = Duration::from_secs(60);
        for &event in events {
            peer.add(event, Some(idle))?;
        }
        let same = timed(|| {
            let mut operations = operations.iter();
            operations.try_for_each(|&(event, _)| peer.add(event, Some(idle)))
        })?;
        for &event in events {
            peer.del(event)?;
        }
        Ok([random, same].map(|timed| timed.per(OPERATIONS)).into())
    }
}
