//! Runs a program on one side, records what happens, and applies the rules that concern both sides.

use std::cell::{Cell, RefCell};
use std::ffi::c_int;
use std::fmt;
use std::os::fd::RawFd;
use std::rc::Rc;

use event_base::{LoopFlags, What};

use crate::interpose::{self, Micros};
use crate::order::{Found, Orders};
use crate::program::{EVENTS, Flags, Kind, Operation, Program, SLOTS};
use crate::rules::{self, Rule};
use crate::side::{Side, States, UNNAMED};
use crate::signals;
use crate::sockets::Sockets;
use crate::time::Time;

/// The maximum number of callbacks in one loop.
const MOST_CALLBACKS: u64 = 40;

/// An entry of the trace, which must be the same on both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// A callback: the event, its descriptor or signal, the result, the time and the base's time.
    Called {
        number: u64,
        slot: Option<usize>,
        signal: Option<usize>,
        what: What,
        now: Micros,
        cached: Micros,
    },
    /// The result of a call or of an operation on a descriptor.
    Answer(i64),
    /// Not done, because it is impossible at this point.
    Nothing,
    /// Omitted, because the sides could not agree afterwards.
    Left(Rule),
    /// The loop had nothing to wait for, or ran for too long, and was broken.
    Broken,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Entry::Called { number, slot, signal, what, now, cached } => {
                write!(f, "callback of event {number}")?;
                if let Some(slot) = slot {
                    write!(f, " on descriptor {slot}")?;
                }
                if let Some(signal) = signal {
                    write!(f, " for signal {signal}")?;
                }
                write!(f, ": {}, at {now} us, {cached} us as the base sees it", Flags(*what))
            }
            Entry::Answer(number) => write!(f, "answer {number}"),
            Entry::Nothing => f.write_str("left out: it makes no sense"),
            Entry::Left(rule) => write!(f, "left out: {rule:?}"),
            Entry::Broken => f.write_str("nothing to wait for: broken"),
        }
    }
}

/// The record of an event, on both sides.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Known {
    pub(crate) kind: Option<Kind>,
    /// It was added with a timeout and is persistent.
    pub(crate) period: bool,
    /// The number of its deadline in the order of setting.
    pub(crate) order: u64,
    /// Its finalizer is still to run.
    pub(crate) finalizing: bool,
    /// The pass in which it ran or was made.
    pub(crate) pass: u64,
}

/// An event made by `once` that has not run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unnamed {
    pub(crate) number: u64,
    pub(crate) slot: Option<usize>,
    pub(crate) deadline: Option<Micros>,
    pub(crate) order: u64,
    pub(crate) priority: u8,
    pub(crate) pass: u64,
}

/// The running loop.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Run {
    pub(crate) running: bool,
    pub(crate) flags: LoopFlags,
    pub(crate) since: Micros,
    pub(crate) callbacks: u64,
    pub(crate) waits: u64,
    /// The priority of the running callback.
    pub(crate) priority: u8,
    pub(crate) continued: bool,
    pub(crate) broken: bool,
    pub(crate) by_rule: bool,
}

/// One side.
#[derive(Debug)]
pub(crate) struct Player<S> {
    pub(crate) side: S,
    pub(crate) program: Rc<Program>,
    pub(crate) sockets: RefCell<Sockets>,
    pub(crate) known: RefCell<[Known; EVENTS]>,
    pub(crate) unnamed: RefCell<Vec<Unnamed>>,
    /// The pass in which the descriptor of each slot was closed last.
    pub(crate) closed_in: RefCell<[u64; SLOTS]>,
    pub(crate) made_unnamed: Cell<u64>,
    /// Counts deadlines that were set.
    pub(crate) orders: Cell<u64>,
    /// The deadlines of requested exits.
    pub(crate) exits: RefCell<Vec<Micros>>,
    pub(crate) priorities: Cell<u8>,
    pub(crate) break_next: Cell<bool>,
    pub(crate) run: Cell<Run>,
    pub(crate) time: Time,
    pub(crate) found: Found,
    pub(crate) trace: RefCell<Vec<Entry>>,
    callbacks: Cell<u64>,
    /// Operations so far.
    pub(crate) done: Cell<u64>,
}

impl<S: Side> Player<S> {
    pub(crate) fn new(program: &Rc<Program>, orders: &Orders) -> Self {
        let side = interpose::with(&Time::default(), || S::new(&program.settings));
        Player {
            side,
            program: Rc::clone(program),
            sockets: RefCell::new(Sockets::new(S::FIRST_FD)),
            known: RefCell::default(),
            unnamed: RefCell::default(),
            closed_in: RefCell::default(),
            made_unnamed: Cell::new(UNNAMED),
            orders: Cell::new(0),
            exits: RefCell::default(),
            priorities: Cell::new(program.settings.priorities),
            break_next: Cell::new(false),
            run: Cell::default(),
            time: Time::default(),
            found: Found::new(orders),
            trace: RefCell::default(),
            callbacks: Cell::new(0),
            done: Cell::new(0),
        }
    }

    /// Performs an operation outside callbacks and adds it to the trace.
    pub(crate) fn play(&self, operation: &Operation) {
        self.trace.borrow_mut().clear();
        interpose::with(self, || self.perform(operation));
    }

    /// The states of the events.
    pub(crate) fn states(&self) -> States {
        interpose::with(self, || self.side.states())
    }

    /// Performs an operation and records the result.
    fn perform(&self, operation: &Operation) {
        self.done.set(self.done.get() + 1);
        let entry = self.attempt(operation);
        if let Entry::Left(rule) = entry {
            self.count(rule);
        }
        self.note(entry);
    }

    pub(crate) fn note(&self, entry: Entry) {
        self.trace.borrow_mut().push(entry);
    }

    pub(crate) fn count(&self, rule: Rule) {
        if S::IS_LIBEVENT {
            rules::count(rule);
        }
    }

    pub(crate) fn change_run(&self, change: impl FnOnce(&mut Run)) {
        let mut run = self.run.get();
        change(&mut run);
        self.run.set(run);
    }

    /// Runs the loop and records its result.
    pub(crate) fn run_loop(&self, flags: LoopFlags) -> Entry {
        if self.break_next.take() {
            self.count(Rule::BreakBeforeLoop);
            let result = if S::IS_LIBEVENT { 0 } else { self.side.run(self, flags) };
            return Entry::Answer(result.into());
        }
        self.run.set(Run { running: true, flags, since: self.time.now(), ..Run::default() });
        let result = self.side.run(self, flags);
        let run = self.run.take();
        if run.waits > 0 {
            let passed = self.time.of_pass();
            self.exits.borrow_mut().retain(|deadline| *deadline > passed);
        }
        let (exit, broken) = self.side.got();
        let bits = i64::from(exit) << 4 | i64::from(broken && !run.by_rule) << 5;
        Entry::Answer(i64::from(result) | bits)
    }

    /// A callback of the loop.
    pub(crate) fn called(&self, number: u64, fd: RawFd, what: What) {
        let (now, cached) = (self.time.now(), self.side.cached_time());
        if self.program.settings.cached_time && !self.time.was_asked() {
            self.count(Rule::StandingTime);
        }
        let signal = signals::signal(S::IS_LIBEVENT, fd);
        self.note(Entry::Called { number, slot: self.slot(fd), signal, what, now, cached });
        let is_named = number < UNNAMED && !what.contains(What::FINALIZE);
        let is_first = !is_named || self.side.begin_call(number as usize);
        self.callbacks.set(self.callbacks.get() + 1);
        let priority = self.begin_callback(number, is_first);
        self.change_run(|run| {
            run.callbacks += 1;
            run.continued = false;
            run.priority = priority;
        });
        if self.run.get().callbacks > MOST_CALLBACKS {
            self.side.break_off();
            self.change_run(|run| run.broken = true);
        } else {
            self.part_deadlines(number);
            let program = Rc::clone(&self.program);
            for operation in program.reaction(number, self.callbacks.get()) {
                self.perform(operation);
            }
        }
        self.side.end_call();
        let run = self.run.get();
        if !run.broken {
            self.side.after_callback(self, run.flags);
        }
    }

    /// Records that the event runs. Returns its priority.
    fn begin_callback(&self, number: u64, is_first: bool) -> u8 {
        if number >= UNNAMED {
            self.side.begin_once(number);
            let mut unnamed = self.unnamed.borrow_mut();
            let place = unnamed.iter().position(|unnamed| unnamed.number == number);
            return place.map_or(0, |place| unnamed.swap_remove(place).priority);
        }
        let event = number as usize;
        let priority = if S::IS_LIBEVENT { self.side.states()[event].priority } else { 0 };
        let known = &mut self.known.borrow_mut()[event];
        known.pass = self.time.pass();
        if known.period && is_first {
            known.order = self.next_order();
        }
        if known.finalizing {
            *known = Known::default();
            self.side.free(event);
        }
        priority
    }

    /// The next number in the order of setting deadlines.
    pub(crate) fn next_order(&self) -> u64 {
        self.orders.set(self.orders.get() + 1);
        self.orders.get()
    }

    /// The number of the event's deadline.
    pub(crate) fn order_of(&self, number: u64) -> u64 {
        if number < UNNAMED {
            return self.known.borrow()[number as usize].order;
        }
        let unnamed = self.unnamed.borrow();
        unnamed.iter().find(|unnamed| unnamed.number == number).map_or(0, |unnamed| unnamed.order)
    }

    /// Whether an event of this priority ends the pass when it is made active.
    pub(crate) fn is_more_urgent(&self, priority: u8) -> bool {
        let run = self.run.get();
        run.running && priority < run.priority
    }

    /// The rules broke the loop, not the program.
    pub(crate) fn broken_by_rule(&self) {
        self.change_run(|run| run.by_rule = true);
    }

    /// The descriptor of a slot.
    pub(crate) fn fd(&self, slot: usize) -> RawFd {
        self.sockets.borrow().number(slot)
    }

    /// What an event of this kind waits for: a descriptor's number, a signal's, or none.
    pub(crate) fn number_of(&self, kind: &Kind) -> c_int {
        let signal = kind.signal.map(|signal| signals::number(S::IS_LIBEVENT, signal));
        signal.or(kind.slot.map(|slot| self.fd(slot))).unwrap_or(-1)
    }

    /// The slot of a descriptor.
    pub(crate) fn slot(&self, fd: RawFd) -> Option<usize> {
        self.sockets.borrow().slot(fd)
    }
}
