//! Checks that the structures of a base agree with each other: see [debug mode](crate::Config::set_debug).

use crate::event::{List, Queue, State};
use crate::flags::What;

/// The result of a check; an error names the structure that contradicts itself or another.
type Check<T = ()> = Result<T, &'static str>;

fn ensure(is_so: bool, otherwise: &'static str) -> Check {
    if is_so { Ok(()) } else { Err(otherwise) }
}

impl super::Events {
    /// Checks all structures, in time that is proportional to the number of slots.
    ///
    /// # Errors
    /// The first contradiction.
    pub(in crate::base) fn check(&mut self) -> Check {
        self.check_states()?;
        self.check_queues()?;
        self.check_descriptors()?;
        self.check_timers()
    }

    /// Compares the counters with the states of the events.
    fn check_states(&mut self) -> Check {
        let (mut added, mut active, mut live) = (0, 0, 0);
        for index in self.table.indices() {
            let state = self.table.at(index).state;
            let is_live = state.contains(State::LIVE);
            live += usize::from(is_live);
            added += (state & State::LISTED).bits().count_ones() as usize;
            active += (state & State::QUEUED).bits().count_ones() as usize;
            ensure(is_live || state.is_empty(), "an event that does not exist has a state")?;
            ensure(!state.contains(State::QUEUED), "an event is in two queues")?;
        }
        ensure(live == self.table.live(), "the number of events is wrong")?;
        ensure(added == self.counts.added(), "the counter of added events is wrong")?;
        ensure(active == self.counts.active(), "the counter of active events is wrong")
    }

    /// Compares the queues with the states of the events.
    fn check_queues(&mut self) -> Check {
        let mut queued = 0;
        for priority in 0..self.queues.priorities() {
            let queue = *self.queues.of(priority);
            queued += self.check_queue(queue, State::ACTIVE, Some(priority))?;
        }
        queued += self.check_queue(self.queues.later, State::ACTIVE_LATER, None)?;
        ensure(queued == self.counts.active(), "an active event is in no queue")
    }

    fn check_queue(&mut self, queue: List<Queue>, state: State, priority: Option<u8>) -> Check<usize> {
        let slots = queue.check(&mut self.table)?;
        for &index in &slots {
            let record = self.table.at(index);
            ensure(record.state.contains(state), "a queue holds an event that is not active")?;
            let of_this = priority.is_none_or(|priority| record.priority == priority);
            ensure(of_this, "an event is in the queue of another priority")?;
        }
        Ok(slots.len())
    }

    /// Compares the map of descriptors with the states of the events.
    fn check_descriptors(&mut self) -> Check {
        let mut found = 0;
        for fd in 0..self.fds.len() {
            for index in self.fds.check(&mut self.table, fd)? {
                let record = self.table.at(index);
                let belongs = record.fd == fd && record.state.contains(State::INSERTED);
                ensure(belongs, "the map holds an event that does not wait for the descriptor")?;
                found += 1;
            }
        }
        let waiting =
            self.count(|what, state| state.contains(State::INSERTED) && !what.contains(What::SIGNAL));
        ensure(found == waiting, "an event that waits for its descriptor is not in the map")
    }

    /// Compares the deadlines with the states of the events.
    fn check_timers(&mut self) -> Check {
        ensure(self.deadlines.is_sound(&mut self.table), "the heap of deadlines is not one")?;
        let armed = self.deadlines.armed(&mut self.table);
        for index in &armed {
            let is_set = self.table.at(*index).state.contains(State::TIMEOUT);
            ensure(is_set, "an event without a deadline is in the heap")?;
        }
        let waiting = self.count(|_, state| state.contains(State::TIMEOUT));
        ensure(armed.len() == waiting, "an event with a deadline is not in the heap")
    }

    fn count(&mut self, is_counted: impl Fn(What, State) -> bool) -> usize {
        let slots = self.table.indices();
        slots.filter(|index| is_counted(self.table.at(*index).what, self.table.at(*index).state)).count()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::base::Base;
    use crate::base::events::Events;
    use crate::config::Config;
    use crate::error::Error;
    use crate::event::{EventSpec, NONE};
    use crate::flags::{BaseFlags, LoopFlags};

    /// Damages the state of a base with an event in each list, and returns the error of its loop.
    fn after(damage: impl FnOnce(&mut Events, [u32; 4])) -> &'static str {
        let base = Base::with_config(&Config::new().set_debug(true)).unwrap();
        let (socket, _peer) = std::os::unix::net::UnixStream::pair().unwrap();
        socket.set_nonblocking(true).unwrap();
        let fd = std::os::fd::AsRawFd::as_raw_fd(&socket);
        let events = [
            base.create_and_add(EventSpec::io(fd, What::READ), None).unwrap(),
            base.create_and_add(EventSpec::timer(), Some(Duration::from_secs(5))).unwrap(),
            base.create(EventSpec::user()).unwrap(),
            base.create(EventSpec::user()).unwrap(),
        ];
        base.activate(events[2], What::READ).unwrap();
        base.activate_later(events[3], What::READ).unwrap();
        base.with(|inner| damage(&mut inner.events, events.map(|event| event.index))).unwrap();
        match base.run(LoopFlags::NONBLOCK, |_, _| {}) {
            Ok(_) => "",
            Err(Error::Internal(what)) => what,
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn a_contradiction_is_an_error_that_names_it() {
        assert_eq!(after(|_, _| {}), "");
        assert_eq!(
            after(|events, [_, timer, ..]| events.table.at(timer).state -= State::LIVE),
            "an event that does not exist has a state"
        );
        assert_eq!(
            after(|events, [_, timer, ..]| events.table.at(timer).state -= State::TIMEOUT),
            "the counter of added events is wrong"
        );
        assert_eq!(
            after(|events, [_, _, user, _]| events.table.at(user).queue_links.prev = 0),
            "the links of a list of events disagree"
        );
        assert_eq!(
            after(|events, [_, _, user, _]| events.table.at(user).queue_links.next = user),
            "the links of a list of events disagree"
        );
        assert_eq!(
            after(|events, [_, timer, user, _]| {
                events.table.at(user).queue_links.next = timer;
                events.table.at(timer).queue_links = crate::event::Links { prev: user, next: NONE };
            }),
            "a list of events ends elsewhere"
        );
        assert_eq!(
            after(|events, [_, _, user, _]| events.table.at(user).priority = 9),
            "an event is in the queue of another priority"
        );
        assert_eq!(after(|events, _| events.queues.later = List::EMPTY), "an active event is in no queue");
        assert_eq!(
            after(|events, [io, ..]| events.table.at(io).fd += 1),
            "the map holds an event that does not wait for the descriptor"
        );
        for interest in [What::READ, What::WRITE, What::CLOSED] {
            assert_eq!(
                after(|events, [io, ..]| events.table.at(io).what.toggle(interest)),
                "the interests of a descriptor are miscounted"
            );
        }
        assert_eq!(
            after(|events, [io, ..]| events.table.at(io).what |= What::ET),
            "an event disagrees with its descriptor on edge-triggering"
        );
        assert_eq!(
            after(|events, _| events.deadlines = crate::time::Deadlines::default()),
            "an event with a deadline is not in the heap"
        );
    }

    #[test]
    fn a_state_without_its_list_is_a_contradiction_also_where_the_counters_agree() {
        /// Takes a state from one event, and gives one to another.
        fn swap(events: &mut Events, from: (u32, State), to: (u32, State)) {
            events.table.at(from.0).state -= from.1;
            events.table.at(to.0).state |= to.1;
        }
        assert_eq!(
            after(|events, [_, _, user, _]| events.table.at(user).state |= State::ACTIVE_LATER),
            "an event is in two queues"
        );
        assert_eq!(
            after(|events, [_, timer, ..]| events.table.at(timer).state = State::empty()),
            "the number of events is wrong"
        );
        assert_eq!(
            after(|events, [_, timer, ..]| swap(events, (timer, State::TIMEOUT), (timer, State::ACTIVE))),
            "the counter of active events is wrong"
        );
        assert_eq!(
            after(|events, [_, timer, user, _]| swap(events, (user, State::ACTIVE), (timer, State::ACTIVE))),
            "a queue holds an event that is not active"
        );
        assert_eq!(
            after(|events, [io, timer, ..]| swap(events, (io, State::INSERTED), (timer, State::INSERTED))),
            "the map holds an event that does not wait for the descriptor"
        );
        assert_eq!(
            after(|events, [_, timer, ..]| swap(events, (timer, State::TIMEOUT), (timer, State::INSERTED))),
            "an event that waits for its descriptor is not in the map"
        );
        assert_eq!(
            after(|events, [_, timer, user, _]| {
                swap(events, (timer, State::TIMEOUT), (user, State::TIMEOUT))
            }),
            "an event without a deadline is in the heap"
        );
    }

    #[test]
    fn only_debug_mode_checks() {
        let base = Base::with_config(&Config::new().set_flags(BaseFlags::IGNORE_ENV)).unwrap();
        let timer = base.create_and_add(EventSpec::timer(), Some(Duration::from_secs(5))).unwrap();
        base.with(|inner| inner.events.deadlines.disarm(&mut inner.events.table, timer.index)).unwrap();
        assert!(base.run(LoopFlags::NONBLOCK, |_, _| {}).is_ok());
    }
}
