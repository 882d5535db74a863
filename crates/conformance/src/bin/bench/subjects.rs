//! The list of subjects.

use event_base_conformance::Failure;

use crate::activation::Activation;
use crate::common_timeouts::CommonTimeouts;
use crate::idle::Idle;
use crate::interleave::interleave;
use crate::memory;
use crate::options::Options;
use crate::priorities::Priorities;
use crate::registration::Registration;
use crate::report::Row;
use crate::signals::Signals;
use crate::throughput::{SHAPES, Throughput};
use crate::timers::Timers;
use crate::timers_rearm::Rearm;
use crate::wake_up::WakeUp;
use crate::wake_up_threads::WakeUpThreads;

/// One subject.
pub(crate) struct Subject {
    /// Its name, as `--only` takes it.
    pub(crate) name: &'static str,
    needs_locks: bool,
    run: fn(&str, &Options) -> Result<Vec<Row>, Failure>,
}

impl Subject {
    /// Measures it.
    ///
    /// # Errors
    /// If a side fails or a sample is wrong.
    pub(crate) fn run(&self, options: &Options) -> Result<Vec<Row>, Failure> {
        (self.run)(self.name, options)
    }
}

const fn subject(name: &'static str, run: fn(&str, &Options) -> Result<Vec<Row>, Failure>) -> Subject {
    Subject { name, needs_locks: false, run }
}

const fn threads(name: &'static str, run: fn(&str, &Options) -> Result<Vec<Row>, Failure>) -> Subject {
    Subject { name, needs_locks: true, run }
}

const SUBJECTS: [Subject; 19] = [
    subject("throughput-100-1-100", |name, options| interleave(Throughput::new(SHAPES[0])?, name, options)),
    subject("throughput-1000-100-1000", |name, options| {
        interleave(Throughput::new(SHAPES[1])?, name, options)
    }),
    subject("throughput-9900-1000-20000", |name, options| {
        interleave(Throughput::new(SHAPES[2])?, name, options)
    }),
    subject("timers", |name, options| interleave(Timers::new(scaled(1_000_000, options)), name, options)),
    subject("rearm-1000", |name, options| interleave(Rearm::new(1000), name, options)),
    subject("rearm-100000", |name, options| interleave(Rearm::new(100_000), name, options)),
    subject("common-timeouts", |name, options| {
        interleave(CommonTimeouts::new(scaled(100_000, options)), name, options)
    }),
    subject("activation", |name, options| {
        let mut rows = interleave(Activation::new(1000), name, options)?;
        rows.extend(interleave(Activation::new(1), name, options)?);
        Ok(rows)
    }),
    subject("signals", |name, options| {
        let mut rows = interleave(Signals::new(100), name, options)?;
        rows.extend(interleave(Signals::new(1), name, options)?);
        Ok(rows)
    }),
    subject("priorities-3", |name, options| interleave(Priorities::new(3), name, options)),
    subject("priorities-64", |name, options| interleave(Priorities::new(64), name, options)),
    subject("idle-100", |name, options| interleave(Idle::new(100)?, name, options)),
    subject("idle-10000", |name, options| interleave(Idle::new(10_000)?, name, options)),
    subject("registration", |name, options| {
        let mut rows = interleave(Registration::new(false)?, name, options)?;
        rows.extend(interleave(Registration::new(true)?, name, options)?);
        Ok(rows)
    }),
    threads("wake-up-threads-1", |name, options| interleave(WakeUpThreads::new(1), name, options)),
    threads("wake-up-threads-2", |name, options| interleave(WakeUpThreads::new(2), name, options)),
    threads("wake-up-threads-4", |name, options| interleave(WakeUpThreads::new(4), name, options)),
    threads("wake-up", |name, options| interleave(WakeUp, name, options)),
    subject("memory", |_, options| memory::rows(options)),
];

/// The names of all subjects.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    SUBJECTS.iter().map(|subject| subject.name)
}

/// The selected subjects.
pub(crate) fn chosen(options: &Options) -> impl Iterator<Item = &'static Subject> {
    SUBJECTS.iter().filter(move |subject| {
        let only = &options.only;
        let wanted = only.is_empty() || only.iter().any(|name| subject.name.starts_with(name));
        wanted && (options.locks || !subject.needs_locks)
    })
}

fn scaled(count: usize, options: &Options) -> usize {
    if options.quick { count / 10 } else { count }
}
