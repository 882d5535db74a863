//! Signals: raised on the thread of the loop, dispatched by the next pass.
#![expect(unsafe_code, reason = "a signal is raised, as a C program would")]

use event_base_conformance::{Failure, Pass, Peer};

use crate::activation::{Count, HANDED_OUT};
use crate::interleave::{Figure, Measure};
use crate::timed::{Timed, timed};

/// Signals in a sample.
const SIGNALS: usize = 20_000;

/// A signal that no other part of this process uses.
const NUMBER: i32 = libc::SIGUSR1;

/// The measure for one number of signals before each pass.
pub(crate) struct Signals {
    count: usize,
}

impl Signals {
    /// The measure with `count` signals raised before each pass.
    pub(crate) fn new(count: usize) -> Self {
        Self { count }
    }
}

impl Measure for Signals {
    type Handler = Count;

    fn figures(&self) -> Vec<Figure> {
        let figure = |part: &str| Figure {
            name: format!("signals-{}{part}", self.count),
            unit: "ns per signal",
            aim: None,
            steady: true,
        };
        if self.count == 1 {
            // The parts are too short for the clock.
            return vec![figure("")];
        }
        vec![figure(""), figure("/raise"), figure("/dispatch")]
    }

    fn prepare<'a, P: Peer>(&mut self, peer: &'a P) -> Result<Vec<P::Event<'a>>, Failure> {
        Ok(vec![peer.signal(NUMBER, 0)?])
    }

    fn sample<'a, P: Peer>(&mut self, peer: &'a P, events: &[P::Event<'a>]) -> Result<Vec<Timed>, Failure> {
        // A process has one handler for a signal: each side installs its handler for its sample and removes it.
        peer.add(events[0], None)?;
        HANDED_OUT.set(0);
        let parts = if self.count == 1 { one_by_one(peer)? } else { many(peer, self.count)? };
        peer.del(events[0])?;
        let got = HANDED_OUT.get();
        if got != SIGNALS {
            return Err(Failure::Wrong(format!("{got} of {SIGNALS} signals handed out")));
        }
        Ok(parts.into_iter().map(|timed| timed.per(SIGNALS)).collect())
    }
}

/// The total.
fn one_by_one<P: Peer>(peer: &P) -> Result<Vec<Timed>, Failure> {
    let whole = timed(|| -> Result<(), Failure> {
        for _ in 0..SIGNALS {
            raise()?;
            peer.run(Pass::Poll)?;
        }
        Ok(())
    })?;
    Ok(vec![whole])
}

/// The total and its two parts.
fn many<P: Peer>(peer: &P, count: usize) -> Result<Vec<Timed>, Failure> {
    let (mut raised, mut dispatched) = (Timed::default(), Timed::default());
    for _ in 0..SIGNALS / count {
        raised += timed(|| (0..count).try_for_each(|_| raise()))?;
        dispatched += timed(|| peer.run(Pass::Poll))?;
    }
    let mut whole = raised;
    whole += dispatched;
    Ok(vec![whole, raised, dispatched])
}

/// Returns once the handler has.
fn raise() -> Result<(), Failure> {
    // SAFETY: the call has no precondition, and the signal is handled.
    match unsafe { libc::raise(NUMBER) } {
        0 => Ok(()),
        _ => Err(Failure::last_system_error("raise")),
    }
}
