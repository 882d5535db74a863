//! libevent's `event_base` as a memory-safe engine: an event loop for descriptors, signals and timers.
//!
//! A [`Base`] is a set of events and the loop that waits for them. An event waits for readiness of a descriptor, for a
//! signal, for a deadline, or for a call that activates it. The base stores no callback: an event is an [`EventId`],
//! and the loop returns a [`Ready`] for each event that fires. The caller then runs the callback, without a lock.
//!
//! [`Base::run`] runs the loop until it ends:
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
//! [`Base::next`] runs it in steps, for a caller that has a loop of its own:
//!
//! ```
//! use std::io::Write;
//! use std::os::fd::AsRawFd;
//! use std::os::unix::net::UnixStream;
//! use event_base::{Base, EventSpec, LoopFlags, LoopResult, Step, Wait, What};
//!
//! let (reader, mut writer) = UnixStream::pair()?;
//! let base = Base::new()?;
//! let event = base.create_and_add(EventSpec::io(reader.as_raw_fd(), What::READ), None)?;
//! writer.write_all(b"x")?;
//!
//! base.enter(LoopFlags::empty())?;
//! let Step::Event(ready) = base.next(Wait::Allowed)? else { panic!("the descriptor is readable") };
//! assert!(ready.id == event && ready.what.contains(What::READ));
//! assert_eq!(base.next(Wait::Allowed)?, Step::Done(LoopResult::Empty));
//! base.leave();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The loop
//!
//! The loop repeats passes until an exit, a break or its [`LoopFlags`] end it, or until no event is left to wait for. A
//! pass polls the backend once, makes active what is ready and what has expired, and dispatches the active events of
//! the most urgent priority in the order in which they became active. A pass is finite: an event that is activated
//! again after it was dispatched waits for the next pass.
//!
//! # Backends
//!
//! | backend | systems |
//! |---|---|
//! | `epoll`, optionally with a changelist | Linux |
//! | `kqueue` | FreeBSD, macOS; not tested there yet |
//! | `poll`, `select` | all |
//!
//! A base uses the first of these that its [`Config`] and the environment allow; [`supported_methods`] lists those of
//! the build.
//!
//! # Errors
//!
//! Invalid input is refused with an [`Error`]. An id that outlives its event refers to no event, and never to another
//! one. The engine borrows the descriptors of events and never closes them.
//!
//! # Threads
//!
//! Any thread may use a base, and a change that affects a sleeping loop wakes it. Only one thread at a time runs the
//! loop. A base that is built with [`BaseFlags::NOLOCK`] may be used by several threads one after the other until a
//! thread enters its loop; from then on it belongs to that thread and refuses all others.
//!
//! # Forks
//!
//! In a forked child a call on a base of the parent fails with [`Error::Forked`], except [`Base::reinit`], which makes the
//! base usable in the child, [`Base::close`], and calls that only delete something, such as [`Base::del`].
//!
//! # Signals
//!
//! Other code may have saved the handler of a signal and may restore it later, even after the last base was closed. The
//! handler then restores the disposition that it had replaced. So a library that contains this crate must not be unloaded
//! once a base has watched a signal.
//!
//! # Features of the crate
//!
//! - `test-util`: a scripted backend and a manual clock, for tests that neither sleep nor use the kernel.
//! - `libkqueue`: the backend `kqueue` on Linux, over the system's libkqueue.
//!
//! # libevent's names
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
pub use event::{EventId, EventInfo, EventSpec, Ready, SlotId};
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
