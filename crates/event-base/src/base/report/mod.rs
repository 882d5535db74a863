//! What a base reports about itself: statistics, messages for the log, and the checks of debug mode.

mod debug;
mod messages;
mod statistics;

use debug::Debug;
use messages::Message;
use statistics::Measures;

use crate::flags::What;
use crate::time::Nanos;

/// Statistics, messages and checks of a base.
#[derive(Debug)]
pub(super) struct Report {
    measures: Measures,
    /// Messages to be reported once the lock is released.
    messages: Vec<Message>,
    debug: Debug,
}

impl Report {
    pub(super) fn new(is_timed: bool, is_debug: bool) -> Self {
        Report { measures: Measures::new(is_timed), messages: Vec::new(), debug: Debug::new(is_debug) }
    }

    #[inline]
    pub(super) fn is_debug(&self) -> bool {
        self.debug.is_on()
    }

    #[inline]
    pub(super) fn is_timed(&self) -> bool {
        self.measures.is_timed()
    }

    #[inline]
    pub(super) fn count_result(&mut self, result: What) {
        self.measures.count_result(result);
    }

    pub(super) fn count_pass(&mut self) {
        self.measures.passes += 1;
    }

    pub(super) fn count_wakeup_sent(&mut self) {
        self.measures.wakeups_sent += 1;
    }

    pub(super) fn count_wakeup_received(&mut self) {
        self.measures.wakeups_received += 1;
    }

    /// A timer was found expired `time` after its deadline.
    pub(super) fn add_lag(&mut self, time: Nanos) {
        self.measures.add_lag(time);
    }

    /// A callback starts at `now`.
    pub(super) fn begin_callback(&mut self, now: Nanos) {
        self.measures.begin_callback(now);
    }

    #[inline]
    pub(super) fn has_messages(&self) -> bool {
        !self.messages.is_empty()
    }
}
