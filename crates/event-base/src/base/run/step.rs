//! The result of one step of the loop.

use std::time::Duration;

use super::watchers::WatcherId;
use crate::event::Ready;
use crate::flags::LoopResult;

/// How [`Base::next`](crate::Base::next) waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Sleeps until there is something to report.
    Allowed,
    /// Polls without sleeping: a host waits instead, on [`Base::descriptor`](crate::Base::descriptor).
    Never,
}

/// What [`Base::next`](crate::Base::next) returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// An event was dispatched: the caller runs its callback.
    Event(Ready),
    /// A watcher was reached: the caller runs its callback, and the next step continues the pass behind it.
    Watcher(WatcherCall),
    /// The loop has ended; the caller calls [`Base::leave`](crate::Base::leave).
    Done(LoopResult),
    /// Nothing is active. Only with [`Wait::Never`].
    Idle,
    /// The host's own loop has work: see [`Base::watch_host`](crate::Base::watch_host).
    Host,
}

/// One call of one watcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatcherCall {
    /// Before the wait: see [`Base::on_prepare`](crate::Base::on_prepare).
    Prepare {
        /// Which watcher.
        id: WatcherId,
        /// The number passed to [`Base::on_prepare`](crate::Base::on_prepare).
        data: u64,
        /// How long the loop is going to wait: zero with [`LoopFlags::NONBLOCK`](crate::LoopFlags::NONBLOCK) or
        /// while an event is active, `None` without a deadline. The wait is computed again afterwards, so
        /// changes made by the watcher apply to it. With [`Wait::Never`], how long the host will have to wait if
        /// this pass finds nothing.
        wait: Option<Duration>,
    },
    /// After the wait: see [`Base::on_check`](crate::Base::on_check).
    Check {
        /// Which watcher.
        id: WatcherId,
        /// The number passed to [`Base::on_check`](crate::Base::on_check).
        data: u64,
    },
}
