//! One program on both sides, step by step, until they disagree.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use crate::engine::Engine;
use crate::libevent::Libevent;
use crate::player::{Entry, Player};
use crate::program::{Flags, Program};
use crate::side::{Side, State};

/// Where two sides disagree.
#[derive(Clone, Debug)]
pub(crate) struct Divergence {
    /// How many operations outside callbacks there were, the last included.
    pub(crate) step: usize,
    /// What differs.
    pub(crate) what: String,
}

/// Runs a program; how many operations that were, and where the sides disagreed. With `tell`, what libevent did
/// is printed.
pub(crate) fn run(program: &Rc<Program>, tell: bool) -> (u64, Option<Divergence>) {
    let step = Cell::new(0);
    let done = Cell::new(0);
    let result = catch_unwind(AssertUnwindSafe(|| run_both(program, &step, &done, tell)));
    let what = result.unwrap_or_else(|panic| Some(format!("a panic: {}", message(&*panic))));
    (done.get(), what.map(|what| Divergence { step: step.get(), what }))
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("of an unknown kind")
}

fn run_both(program: &Rc<Program>, step: &Cell<usize>, done: &Cell<u64>, tell: bool) -> Option<String> {
    let libevent = Player::<Libevent>::new(program);
    let engine = Player::<Engine>::new(program);
    for operation in &program.operations {
        step.set(step.get() + 1);
        libevent.play(operation);
        engine.play(operation);
        done.set(libevent.done.get());
        if tell {
            println!("  {operation}");
            libevent.trace.borrow().iter().for_each(|entry| println!("      {entry}"));
        }
        let difference = traces(&libevent.trace.borrow(), &engine.trace.borrow());
        if let Some(difference) = difference.or_else(|| ends(&libevent, &engine)) {
            return Some(format!("after \"{operation}\": {difference}"));
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
        format!("  {side}:\n{}", if trace.len() <= place { lines.concat() + "    > (nothing more)\n" } else { lines.concat() })
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
    // An exit is an event in libevent, and counted.
    let (left, right) = (libevent.side.counts(), engine.side.counts());
    if left != right && !libevent.program.settings.exits {
        return Some(format!("active events and memberships are\n  libevent: {left:?}\n  engine:   {right:?}"));
    }
    None
}

fn describe(state: &State) -> String {
    if !state.exists {
        return "gone".to_owned();
    }
    let active = state.active.map(|result| {
        format!("active with {}, ", Flags(event_base::What::from_bits_retain(result)))
    });
    format!(
        "{}{}{}priority {}",
        active.unwrap_or_default(),
        if state.inserted { "registered, " } else { "" },
        state.deadline.map(|deadline| format!("due at {deadline} us, ")).unwrap_or_default(),
        state.priority
    )
}
