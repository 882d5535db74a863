//! libevent's `event_base` as a memory-safe engine.
//!
//! A [`Base`] watches descriptors, signals and deadlines and dispatches events. It stores no callback: an event is an
//! id, and the loop returns a [`Ready`] for each event that fired, whose callback the caller runs. The loop can be
//! run [until it ends](Base::run), or [in steps](Base::next) by a host that has a loop of its own.
//!
//! ```
//! use std::time::Duration;
//! use event_base::{Base, EventSpec, LoopFlags, LoopResult, What};
//!
//! let base = Base::new()?;
//! let timer = base.create(EventSpec::timer())?;
//! base.add(timer, Some(Duration::from_millis(1)))?;
//! let mut fired = Vec::new();
//! let result = base.run(LoopFlags::empty(), |_, ready| fired.push((ready.id, ready.what)))?;
//! assert_eq!(result, LoopResult::Empty);
//! assert_eq!(fired, [(timer, What::TIMEOUT)]);
//! # Ok::<(), event_base::Error>(())
//! ```
//!
//! # C names
//!
//! | libevent | here |
//! |---|---|
//! | `event_config_*` | [`Config`] |
//! | `event_base_new`, `_new_with_config`, `_free` | [`Base::new`], [`Base::with_config`], [`Base::close`] |
//! | `event_new`, `event_free` | [`Base::create`], [`Base::free`] |
//! | `event_add`, `event_del`, `event_remove_timer` | [`Base::add`], [`Base::del`], [`Base::remove_timer`] |
//! | `event_del_block`, `event_del_noblock` | [`Base::del_block`], [`Base::del`] |
//! | `event_reinit` | [`Base::reinit`] |
//! | `event_active`, `event_active_later_`, `event_deferred_cb_schedule_` | [`Base::activate`], [`Base::activate_later`], [`Base::defer`] |
//! | `event_pending`, `event_priority_set` | [`Base::pending`], [`Base::set_priority`] |
//! | `event_assign`, `event_finalize`, `event_free_finalize` | [`Base::assign`], [`Base::finalize_keep`], [`Base::finalize`] |
//! | `evsignal_new`, `event_base_get_signal_method`, `_active_by_signal` | [`EventSpec::signal`], [`Base::signal_method`], [`Base::activate_by_signal`] |
//! | `event_base_init_common_timeout` | [`Base::common_timeout`], [`Base::add_common`] |
//! | `event_base_once` | [`Base::once`] |
//! | `event_base_loop`, `_loopexit`, `_loopbreak`, `_loopcontinue` | [`Base::run`], [`Base::loop_exit`], [`Base::loop_break`], [`Base::loop_continue`] |
//! | `evwatch_prepare_new`, `evwatch_check_new`, `evwatch_free` | [`Base::on_prepare`], [`Base::on_check`], [`Base::remove_watcher`] |
//! | `event_base_gettimeofday_cached`, `event_gettime_monotonic` | [`Base::now`], [`Base::monotonic`] |
//! | `event_base_get_num_events`, `_get_max_events` | [`Base::count_events`], [`Base::max_events`] |
//! | `event_base_foreach_event`, `event_base_dump_events` | [`Base::for_each`], [`Base::events`], [`Base::dump`] |
//! | `event_set_log_callback` | [`set_log_callback`] |
//! | `event_get_assignment` and the other getters | [`Base::info`] |
//!
//! # Threads
//!
//! A base may be used from any thread. One built with [`BaseFlags::NOLOCK`] may be used by one thread after the other
//! until a thread enters its loop, and belongs to that thread from then on. Only one thread at a time runs the loop.
//!
//! # Forks
//!
//! In a forked child every call on a base of its parent fails with [`Error::Forked`], except
//! [`Base::reinit`], which makes the base usable in the child, and [`Base::close`].

#![cfg_attr(docsrs, feature(doc_cfg))]

mod backend;
mod base;
mod config;
mod error;
mod event;
mod flags;
mod io;
mod log;
mod signal;
mod stats;
mod sync;
mod sys;
mod time;

pub use backend::supported_methods;
#[cfg(feature = "test-util")]
pub use backend::{Script, ScriptedChange};
pub use base::{Base, CommonTimeout, HostWait, Step, Wait, WaitEnder, WatcherCall, WatcherId};
pub use config::{Config, MAX_PRIORITIES};
pub use error::{Error, SystemError};
pub use event::{EventId, EventInfo, EventSpec, Ready};
pub use flags::{BaseFlags, CountFlags, Features, LoopFlags, LoopResult, What};
pub use log::{LogCallback, LogMessage, Severity, set_log_callback};
pub use signal::{MAX_SIGNAL, reassert_signal};
pub use stats::{BUCKETS, EventCounts, Histogram, Stats, Timing};
#[cfg(feature = "test-util")]
pub use time::ManualClock;
pub use time::{Clock, SystemClock};

const fn assert_send_and_sync<T: Send + Sync>() {}

const _: () = {
    assert_send_and_sync::<Base>();
    assert_send_and_sync::<Config>();
    assert_send_and_sync::<Error>();
};
