//! Making events active whose deadline has passed.

use crate::base::Inner;
use crate::event::State;
use crate::flags::What;
use crate::time::Nanos;

impl Inner {
    /// Takes expired exits, and makes expired timers active (`timeout_process`): a one-shot event is deleted, a
    /// persistent one disarmed.
    pub(in crate::base) fn expire_timers(&mut self) {
        // Without a deadline there is no need to read the clock.
        if self.next_deadline().is_none() {
            return;
        }
        let now = self.time.now();
        self.run.expire_exits(now);
        // Two loops, so that the one without timing does not check for it at every timer.
        if self.report.is_timed() { self.expire_until::<true>(now) } else { self.expire_until::<false>(now) }
    }

    fn expire_until<const TIMED: bool>(&mut self, now: Nanos) {
        while let Some(index) = self.events.deadlines.pop_due(&mut self.events.table, now) {
            self.events.unlist(index, State::TIMEOUT);
            let record = self.events.table.at(index);
            if TIMED {
                self.report.add_lag(now.saturating_sub(record.timer.last_deadline()));
            }
            if !record.state.intersects(State::QUEUED) && !record.what.contains(What::PERSIST) {
                self.delete(index);
            }
            self.make_active(index, What::TIMEOUT);
        }
    }
}
