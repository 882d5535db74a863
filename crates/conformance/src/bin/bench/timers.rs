//! A million timers: added with random deadlines, deleted in random order,
//! and fired.

use std::cell::Cell;
use std::os::fd::RawFd;
use std::thread::sleep;
use std::time::{Duration, Instant};

use event_base::What;
use event_base_conformance::{Failure, Handler, Pass, Peer};

use crate::interleave::{Figure, Measure};
use crate::random::Random;
use crate::timed::{Timed, timed};

/// Deadlines of timers that are deleted: far away, up to 100 minutes more.
const FAR: Duration = Duration::from_secs(600);
const FAR_RANGE: Duration = Duration::from_secs(6000);

/// Deadlines of timers that fire, from now.
const NEAR_RANGE: Duration = Duration::from_millis(500);

/// The sleep after the last deadline: more than the resolution of any clock.
const MARGIN: Duration = Duration::from_millis(30);

/// The measure, and the random sequences that both sides share.
pub(crate) struct Timers {
    far: Vec<Duration>,
    near: Vec<Duration>,
    order: Vec<usize>,
}

thread_local! {
    /// Callbacks since the last reset.
    pub(crate) static FIRED: Cell<usize> = const { Cell::new(0) };
}

/// Counts.
pub(crate) struct Count;

impl Handler for Count {
    fn ready(_index: usize, _fd: RawFd, _what: What) {
        FIRED.set(FIRED.get() + 1);
    }
}

impl Timers {
    /// The measure for `count` timers.
    pub(crate) fn new(count: usize) -> Self {
        let mut random = Random::new(1);
        let mut below = |range: Duration| Duration::from_micros(random.below(range.as_micros() as u64));
        let far = (0..count).map(|_| FAR + below(FAR_RANGE)).collect();
        let near = (0..count).map(|_| below(NEAR_RANGE)).collect();
        let mut order: Vec<_> = (0..count).collect();
        Random::new(2).shuffle(&mut order);
        Self { far, near, order }
    }

    fn figure(&self, operation: &str, aim: f64) -> Figure {
        Figure {
            name: format!("timers-{}/{operation}", self.order.len()),
            unit: "ns per timer",
            aim: Some(aim),
            steady: true,
        }
    }
}

impl Measure for Timers {
    type Handler = Count;

    fn figures(&self) -> Vec<Figure> {
        vec![
            self.figure("add", 1.0),
            self.figure("delete", 0.5),
            self.figure("fire", 0.5),
            Figure { aim: None, ..self.figure("add-near", 1.0) },
        ]
    }

    fn prepare<'a, P: Peer>(&mut self, peer: &'a P) -> Result<Vec<P::Event<'a>>, Failure> {
        (0..self.order.len()).map(|index| peer.timer(index)).collect()
    }

    fn sample<'a, P: Peer>(&mut self, peer: &'a P, events: &[P::Event<'a>]) -> Result<Vec<Timed>, Failure> {
        let count = events.len();
        // The handles in the order of deletion, so that looking them up is not timed.
        let shuffled: Vec<_> = self.order.iter().map(|&index| events[index]).collect();

        let add = timed(|| add_all(peer, events, &self.far))?;
        let delete = timed(|| shuffled.iter().try_for_each(|&event| peer.del(event)))?;

        let add_near = timed(|| add_all(peer, events, &self.near))?;
        let due = Instant::now() + NEAR_RANGE + MARGIN;
        sleep(due.saturating_duration_since(Instant::now()));
        FIRED.set(0);
        let fire = timed(|| peer.run(Pass::UntilEmpty))?;
        if FIRED.get() != count {
            let fired = FIRED.get();
            return Err(Failure::Wrong(format!("{fired} of {count} timers fired")));
        }
        Ok([add, delete, fire, add_near].map(|timed| timed.per(count)).into())
    }
}

fn add_all<'a, P: Peer>(peer: &'a P, events: &[P::Event<'a>], timeouts: &[Duration]) -> Result<(), Failure> {
    let pairs = events.iter().zip(timeouts);
    pairs.into_iter().try_for_each(|(&event, &timeout)| peer.add(event, Some(timeout)))
}
