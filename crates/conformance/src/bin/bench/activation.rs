//! User events: activated by the program, dispatched by the next pass.

use std::cell::Cell;
use std::os::fd::RawFd;

use event_base::What;
use event_base_conformance::{Failure, Handler, Pass, Peer};

use crate::interleave::{Figure, Measure};
use crate::timed::{Timed, timed};

/// Events dispatched in a sample.
const OPERATIONS: usize = 100_000;

/// The measure for one number of events in a pass.
pub(crate) struct Activation {
    count: usize,
}

thread_local! {
    /// Callbacks since the last reset.
    pub(crate) static HANDED_OUT: Cell<usize> = const { Cell::new(0) };
}

/// Counts.
pub(crate) struct Count;

impl Handler for Count {
    fn ready(_index: usize, _fd: RawFd, _what: What) {
        HANDED_OUT.set(HANDED_OUT.get() + 1);
    }
}

impl Activation {
    /// The measure with `count` events activated before each pass.
    pub(crate) fn new(count: usize) -> Self {
        Self { count }
    }
}

impl Measure for Activation {
    type Handler = Count;

    fn figures(&self) -> Vec<Figure> {
        let figure = |part: &str| Figure {
            name: format!("activation-{}{part}", self.count),
            unit: "ns per event",
            aim: Some(1.0),
            steady: true,
        };
        if self.count == 1 {
            // The parts are too short for the clock.
            return vec![figure("")];
        }
        vec![figure(""), figure("/activate"), figure("/dispatch")]
    }

    fn prepare<'a, P: Peer>(&mut self, peer: &'a P) -> Result<Vec<P::Event<'a>>, Failure> {
        (0..self.count).map(|index| peer.user(index)).collect()
    }

    fn sample<'a, P: Peer>(&mut self, peer: &'a P, events: &[P::Event<'a>]) -> Result<Vec<Timed>, Failure> {
        let passes = OPERATIONS / self.count;
        HANDED_OUT.set(0);
        let parts = if self.count == 1 { one_by_one(peer, events[0])? } else { many(peer, events, passes)? };
        let (expected, got) = (passes * self.count, HANDED_OUT.get());
        if got != expected {
            return Err(Failure::Wrong(format!("{got} of {expected} events handed out")));
        }
        Ok(parts.into_iter().map(|timed| timed.per(expected)).collect())
    }
}

/// The total.
fn one_by_one<'a, P: Peer>(peer: &'a P, event: P::Event<'a>) -> Result<Vec<Timed>, Failure> {
    let whole = timed(|| -> Result<(), Failure> {
        for _ in 0..OPERATIONS {
            peer.activate(event, What::READ)?;
            peer.run(Pass::Poll)?;
        }
        Ok(())
    })?;
    Ok(vec![whole])
}

/// The total and its two parts.
fn many<'a, P: Peer>(peer: &'a P, events: &[P::Event<'a>], passes: usize) -> Result<Vec<Timed>, Failure> {
    let mut activate = Timed::default();
    let mut dispatch = Timed::default();
    for _ in 0..passes {
        activate += timed(|| events.iter().try_for_each(|&event| peer.activate(event, What::READ)))?;
        dispatch += timed(|| peer.run(Pass::Poll))?;
    }
    let mut whole = activate;
    whole += dispatch;
    Ok(vec![whole, activate, dispatch])
}
