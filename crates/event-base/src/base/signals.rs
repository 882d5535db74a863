//! Signal events: adding, collecting what arrived, and handing out more than once (`event_signal_closure`).
//!
//! A signal event is handed out once for each time its signal arrived, in a row. During these calls it is in no
//! queue, so that what its callback does to it holds: added again it stays so, made active again it has another turn
//! in the next pass. Deleting it takes the calls along that are left. Whatever ends the pass puts it in front of its
//! queue for them.

use super::control::Attention;
use super::{Base, Inner};
use crate::error::Error;
use crate::event::{EventId, NONE, REPEATS, Ready, State};
use crate::flags::What;
use crate::signal::Calls;

impl Inner {
    pub(super) fn insert_signal(&mut self, index: u32) -> Result<(), Error> {
        if self.signals.needs_notifier() && self.notifier.is_none() {
            self.install_notifier()?;
        }
        let Some(backend) = &mut self.backend else { return Err(Error::Closed) };
        self.signals.add(&mut self.table, backend, self.notifier.as_ref(), index)?;
        self.list(index, State::INSERTED);
        Ok(())
    }

    /// Makes active the events of the signals that arrived.
    #[inline]
    pub(super) fn collect_signals(&mut self) -> Result<(), Error> {
        if self.signals.is_due() { self.collect_due_signals() } else { Ok(()) }
    }

    #[cold]
    fn collect_due_signals(&mut self) -> Result<(), Error> {
        let mut arrived = std::mem::take(&mut self.arrived);
        let result = self.signals.take_due(|number, times| arrived.push((number, times)));
        for (number, times) in arrived.drain(..) {
            self.activate_signal_events(number, times);
        }
        self.arrived = arrived;
        result
    }

    fn activate_signal_events(&mut self, number: i32, times: u64) {
        let mut index = self.signals.first(number);
        while index != NONE {
            self.make_active_times(index, What::SIGNAL, times);
            index = self.table.neighbours(index).next;
        }
    }

    /// Makes a signal event active, to be handed out `calls` times; one that is active already, `calls` times more.
    /// Any other event is handed out once.
    fn make_active_times(&mut self, index: u32, what: What, calls: u64) {
        let record = self.table.at(index);
        let (state, result) = (record.state, record.result);
        if !record.what.contains(What::SIGNAL) || state.intersects(State::ANY_FINALIZING) {
            self.make_active(index, what);
            return;
        }
        if calls == 0 {
            return;
        }
        let was_queued = state.intersects(State::QUEUED);
        self.make_active(index, what);
        let more = if was_queued { calls } else { calls - 1 };
        if more > 0 {
            self.signals.note_calls(index, more, !(was_queued && result.contains(REPEATS)));
            self.table.at(index).result |= REPEATS;
        }
    }

    /// The event was just handed out with `result`, and will be as often as was noted.
    #[cold]
    pub(super) fn begin_calls(&mut self, index: u32, result: What) {
        self.signals.calls = Calls { index, left: self.signals.take_calls(index), result };
        self.control.attention.set(Attention::REPEATS, self.signals.calls.left > 0);
    }

    /// Hands the event out again that was handed out last. Apart, so that the way to other events is short.
    #[inline(never)]
    pub(super) fn call_again(&mut self) -> Ready {
        let Calls { index, left, result } = self.signals.calls;
        self.signals.calls.left = left - 1;
        let is_last = left == 1;
        let id = self.table.id(index);
        let record = self.table.at(index);
        let (fd, data, is_transient) = (record.fd, record.data, record.state.contains(State::TRANSIENT));
        self.measures.count_result(result);
        self.control.attention.set(Attention::REPEATS, !is_last);
        let released = is_last && is_transient && self.release_transient(index);
        self.pass.note_call(id);
        Ready { id, fd, what: result, data, released, orphaned: false }
    }

    /// The pass ends before all calls were made: the event is due again, in front of the others.
    #[cold]
    pub(super) fn put_calls_back(&mut self) {
        let Calls { index, mut left, mut result } = self.signals.calls;
        self.control.attention -= Attention::REPEATS;
        let record = self.table.at(index);
        let priority = record.priority;
        if record.state.intersects(State::QUEUED) {
            // Its own callback made it active again.
            result |= record.result - REPEATS;
            let more = if record.result.contains(REPEATS) { self.signals.take_calls(index) } else { 0 };
            left = left.saturating_add(more).saturating_add(1);
            self.withdraw(index);
        }
        self.queues.by_priority[usize::from(priority)].prepend(&mut self.table, index);
        self.list(index, State::ACTIVE);
        if left > 1 {
            self.signals.note_calls(index, left - 1, true);
            result |= REPEATS;
        }
        self.table.at(index).result = result;
    }

    /// Whether the event that was handed out last is this one, and will be again.
    pub(super) fn is_called_again(&self, index: u32) -> bool {
        self.control.attention.contains(Attention::REPEATS) && self.signals.calls.index == index
    }

    /// The event is deleted: no call of it is due any more.
    pub(super) fn drop_calls(&mut self, index: u32) {
        if self.is_called_again(index) {
            self.control.attention -= Attention::REPEATS;
        }
    }

    /// Makes anew what signals need, after a fork and after the notifier and the backend were made anew: the
    /// handler's place to count in, the descriptor they are read from, the backend's filters. What had arrived
    /// before the fork is the parent's to handle.
    ///
    /// # Errors
    /// [`Error::System`] with `signalfd4`, `epoll_ctl` or `kevent`; [`Error::Closed`].
    pub(super) fn reinit_signals(&mut self) -> Result<(), Error> {
        let Some(backend) = &mut self.backend else { return Err(Error::Closed) };
        self.signals.reinit(self.notifier.as_ref())?;
        self.signals.register_all(backend)
    }
}

impl Base {
    /// How the base hears of signals: `"signal"` by a handler, `"signalfd_signal"` by a descriptor,
    /// `"kqueue_signal"` by the backend (`event_base_get_signal_method`).
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::WrongThread`].
    pub fn signal_method(&self) -> Result<&'static str, Error> {
        self.with(|inner| inner.signals.method())
    }

    /// Makes a signal event active, pending or not, to be handed out `calls` times with `what` as its result
    /// (`event_active` with its `ncalls`). On one that is active already the calls are added to those due, and
    /// `what` to its result; in its own callback they come in the next pass. Nothing happens with 0 calls. For an event that is not for a signal, `calls` means
    /// nothing, and this is [`activate`](Self::activate). Any thread.
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::WrongThread`].
    pub fn activate_signal(&self, id: EventId, what: What, calls: u32) -> Result<(), Error> {
        self.try_with(|inner| {
            let index = inner.table.find(id)?;
            inner.make_active_times(index, what - REPEATS, u64::from(calls));
            Ok(())
        })
    }

    /// Makes active the events that wait for a signal, as if it had arrived once
    /// (`event_base_active_by_signal`). A number without events, or that is no signal, is no error. Any thread.
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::WrongThread`].
    pub fn activate_by_signal(&self, number: i32) -> Result<(), Error> {
        self.with(|inner| inner.activate_signal_events(number, 1))
    }
}

#[cfg(test)]
mod tests {
    use nix::sys::signal::{Signal, raise};

    use super::*;
    use crate::config::Config;
    use crate::event::EventSpec;
    use crate::flags::{BaseFlags, LoopFlags};

    /// By default nothing comes of it, whichever thread it hits.
    const SIGNAL: Signal = Signal::SIGURG;

    fn told(base: &Base) -> usize {
        let mut told = 0;
        base.run(LoopFlags::NONBLOCK, |_, _| told += 1).unwrap();
        told
    }

    #[test]
    fn a_base_made_anew_after_a_fork_hears_what_comes_and_not_what_came_before() {
        for flags in [BaseFlags::IGNORE_ENV, BaseFlags::IGNORE_ENV | BaseFlags::USE_SIGNALFD] {
            let base = Base::with_config(&Config::new().set_flags(flags)).unwrap();
            base.create_and_add(EventSpec::signal(SIGNAL as i32), None).unwrap();
            if !flags.contains(BaseFlags::USE_SIGNALFD) {
                // Of a signal that is held back, this process is still the one that has it.
                raise(SIGNAL).unwrap();
            }
            let old = base.with(|inner| {
                let old = inner.notifier.clone();
                inner.install_notifier().unwrap();
                inner.reinit_signals().unwrap();
                old
            });
            assert_eq!(told(&base), 0);
            let old = std::sync::Arc::downgrade(&old.unwrap().unwrap());
            assert!(old.upgrade().is_none(), "the handler still has the notifier of before");
            raise(SIGNAL).unwrap();
            assert_eq!(told(&base), 1);
        }
    }
}
