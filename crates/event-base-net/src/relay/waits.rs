//! Timers of a relay, and pausing it.

use std::time::Duration;

use event_base::{Base, EventId, EventSpec, What};

use super::{EndReason, Pools, Relay, Verdict};
use crate::failure::Result;
use crate::source::Role;

/// Ends a relay in which no byte moves. Moving bytes does not change the timer: when it expires, the
/// time of the last movement is checked, and the timer is armed again for the rest.
#[derive(Debug)]
pub(super) struct Idle {
    pub(super) timeout: Duration,
    pub(super) timer: EventId,
    pub(super) last_moved: Duration,
}

impl Idle {
    /// The time since the last movement.
    fn quiet_time(&self, base: &Base) -> Result<Duration> {
        Ok(base.monotonic()?.saturating_sub(self.last_moved))
    }
}

/// Lets delayed flows continue: one timer for both, armed for the earlier of the two.
#[derive(Debug)]
pub(super) struct Alarm {
    pub(super) timer: EventId,
    pub(super) due: Duration,
}

impl Relay {
    pub(super) fn on_idle(&mut self, base: &Base, pools: &mut Pools) -> Result<Verdict> {
        if !self.is_idle(base)? {
            return self.rearm_idle(base);
        }
        // After a pause of the process, or of the machine, bytes may have arrived that no event reported yet.
        if let Some(verdict) = self.catch_up(base, pools)? {
            return Ok(Some(verdict));
        }
        if self.is_idle(base)? { Ok(Some((EndReason::Idle, None))) } else { self.rearm_idle(base) }
    }

    fn is_idle(&self, base: &Base) -> Result<bool> {
        let Some(idle) = &self.idle else { return Ok(false) };
        Ok(!self.is_idle_suspended() && idle.quiet_time(base)? >= idle.timeout)
    }

    /// Whether the relay waits for tokens, for memory, for `resume` or for a connect with a timeout of its own. None of
    /// these depends on the peers.
    fn is_idle_suspended(&self) -> bool {
        self.delayed.contains(&true)
            || self.paused
            || (self.connect_timeout.is_some() && self.is_connecting())
    }

    fn rearm_idle(&self, base: &Base) -> Result<Verdict> {
        if let Some(idle) = &self.idle {
            let quiet = if self.is_idle_suspended() { Duration::ZERO } else { idle.quiet_time(base)? };
            base.add(idle.timer, Some(idle.timeout.saturating_sub(quiet)))?;
        }
        Ok(None)
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
