//! Signal events: adding them, collecting signals that arrived, and queueing several calls of one event.

use crate::base::{Base, Inner};
use crate::error::Error;
use crate::event::{EventId, List, NONE, REPEATS, Source, State};
use crate::flags::What;

impl Inner {
    pub(super) fn insert_signal(&mut self, index: u32) -> Result<(), Error> {
        if self.events.signals.needs_notifier() && !self.kernel.has_notifier() {
            self.kernel.install_notifier()?;
        }
        let (backend, notifier) = self.kernel.backend_and_notifier()?;
        self.events.signals.add(&mut self.events.table, backend, notifier, index)?;
        self.events.list(index, State::INSERTED);
        Ok(())
    }

    /// Makes active the events of the signals that arrived.
    #[inline]
    pub(in crate::base) fn collect_signals(&mut self) -> Result<(), Error> {
        if self.events.signals.is_due() { self.collect_due_signals() } else { Ok(()) }
    }

    #[cold]
    fn collect_due_signals(&mut self) -> Result<(), Error> {
        let mut arrived = std::mem::take(&mut self.events.arrived);
        let result = self.events.signals.take_due(|number, times| arrived.push((number, times)));
        for (number, times) in arrived.drain(..) {
            self.activate_signal_events(number, times);
        }
        self.events.arrived = arrived;
        result
    }

    fn activate_signal_events(&mut self, number: i32, times: u64) {
        let mut index = self.events.signals.first(number);
        while index != NONE {
            self.make_active_times(index, What::SIGNAL, times);
            index = List::<Source>::next(&mut self.events.table, index);
        }
    }

    /// Makes a signal event active, to be dispatched `calls` times; one that is active already, `calls` times more.
    /// Any other event is dispatched once. Returns whether it was queued by this.
    fn make_active_times(&mut self, index: u32, what: What, calls: u64) -> bool {
        let record = self.events.table.at(index);
        let (state, result) = (record.state, record.result);
        if !record.what.contains(What::SIGNAL) || state.intersects(State::ANY_FINALIZING) {
            return self.make_active(index, what);
        }
        if calls == 0 {
            return false;
        }
        let was_queued = state.intersects(State::QUEUED);
        let is_new = self.make_active(index, what);
        let more = if was_queued { calls } else { calls - 1 };
        if more > 0 {
            self.events.signals.note_calls(index, more, !(was_queued && result.contains(REPEATS)));
            self.events.table.at(index).result |= REPEATS;
        }
        is_new
    }

    /// Renews what signals need after a fork, once the notifier and the backend were renewed: the counters of the
    /// handler, the signalfd, the filters of the backend. Signals that arrived before the fork belong to the parent.
    ///
    /// # Errors
    /// [`Error::System`] with `signalfd4`, `epoll_ctl` or `kevent`; [`Error::Closed`].
    pub(in crate::base) fn reinit_signals(&mut self) -> Result<(), Error> {
        let (backend, notifier) = self.kernel.backend_and_notifier()?;
        self.events.signals.reinit(notifier)?;
        self.events.signals.register_all(backend)
    }
}

impl super::Events {
    /// The signalfd became readable.
    pub(in crate::base) fn note_signals_readable(&mut self) {
        self.signals.note_readable();
    }

    /// The backend reported a signal, which arrived `times` times.
    pub(in crate::base) fn note_signal(&mut self, number: i32, times: u64) {
        self.signals.note_reported(number, times);
    }

    /// Puts a signal event in front of its queue, to be dispatched `calls` times with `result`, and as often as it
    /// was made active meanwhile.
    pub(in crate::base) fn put_back(&mut self, index: u32, calls: u64, mut result: What) {
        let mut calls = calls;
        let record = self.table.at(index);
        let priority = record.priority;
        if record.state.intersects(State::QUEUED) {
            // Its own callback made it active again.
            result |= record.result - REPEATS;
            let more = if record.result.contains(REPEATS) { self.signals.take_calls(index) } else { 0 };
            calls = calls.saturating_add(more).saturating_add(1);
            self.withdraw(index);
        }
        self.queues.of(priority).prepend(&mut self.table, index);
        self.list(index, State::ACTIVE);
        if calls > 1 {
            self.signals.note_calls(index, calls - 1, true);
            result |= REPEATS;
        }
        self.table.at(index).result = result;
    }
}

impl Base {
    /// How the base receives signals: `"signal"` through a handler, `"signalfd_signal"` through a descriptor,
    /// `"kqueue_signal"` from the backend (`event_base_get_signal_method`).
    pub fn signal_method(&self) -> Result<&'static str, Error> {
        self.with(|inner| inner.events.signals.method())
    }

    /// Makes a signal event active, pending or not, to be dispatched `calls` times with `what` as its result
    /// (`event_active` with its `ncalls`). If it is active already, the calls are added to those left and `what`
    /// to its result; in its own callback they are dispatched in the next pass. Without effect with 0 calls. An
    /// event that is not for a signal is dispatched once, as with [`activate`](Self::activate). Returns whether it was
    /// queued by this call. Any thread.
    pub fn activate_signal(&self, id: EventId, what: What, calls: u32) -> Result<bool, Error> {
        self.try_with(|inner| {
            let index = inner.events.table.find(id)?;
            Ok(inner.make_active_times(index, what - REPEATS, u64::from(calls)))
        })
    }

    /// Makes active the events that wait for a signal, as if it had arrived once
    /// (`event_base_active_by_signal`). A number that has no events or is not a signal's is not an error. Any
    /// thread.
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

    /// Ignored by default, on whichever thread it arrives.
    const SIGNAL: Signal = Signal::SIGURG;

    fn dispatched(base: &Base) -> usize {
        let mut count = 0;
        base.run(LoopFlags::NONBLOCK, |_, _| count += 1).unwrap();
        count
    }

    #[test]
    fn signals_renewed_after_a_fork_report_what_arrives_later_and_not_what_arrived_before() {
        for flags in [BaseFlags::IGNORE_ENV, BaseFlags::IGNORE_ENV | BaseFlags::USE_SIGNALFD] {
            let base = Base::with_config(&Config::new().set_flags(flags)).unwrap();
            base.create_and_add(EventSpec::signal(SIGNAL as i32), None).unwrap();
            if !flags.contains(BaseFlags::USE_SIGNALFD) {
                // A blocked signal stays pending for this process, which was not forked.
                raise(SIGNAL).unwrap();
            }
            let old = base.with(|inner| {
                let old = inner.kernel.backend_and_notifier().unwrap().1.map(std::sync::Arc::downgrade);
                inner.kernel.install_notifier().unwrap();
                inner.reinit_signals().unwrap();
                old
            });
            assert_eq!(dispatched(&base), 0);
            assert!(old.unwrap().unwrap().upgrade().is_none(), "the handler still has the old notifier");
            raise(SIGNAL).unwrap();
            assert_eq!(dispatched(&base), 1);
        }
    }
}
