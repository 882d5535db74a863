//! The JSON document.

use event_base_conformance::libevent;
use serde::Serialize;

use crate::options::Options;
use crate::statistics::Spread;

/// The measurements of one run of the program.
#[derive(Serialize)]
pub(crate) struct Report {
    /// The command that measured these figures.
    pub(crate) command: String,
    /// libevent's version.
    pub(crate) libevent: String,
    /// Whether the bases had locks.
    pub(crate) locks: bool,
    /// Whether this was a quick run.
    pub(crate) quick: bool,
    /// The figures.
    pub(crate) rows: Vec<Row>,
}

/// One figure of both sides.
#[derive(Serialize)]
pub(crate) struct Row {
    /// The subject it belongs to.
    pub(crate) subject: String,
    /// Its name.
    pub(crate) figure: String,
    /// Its unit.
    pub(crate) unit: &'static str,
    /// libevent's side.
    pub(crate) libevent: Option<Side>,
    /// The engine's side.
    pub(crate) engine: Option<Side>,
    /// Engine divided by libevent, over the rounds.
    pub(crate) ratio: Option<Spread>,
    /// The highest ratio that reaches the aim.
    pub(crate) aim: Option<f64>,
    /// The maximum of the engine's allocations in a timed part after the first round; absent if the subject is not a steady
    /// state.
    pub(crate) allocations: Option<u64>,
}

/// One side of a figure.
#[derive(Serialize)]
pub(crate) struct Side {
    /// Samples taken.
    pub(crate) rounds: usize,
    /// Their spread.
    #[serde(flatten)]
    pub(crate) spread: Spread,
}

impl Side {
    /// The side with these samples.
    pub(crate) fn of(values: &[f64]) -> Self {
        Self { rounds: values.len(), spread: Spread::of(values) }
    }
}

impl Report {
    /// A report with no rows yet.
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            command: std::env::args().collect::<Vec<_>>().join(" "),
            libevent: libevent::version(),
            locks: options.locks,
            quick: options.quick,
            rows: Vec::new(),
        }
    }
}

impl Row {
    /// A readable form of the row, on one line.
    pub(crate) fn line(&self) -> String {
        let side = |side: &Option<Side>| match side {
            Some(side) => format!("{:12.1}", side.spread.median),
            None => format!("{:>12}", "-"),
        };
        let ratio = match &self.ratio {
            Some(ratio) => {
                format!("{:.3} ({:.3}..{:.3})", ratio.median, ratio.lower_quartile, ratio.upper_quartile)
            }
            None => "-".to_owned(),
        };
        let allocations = match self.allocations {
            Some(count) => format!(", {count} allocations"),
            None => String::new(),
        };
        format!(
            "{:34} {} {} {:22} {}{}",
            self.figure,
            side(&self.libevent),
            side(&self.engine),
            ratio,
            self.unit,
            allocations
        )
    }
}
