//! Debug mode: what costs too much to be checked always (`event_enable_debug_mode`).
//!
//! libevent's debug mode also finds events that were never assigned, are assigned while pending, or mix
//! edge-triggered and level-triggered. Those are errors here in any mode.

use super::{Base, Inner};
use crate::error::Error;
use crate::event::{NONE, State};
use crate::flags::What;
use crate::sys::blocking::may_block;

/// Slots for which a pass pays; a base that has more of them is looked at after as many passes as it takes.
const SLOTS_A_PASS: usize = 64;

/// What a structure that contradicts itself, or another, is called.
type Check<T = ()> = Result<T, &'static str>;

fn ensure(is_so: bool, otherwise: &'static str) -> Check {
    if is_so { Ok(()) } else { Err(otherwise) }
}

impl Inner {
    /// Refuses a descriptor that would block the thread which runs the loop.
    pub(super) fn check_descriptor(&self, fd: i32) -> Result<(), Error> {
        let is_real = self.backend.as_ref().is_some_and(|backend| backend.has_descriptors());
        if is_real && may_block(fd) { Err(Error::Blocking(fd)) } else { Ok(()) }
    }

    /// In debug mode, whether all that is known twice is known the same. A large base is not looked at after
    /// every pass, so that a pass costs [`SLOTS_A_PASS`] slots on average and not all.
    #[inline]
    pub(super) fn check_consistency(&mut self) -> Result<(), Error> {
        if self.debug && !self.closed { self.check_everything() } else { Ok(()) }
    }

    #[cold]
    fn check_everything(&mut self) -> Result<(), Error> {
        self.unchecked += SLOTS_A_PASS;
        if self.unchecked < self.table.indices().len() {
            return Ok(());
        }
        self.unchecked = 0;
        self.check_states()
            .and_then(|()| self.check_queues())
            .and_then(|()| self.check_descriptors())
            .and_then(|()| self.check_timers())
            .map_err(Error::Internal)
    }

    /// The counters against the states.
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

    /// The queues against the states.
    fn check_queues(&mut self) -> Check {
        let mut queued = 0;
        for priority in 0..self.queues.by_priority.len() {
            let queue = self.queues.by_priority[priority];
            let here = self.check_queue(queue.head, queue.tail, State::ACTIVE, Some(priority))?;
            queued += here;
        }
        let later = self.queues.later;
        queued += self.check_queue(later.head, later.tail, State::ACTIVE_LATER, None)?;
        ensure(queued == self.counts.active(), "an active event is in no queue")
    }

    fn check_queue(&mut self, head: u32, tail: u32, state: State, priority: Option<usize>) -> Check<usize> {
        let (mut index, mut last, mut length) = (head, NONE, 0);
        while index != NONE {
            ensure(length < self.table.indices().len(), "a queue runs in a circle")?;
            let record = self.table.at(index);
            ensure(record.state.contains(state), "a queue holds an event that is not active")?;
            ensure(record.active_prev == last, "the links of a queue disagree")?;
            let of_this = priority.is_none_or(|priority| usize::from(record.priority) == priority);
            ensure(of_this, "an event is in the queue of another priority")?;
            (last, index, length) = (index, record.active_next, length + 1);
        }
        ensure(last == tail, "a queue ends elsewhere")?;
        Ok(length)
    }

    /// The map of descriptors against the states.
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
        let inserted = |inner: &mut Inner, index| {
            let record = inner.table.at(index);
            record.state.contains(State::INSERTED) && !record.what.contains(What::SIGNAL)
        };
        let waiting = self.table.indices().filter(|index| inserted(self, *index)).count();
        ensure(found == waiting, "an event that waits for its descriptor is not in the map")
    }

    /// The heap of deadlines against the states.
    fn check_timers(&mut self) -> Check {
        ensure(self.timers.is_sound(&mut self.table), "the heap of deadlines is not one")?;
        let armed = self.timers.armed(&mut self.table);
        for index in &armed {
            let is_set = self.table.at(*index).state.contains(State::TIMEOUT);
            ensure(is_set, "an event without a deadline is in the heap")?;
        }
        let set = |inner: &mut Inner, index| inner.table.at(index).state.contains(State::TIMEOUT);
        let waiting = self.table.indices().filter(|index| set(self, *index)).count();
        ensure(armed.len() == waiting, "an event with a deadline is not in the heap")
    }
}

impl Base {
    /// Whether the base is in [debug mode](crate::Config::set_debug).
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::WrongThread`].
    pub fn is_debug(&self) -> Result<bool, Error> {
        self.with(|inner| inner.debug)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::Config;
    use crate::event::EventSpec;
    use crate::flags::BaseFlags;
    use crate::flags::LoopFlags;

    /// Damages the state of a base with an event in each list, and tells what the loop says to it.
    fn after(damage: impl FnOnce(&mut Inner, [u32; 4])) -> &'static str {
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
        base.with(|inner| damage(inner, events.map(|event| event.index))).unwrap();
        match base.run(LoopFlags::NONBLOCK, |_, _| {}) {
            Ok(_) => "",
            Err(Error::Internal(what)) => what,
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn what_contradicts_itself_is_an_error_that_says_what() {
        assert_eq!(after(|_, _| {}), "");
        assert_eq!(
            after(|inner, [_, timer, ..]| inner.table.at(timer).state -= State::LIVE),
            "an event that does not exist has a state"
        );
        assert_eq!(
            after(|inner, [_, timer, ..]| inner.table.at(timer).state -= State::TIMEOUT),
            "the counter of added events is wrong"
        );
        assert_eq!(
            after(|inner, [_, _, user, _]| inner.table.at(user).active_prev = 0),
            "the links of a queue disagree"
        );
        assert_eq!(
            after(|inner, [_, _, user, _]| inner.table.at(user).active_next = user),
            "the links of a queue disagree"
        );
        assert_eq!(
            after(|inner, [_, _, user, _]| inner.table.at(user).priority = 9),
            "an event is in the queue of another priority"
        );
        assert_eq!(after(|inner, [.., later]| inner.queues.later.tail = later + 1), "a queue ends elsewhere");
        assert_eq!(
            after(|inner, _| inner.queues.later = super::super::queues::Queue::EMPTY),
            "an active event is in no queue"
        );
        assert_eq!(
            after(|inner, [io, ..]| inner.table.at(io).fd += 1),
            "the map holds an event that does not wait for the descriptor"
        );
        assert_eq!(
            after(|inner, [io, ..]| inner.table.at(io).what |= What::WRITE),
            "the interests of a descriptor are miscounted"
        );
        assert_eq!(
            after(|inner, _| inner.timers = crate::time::Deadlines::default()),
            "an event with a deadline is not in the heap"
        );
    }

    #[test]
    fn only_debug_mode_looks() {
        let base = Base::with_config(&Config::new().set_flags(BaseFlags::IGNORE_ENV)).unwrap();
        let timer = base.create_and_add(EventSpec::timer(), Some(Duration::from_secs(5))).unwrap();
        base.with(|inner| inner.timers.disarm(&mut inner.table, timer.index)).unwrap();
        assert!(base.run(LoopFlags::NONBLOCK, |_, _| {}).is_ok());
    }
}
