//! The model: what the engine must do, implemented as simply as possible.

use std::collections::VecDeque;
use std::time::Duration;

use event_base::{CountFlags, LoopFlags, What};

use crate::program::{COMMON, Kind, PRIORITIES, Program, Step};

/// The number of callbacks after which a loop is stopped, on both sides.
pub(crate) const MOST_CALLBACKS: usize = 60;

/// An event, its result, and the time.
pub(crate) type Entry = (usize, What, Duration);

/// The cached time: fixed while callbacks run, from its first reading on.
#[derive(Clone, Copy, Debug, Default)]
enum Time {
    #[default]
    /// Not cached.
    Fresh,
    /// Cached by the next reading.
    CachedWhenRead,
    Cached(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Queued {
    No,
    Now,
    Later,
}

#[derive(Debug)]
struct Event {
    kind: Kind,
    interval: Option<u64>,
    /// The deadline and the order of arming.
    deadline: Option<(u64, u64)>,
    last_deadline: u64,
    inserted: bool,
    queued: Queued,
    result: What,
    had_its_turn: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Naive {
    events: Vec<Event>,
    now: u64,
    time: Time,
    orders: u64,
    /// Events on descriptors in the order of adding.
    inserted: Vec<usize>,
    queues: [Vec<usize>; PRIORITIES as usize],
    later: Vec<usize>,
    outcomes: VecDeque<(u64, Vec<(i32, What)>)>,
    exits: Vec<u64>,
    got_exit: bool,
    got_break: bool,
    break_next: bool,
    next_pass: bool,
    running: bool,
    /// The priority being dispatched.
    serving: Option<u8>,
}

impl Naive {
    pub(crate) fn new(kinds: &[Kind]) -> Self {
        let event = |kind: &Kind| Event {
            kind: kind.clone(),
            interval: None,
            deadline: None,
            last_deadline: 0,
            inserted: false,
            queued: Queued::No,
            result: What::empty(),
            had_its_turn: false,
        };
        Naive { events: kinds.iter().map(event).collect(), ..Naive::default() }
    }

    pub(crate) fn script(&mut self, after: u64, ready: &[(i32, What)]) {
        self.outcomes.push_back((after, ready.to_vec()));
    }

    fn read_time(&mut self) -> u64 {
        match self.time {
            Time::Fresh => self.now,
            Time::CachedWhenRead => {
                self.time = Time::Cached(self.now);
                self.now
            }
            Time::Cached(now) => now,
        }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        Duration::from_millis(self.now)
    }

    pub(crate) fn priority(&self, event: usize) -> u8 {
        self.events[event].kind.priority
    }

    pub(crate) fn deadline(&self, event: usize) -> Option<Duration> {
        self.events[event].deadline.map(|(at, _)| Duration::from_millis(at))
    }

    pub(crate) fn pending(&self, event: usize) -> What {
        let event = &self.events[event];
        let mut what = What::empty();
        if event.inserted {
            what |= event.kind.what;
        }
        if event.queued != Queued::No {
            what |= event.result;
        }
        what.set(What::TIMEOUT, what.contains(What::TIMEOUT) || event.deadline.is_some());
        what
    }

    pub(crate) fn count(&self, flags: CountFlags) -> usize {
        let of = |event: &Event| {
            let active = usize::from(event.queued != Queued::No);
            if flags == CountFlags::ACTIVE {
                return active;
            }
            active + usize::from(event.inserted) + usize::from(event.deadline.is_some())
        };
        self.events.iter().map(of).sum()
    }

    fn is_empty(&self) -> bool {
        self.count(CountFlags::ADDED) == 0 && self.exits.is_empty()
    }

    /// Whether every wait ends. A wait for a descriptor may not, since callbacks may remove the deadline that would end
    /// it; so a program with descriptors waits only while an exit is pending.
    pub(crate) fn can_wait(&self) -> bool {
        !self.exits.is_empty() || self.events.iter().all(|event| event.kind.fd.is_none())
    }

    pub(crate) fn step(&mut self, step: &Step) -> bool {
        match *step {
            Step::Add(event, timeout) => {
                if self.events[event].kind.fd.is_some() && !self.events[event].inserted {
                    self.events[event].inserted = true;
                    self.inserted.push(event);
                }
                if let Some(timeout) = timeout {
                    self.arm(event, timeout);
                }
            }
            Step::AddCommon(event, number) => {
                return self.step(&Step::Add(event, Some(COMMON[number])));
            }
            Step::Del(event) => self.delete(event),
            Step::RemoveTimer(event) => {
                self.events[event].interval = None;
                self.events[event].deadline = None;
            }
            Step::Activate(event, what) => self.activate(event, what),
            Step::ActivateLater(event, what) => {
                if self.events[event].queued == Queued::No {
                    self.events[event].result = what;
                    self.queue(event, Queued::Later);
                } else {
                    self.events[event].result |= what;
                }
            }
            Step::SetPriority(event, priority) => {
                if self.events[event].queued == Queued::Now {
                    return false;
                }
                self.events[event].kind.priority = priority;
            }
            Step::Break if self.running => self.got_break = true,
            Step::Break => self.break_next = true,
            Step::Continue => self.next_pass = true,
            Step::Exit(after) => {
                let after = after.unwrap_or(0);
                if after == 0 && self.running {
                    self.got_exit = true;
                } else {
                    let deadline = self.read_time() + after;
                    self.exits.push(deadline);
                }
            }
            Step::Pass(by) => self.now += by,
        }
        true
    }

    fn arm(&mut self, number: usize, timeout: u64) {
        let event = &mut self.events[number];
        if event.kind.persist {
            event.interval = Some(timeout);
        }
        if event.queued != Queued::No && event.result.contains(What::TIMEOUT) {
            event.result -= What::TIMEOUT;
            if event.result.is_empty() {
                self.unqueue(number);
            }
        }
        let at = self.read_time() + timeout;
        self.set_deadline(number, at);
    }

    fn set_deadline(&mut self, number: usize, at: u64) {
        self.orders += 1;
        self.events[number].deadline = Some((at, self.orders));
        self.events[number].last_deadline = at;
    }

    fn delete(&mut self, number: usize) {
        self.unqueue(number);
        self.events[number].interval = None;
        self.events[number].deadline = None;
        self.events[number].inserted = false;
        self.inserted.retain(|other| *other != number);
    }

    fn activate(&mut self, number: usize, what: What) {
        let event = &mut self.events[number];
        if event.queued == Queued::No {
            event.result = what;
        } else {
            event.result |= what;
        }
        let wait = self.serving.is_some() && event.had_its_turn;
        if event.queued == Queued::Now || (wait && event.queued == Queued::Later) {
            return;
        }
        if self.serving.is_some_and(|serving| event.kind.priority < serving) {
            self.next_pass = true;
        }
        self.unqueue(number);
        self.queue(number, if wait { Queued::Later } else { Queued::Now });
    }

    fn queue(&mut self, number: usize, to: Queued) {
        self.events[number].queued = to;
        match to {
            Queued::Now => self.queues[usize::from(self.events[number].kind.priority)].push(number),
            Queued::Later => self.later.push(number),
            Queued::No => {}
        }
    }

    fn unqueue(&mut self, number: usize) {
        self.events[number].queued = Queued::No;
        self.later.retain(|other| *other != number);
        self.queues.iter_mut().for_each(|queue| queue.retain(|other| *other != number));
    }

    fn has_active(&self) -> bool {
        self.queues.iter().any(|queue| !queue.is_empty())
    }

    /// Whether the loop ended because it was empty.
    pub(crate) fn run(&mut self, flags: LoopFlags, program: &Program, log: &mut Vec<Entry>) -> bool {
        self.running = true;
        self.got_exit = false;
        self.got_break = std::mem::take(&mut self.break_next);
        let nonblock = flags.contains(LoopFlags::NONBLOCK);
        let (mut polled, mut finished, mut handled) = (false, false, 0);
        let empty = loop {
            if self.got_exit || self.got_break || finished {
                break false;
            }
            if self.is_empty() {
                break true;
            }
            if polled && nonblock {
                if !self.has_active() {
                    break false;
                }
            } else {
                polled = true;
                self.events.iter_mut().for_each(|event| event.had_its_turn = false);
                for number in std::mem::take(&mut self.later) {
                    self.queue(number, Queued::Now);
                }
                self.poll(nonblock);
                self.expire();
            }
            self.next_pass = false;
            let before = handled;
            self.serve(program, log, &mut handled);
            finished = flags.contains(LoopFlags::ONCE) && handled > before && !self.has_active();
        };
        self.running = false;
        self.time = Time::Fresh;
        empty
    }

    fn poll(&mut self, nonblock: bool) {
        let timer = self.events.iter().filter_map(|event| event.deadline.map(|(at, _)| at));
        let next = timer.chain(self.exits.iter().copied()).min();
        let until =
            if nonblock || self.has_active() { self.now } else { next.unwrap_or(u64::MAX).max(self.now) };
        let room = until - self.now;
        match self.outcomes.front_mut() {
            Some((after, _)) if *after <= room => {
                let (after, ready) = self.outcomes.pop_front().unwrap_or_default();
                self.now += after;
                for (fd, what) in ready {
                    self.make_ready(fd, what);
                }
            }
            outcome => {
                assert!(room < u64::MAX / 2, "the wait would never end");
                self.now = until;
                if let Some((after, _)) = outcome {
                    *after -= room;
                }
            }
        }
        self.time = Time::CachedWhenRead;
    }

    fn make_ready(&mut self, fd: i32, ready: What) {
        for number in self.inserted.clone() {
            let kind = &self.events[number].kind;
            let what = kind.what & ready;
            if kind.fd == Some(fd) && !what.is_empty() {
                self.activate(number, what);
            }
        }
    }

    fn expire(&mut self) {
        if self.exits.is_empty() && self.events.iter().all(|event| event.deadline.is_none()) {
            return;
        }
        let now = self.read_time();
        let due = self.exits.len();
        self.exits.retain(|at| *at > now);
        self.got_exit |= self.exits.len() < due;
        loop {
            let due = |(number, event): (usize, &Event)| {
                event.deadline.filter(|(at, _)| *at <= now).map(|(at, order)| (at, order, number))
            };
            let Some((_, _, number)) = self.events.iter().enumerate().filter_map(due).min() else { return };
            self.events[number].deadline = None;
            if self.events[number].queued == Queued::No && !self.events[number].kind.persist {
                self.delete(number);
            }
            self.activate(number, What::TIMEOUT);
        }
    }

    fn serve(&mut self, program: &Program, log: &mut Vec<Entry>, handled: &mut usize) {
        let Some(priority) = self.queues.iter().position(|queue| !queue.is_empty()) else { return };
        self.serving = Some(priority as u8);
        while let Some(&number) = self.queues[priority].first() {
            self.unqueue(number);
            let result = std::mem::take(&mut self.events[number].result);
            self.events[number].had_its_turn = true;
            if self.events[number].kind.persist {
                self.rearm(number, result);
            } else {
                self.delete(number);
            }
            log.push((number, result, self.elapsed()));
            *handled += 1;
            if *handled > MOST_CALLBACKS {
                self.got_break = true;
            } else {
                for step in program.reaction(number, log.len()).to_vec() {
                    self.step(&step);
                }
            }
            if self.got_break || self.next_pass {
                break;
            }
        }
        self.serving = None;
    }

    fn rearm(&mut self, number: usize, result: What) {
        let Some(interval) = self.events[number].interval else { return };
        let now = self.read_time();
        let fired = self.events[number].last_deadline;
        let from = if result.contains(What::TIMEOUT) && fired <= now { fired } else { now };
        let next = from + interval;
        self.set_deadline(number, if next < now { now + interval } else { next });
    }
}
