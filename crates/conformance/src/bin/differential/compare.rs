//! One program on both sides, step by step, until they disagree.

use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use crate::engine::Engine;
use crate::libevent::Libevent;
use crate::order::Orders;
use crate::player::{Entry, Player};
use crate::program::{Flags, Program};
use crate::side::{Side, State};

/// Where two sides disagree.
#[derive(Clone, Debug)]
pub(crate) struct Divergence {
    /// The number of operations outside callbacks, including the last one.
    pub(crate) step: usize,
    /// The difference.
    pub(crate) what: String,
}

/// The number of operations, on each side.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Done {
    /// All operations, including those in callbacks.
    pub(crate) operations: u64,
    callbacks: u64,
    /// Operations that a rule omitted.
    left: u64,
    /// Operations on an event or a descriptor that did not exist.
    nothing: u64,
}

impl Done {
    fn note(&mut self, trace: &[Entry]) {
        for entry in trace {
            match entry {
                Entry::Called { .. } => self.callbacks += 1,
                Entry::Left(_) => self.left += 1,
                Entry::Nothing => self.nothing += 1,
                Entry::Answer(_) | Entry::Broken => {}
            }
        }
    }
}

impl std::ops::AddAssign for Done {
    fn add_assign(&mut self, other: Self) {
        self.operations += other.operations;
        self.callbacks += other.callbacks;
        self.left += other.left;
        self.nothing += other.nothing;
    }
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Done { operations, callbacks, left, nothing } = self;
        write!(
            f,
            "{operations} operations ({nothing} without a subject, {left} left out), {callbacks} callbacks"
        )
    }
}

/// Runs a program. Returns the number of operations and the disagreement, if there is one.
pub(crate) fn run(program: &Rc<Program>) -> (Done, Option<Divergence>) {
    let step = Cell::new(0);
    let done = Cell::default();
    let result = catch_unwind(AssertUnwindSafe(|| run_both(program, &step, &done)));
    let what = result.unwrap_or_else(|panic| Some(format!("a panic: {}\n", message(&*panic))));
    (done.get(), what.map(|what| Divergence { step: step.get(), what }))
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("of an unknown kind")
}

fn run_both(program: &Rc<Program>, step: &Cell<usize>, done: &Cell<Done>) -> Option<String> {
    let orders = Orders::default();
    let libevent = Player::<Libevent>::new(program, &orders);
    let engine = Player::<Engine>::new(program, &orders);
    let mut so_far = Done::default();
    for operation in &program.operations {
        step.set(step.get() + 1);
        engine.play(operation);
        libevent.play(operation);
        libevent.forget_found();
        engine.forget_found();
        let (left, right) = (libevent.trace.borrow(), engine.trace.borrow());
        so_far.operations = libevent.done.get();
        so_far.note(&left);
        done.set(so_far);
        if let Some(difference) = traces(&left, &right).or_else(|| ends(&libevent, &engine)) {
            return Some(format!("after \"{operation}\", {difference}\n"));
        }
    }
    None
}

fn traces(libevent: &[Entry], engine: &[Entry]) -> Option<String> {
    let longest = libevent.len().max(engine.len());
    let place = (0..longest).find(|place| libevent.get(*place) != engine.get(*place))?;
    let show = |side: &str, trace: &[Entry]| {
        let lines: Vec<String> = trace
            .iter()
            .enumerate()
            .take(place + 3)
            .skip(place.saturating_sub(12))
            .map(|(line, entry)| format!("    {} {entry}\n", if line == place { '>' } else { ' ' }))
            .collect();
        format!(
            "  {side}:\n{}",
            if trace.len() <= place { lines.concat() + "    > (nothing more)\n" } else { lines.concat() }
        )
    };
    Some(format!(
        "the traces differ at entry {place}\n{}{}",
        show("libevent", libevent),
        show("engine", engine)
    ))
}

fn ends(libevent: &Player<Libevent>, engine: &Player<Engine>) -> Option<String> {
    let (left, right) = (libevent.states(), engine.states());
    if let Some(event) = (0..left.len()).find(|event| left[*event] != right[*event]) {
        let (left, right) = (describe(&left[event]), describe(&right[event]));
        return Some(format!("event {event} is\n  libevent: {left}\n  engine:   {right}"));
    }
    let (left, right) = (libevent.time.now(), engine.time.now());
    if left != right {
        return Some(format!("the time is\n  libevent: {left}\n  engine:   {right}"));
    }
    // In libevent the active timer of a common timeout is counted.
    let (mut left, right) = (libevent.side.counts(), engine.side.counts());
    if libevent.program.settings.common {
        left.0 = right.0;
    }
    if left != right {
        return Some(format!(
            "active events and memberships are\n  libevent: {left:?}\n  engine:   {right:?}"
        ));
    }
    None
}

fn describe(state: &State) -> String {
    if !state.exists {
        return "gone".to_owned();
    }
    let active = state
        .active
        .map(|result| format!("active with {}, ", Flags(event_base::What::from_bits_retain(result))));
    format!(
        "{}{}{}priority {}",
        active.unwrap_or_default(),
        if state.inserted { "registered, " } else { "" },
        state.deadline.map(|deadline| format!("due at {deadline} us, ")).unwrap_or_default(),
        state.priority
    )
}
