//! Timers of a few durations, in the queues of both sides for common timeouts: added, added again and deleted in random
//! order, and fired.

use std::thread::sleep;
use std::time::Duration;

use event_base_conformance::{Failure, Pass, Peer};

use crate::interleave::{Figure, Measure};
use crate::random::Random;
use crate::timed::{Timed, timed};
use crate::timers::{Count, FIRED};

/// Durations of timers that are deleted.
const FAR: [Duration; 4] =
    [Duration::from_secs(600), Duration::from_secs(30), Duration::from_secs(60), Duration::from_secs(120)];

/// Durations of timers that fire.
const NEAR: [Duration; 4] =
    [Duration::from_millis(1), Duration::from_millis(2), Duration::from_millis(5), Duration::from_millis(10)];

/// The sleep after the last one is added: more than the longest duration and the resolution of any clock.
const NAP: Duration = Duration::from_millis(40);

/// The measure, and the random order that both sides share.
pub(crate) struct CommonTimeouts {
    order: Vec<usize>,
}

impl CommonTimeouts {
    /// The measure for `count` timers.
    pub(crate) fn new(count: usize) -> Self {
        let mut order: Vec<_> = (0..count).collect();
        Random::new(4).shuffle(&mut order);
        Self { order }
    }

    fn figure(&self, operation: &str) -> Figure {
        Figure {
            name: format!("common-timeouts-{}/{operation}", self.order.len()),
            unit: "ns per timer",
            aim: None,
            steady: true,
        }
    }
}

impl Measure for CommonTimeouts {
    type Handler = Count;

    fn figures(&self) -> Vec<Figure> {
        ["add", "re-add", "delete", "fire"].map(|operation| self.figure(operation)).into()
    }

    fn prepare<'a, P: Peer>(&mut self, peer: &'a P) -> Result<Vec<P::Event<'a>>, Failure> {
        (0..self.order.len()).map(|index| peer.timer(index)).collect()
    }

    fn sample<'a, P: Peer>(&mut self, peer: &'a P, events: &[P::Event<'a>]) -> Result<Vec<Timed>, Failure> {
        let count = events.len();
        let far = commons(peer, FAR)?;
        let near = commons(peer, NEAR)?;
        let shuffled: Vec<_> =
            self.order.iter().map(|&index| (events[index], far[index % far.len()])).collect();

        let add = timed(|| add_all(peer, events, &far))?;
        let again = timed(|| shuffled.iter().try_for_each(|&(event, far)| peer.add_common(event, far)))?;
        let delete = timed(|| shuffled.iter().try_for_each(|&(event, _)| peer.del(event)))?;

        add_all(peer, events, &near)?;
        sleep(NAP);
        FIRED.set(0);
        let fire = timed(|| peer.run(Pass::UntilEmpty))?;
        if FIRED.get() != count {
            let fired = FIRED.get();
            return Err(Failure::Wrong(format!("{fired} of {count} timers fired")));
        }
        Ok([add, again, delete, fire].map(|timed| timed.per(count)).into())
    }
}

fn commons<P: Peer, const N: usize>(
    peer: &P,
    durations: [Duration; N],
) -> Result<Vec<P::CommonTimeout>, Failure> {
    durations.into_iter().map(|duration| peer.common_timeout(duration)).collect()
}

fn add_all<'a, P: Peer>(
    peer: &'a P,
    events: &[P::Event<'a>],
    timeouts: &[P::CommonTimeout],
) -> Result<(), Failure> {
    let pairs = events.iter().zip(timeouts.iter().cycle());
    pairs.into_iter().try_for_each(|(&event, &timeout)| peer.add_common(event, timeout))
}
