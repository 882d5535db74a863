//! Ready events among many idle descriptors, as in libevent's own benchmark.
//!
//! A persistent read event on each pair, of which a few are readable. Every callback receives a byte and, up to a limit,
//! sends one to the next pair. The time is measured until all bytes are received.

use std::cell::Cell;
use std::os::fd::RawFd;

use event_base::What;
use event_base_conformance::{Failure, Handler, Pass, Peer};

use crate::interleave::{Figure, Measure};
use crate::sockets::{self, Pairs};
use crate::timed::{Timed, timed};

/// The three shapes: the number of pairs, of pairs that are active at the start, and of further writes.
pub(crate) const SHAPES: [(usize, usize, usize); 3] = [(100, 1, 100), (1000, 100, 1000), (9900, 1000, 20000)];

/// A sample repeats the timed part until it has about this number of deliveries.
const DELIVERIES: usize = 20_000;

/// The measure for one shape.
pub(crate) struct Throughput {
    pairs: Pairs,
    active: usize,
    writes: usize,
}

/// The state that the handler and the measure share.
struct State {
    received: Cell<usize>,
    sent: Cell<usize>,
    budget: Cell<usize>,
    failures: Cell<usize>,
    /// The writer of the pair after the one with this index.
    next: Cell<&'static [RawFd]>,
}

thread_local! {
    static STATE: State = const {
        State {
            received: Cell::new(0),
            sent: Cell::new(0),
            budget: Cell::new(0),
            failures: Cell::new(0),
            next: Cell::new(&[]),
        }
    };
}

/// Receives a byte and passes one on.
pub(crate) struct PassOn;

impl Handler for PassOn {
    fn ready(index: usize, fd: RawFd, _what: What) {
        STATE.with(|state| {
            if sockets::receive(fd) {
                state.received.set(state.received.get() + 1);
            } else {
                state.failures.set(state.failures.get() + 1);
            }
            let budget = state.budget.get();
            if budget > 0 {
                state.budget.set(budget - 1);
                if sockets::send(state.next.get()[index]) {
                    state.sent.set(state.sent.get() + 1);
                } else {
                    state.failures.set(state.failures.get() + 1);
                }
            }
        });
    }
}

impl Throughput {
    /// The measure for a shape.
    ///
    /// # Errors
    /// If the sockets cannot be opened.
    pub(crate) fn new((pairs, active, writes): (usize, usize, usize)) -> Result<Self, Failure> {
        let pairs = Pairs::new(pairs)?;
        let next: Vec<_> = (0..pairs.len()).map(|index| pairs.writer((index + 1) % pairs.len())).collect();
        // Leaked for the life of the process: a few kilobytes for each shape.
        STATE.with(|state| state.next.set(next.leak()));
        Ok(Self { pairs, active, writes })
    }

    fn name(&self) -> String {
        format!("throughput-{}-{}-{}", self.pairs.len(), self.active, self.writes)
    }

    /// Empties the state and makes the first pairs readable.
    fn begin(&self) -> Result<(), Failure> {
        let distance = self.pairs.len() / self.active;
        for index in 0..self.active {
            if !sockets::send(self.pairs.writer(index * distance)) {
                return Err(Failure::last_system_error("send"));
            }
        }
        STATE.with(|state| {
            state.received.set(0);
            state.sent.set(self.active);
            state.budget.set(self.writes);
            state.failures.set(0);
        });
        Ok(())
    }

    /// Checks that every byte was delivered, and no other.
    fn check(&self) -> Result<(), Failure> {
        STATE.with(|state| {
            let (received, failures) = (state.received.get(), state.failures.get());
            if received == self.active + self.writes && failures == 0 {
                return Ok(());
            }
            Err(Failure::Wrong(format!("{}: {received} deliveries, {failures} failures", self.name())))
        })
    }
}

impl Measure for Throughput {
    type Handler = PassOn;

    fn figures(&self) -> Vec<Figure> {
        vec![Figure { name: self.name(), unit: "ns per delivery", aim: Some(1.0), steady: true }]
    }

    fn prepare<'a, P: Peer>(&mut self, peer: &'a P) -> Result<Vec<P::Event<'a>>, Failure> {
        (0..self.pairs.len()).map(|index| peer.io(self.pairs.reader(index), What::READ, index)).collect()
    }

    fn sample<'a, P: Peer>(&mut self, peer: &'a P, events: &[P::Event<'a>]) -> Result<Vec<Timed>, Failure> {
        let deliveries = self.active + self.writes;
        let repeats = DELIVERIES.div_ceil(deliveries);
        let mut total = Timed::default();
        // Registered for this sample only: a socket that both sides watch would wake both.
        for &event in events {
            peer.add(event, None)?;
        }
        for _ in 0..repeats {
            peer.run(Pass::Poll)?;
            self.begin()?;
            total += timed(|| -> Result<(), Failure> {
                while STATE.with(|state| state.received.get() < state.sent.get()) {
                    peer.run(Pass::Poll)?;
                }
                Ok(())
            })?;
            self.check()?;
        }
        for &event in events {
            peer.del(event)?;
        }
        peer.run(Pass::Poll)?;
        Ok(vec![total.per(repeats * deliveries)])
    }
}
