//! Re-arming a persistent event just before it is handed out (`event_persist_closure`).

use super::Inner;
use crate::event::{Period, State};
use crate::flags::What;

impl Inner {
    /// Sets the next deadline of a persistent event that was added with a timeout.
    ///
    /// A timer keeps its phase: the next deadline counts from the one that passed. Readiness and manual
    /// activation begin a new period now. Periods missed altogether are dropped, never made up for.
    ///
    /// An interval of zero fires once in every pass; libevent fires it once and never again.
    pub(super) fn rearm(&mut self, index: u32, result: What) {
        let record = self.table.at(index);
        let Some(period) = record.period() else { return };
        let fired = record.timer.last_deadline();
        let interval = match period {
            Period::Own(interval) => interval,
            Period::Common(number) => self.timers.common_duration(number),
        };
        let now = self.time.now();
        // A timer activated by hand with TIMEOUT did not reach its deadline; libevent counts from there all
        // the same, which doubles the interval.
        let from = if result.contains(What::TIMEOUT) && fired <= now { fired } else { now };
        let mut next = from.saturating_add(interval);
        if next < now {
            next = now.saturating_add(interval);
        }
        self.list(index, State::TIMEOUT);
        match period {
            Period::Own(_) => self.timers.arm(&mut self.table, index, next),
            Period::Common(number) => self.timers.arm_common(&mut self.table, index, number, next),
        }
    }
}
