//! Watchers: callbacks before the loop waits, and after it has waited.
//!
//! A watcher is a number that the loop reports, as it does events; the caller runs the callback. Meanwhile watchers
//! may be added and removed: a walk through them stores the number of the last one and continues at the next greater
//! one, so it never refers to a removed one. Watchers added during a walk have greater numbers than its end.

use std::time::Duration;

use super::step::{Wait, WatcherCall};
use crate::base::poll::Until;
use crate::base::{Base, Inner};
use crate::error::Error;

/// Identifies one watcher of one base. Numbers are never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WatcherId(u64);

impl WatcherId {
    /// The id as a number below 2^53, which a JavaScript number represents exactly.
    #[must_use]
    pub fn to_bits(self) -> u64 {
        self.0
    }

    /// The id that [`to_bits`](Self::to_bits) returned. Any other number results in an id that refers to no
    /// watcher.
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        WatcherId(bits)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Prepare,
    Check,
}

#[derive(Clone, Copy, Debug)]
struct Watcher {
    number: u64,
    data: u64,
}

/// The watchers of a base, each kind in the order of creation.
#[derive(Debug, Default)]
pub(super) struct Watchers {
    prepare: Vec<Watcher>,
    check: Vec<Watcher>,
    /// The number of the last one created.
    created: u64,
}

/// A walk through the watchers of one kind that is in progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Walk {
    pub(super) kind: Kind,
    last: u64,
    end: u64,
}

impl Watchers {
    pub(super) fn is_empty(&self) -> bool {
        self.prepare.is_empty() && self.check.is_empty()
    }

    fn of(&mut self, kind: Kind) -> &mut Vec<Watcher> {
        match kind {
            Kind::Prepare => &mut self.prepare,
            Kind::Check => &mut self.check,
        }
    }

    fn create(&mut self, kind: Kind, data: u64) -> WatcherId {
        self.created += 1;
        let number = self.created;
        self.of(kind).push(Watcher { number, data });
        WatcherId(number)
    }

    fn remove(&mut self, id: WatcherId) -> bool {
        [Kind::Prepare, Kind::Check].into_iter().any(|kind| {
            let watchers = self.of(kind);
            let found = watchers.binary_search_by_key(&id.0, |watcher| watcher.number);
            found.map(|place| watchers.remove(place)).is_ok()
        })
    }
}

impl Inner {
    /// The next watcher of a walk, or the first of a new one if there is none or it is of the other kind.
    #[inline]
    fn next_watcher(&mut self, kind: Kind, walk: Option<Walk>) -> Option<(WatcherId, u64)> {
        let created = self.run.watchers.created;
        let watchers = self.run.watchers.of(kind);
        if watchers.is_empty() {
            return None;
        }
        let walk = walk.filter(|walk| walk.kind == kind).unwrap_or(Walk { kind, last: 0, end: created });
        let place = watchers.partition_point(|watcher| watcher.number <= walk.last);
        let watcher = *watchers.get(place).filter(|watcher| watcher.number <= walk.end)?;
        self.run.current.walk = Some(Walk { last: watcher.number, ..walk });
        Some((WatcherId(watcher.number), watcher.data))
    }

    /// The next watcher to call before the wait.
    pub(super) fn next_prepare(&mut self, walk: Option<Walk>) -> Option<WatcherCall> {
        let (id, data) = self.next_watcher(Kind::Prepare, walk)?;
        let wait = match self.wait_until(Wait::Allowed) {
            Until::Now => Some(Duration::ZERO),
            Until::Deadline(deadline) => Some(self.time.until(deadline)),
            Until::Woken => None,
        };
        Some(WatcherCall::Prepare { id, data, wait })
    }

    /// The next watcher to call after the wait.
    pub(super) fn next_check(&mut self, walk: Option<Walk>) -> Option<WatcherCall> {
        let (id, data) = self.next_watcher(Kind::Check, walk)?;
        Some(WatcherCall::Check { id, data })
    }
}

impl Base {
    /// Adds a watcher that the loop reports in every pass before it waits, with how long it will wait
    /// (`evwatch_prepare_new`): [`WatcherCall::Prepare`], with `data`. Any thread.
    ///
    /// Watchers are called in the order of creation. One that is created while those of its kind are being called is
    /// called from the next pass on. They do not keep the loop from being empty, and are not called when it ends for
    /// that reason.
    pub fn on_prepare(&self, data: u64) -> Result<WatcherId, Error> {
        self.with(|inner| inner.run.watchers.create(Kind::Prepare, data))
    }

    /// Adds a watcher that the loop reports in every pass after it has waited, before timers expire and events are
    /// dispatched (`evwatch_check_new`): [`WatcherCall::Check`]. Otherwise as [`on_prepare`](Self::on_prepare).
    pub fn on_check(&self, data: u64) -> Result<WatcherId, Error> {
        self.with(|inner| inner.run.watchers.create(Kind::Check, data))
    }

    /// Removes a watcher (`evwatch_free`). It is not called any more, also not in the current pass. Any thread, at
    /// any time, also while a watcher is being called.
    ///
    /// # Errors
    /// [`Error::Closed`] also if the watcher was removed already.
    pub fn remove_watcher(&self, id: WatcherId) -> Result<(), Error> {
        self.try_with(|inner| if inner.run.watchers.remove(id) { Ok(()) } else { Err(Error::Closed) })
    }
}
