//! Making, adding, deleting: what may happen to an event in each of its states.

use std::os::fd::RawFd;
use std::time::Duration;

use super::{Base, Inner};
use crate::error::Error;
use crate::event::{EventId, EventSpec, Period, REPEATS, State};
use crate::flags::What;
use crate::log::Severity;
use crate::signal::is_signal as is_signal_number;
use crate::time::{Nanos, nanos};

impl Inner {
    /// Refuses what makes no sense; answers the priority.
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
        let priorities = self.queues.priorities();
        let priority = spec.priority.unwrap_or(priorities / 2);
        if priority >= priorities {
            return Err(Error::OutOfRange("the priority"));
        }
        Ok(priority)
    }

    fn create(&mut self, spec: &EventSpec) -> Result<EventId, Error> {
        let priority = self.check_spec(spec)?;
        // While callbacks run, a new event counts as one that had its turn: see `active`.
        self.table.insert(spec, priority, self.pass.made_in(spec.age))
    }

    pub(super) fn create_and_add(
        &mut self,
        spec: &EventSpec,
        timeout: Option<Duration>,
    ) -> Result<EventId, Error> {
        let id = self.create(spec)?;
        let result = self.add(id.index, timeout);
        if result.is_err() {
            self.table.remove(id.index);
        }
        result.map(|()| id)
    }

    /// `event_add_nolock_`. If the descriptor is refused, nothing else is touched.
    pub(super) fn add(&mut self, index: u32, timeout: Option<Duration>) -> Result<(), Error> {
        let record = self.table.at(index);
        if record.state.intersects(State::ANY_FINALIZING) {
            return Err(Error::Finalizing);
        }
        if record.what.intersects(What::REGISTERED) && !record.state.contains(State::INSERTED) {
            self.insert(index)?;
        }
        if let Some(timeout) = timeout {
            self.arm(index, timeout);
        }
        Ok(())
    }

    fn insert(&mut self, index: u32) -> Result<(), Error> {
        if self.table.at(index).what.contains(What::SIGNAL) {
            return self.insert_signal(index);
        }
        if self.debug {
            let fd = self.table.at(index).fd;
            self.check_descriptor(fd)?;
        }
        let Some(backend) = &mut self.backend else { return Err(Error::Closed) };
        let result = self.fds.add(&mut self.table, backend, index, &mut self.orphans);
        if result.is_ok() {
            self.list(index, State::INSERTED);
        }
        self.settle_orphans();
        self.settle_change();
        result
    }

    fn arm(&mut self, index: u32, timeout: Duration) {
        let timeout = nanos(timeout);
        self.begin_timeout(index, Period::Own(timeout));
        let deadline = self.now_for_caller().saturating_add(timeout);
        self.timers.arm(&mut self.table, index, deadline);
        self.request_wake_by(deadline);
    }

    /// What there is to do before a deadline is set.
    #[inline]
    pub(super) fn begin_timeout(&mut self, index: u32, period: Period) {
        let record = self.table.at(index);
        if record.what.contains(What::PERSIST) {
            record.set_period(Some(period));
        }
        // Moving the deadline takes back a timeout that was not handed out yet, but no readiness: told
        // edge-triggered, it would not come again.
        if record.state.intersects(State::QUEUED) && record.result.contains(What::TIMEOUT) {
            record.result -= What::TIMEOUT;
            if (record.result - REPEATS).is_empty() {
                self.withdraw(index);
            }
        }
        self.list(index, State::TIMEOUT);
    }

    /// From when a timeout counts: the time that stands still for the callbacks of the loop, and the real one
    /// for other threads, whose timers would come early by as long as a callback takes.
    #[inline]
    pub(super) fn now_for_caller(&mut self) -> Nanos {
        if self.is_running() && !self.run.is_owner() { self.time.fresh() } else { self.time.now() }
    }

    /// Takes an event out of every list (`event_del_nolock_`). Never blocks, never fails: what the kernel
    /// still had of it is gone either way.
    pub(super) fn delete(&mut self, index: u32) {
        let record = self.table.at(index);
        record.set_period(None);
        let is_signal = record.what.contains(What::SIGNAL);
        self.disarm(index);
        self.withdraw(index);
        if is_signal {
            self.drop_calls(index);
        }
        if self.unlist(index, State::INSERTED)
            && let Some(backend) = &mut self.backend
        {
            if is_signal {
                self.signals.remove(&mut self.table, backend, index);
                return;
            }
            // The one refusal possible is for another interest of the descriptor that stays registered as
            // it was; then the kernel tells a little more than is wanted, and nobody hears it.
            let result = self.fds.remove(&mut self.table, backend, index, &mut self.orphans);
            self.settle_orphans();
            if let Err(error) = result {
                self.note(
                    Severity::Warning,
                    format!("an interest stays registered with the kernel: {error}"),
                );
            }
            self.settle_change();
        }
    }

    /// A change made while the loop sleeps has to take effect on its wait.
    #[inline]
    fn settle_change(&mut self) {
        if self.sleep.is_asleep() {
            self.flush_changes(false);
        }
    }

    pub(super) fn disarm(&mut self, index: u32) {
        if self.unlist(index, State::TIMEOUT) {
            self.timers.disarm(&mut self.table, index);
        }
    }

    /// Deals with events whose descriptor turned out to be closed: they are not registered any more, and
    /// what they were told of the descriptor is taken back.
    pub(super) fn settle_orphans(&mut self) {
        while let Some(index) = self.orphans.pop() {
            self.unlist(index, State::INSERTED);
            let record = self.table.at(index);
            record.result -= What::IO | What::ET;
            let (fd, is_due) = (record.fd, !record.result.is_empty());
            if !is_due {
                self.withdraw(index);
            }
            let id = self.table.id(index).to_bits();
            self.note(
                Severity::Warning,
                format!(
                    "descriptor {fd} was closed while event {id:#x} waited for it; the event was taken out"
                ),
            );
            let state = self.table.at(index).state;
            if state.contains(State::TRANSIENT) && !state.intersects(State::LISTED) {
                self.departed.push(self.table.id(index));
                self.request_wake();
            }
            self.request_wake_if_empty();
        }
    }
}

impl Base {
    /// Makes an event; it is not pending yet (`event_new`).
    ///
    /// # Errors
    /// [`Error::BadFlags`] for SIGNAL beside an interest, or ET without one; [`Error::OutOfRange`] for an interest
    /// in a negative descriptor, a number that is no signal's, for a priority the base does not have, and beyond
    /// 16 777 215 events;
    /// [`Error::Closed`], [`Error::WrongThread`].
    pub fn create(&self, spec: EventSpec) -> Result<EventId, Error> {
        self.try_with(|inner| inner.create(&spec))
    }

    /// Makes another event of one that is idle, under the same id (`event_assign`). The age in `spec` is not
    /// looked at.
    ///
    /// # Errors
    /// [`Error::Active`] while the event is pending or active, or calls of it are due; [`Error::Finalizing`]; else as
    /// [`create`](Self::create). Nothing has changed then.
    pub fn assign(&self, id: EventId, spec: EventSpec) -> Result<(), Error> {
        self.try_with(|inner| {
            let index = inner.table.find(id)?;
            let state = inner.table.at(index).state;
            if state.intersects(State::ANY_FINALIZING) {
                return Err(Error::Finalizing);
            }
            if state.intersects(State::LISTED) || inner.is_called_again(index) {
                return Err(Error::Active);
            }
            let priority = inner.check_spec(&spec)?;
            inner.table.at(index).assign(&spec, priority);
            Ok(())
        })
    }

    /// Deletes an event for good (`event_free`). Its id names nothing afterwards. Any thread; never blocks,
    /// so a callback of the event may be running elsewhere.
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::WrongThread`].
    pub fn free(&self, id: EventId) -> Result<(), Error> {
        self.try_with(|inner| {
            let index = inner.table.find(id)?;
            inner.delete(index);
            inner.table.remove(index);
            inner.request_wake_if_empty();
            Ok(())
        })
    }

    /// Makes an event pending (`event_add`): registers its interest, and with a timeout sets a deadline
    /// counted from [`now`](Self::now)'s monotonic time.
    ///
    /// On an event that is pending, `None` changes nothing and a timeout replaces the one before. A timeout
    /// of zero fires in the next pass. A persistent event takes the timeout as its period. Any thread.
    ///
    /// # Errors
    /// [`Error::System`] with `epoll_ctl` if the descriptor is refused: `EPERM` for a regular file or a
    /// directory, `EBADF` if it is closed, `ENOSPC` or `ENOMEM` when the kernel's limits are reached; the
    /// deadline is not touched then. [`Error::BadFlags`] if other events watch the descriptor
    /// edge-triggered and this one does not, or the reverse. For a signal, [`Error::System`] with `sigaction`:
    /// `EINVAL` for SIGKILL, SIGSTOP and those the C library keeps to itself. In
    /// [debug mode](crate::Config::set_debug) [`Error::Blocking`] for a descriptor in blocking mode.
    /// [`Error::Finalizing`], [`Error::Closed`], [`Error::WrongThread`].
    pub fn add(&self, id: EventId, timeout: Option<Duration>) -> Result<(), Error> {
        self.try_with(|inner| {
            let index = inner.table.find(id)?;
            inner.add(index, timeout)
        })
    }

    /// Takes [`EventSpec::transient`] back: from now on the event is freed by its owner only.
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::WrongThread`].
    pub fn keep(&self, id: EventId) -> Result<(), Error> {
        self.try_with(|inner| {
            let index = inner.table.find(id)?;
            inner.table.at(index).state -= State::TRANSIENT;
            Ok(())
        })
    }

    /// Makes an event and adds it, in one go; the event does not exist if adding failed.
    ///
    /// # Errors
    /// As [`create`](Self::create) and [`add`](Self::add).
    pub fn create_and_add(&self, spec: EventSpec, timeout: Option<Duration>) -> Result<EventId, Error> {
        self.try_with(|inner| inner.create_and_add(&spec, timeout))
    }

    /// Makes an event not pending and not active (`event_del_noblock`). Any thread; never blocks.
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::WrongThread`].
    pub fn del(&self, id: EventId) -> Result<(), Error> {
        self.try_with(|inner| {
            let index = inner.table.find(id)?;
            if !inner.table.at(index).state.intersects(State::ANY_FINALIZING) {
                inner.delete(index);
                inner.request_wake_if_empty();
            }
            Ok(())
        })
    }

    /// Drops an event's deadline and period and leaves the rest (`event_remove_timer`). Any thread.
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::WrongThread`].
    pub fn remove_timer(&self, id: EventId) -> Result<(), Error> {
        self.try_with(|inner| {
            let index = inner.table.find(id)?;
            inner.table.at(index).set_period(None);
            inner.disarm(index);
            inner.request_wake_if_empty();
            Ok(())
        })
    }

    /// Runs one event without anybody keeping its id (`event_base_once`): on a descriptor, or with no
    /// interest a timer, which is due at once without a timeout.
    ///
    /// # Errors
    /// [`Error::BadFlags`] for SIGNAL and PERSIST; else as [`create_and_add`](Self::create_and_add).
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
                let id = inner.create(&spec)?;
                inner.make_active(id.index, What::TIMEOUT);
                return Ok(id);
            }
            inner.create_and_add(&spec, timeout)
        })
    }

    /// Which of `mask` the event is pending or active for (`event_pending`).
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::WrongThread`].
    pub fn pending(&self, id: EventId, mask: What) -> Result<What, Error> {
        self.try_with(|inner| {
            let index = inner.table.find(id)?;
            let record = inner.table.at(index);
            let mut what = What::empty();
            if record.state.contains(State::INSERTED) {
                what |= record.what & What::REGISTERED;
            }
            if record.state.intersects(State::QUEUED) {
                what |= record.result;
            }
            if record.state.contains(State::TIMEOUT) {
                what |= What::TIMEOUT;
            }
            Ok(what & mask & (What::IO | What::TIMEOUT | What::SIGNAL))
        })
    }

    /// Whether the event is neither pending nor active.
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::WrongThread`].
    pub fn is_idle(&self, id: EventId) -> Result<bool, Error> {
        self.try_with(|inner| {
            let index = inner.table.find(id)?;
            Ok(!inner.table.at(index).state.intersects(State::LISTED))
        })
    }

    /// When the event times out, as time since 1970; `None` if no deadline is set.
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::WrongThread`].
    pub fn expires_at(&self, id: EventId) -> Result<Option<Duration>, Error> {
        self.try_with(|inner| {
            let index = inner.table.find(id)?;
            let deadline = inner.table.at(index).timer.deadline();
            Ok(deadline.map(|deadline| Duration::from_nanos(inner.time.to_wall(deadline))))
        })
    }
}
