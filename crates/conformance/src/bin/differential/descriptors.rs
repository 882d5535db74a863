//! Operations on descriptors, and the rules about events that share one.

use event_base::What;

use crate::player::{Entry, Player, Unnamed};
use crate::program::{Method, Operation, Socket};
use crate::rules::Rule;
use crate::side::Side;

impl<S: Side> Player<S> {
    /// The events registered on a descriptor, without the unnamed ones.
    fn inserted_on(&self, slot: usize) -> Vec<usize> {
        let states = self.side.states();
        let known = self.known.borrow();
        let on = |event: &usize| {
            states[*event].inserted && known[*event].kind.is_some_and(|kind| kind.slot == Some(slot))
        };
        (0..known.len()).filter(on).collect()
    }

    fn unnamed_on(&self, slot: usize) -> bool {
        let unnamed = self.unnamed.borrow();
        let mut on = unnamed.iter().filter(|unnamed| unnamed.slot == Some(slot));
        on.any(|unnamed| self.side.is_registered(unnamed.number))
    }

    /// Whether an event waits for the peer to close the descriptor.
    pub(crate) fn has_closer(&self, slot: usize) -> bool {
        let known = self.known.borrow();
        let kinds = self.inserted_on(slot).into_iter().filter_map(|event| known[event].kind);
        kinds.map(|kind| kind.what).any(|what| what.contains(What::CLOSED))
    }

    /// Whether both sides behave alike when the event is added to those of its descriptor.
    pub(crate) fn may_join(&self, event: usize, slot: usize, what: What) -> Result<(), Rule> {
        let others = self.inserted_on(slot);
        let unnamed = self.unnamed_on(slot);
        if self.program.settings.changelist && !self.sockets.borrow().is_open(slot) {
            return Err(Rule::ClosedWithChangelist);
        }
        if self.program.settings.method != Method::Epoll && !self.sockets.borrow().is_open(slot) {
            return Err(Rule::AddedToClosed);
        }
        if others.contains(&event) || (others.is_empty() && !unnamed) {
            return Ok(());
        }
        if !self.sockets.borrow().is_open(slot) {
            return Err(Rule::ClosedDescriptors);
        }
        let edge = what.contains(What::ET);
        let known = self.known.borrow();
        let mut kinds = others.iter().filter_map(|other| known[*other].kind);
        let agree = kinds.all(|kind| kind.what.contains(What::ET) == edge) && !(edge && unnamed);
        if agree { Ok(()) } else { Err(Rule::EdgeAndLevel) }
    }

    pub(crate) fn activate_by_fd(&self, slot: usize, what: What) -> Entry {
        let (states, known) = (self.side.states(), *self.known.borrow());
        let on = |event: &usize| known[*event].kind.is_some_and(|kind| kind.slot == Some(slot));
        let events: Vec<usize> = if what.contains(What::TIMEOUT) {
            (0..known.len()).filter(on).filter(|event| states[*event].deadline.is_some()).collect()
        } else {
            self.inserted_on(slot)
        };
        let timed = |unnamed: &&Unnamed| unnamed.slot == Some(slot) && unnamed.deadline.is_some();
        let unnamed_timers = self.unnamed.borrow().iter().filter(timed).count();
        if what.contains(What::TIMEOUT) && events.len() + unnamed_timers > 1 {
            return Entry::Left(Rule::TimersByDescriptor);
        }
        if what.contains(What::TIMEOUT) && events.iter().any(|event| known[*event].period) {
            return Entry::Left(Rule::ActivatedPeriod);
        }
        let unnamed = self
            .unnamed
            .borrow()
            .iter()
            .any(|unnamed| unnamed.slot == Some(slot) && self.had_its_turn(unnamed.pass));
        if unnamed || events.iter().any(|event| self.had_its_turn(known[*event].pass)) {
            return Entry::Left(Rule::FinitePassesLeft);
        }
        Entry::Answer(self.side.activate_by_fd(self.fd(slot), what).into())
    }

    /// Whether no event remains of the descriptor that had this number before.
    fn is_vacant(&self, slot: usize) -> bool {
        self.inserted_on(slot).is_empty() && !self.unnamed_on(slot)
    }

    /// Whether the removal of the descriptor that had this number may still be deferred: a change would then apply to the
    /// new one.
    fn is_put_off(&self, slot: usize) -> bool {
        self.program.settings.changelist && self.closed_in.borrow()[slot] == self.time.pass()
    }

    fn close(&self, slot: usize) -> Entry {
        if !self.sockets.borrow().is_open(slot) {
            return Entry::Nothing;
        }
        if self.unnamed_on(slot) {
            return Entry::Left(Rule::ClosedDescriptors);
        }
        // No call removes epoll's registration of a file that has a duplicate, and the removal may be deferred.
        if self.program.settings.changelist && self.sockets.borrow().is_shared(slot) {
            return Entry::Left(Rule::ClosedWithChangelist);
        }
        self.closed_in.borrow_mut()[slot] = self.time.pass();
        let events = self.inserted_on(slot);
        if self.program.settings.changelist && !events.is_empty() {
            self.count(Rule::ClosedWithChangelist);
            events.iter().for_each(|event| _ = self.delete(*event));
        } else if self.program.settings.method != Method::Epoll {
            for event in events {
                self.count(Rule::ClosedUnderPoll);
                self.delete(event);
            }
        } else if events.len() > 1 || self.sockets.borrow().is_shared(slot) {
            for event in events {
                self.count(Rule::ClosedDescriptors);
                self.delete(event);
            }
        }
        self.sockets.borrow_mut().close(slot);
        Entry::Answer(1)
    }

    fn open(&self, slot: usize, socket: Socket) -> Entry {
        if self.sockets.borrow().is_open(slot) {
            return Entry::Nothing;
        }
        if !self.is_vacant(slot) {
            return Entry::Left(Rule::ClosedDescriptors);
        }
        if self.is_put_off(slot) {
            return Entry::Left(Rule::ClosedWithChangelist);
        }
        self.sockets.borrow_mut().open(slot, socket);
        Entry::Answer(1)
    }

    fn duplicate(&self, from: usize, to: usize) -> Entry {
        if !self.sockets.borrow().may_duplicate(from, to) {
            return Entry::Nothing;
        }
        if !self.is_vacant(to) {
            return Entry::Left(Rule::ClosedDescriptors);
        }
        if self.is_put_off(to) {
            return Entry::Left(Rule::ClosedWithChangelist);
        }
        self.sockets.borrow_mut().duplicate(from, to);
        Entry::Answer(1)
    }

    /// An operation on a descriptor, or on its peer.
    pub(crate) fn attempt_on_descriptor(&self, operation: &Operation) -> Entry {
        match *operation {
            Operation::Open(slot, socket) => return self.open(slot, socket),
            Operation::Close(slot) => return self.close(slot),
            Operation::Duplicate(from, to) => return self.duplicate(from, to),
            _ => {}
        }
        let mut sockets = self.sockets.borrow_mut();
        let outcome = match *operation {
            Operation::Write(slot, count) => sockets.write(slot, count),
            Operation::Read(slot, count) => sockets.read(slot, count),
            Operation::Fill(slot) => sockets.fill(slot),
            Operation::Drain(slot) => sockets.drain(slot),
            Operation::ShutPeer(slot) => sockets.shut_peer(slot),
            Operation::ShutOwn(slot, reading) => sockets.shut_own(slot, reading),
            Operation::ClosePeer(slot) => sockets.close_peer(slot),
            Operation::Reset(slot) => sockets.reset(slot),
            _ => return Entry::Nothing,
        };
        Entry::Answer(outcome)
    }
}
