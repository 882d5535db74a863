//! What the steps of the loop come to.

use std::time::Duration;

use super::watchers::WatcherId;
use crate::event::Ready;
use crate::flags::LoopResult;

/// How [`Base::turn`](super::Base::turn) waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Until something is due.
    Allowed,
    /// Not at all: a host waits, on [`Base::descriptor`](super::Base::descriptor).
    Never,
}

/// What [`Base::turn`](super::Base::turn) came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Events are due: take them with [`Base::next_ready`](super::Base::next_ready) until there is none.
    Ready,
    /// The loop is over; [`Base::leave`](super::Base::leave) it.
    Done(LoopResult),
    /// Nothing is due now. Only with [`Wait::Never`].
    Idle,
    /// The host's own loop has work: see [`Base::watch_host`](super::Base::watch_host).
    Host,
    /// A watcher's turn; the next turn goes on from here.
    Watcher(WatcherTurn),
}

/// What [`Base::next`](super::Base::next) came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// An event's turn.
    Event(Ready),
    /// The loop is over; [`Base::leave`](super::Base::leave) it.
    Done(LoopResult),
    /// Nothing is due now. Only with [`Wait::Never`].
    Idle,
    /// The host's own loop has work: see [`Base::watch_host`](super::Base::watch_host).
    Host,
    /// A watcher's turn.
    Watcher(WatcherTurn),
}

/// What [`Base::run_with_watchers`](super::Base::run_with_watchers) hands out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// An event's turn.
    Event(Ready),
    /// A watcher's turn.
    Watcher(WatcherTurn),
}

/// One watcher whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatcherTurn {
    /// Before the wait: see [`Base::on_prepare`](super::Base::on_prepare).
    Prepare {
        /// Which watcher.
        id: WatcherId,
        /// The number given when it was made.
        data: u64,
        /// How long the loop is going to wait: zero with [`LoopFlags::NONBLOCK`](crate::LoopFlags::NONBLOCK) or
        /// while something is due, `None` without any deadline. What the watcher changes counts: the wait is
        /// computed anew afterwards. With [`Wait::Never`], how long the host would wait if this turn found
        /// nothing.
        wait: Option<Duration>,
    },
    /// After the wait: see [`Base::on_check`](super::Base::on_check).
    Check {
        /// Which watcher.
        id: WatcherId,
        /// The number given when it was made.
        data: u64,
    },
}
