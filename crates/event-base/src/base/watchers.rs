//! Watchers: who is told before the loop waits, and after it has.
//!
//! A watcher is a number that the loop hands out, as it does events; whoever runs the loop calls whom it likes.
//! While it does, watchers may come and go: a walk through them remembers the number of the last one and goes on
//! at the next greater one, so nothing can be pulled from under it. Those that are made during a walk have
//! greater numbers than the walk's end.

use std::time::Duration;

use super::poll::Until;
use super::step::{Wait, WatcherCall};
use super::{Base, Inner};
use crate::error::Error;
use crate::flags::LoopResult;

/// Names one watcher of one base. Numbers are never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WatcherId(u64);

impl WatcherId {
    /// The id as one number below 2^53, so that a JavaScript number holds it.
    #[must_use]
    pub fn to_bits(self) -> u64 {
        self.0
    }

    /// The id that [`to_bits`](Self::to_bits) gave. Any other number is an id that names nothing.
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

/// The watchers of a base, each kind in the order of making.
#[derive(Debug, Default)]
pub(super) struct Watchers {
    prepare: Vec<Watcher>,
    check: Vec<Watcher>,
    /// The number of the last one made.
    made: u64,
}

/// A walk through the watchers of one kind, which the loop is in the middle of.
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

    fn make(&mut self, kind: Kind, data: u64) -> WatcherId {
        self.made += 1;
        let number = self.made;
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
    /// What ends a pass between two watchers: the rest of it would wait, or call, although nobody wants that.
    pub(super) fn reason_to_break_off(&self) -> Option<LoopResult> {
        (self.closed || self.control.is_breaking()).then_some(LoopResult::Stopped)
    }

    /// The next watcher of a walk, or of a new one where that is over or was of the other kind.
    #[inline]
    fn next_watcher(&mut self, kind: Kind, walk: Option<Walk>) -> Option<(WatcherId, u64)> {
        let made = self.watchers.made;
        let watchers = self.watchers.of(kind);
        if watchers.is_empty() {
            return None;
        }
        let walk = walk.filter(|walk| walk.kind == kind).unwrap_or(Walk { kind, last: 0, end: made });
        let place = watchers.partition_point(|watcher| watcher.number <= walk.last);
        let watcher = *watchers.get(place).filter(|watcher| watcher.number <= walk.end)?;
        self.run.walk = Some(Walk { last: watcher.number, ..walk });
        Some((WatcherId(watcher.number), watcher.data))
    }

    /// The next who is to be told that the loop is about to wait.
    pub(super) fn next_prepare(&mut self, walk: Option<Walk>) -> Option<WatcherCall> {
        let (id, data) = self.next_watcher(Kind::Prepare, walk)?;
        let wait = match self.wait_until(Wait::Allowed) {
            Until::Now => Some(Duration::ZERO),
            Until::Deadline(deadline) => Some(self.time.until(deadline)),
            Until::Woken => None,
        };
        Some(WatcherCall::Prepare { id, data, wait })
    }

    /// The next who is to be told that the loop has waited.
    pub(super) fn next_check(&mut self, walk: Option<Walk>) -> Option<WatcherCall> {
        let (id, data) = self.next_watcher(Kind::Check, walk)?;
        Some(WatcherCall::Check { id, data })
    }
}

impl Base {
    /// Lets the loop say, in every pass, that it is about to wait, and for how long (`evwatch_prepare_new`):
    /// [`WatcherCall::Prepare`]. `data` comes back there. Any thread.
    ///
    /// Watchers are told in the order of making. One that is made while they are being told is told from the
    /// next pass on. They do not keep the loop from being empty, and are not told when it is left for that.
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::WrongThread`].
    pub fn on_prepare(&self, data: u64) -> Result<WatcherId, Error> {
        self.with(|inner| inner.watchers.make(Kind::Prepare, data))
    }

    /// Lets the loop say, in every pass, that it has waited, before deadlines are looked at and events have
    /// their turn (`evwatch_check_new`): [`WatcherCall::Check`]. Else as [`on_prepare`](Self::on_prepare).
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::WrongThread`].
    pub fn on_check(&self, data: u64) -> Result<WatcherId, Error> {
        self.with(|inner| inner.watchers.make(Kind::Check, data))
    }

    /// Removes a watcher (`evwatch_free`). It is told nothing any more, in the pass under way neither. Any thread,
    /// and at any time: also while it, or another one, is being told.
    ///
    /// # Errors
    /// [`Error::Closed`], also if the watcher was removed already; [`Error::WrongThread`].
    pub fn remove_watcher(&self, id: WatcherId) -> Result<(), Error> {
        self.try_with(|inner| if inner.watchers.remove(id) { Ok(()) } else { Err(Error::Closed) })
    }
}
