//! Common timeouts: many events with the same duration, armed and disarmed in constant time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::base::{Base, Inner};
use crate::error::Error;
use crate::event::{EventId, EventSpec, Period};
use crate::time::{Nanos, nanos};

/// A duration that a base keeps a queue for: see [`Base::common_timeout`].
///
/// Two of one base are equal if their durations are; two of different bases never are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CommonTimeout {
    base: u64,
    duration: Nanos,
    number: u8,
}

impl CommonTimeout {
    /// The duration.
    #[must_use]
    pub fn duration(self) -> Duration {
        Duration::from_nanos(self.duration)
    }
}

/// A number for a new base, which identifies it and its common timeouts.
pub(in crate::base) fn base_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl Inner {
    fn common_timeout(&mut self, duration: Duration) -> Result<CommonTimeout, Error> {
        let duration = nanos(duration);
        let number = self
            .events
            .deadlines
            .common(duration)
            .ok_or(Error::OutOfRange("the number of common timeouts"))?;
        Ok(CommonTimeout { base: self.number, duration, number })
    }

    fn check_common(&self, timeout: CommonTimeout) -> Result<(), Error> {
        if timeout.base == self.number {
            Ok(())
        } else {
            Err(Error::OutOfRange("a common timeout of another base"))
        }
    }

    fn arm_common(&mut self, index: u32, timeout: CommonTimeout) {
        self.events.begin_timeout(index, Period::Common(timeout.number));
        let deadline = self.now_for_caller().saturating_add(timeout.duration);
        self.events.deadlines.arm_common(&mut self.events.table, index, timeout.number, deadline);
        self.kernel.request_wake_by(deadline);
    }
}

impl Base {
    /// A duration that many events use (`event_base_init_common_timeout`).
    ///
    /// Events added with it by [`add_common`](Self::add_common) wait in a queue of their own, first in, first
    /// out: adding, adding again, deleting and firing cost the same however many there are. A second call with
    /// the same duration returns the same common timeout. Any thread.
    ///
    /// A queue lasts as long as the base.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for the 257th duration of a base.
    pub fn common_timeout(&self, duration: Duration) -> Result<CommonTimeout, Error> {
        self.try_with(|inner| inner.common_timeout(duration))
    }

    /// [`add`](Self::add) with a common timeout: the event behaves as if it were added with its duration.
    ///
    /// An event moves from a common timeout to another one, or to a timeout of its own, when it is added again. A
    /// persistent one stays in the queue from period to period. Any thread.
    ///
    /// # Errors
    /// As [`add`](Self::add), and [`Error::OutOfRange`] for a common timeout of another base.
    pub fn add_common(&self, id: EventId, timeout: CommonTimeout) -> Result<(), Error> {
        self.try_with(|inner| {
            inner.check_common(timeout)?;
            let index = inner.events.table.find(id)?;
            inner.add(index, None)?;
            inner.arm_common(index, timeout);
            Ok(())
        })
    }

    /// Creates an event and adds it with a common timeout, in one call; no event exists if adding failed.
    ///
    /// # Errors
    /// As [`create`](Self::create) and [`add_common`](Self::add_common).
    pub fn create_and_add_common(&self, spec: EventSpec, timeout: CommonTimeout) -> Result<EventId, Error> {
        self.try_with(|inner| {
            inner.check_common(timeout)?;
            let id = inner.create_and_add(&spec, None)?;
            inner.arm_common(id.index, timeout);
            Ok(id)
        })
    }
}
