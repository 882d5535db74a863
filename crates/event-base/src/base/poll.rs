//! Waiting for the backend, and collecting what it reports.

use std::time::Duration;

use super::{Base, Inner};
use crate::error::Error;
use crate::log::Severity;
use crate::sync::Guard;
use crate::time::Nanos;

/// The maximum number of waits in one pass. A pass waits again while each wait fills the whole buffer; the rest is left
/// to the next pass.
const MOST_WAITS: usize = 8;

/// How long a wait may last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    /// Not at all.
    Now,
    /// Until this time.
    Deadline(Nanos),
    /// Without limit.
    Woken,
}

impl Until {
    pub(super) fn deadline(self) -> Option<Nanos> {
        match self {
            Until::Deadline(deadline) => Some(deadline),
            Until::Now | Until::Woken => None,
        }
    }
}

impl Base {
    /// Makes active what the backend reports. The lock is released while the wait sleeps.
    pub(super) fn poll<'a>(
        &'a self,
        mut inner: Guard<'a, Inner>,
        until: Until,
    ) -> Result<Guard<'a, Inner>, Error> {
        if inner.kernel.is_wait_away() {
            return Err(Error::Reentrant);
        }
        let until = if inner.flush_changes() { Until::Now } else { until };
        let mut waiter = inner.kernel.backend()?.start_wait();
        let mut since = inner.start_watch();
        let mut result;
        if until == Until::Now {
            result = waiter.wait(Some(Duration::ZERO));
        } else {
            let deadline = until.deadline();
            // The time is read again: what callbacks took must not delay timers.
            let timeout = deadline.map(|deadline| inner.time.until(deadline));
            inner.kernel.begin_sleep(deadline);
            drop(inner);
            result = waiter.wait(timeout);
            inner = self.shared.state.lock()?;
            inner.kernel.end_sleep();
        }
        inner.time.begin_pass();
        for waits in 1.. {
            inner.stop_watch(since);
            let full = inner.collect(&waiter);
            inner.kernel.backend()?.finish_wait(waiter);
            if !full || waits == MOST_WAITS {
                break;
            }
            waiter = inner.kernel.backend()?.start_wait();
            since = inner.start_watch();
            result = waiter.wait(Some(Duration::ZERO));
        }
        inner.settle_lost();
        inner.collect_signals()?;
        result?;
        if inner.is_stuck() {
            let text =
                "a closed descriptor stayed registered with the kernel; everything was registered again";
            inner.log(Severity::Warning, text.to_owned());
            inner.renew_backend()?;
        }
        Ok(inner)
    }
}
