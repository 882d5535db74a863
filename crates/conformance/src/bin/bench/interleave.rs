//! Alternates between the two sides until the figures are stable.
//!
//! A round is one sample of each side, directly after one another, so that a machine that is slow for a while slows both.
//! The order is reversed in every round. The ratio is the median of the ratios of the rounds.

use std::time::{Duration, Instant};

use event_base_conformance::{Build, Engine, Failure, Handler, Libevent, Peer};

use crate::options::{Options, Sides};
use crate::report::{Row, Side};
use crate::statistics::Spread;
use crate::timed::Timed;

/// One subject, written once for both sides.
pub(crate) trait Measure {
    /// The handler of the loops.
    type Handler: Handler;

    /// The figures that a sample gives, in order.
    fn figures(&self) -> Vec<Figure>;

    /// How the loops are built.
    fn build(&self) -> Build {
        Build::default()
    }

    /// Prepares a side, once, before its first sample; what it returns lives
    /// as long as the side and is given to every sample.
    fn prepare<'a, P: Peer>(&mut self, peer: &'a P) -> Result<Vec<P::Event<'a>>, Failure>;

    /// Takes a sample, and checks that the work was done completely.
    fn sample<'a, P: Peer>(&mut self, peer: &'a P, events: &[P::Event<'a>]) -> Result<Vec<Timed>, Failure>;
}

/// One of a sample's figures.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    /// Its name, such as `timers/add`.
    pub(crate) name: String,
    /// Its unit, such as `ns per timer`.
    pub(crate) unit: &'static str,
    /// The highest ratio of the engine to libevent that reaches the aim.
    pub(crate) aim: Option<f64>,
    /// Allocations are expected to be zero after the first round.
    pub(crate) steady: bool,
}

/// The maximum number of rounds.
const MOST_ROUNDS: usize = 41;

/// A figure is stable when the middle half of its ratios is this close to the median.
const STILL: f64 = 0.03;

/// Runs the measure on the selected sides.
///
/// # Errors
/// The first failure of either side.
pub(crate) fn interleave<M: Measure>(
    mut measure: M,
    name: &str,
    options: &Options,
) -> Result<Vec<Row>, Failure> {
    let libevent = Libevent::<M::Handler>::built(options.locks, &measure.build())?;
    let engine = Engine::<M::Handler>::built(options.locks, &measure.build())?;
    let libevent_events = measure.prepare(&libevent)?;
    let engine_events = measure.prepare(&engine)?;
    let figures = measure.figures();
    let mut samples = Samples::new(figures.len());
    let enough = Enough::new(options);

    for round in 0.. {
        let mut turn = |first: bool, samples: &mut Samples| -> Result<(), Failure> {
            if first && options.sides != Sides::Engine {
                samples.libevent(measure.sample(&libevent, &libevent_events)?);
            }
            if !first && options.sides != Sides::Libevent {
                samples.engine(measure.sample(&engine, &engine_events)?);
            }
            Ok(())
        };
        let flip = round % 2 == 1;
        turn(!flip, &mut samples)?;
        turn(flip, &mut samples)?;
        // The first round fills caches and allocates memory on both sides.
        if round == 0 {
            samples = Samples::new(figures.len());
        } else if enough.reached(round, &samples) {
            break;
        }
    }
    Ok(samples.rows(name, figures))
}

/// Every figure's value of every round.
struct Samples {
    libevent: Vec<Vec<f64>>,
    engine: Vec<Vec<f64>>,
    /// The most allocations of any round, for each figure.
    allocations: Vec<u64>,
}

impl Samples {
    fn new(figures: usize) -> Self {
        Self {
            libevent: vec![Vec::new(); figures],
            engine: vec![Vec::new(); figures],
            allocations: vec![0; figures],
        }
    }

    fn libevent(&mut self, sample: Vec<Timed>) {
        for (values, timed) in self.libevent.iter_mut().zip(sample) {
            values.push(timed.nanoseconds);
        }
    }

    fn engine(&mut self, sample: Vec<Timed>) {
        for (figure, timed) in sample.into_iter().enumerate() {
            self.engine[figure].push(timed.nanoseconds);
            self.allocations[figure] = self.allocations[figure].max(timed.allocations);
        }
    }

    fn ratios(&self, figure: usize) -> Vec<f64> {
        let pairs = self.engine[figure].iter().zip(&self.libevent[figure]);
        pairs.map(|(engine, libevent)| engine / libevent).collect()
    }

    fn still(&self) -> bool {
        (0..self.engine.len()).all(|figure| {
            let ratios = self.ratios(figure);
            ratios.is_empty() || Spread::of(&ratios).relative() < STILL
        })
    }

    fn rows(self, name: &str, figures: Vec<Figure>) -> Vec<Row> {
        let side = |values: &[f64]| (!values.is_empty()).then(|| Side::of(values));
        let rows = figures.into_iter().enumerate().map(|(index, figure)| {
            let ratios = self.ratios(index);
            Row {
                subject: name.to_owned(),
                figure: figure.name,
                unit: figure.unit,
                libevent: side(&self.libevent[index]),
                engine: side(&self.engine[index]),
                ratio: (!ratios.is_empty()).then(|| Spread::of(&ratios)),
                aim: figure.aim,
                allocations: (figure.steady && !self.engine[index].is_empty())
                    .then_some(self.allocations[index]),
            }
        });
        rows.collect()
    }
}

/// Whether to stop: enough rounds and a stable ratio, or the time is up.
struct Enough {
    least: usize,
    deadline: Instant,
}

impl Enough {
    fn new(options: &Options) -> Self {
        let (least, budget) = if options.quick { (3, 2) } else { (9, 30) };
        Self {
            least: options.rounds.unwrap_or(least),
            deadline: Instant::now() + Duration::from_secs(budget),
        }
    }

    fn reached(&self, rounds: usize, samples: &Samples) -> bool {
        rounds >= self.least && (rounds >= MOST_ROUNDS || samples.still() || Instant::now() >= self.deadline)
    }
}
