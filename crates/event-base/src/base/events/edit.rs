//! Creating, adding and deleting events: what may be done to an event in each of its states.

use std::os::fd::RawFd;
use std::time::Duration;

use crate::base::{Base, Inner};
use crate::error::Error;
use crate::event::{EventId, EventSpec, Period, REPEATS, Ready, State};
use crate::flags::What;
use crate::log::Severity;
use crate::signal::is_signal as is_signal_number;
use crate::time::{Nanos, nanos};

impl Inner {
    /// Refuses a specification that makes no sense; returns the priority.
    fn check_spec(&self, spec: &EventSpec) -> Result<u8, Error> {
        let io = spec.what.io();
        let is_signal = spec.what.contains(What::SIGNAL);
        if is_signal && !io.is_empty() {
            return Err(Error::BadFlags("an event is for a signal or for a descriptor"));
        }
        if is_signal && !is_signal_number(spec.fd) {
            return Err(Error::OutOfRange("the signal"));
        }
        if spec.what.contains(What::ET) && io.is_empty() {
            return Err(Error::BadFlags("edge-triggering needs an interest in a descriptor"));
        }
        if spec.fd < 0 && !io.is_empty() {
            return Err(Error::OutOfRange("the descriptor"));
        }
        let priorities = self.events.queues.priorities();
        let priority = spec.priority.unwrap_or(priorities / 2);
        if priority >= priorities {
            return Err(Error::OutOfRange("the priority"));
        }
        Ok(priority)
    }

    pub(super) fn create(&mut self, spec: &EventSpec) -> Result<EventId, Error> {
        let priority = self.check_spec(spec)?;
        // While callbacks run, a new event counts as dispatched in this pass: see `active`.
        self.events.table.insert(spec, priority, self.run.pass_of_new(spec.age))
    }

    pub(super) fn create_and_add(
        &mut self,
        spec: &EventSpec,
        timeout: Option<Duration>,
    ) -> Result<EventId, Error> {
        let id = self.create(spec)?;
        let result = self.add(id.index, timeout);
        if result.is_err() {
            self.events.table.remove(id.index);
        }
        result.map(|()| id)
    }

    /// `event_add_nolock_`. If the descriptor is refused, nothing else changes.
    pub(super) fn add(&mut self, index: u32, timeout: Option<Duration>) -> Result<(), Error> {
        let record = self.events.table.at(index);
        if record.state.intersects(State::ANY_FINALIZING) {
            return Err(Error::Finalizing);
        }
        if record.what.intersects(What::REGISTERED) && !record.state.contains(State::INSERTED) {
            self.insert(index, false)?;
        }
        if let Some(timeout) = timeout {
            self.arm(index, timeout);
        }
        Ok(())
    }

    fn add_exclusive(&mut self, index: u32) -> Result<bool, Error> {
        let record = self.events.table.at(index);
        if record.state.intersects(State::ANY_FINALIZING) {
            return Err(Error::Finalizing);
        }
        if record.state.contains(State::INSERTED) {
            return Err(Error::Active);
        }
        if record.what.io().is_empty() || record.what.contains(What::CLOSED) {
            return Err(Error::BadFlags("an exclusive event is for READ or WRITE"));
        }
        self.insert(index, true)?;
        Ok(self.kernel.backend()?.has_exclusive())
    }

    fn insert(&mut self, index: u32, exclusive: bool) -> Result<(), Error> {
        if self.events.table.at(index).what.contains(What::SIGNAL) {
            return self.insert_signal(index);
        }
        if self.report.is_debug() {
            let fd = self.events.table.at(index).fd;
            self.check_descriptor(fd)?;
        }
        let backend = self.kernel.backend()?;
        let events = &mut self.events;
        let result = events.fds.add(&mut events.table, backend, index, exclusive, &mut events.orphans);
        if result.is_ok() {
            events.list(index, State::INSERTED);
        }
        self.settle_orphans();
        self.settle_change();
        result
    }

    fn arm(&mut self, index: u32, timeout: Duration) {
        let timeout = nanos(timeout);
        self.events.begin_timeout(index, Period::Own(timeout));
        let deadline = self.now_for_caller().saturating_add(timeout);
        self.events.deadlines.arm(&mut self.events.table, index, deadline);
        self.kernel.request_wake_by(deadline);
    }

    /// The time from which a timeout counts: for callbacks of the loop the cached time; for other threads the
    /// current time, since the cached one lags by the length of the running callback, and the timeout would end early.
    #[inline]
    pub(in crate::base) fn now_for_caller(&mut self) -> Nanos {
        if self.run.is_running() && !self.run.is_owner() { self.time.fresh() } else { self.time.now() }
    }

    /// Takes an event out of every list (`event_del_nolock_`). Never blocks and never fails: the kernel reports
    /// nothing more for it either way.
    ///
    /// In a forked child no call of the kernel is made, because its objects are the parent's.
    pub(in crate::base) fn delete(&mut self, index: u32) {
        let record = self.events.table.at(index);
        record.set_period(None);
        let is_signal = record.what.contains(What::SIGNAL);
        self.events.disarm(index);
        self.events.withdraw(index);
        if is_signal {
            self.run.end_repeats(index);
        }
        if self.events.unlist(index, State::INSERTED) {
            let is_forked = self.is_forked();
            let backend = self.kernel.backend().ok().filter(|_| !is_forked);
            let events = &mut self.events;
            if is_signal {
                events.signals.remove(&mut events.table, backend, index);
                return;
            }
            // The only possible refusal is for another interest of the descriptor, which stays registered as it
            // was; then the kernel reports readiness that no event waits for, and it is ignored.
            let result = events.fds.remove(&mut events.table, backend, index, &mut events.orphans);
            self.settle_orphans();
            if let Err(error) = result {
                self.log(Severity::Warning, format!("an interest stays registered with the kernel: {error}"));
            }
            self.settle_change();
        }
    }

    /// Passes a change to the kernel that was made while the loop sleeps, so that it applies to this wait.
    #[inline]
    fn settle_change(&mut self) {
        if self.kernel.is_asleep() && !self.is_forked() {
            self.flush_changes();
        }
    }

    /// Deletes every event. Returns the finalizers that were not dispatched, in the order of dispatch.
    pub(in crate::base) fn delete_all(&mut self) -> Vec<Ready> {
        let mut finalizers = Vec::new();
        for index in self.events.queues.slots(&mut self.events.table) {
            if self.events.table.at(index).state.intersects(State::ANY_FINALIZING) {
                finalizers.push(Ready { released: true, ..self.events.ready(index, What::FINALIZE) });
            }
        }
        for index in self.events.table.indices() {
            if self.events.table.at(index).state.contains(State::LIVE) {
                self.delete(index);
                self.events.table.remove(index);
            }
        }
        self.events.orphaned_transients.clear();
        finalizers
    }

    /// Deletes an event that is not being finalized.
    pub(in crate::base) fn delete_by_id(&mut self, id: EventId, kept: State) -> Result<(), Error> {
        let index = self.events.table.find(id)?;
        if !self.events.table.at(index).state.intersects(kept) {
            self.delete(index);
            self.request_wake_if_empty();
        }
        Ok(())
    }

    /// Deletes an event and frees its slot.
    pub(in crate::base) fn free_by_id(&mut self, id: EventId) -> Result<(), Error> {
        let index = self.events.table.find(id)?;
        self.delete(index);
        self.events.table.remove(index);
        self.request_wake_if_empty();
        Ok(())
    }
}

impl super::Events {
    /// What precedes setting a deadline.
    #[inline]
    pub(super) fn begin_timeout(&mut self, index: u32, period: Period) {
        let record = self.table.at(index);
        if record.what.contains(What::PERSIST) {
            record.set_period(Some(period));
        }
        // A new deadline cancels a timeout that was not dispatched yet. Readiness stays: if it is edge-triggered,
        // the kernel does not report it again.
        if record.state.intersects(State::QUEUED) && record.result.contains(What::TIMEOUT) {
            record.result -= What::TIMEOUT;
            if (record.result - REPEATS).is_empty() {
                self.withdraw(index);
            }
        }
        self.list(index, State::TIMEOUT);
    }

    pub(super) fn disarm(&mut self, index: u32) {
        if self.unlist(index, State::TIMEOUT) {
            self.deadlines.disarm(&mut self.table, index);
        }
    }
}

impl Base {
    /// Creates an event; it is not pending yet (`event_new`).
    ///
    /// # Errors
    /// [`Error::BadFlags`] for SIGNAL together with READ, WRITE or CLOSED, or ET without any of these;
    /// [`Error::OutOfRange`] for an interest in a negative descriptor, a number that is not a signal's, a priority
    /// that the base does not have, and beyond 16 777 215 events.
    pub fn create(&self, spec: EventSpec) -> Result<EventId, Error> {
        self.try_with(|inner| inner.create(&spec))
    }

    /// Gives an idle event another specification, under the same id (`event_assign`). The age in `spec` is
    /// ignored.
    ///
    /// # Errors
    /// [`Error::Active`] while the event is pending or active, or calls of it are left; [`Error::Finalizing`];
    /// otherwise as [`create`](Self::create). Then nothing has changed.
    pub fn assign(&self, id: EventId, spec: EventSpec) -> Result<(), Error> {
        self.try_with(|inner| {
            let index = inner.events.table.find(id)?;
            let state = inner.events.table.at(index).state;
            if state.intersects(State::ANY_FINALIZING) {
                return Err(Error::Finalizing);
            }
            if state.intersects(State::LISTED) || inner.run.repeats(index) {
                return Err(Error::Active);
            }
            let priority = inner.check_spec(&spec)?;
            inner.events.table.at(index).assign(&spec, priority);
            Ok(())
        })
    }

    /// Deletes an event permanently (`event_free`); its id becomes invalid. Any thread; never blocks, so a
    /// callback of the event may still be running on another thread.
    pub fn free(&self, id: EventId) -> Result<(), Error> {
        self.try_to_delete(|inner| inner.free_by_id(id))
    }

    /// Makes an event pending (`event_add`): registers its interest, and with a timeout sets a deadline
    /// counted from [`now`](Self::now)'s monotonic time.
    ///
    /// On a pending event, `None` changes nothing and a timeout replaces the one before. A timeout of zero fires
    /// in the next pass. A persistent event takes the timeout as its period. Any thread.
    ///
    /// # Errors
    /// [`Error::System`] with `epoll_ctl` if the descriptor is refused: `EPERM` for a regular file or a
    /// directory, `EBADF` if it is closed, `ENOSPC` or `ENOMEM` when a limit of the kernel is reached; the
    /// deadline is not changed then. [`Error::BadFlags`] if other events watch the descriptor edge-triggered and
    /// this one does not, or the reverse, or if one is [exclusive](Self::add_exclusive). For a signal,
    /// [`Error::System`] with `sigaction`: `EINVAL` for SIGKILL, SIGSTOP and those that the C library reserves. In
    /// [debug mode](crate::Config::set_debug) [`Error::Blocking`] for a descriptor in blocking mode.
    /// [`Error::Finalizing`].
    pub fn add(&self, id: EventId, timeout: Option<Duration>) -> Result<(), Error> {
        self.try_with(|inner| {
            let index = inner.events.table.find(id)?;
            inner.add(index, timeout)
        })
    }

    /// Makes an event for a descriptor pending, without a deadline. If several bases do so for one file, such as a
    /// listening socket, the kernel wakes one of the loops that wait when the file becomes ready, and not all of them:
    /// the one whose event was added first. An event that is deleted and added again is behind the others. A loop that
    /// runs callbacks meanwhile polls the file before it waits. Any thread.
    ///
    /// Returns whether the backend supports this. epoll does (`EPOLLEXCLUSIVE`, since Linux 4.5: `epoll_ctl(2)`). With
    /// another backend every loop wakes.
    ///
    /// # Errors
    /// [`Error::BadFlags`] for an event that waits for neither READ nor WRITE, or for CLOSED, which epoll does not
    /// support here, and if another event is on the descriptor. [`Error::Active`] if the event is pending. Otherwise as
    /// [`add`](Self::add), which is refused for another event on the descriptor with [`Error::BadFlags`].
    pub fn add_exclusive(&self, id: EventId) -> Result<bool, Error> {
        self.try_with(|inner| {
            let index = inner.events.table.find(id)?;
            inner.add_exclusive(index)
        })
    }

    /// Undoes [`EventSpec::transient`]: from now on only its owner frees the event.
    pub fn keep(&self, id: EventId) -> Result<(), Error> {
        self.try_with(|inner| {
            let index = inner.events.table.find(id)?;
            inner.events.table.at(index).state -= State::TRANSIENT;
            Ok(())
        })
    }

    /// Creates an event and adds it, in one call; no event exists if adding failed.
    ///
    /// # Errors
    /// As [`create`](Self::create) and [`add`](Self::add).
    pub fn create_and_add(&self, spec: EventSpec, timeout: Option<Duration>) -> Result<EventId, Error> {
        self.try_with(|inner| inner.create_and_add(&spec, timeout))
    }

    /// Makes an event not pending and not active (`event_del_noblock`). Any thread; never blocks.
    pub fn del(&self, id: EventId) -> Result<(), Error> {
        self.try_to_delete(|inner| inner.delete_by_id(id, State::ANY_FINALIZING))
    }

    /// Removes an event's deadline and period, and nothing else (`event_remove_timer`). Any thread.
    pub fn remove_timer(&self, id: EventId) -> Result<(), Error> {
        self.try_to_delete(|inner| {
            let index = inner.events.table.find(id)?;
            inner.events.table.at(index).set_period(None);
            inner.events.disarm(index);
            inner.request_wake_if_empty();
            Ok(())
        })
    }

    /// Runs one event whose id the caller need not keep (`event_base_once`): on a descriptor, or without
    /// an interest a timer, which without a timeout is active immediately.
    ///
    /// # Errors
    /// [`Error::BadFlags`] for SIGNAL and PERSIST; otherwise as [`create_and_add`](Self::create_and_add).
    pub fn once(
        &self,
        fd: RawFd,
        what: What,
        data: u64,
        timeout: Option<Duration>,
    ) -> Result<EventId, Error> {
        if what.intersects(What::SIGNAL | What::PERSIST) {
            return Err(Error::BadFlags("an event that fires once is neither a signal nor persistent"));
        }
        let interest = what.io();
        if interest.is_empty() && !what.contains(What::TIMEOUT) {
            return Err(Error::BadFlags("nothing to wait for"));
        }
        let fd = if interest.is_empty() { -1 } else { fd };
        let spec = EventSpec::io(fd, interest).data(data).transient();
        self.try_with(|inner| {
            if interest.is_empty() && timeout.is_none_or(|timeout| timeout.is_zero()) {
                return inner.create_and_activate(&spec, What::TIMEOUT);
            }
            inner.create_and_add(&spec, timeout)
        })
    }
}
