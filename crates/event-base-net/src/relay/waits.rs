//! Timers of a relay, and pausing it.

use std::time::Duration;

use event_base::{Base, EventId, EventSpec, What};

use super::end::End;
use super::flow::Flow;
use super::{EndReason, Pools, Relay, Verdict};
use crate::failure::Result;
use crate::source::Role;

/// From the end of one side's stream until the relay watches for that side's reset. Most relays end sooner, and save the
/// change of interest.
const RESET_DELAY: Duration = Duration::from_millis(250);

/// The watch for a reset of a side that has ended its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ResetWatch {
    /// No side has ended its stream.
    Unneeded,
    /// It begins at this time.
    Due(Duration),
    Begun,
}

/// Ends a relay in which no byte moves. Moving bytes does not change the timer: when it expires, the
/// time of the last movement is checked, and the timer is armed again for the rest.
#[derive(Debug)]
pub(super) struct Idle {
    pub(super) timer: EventId,
    /// When the timer expires; `None` while it is not armed.
    due: Option<Duration>,
    pub(super) last_moved: Duration,
}

/// Lets delayed flows continue: one timer for both, armed for the earlier of the two.
#[derive(Debug)]
pub(super) struct Alarm {
    pub(super) timer: EventId,
    pub(super) due: Duration,
}

impl Relay {
    /// How long no byte may move, in the relay's present state.
    fn idle_limit(&self) -> Option<Duration> {
        let half_close = self.half_close_timeout.filter(|_| self.is_one_sided());
        [self.idle_timeout, half_close].into_iter().flatten().min()
    }

    /// Whether one side has ended its stream, or takes no bytes.
    fn is_one_sided(&self) -> bool {
        self.flows.iter().any(|flow| flow.is_over() || flow.has_source_ended() || flow.held() > 0)
            || self.ends.iter().any(End::is_half_closed)
    }

    /// Called after each event. Arms the timer if the half-close timeout applies from now on, or if one side has ended
    /// its stream.
    pub(super) fn note_one_sided(&mut self, base: &Base) -> Result<()> {
        let is_one_sided = self.half_close_timeout.is_some() && self.is_one_sided();
        let applies = is_one_sided && !self.was_one_sided;
        self.was_one_sided = is_one_sided;
        let has_ended = self.reset_watch == ResetWatch::Unneeded && self.flows.iter().any(Flow::is_complete);
        if has_ended {
            self.reset_watch = ResetWatch::Due(base.monotonic()? + RESET_DELAY);
        }
        if applies {
            self.restart_idle(base)?;
        }
        if applies || has_ended { self.arm_idle(base) } else { Ok(()) }
    }

    /// Arms the timer for the present limit and for the watch for resets, unless it expires sooner.
    pub(super) fn arm_idle(&mut self, base: &Base) -> Result<()> {
        let limit = self.idle_limit();
        let watch = if let ResetWatch::Due(due) = self.reset_watch { Some(due) } else { None };
        if limit.is_none() && watch.is_none() {
            return Ok(());
        }
        let now = base.monotonic()?;
        let idle = match &mut self.idle {
            Some(idle) => idle,
            None => {
                let timer = base.create(EventSpec::timer().data(Role::Deadline.tag(self.key)))?;
                self.idle.insert(Idle { timer, due: None, last_moved: now })
            }
        };
        let limit = limit.map(|limit| idle.last_moved.saturating_add(limit));
        let Some(due) = limit.into_iter().chain(watch).min() else { return Ok(()) };
        if idle.due.is_none_or(|earlier| due < earlier) {
            base.add(idle.timer, Some(due.saturating_sub(now)))?;
            idle.due = Some(due);
        }
        Ok(())
    }

    pub(super) fn on_idle(&mut self, base: &Base, pools: &mut Pools) -> Result<Verdict> {
        if let Some(idle) = &mut self.idle {
            idle.due = None;
        }
        self.watch_resets(base)?;
        if self.is_idle(base)? {
            // After a pause of the process, or of the machine, bytes may have arrived that no event reported yet.
            if let Some(verdict) = self.catch_up(base, pools)? {
                return Ok(Some(verdict));
            }
            if self.is_idle(base)? {
                return Ok(Some((EndReason::Idle, None)));
            }
        }
        self.arm_idle(base)?;
        Ok(None)
    }

    /// Watches for the reset of a side that has ended its stream, once it is time.
    fn watch_resets(&mut self, base: &Base) -> Result<()> {
        let ResetWatch::Due(due) = self.reset_watch else { return Ok(()) };
        if base.monotonic()? < due {
            return Ok(());
        }
        self.reset_watch = ResetWatch::Begun;
        for (flow, end) in self.flows.iter().zip(&mut self.ends) {
            if flow.is_complete() {
                end.watch_reset(base)?;
            }
        }
        Ok(())
    }

    /// Whether no byte has moved for too long.
    fn is_idle(&mut self, base: &Base) -> Result<bool> {
        if self.is_idle_suspended() {
            self.restart_idle(base)?;
            return Ok(false);
        }
        let (Some(idle), Some(limit)) = (&self.idle, self.idle_limit()) else { return Ok(false) };
        Ok(base.monotonic()?.saturating_sub(idle.last_moved) >= limit)
    }

    /// Whether the relay waits for tokens, for memory, for `resume` or for a connect with a timeout of its own. None of
    /// these depends on the peers.
    fn is_idle_suspended(&self) -> bool {
        self.delayed.contains(&true)
            || self.paused
            || (self.connect_timeout.is_some() && self.is_connecting())
    }

    /// Handles readiness that no event has reported yet.
    fn catch_up(&mut self, base: &Base, pools: &mut Pools) -> Result<Verdict> {
        for index in [0, 1] {
            let verdict = if self.ends[index].has_connect_ended() {
                self.on_connected(base, pools, index, What::WRITE)?
            } else if self.is_connecting() || self.flows[index].is_over() {
                None
            } else {
                self.advance(base, pools, index, false)?
            };
            if verdict.is_some() {
                return Ok(verdict);
            }
        }
        Ok(None)
    }

    /// The idle time is counted from now.
    pub(super) fn restart_idle(&mut self, base: &Base) -> Result<()> {
        if let Some(idle) = &mut self.idle {
            idle.last_moved = base.monotonic()?;
        }
        Ok(())
    }

    pub(super) fn on_alarm(&mut self, base: &Base, pools: &mut Pools) -> Result<Verdict> {
        if let Some(alarm) = &mut self.alarm {
            alarm.due = Duration::MAX;
        }
        let delayed = std::mem::take(&mut self.delayed);
        for index in [0, 1].into_iter().filter(|index| delayed[*index]) {
            if let Some(verdict) = self.advance(base, pools, index, false)? {
                return Ok(Some(verdict));
            }
        }
        Ok(None)
    }

    /// Lets `flows[index]` continue after `pause`.
    pub(super) fn delay(&mut self, base: &Base, index: usize, pause: Duration) -> Result<()> {
        let alarm = match &mut self.alarm {
            Some(alarm) => alarm,
            None => {
                let timer = base.create(EventSpec::timer().data(Role::Alarm.tag(self.key)))?;
                self.alarm.insert(Alarm { timer, due: Duration::MAX })
            }
        };
        let due = base.monotonic()? + pause;
        if due < alarm.due {
            base.add(alarm.timer, Some(pause))?;
            alarm.due = due;
        }
        self.delayed[index] = true;
        Ok(())
    }

    /// Stops reading both ends. What was read already is still written.
    pub(crate) fn pause(&mut self, base: &Base) -> Result<()> {
        self.paused = true;
        if self.is_connecting() {
            return Ok(());
        }
        for index in [0, 1] {
            if !self.flows[index].is_over() {
                self.ends[index].watch_closed(base)?;
            }
            self.ends[index].watch_read(base, false)?;
        }
        Ok(())
    }

    /// Reads again.
    pub(crate) fn resume(&mut self, base: &Base) -> Result<()> {
        if !std::mem::take(&mut self.paused) {
            return Ok(());
        }
        self.restart_idle(base)?;
        if self.is_connecting() {
            return Ok(());
        }
        for index in [0, 1] {
            let flow = &self.flows[index];
            // A flow that holds bytes waits for its sink, and reads once the sink has taken them.
            let may_read = !flow.is_over() && !self.delayed[index] && flow.held() == 0;
            if may_read || self.discards[index].is_some_and(|discard| !discard.is_over()) {
                self.ends[index].watch_read(base, true)?;
            }
        }
        Ok(())
    }
}
