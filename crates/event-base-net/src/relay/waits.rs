//! What a relay waits for besides its ends: silence, tokens, and being resumed.

use std::time::Duration;

use event_base::{Base, EventId};

use super::{EndReason, Pools, Relay, Verdict};
use crate::failure::Result;

/// Ends a relay that moves nothing. The timer is not touched when bytes move; it looks at when they last
/// did when it fires, and goes back to sleep for what is left.
#[derive(Debug)]
pub(super) struct Idle {
    pub(super) timeout: Duration,
    pub(super) timer: EventId,
    pub(super) last_moved: Duration,
}

/// Wakes the flows that wait for tokens: one timer for both, set to the one that waits less.
#[derive(Debug)]
pub(super) struct Refill {
    pub(super) timer: EventId,
    pub(super) due: Duration,
}

impl Relay {
    pub(super) fn on_deadline(&mut self, base: &Base) -> Result<Verdict> {
        // Waiting for tokens, for being resumed and for a connect that has a time of its own is not the peers'
        // doing.
        let rests = self.throttled.contains(&true)
            || self.paused
            || (self.connect_timeout.is_some() && self.is_connecting());
        let Some(idle) = &self.idle else { return Ok(None) };
        let quiet = base.monotonic()?.saturating_sub(idle.last_moved);
        if quiet >= idle.timeout && !rests {
            return Ok(Some((EndReason::Idle, None)));
        }
        let rest = if rests { idle.timeout } else { idle.timeout - quiet };
        base.add(idle.timer, Some(rest))?;
        Ok(None)
    }

    /// The idle time is counted from now.
    pub(super) fn rest_idle(&mut self, base: &Base) -> Result<()> {
        if let Some(idle) = &mut self.idle {
            idle.last_moved = base.monotonic()?;
        }
        Ok(())
    }

    pub(super) fn on_refill(&mut self, base: &Base, pools: &mut Pools) -> Result<Verdict> {
        if let Some(refill) = &mut self.refill {
            refill.due = Duration::MAX;
        }
        let waiting = std::mem::take(&mut self.throttled);
        for index in [0, 1].into_iter().filter(|index| waiting[*index]) {
            if let Some(verdict) = self.advance(base, pools, index, false)? {
                return Ok(Some(verdict));
            }
        }
        Ok(None)
    }

    pub(super) fn await_tokens(&mut self, base: &Base, index: usize, wait: Duration) -> Result<()> {
        self.throttled[index] = true;
        let Some(refill) = &mut self.refill else { return Ok(()) };
        let due = base.monotonic()? + wait;
        if due < refill.due {
            refill.due = due;
            base.add(refill.timer, Some(wait))?;
        }
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
                self.ends[index].watch_read(base, false)?;
            }
        }
        Ok(())
    }

    /// Reads again.
    pub(crate) fn resume(&mut self, base: &Base) -> Result<()> {
        if !std::mem::take(&mut self.paused) {
            return Ok(());
        }
        self.rest_idle(base)?;
        if self.is_connecting() {
            return Ok(());
        }
        for index in [0, 1] {
            let flow = &self.flows[index];
            // One that holds bytes waits for its sink, and reads when that has taken them.
            if !flow.is_over() && !self.throttled[index] && flow.held() == 0 {
                self.ends[index].watch_read(base, true)?;
            }
        }
        Ok(())
    }
}
