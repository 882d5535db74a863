//! Performs operations, and omits those that a rule excludes.

use event_base::{LoopFlags, What};

use crate::calls::may_be_called_again;
use crate::interpose::Micros;
use crate::player::{Entry, Known, Player, Unnamed};
use crate::program::{Kind, Operation};
use crate::rules::Rule;
use crate::side::{Side, Timeout, UNNAMED};
use crate::signals;

/// The maximum number of unnamed events.
const MOST_UNNAMED: usize = 6;

fn answer(accepted: bool) -> Entry {
    Entry::Answer(accepted.into())
}

impl<S: Side> Player<S> {
    /// Performs an operation unless it is impossible or a rule omits it.
    pub(crate) fn attempt(&self, operation: &Operation) -> Entry {
        match *operation {
            Operation::New(event, kind) => self.create(event, kind),
            Operation::Free(event) => self.on(event, |known| {
                if known.finalizing {
                    return Entry::Nothing;
                }
                self.side.free(event);
                self.known.borrow_mut()[event] = Known::default();
                answer(true)
            }),
            Operation::Add(event, timeout) => {
                let timeout = timeout.map_or(Timeout::Never, Timeout::After);
                self.on(event, |known| self.add(event, known, timeout))
            }
            Operation::AddCommon(event, common) => {
                self.on(event, |known| self.add(event, known, Timeout::Common(common)))
            }
            Operation::Del(event) => self.on(event, |_| self.delete(event)),
            Operation::RemoveTimer(event) => self.on(event, |_| {
                self.known.borrow_mut()[event].period = false;
                answer(self.side.remove_timer(event))
            }),
            Operation::Activate(event, what) => self.on(event, |known| self.activate(event, known, what)),
            Operation::ActivateLater(event, what) => self.on(event, |known| {
                if self.is_nonblocking() || may_be_called_again(self, event) {
                    return Entry::Left(Rule::FinitePassesLeft);
                }
                answer(self.side.activate_later(event, self.without_timeout(known, what)))
            }),
            Operation::ActivateTimes(event, what, times) => self.on(event, |known| {
                if self.had_its_turn(known.pass) {
                    return Entry::Left(Rule::FinitePassesLeft);
                }
                answer(self.side.activate_times(event, self.without_timeout(known, what), times))
            }),
            Operation::ActivateBySignal(signal) => {
                let known = *self.known.borrow();
                let on = |known: &&Known| known.kind.is_some_and(|kind| kind.signal == Some(signal));
                if known.iter().filter(on).any(|known| self.had_its_turn(known.pass)) {
                    return Entry::Left(Rule::FinitePassesLeft);
                }
                answer(self.side.activate_by_signal(signals::number(S::IS_LIBEVENT, signal)))
            }
            Operation::Send(signal, times, to_process) => {
                Entry::Answer(signals::send(signals::number(S::IS_LIBEVENT, signal), times, to_process))
            }
            Operation::ActivateByFd(slot, what) => self.activate_by_fd(slot, what),
            Operation::SetPriority(event, priority) => {
                // Up to one too many, so that some are refused.
                let priority = priority % (self.priorities.get() + 1);
                if may_be_called_again(self, event) {
                    return Entry::Left(Rule::OneCallAtATime);
                }
                self.on(event, |_| answer(self.side.set_priority(event, priority)))
            }
            Operation::SetPriorities(count) => self.set_priorities(count),
            Operation::Once(slot, what, timeout) => self.once(slot, what, timeout),
            Operation::Finalize(event) => self.on(event, |known| {
                if self.had_its_turn(known.pass) {
                    return Entry::Left(Rule::FinitePassesLeft);
                }
                let known = &mut self.known.borrow_mut()[event];
                (known.finalizing, known.period) = (true, false);
                answer(self.side.finalize(event))
            }),
            Operation::Exit(after) => self.exit(after),
            Operation::Break => self.break_off(),
            Operation::Continue
                if self.program.settings.common && self.run.get().flags.contains(LoopFlags::ONCE) =>
            {
                Entry::Left(Rule::CommonTimeouts)
            }
            Operation::Continue => {
                self.change_run(|run| run.continued = true);
                answer(self.side.go_on())
            }
            // Refused.
            Operation::Loop(flags) if self.run.get().running => {
                Entry::Answer(self.side.run(self, flags).into())
            }
            Operation::Loop(flags) => self.run_loop(flags),
            Operation::Advance(_) if self.is_nonblocking() => Entry::Left(Rule::NonblockTime),
            Operation::Advance(time) => {
                self.time.advance(time);
                answer(true)
            }
            Operation::UpdateTime if self.run.get().running && self.program.settings.common => {
                Entry::Left(Rule::CommonTimeouts)
            }
            Operation::UpdateTime => {
                self.side.update_time();
                Entry::Answer(self.side.cached_time() as i64)
            }
            _ => self.attempt_on_descriptor(operation),
        }
    }

    /// Calls with the record of an event, if it exists.
    fn on(&self, event: usize, call: impl FnOnce(&Known) -> Entry) -> Entry {
        let known = self.known.borrow()[event];
        if known.kind.is_some() { call(&known) } else { Entry::Nothing }
    }

    fn create(&self, event: usize, kind: Kind) -> Entry {
        if self.known.borrow()[event].kind.is_some() {
            return Entry::Nothing;
        }
        let priority = kind.priority.map(|priority| priority % self.priorities.get());
        let accepted = self.side.create(self, event, &Kind { priority, ..kind });
        let kind = accepted.then_some(kind);
        self.known.borrow_mut()[event] = Known { kind, pass: self.pass_of_new(), ..Known::default() };
        answer(accepted)
    }

    fn pass_of_new(&self) -> u64 {
        if self.run.get().running { self.time.pass() } else { 0 }
    }

    /// Whether the event has run in this pass, so that it runs again only in the next one.
    pub(crate) fn had_its_turn(&self, pass: u64) -> bool {
        self.run.get().running && pass == self.time.pass()
    }

    /// In a callback of a NONBLOCK loop.
    pub(crate) fn is_nonblocking(&self) -> bool {
        let run = self.run.get();
        run.running && run.flags.contains(LoopFlags::NONBLOCK)
    }

    fn add(&self, event: usize, known: &Known, timeout: Timeout) -> Entry {
        let Some(kind) = known.kind.filter(|_| !known.finalizing) else {
            // Refused.
            return answer(self.side.add(self, event, timeout));
        };
        let persistent = kind.what.contains(What::PERSIST);
        let mut timeout = timeout;
        if timeout == Timeout::After(0) && persistent {
            self.count(Rule::PeriodOfZero);
            timeout = Timeout::After(1);
        }
        if let Timeout::After(time) = timeout {
            timeout = Timeout::After(self.not_at_once(time));
        }
        let accepted = match kind.slot.map_or(Ok(()), |slot| self.may_join(event, slot, kind.what)) {
            Ok(()) => self.side.add(self, event, timeout),
            Err(Rule::EdgeAndLevel) => {
                self.count(Rule::EdgeAndLevel);
                self.side.add_mixed(self, event, timeout)
            }
            Err(rule) => return Entry::Left(rule),
        };
        if accepted && timeout != Timeout::Never {
            let known = &mut self.known.borrow_mut()[event];
            known.period = persistent;
            known.order = self.next_order();
        }
        answer(accepted)
    }

    /// A timeout that does not expire immediately in a NONBLOCK loop.
    fn not_at_once(&self, timeout: Micros) -> Micros {
        if timeout == 0 && self.is_nonblocking() {
            self.count(Rule::NonblockTime);
            return 1;
        }
        timeout
    }

    /// The deadlines of timers and exits.
    pub(crate) fn deadlines(&self) -> Vec<Micros> {
        let states = self.side.states();
        let unnamed = self.unnamed.borrow();
        let named = states.iter().filter_map(|state| state.deadline);
        named
            .chain(unnamed.iter().filter_map(|unnamed| unnamed.deadline))
            .chain(self.exits.borrow().iter().copied())
            .collect()
    }

    /// Keeps a period that has just started from ending immediately in a NONBLOCK loop.
    pub(crate) fn part_deadlines(&self, number: u64) {
        let event = number as usize;
        if number >= UNNAMED || !self.known.borrow()[event].period {
            return;
        }
        let Some(deadline) = self.side.states()[event].deadline else { return };
        if self.is_nonblocking() && deadline <= self.time.of_pass() {
            self.count(Rule::NonblockTime);
            let timeout = deadline.saturating_sub(self.side.cached_time()) + 1;
            self.side.add(self, event, Timeout::After(timeout));
            self.known.borrow_mut()[event].order = self.next_order();
        }
    }

    pub(crate) fn delete(&self, event: usize) -> Entry {
        self.known.borrow_mut()[event].period = false;
        answer(self.side.del(event))
    }

    fn without_timeout(&self, known: &Known, what: What) -> What {
        if known.period && what.contains(What::TIMEOUT) {
            self.count(Rule::ActivatedPeriod);
        }
        if known.period { what - What::TIMEOUT } else { what }
    }

    fn activate(&self, event: usize, known: &Known, what: What) -> Entry {
        let put_off = self.had_its_turn(known.pass);
        if put_off && (self.is_nonblocking() || may_be_called_again(self, event)) {
            return Entry::Left(Rule::FinitePassesLeft);
        }
        answer(self.side.activate(event, self.without_timeout(known, what), put_off))
    }

    fn set_priorities(&self, count: u8) -> Entry {
        let unnamed = !self.unnamed.borrow().is_empty() || !self.exits.borrow().is_empty();
        if self.run.get().running || unnamed {
            return Entry::Left(Rule::PrioritiesInCallback);
        }
        if self.program.settings.common {
            return Entry::Left(Rule::CommonTimeouts);
        }
        let accepted = self.side.set_priorities(count);
        if accepted {
            self.priorities.set(count);
        }
        answer(accepted)
    }

    fn once(&self, slot: Option<usize>, what: What, timeout: Option<Micros>) -> Entry {
        if !self.program.settings.unnamed || self.unnamed.borrow().len() >= MOST_UNNAMED {
            return Entry::Nothing;
        }
        let mut timeout = timeout;
        let mut fd = -1;
        if let Some(slot) = slot {
            if let Err(rule) = self.may_join(usize::MAX, slot, what) {
                return Entry::Left(rule);
            }
            fd = self.fd(slot);
        } else if self.run.get().running && timeout.unwrap_or_default() == 0 {
            self.count(Rule::FinitePassesLeft);
            timeout = Some(1);
        }
        // Without a descriptor, a timeout of zero means none.
        let timed = timeout.filter(|timeout| slot.is_some() || *timeout > 0);
        let timed = timed.map(|timeout| self.not_at_once(timeout));
        let number = self.made_unnamed.get();
        self.made_unnamed.set(number + 1);
        let accepted = self.side.once(self, number, fd, what, timed);
        if accepted {
            let deadline = timed.map(|timeout| self.side.cached_time() + timeout);
            let (priority, pass) = (self.priorities.get() / 2, self.pass_of_new());
            let order = self.next_order();
            self.unnamed.borrow_mut().push(Unnamed { number, slot, deadline, order, priority, pass });
        }
        answer(accepted)
    }

    fn exit(&self, after: Option<Micros>) -> Entry {
        let run = self.run.get();
        if !self.program.settings.exits {
            return Entry::Nothing;
        }
        let after = after.filter(|after| *after > 0);
        let deadline = match after {
            Some(after) => self.side.cached_time() + after,
            None if run.running => self.time.of_pass(),
            None => self.time.now(),
        };
        self.exits.borrow_mut().push(deadline);
        answer(self.side.exit(after))
    }

    fn break_off(&self) -> Entry {
        if !self.run.get().running {
            self.break_next.set(true);
            if !S::IS_LIBEVENT {
                self.side.break_off();
            }
            return Entry::Left(Rule::BreakBeforeLoop);
        }
        self.change_run(|run| run.broken = true);
        answer(self.side.break_off())
    }
}
