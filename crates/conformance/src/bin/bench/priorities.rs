//! User events of several priorities, activated in an order other than that of urgency and dispatched by one call of the
//! loop.

use event_base::What;
use event_base_conformance::{Build, Failure, Pass, Peer, random};

use crate::activation::{Count, HANDED_OUT};
use crate::interleave::{Figure, Measure};
use crate::timed::{Timed, timed};

/// Events activated before each call.
const EVENTS: usize = 960;

/// Calls in a sample.
const CALLS: usize = 100;

/// The measure for one number of priorities.
pub(crate) struct Priorities {
    count: u8,
}

impl Priorities {
    /// The measure with `count` priorities.
    pub(crate) fn new(count: u8) -> Self {
        Self { count }
    }
}

impl Measure for Priorities {
    type Handler = Count;

    fn figures(&self) -> Vec<Figure> {
        ["activate", "dispatch"]
            .map(|part| Figure {
                name: format!("priorities-{}/{part}", self.count),
                unit: "ns per event",
                aim: None,
                steady: true,
            })
            .into()
    }

    fn build(&self) -> Build {
        Build { priorities: self.count, ..Build::default() }
    }

    fn prepare<'a, P: Peer>(&mut self, peer: &'a P) -> Result<Vec<P::Event<'a>>, Failure> {
        let mut priorities: Vec<u8> = (0..self.count).cycle().take(EVENTS).collect();
        random::Random::new(5).shuffle(&mut priorities);
        priorities.iter().enumerate().map(|(index, &priority)| peer.user_at(index, priority)).collect()
    }

    fn sample<'a, P: Peer>(&mut self, peer: &'a P, events: &[P::Event<'a>]) -> Result<Vec<Timed>, Failure> {
        HANDED_OUT.set(0);
        let mut activate = Timed::default();
        let mut dispatch = Timed::default();
        for _ in 0..CALLS {
            activate += timed(|| events.iter().try_for_each(|&event| peer.activate(event, What::READ)))?;
            dispatch += timed(|| peer.run(Pass::Poll))?;
        }
        let (expected, got) = (CALLS * EVENTS, HANDED_OUT.get());
        if got != expected {
            return Err(Failure::Wrong(format!("{got} of {expected} events handed out")));
        }
        Ok([activate, dispatch].map(|timed| timed.per(expected)).into())
    }
}
