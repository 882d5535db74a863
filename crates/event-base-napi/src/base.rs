//! A base: closing, control, time, inspection, watchers.

use event_base::{CountFlags, EventInfo, WatcherId, What};
use napi_derive::napi;

use crate::error::Outcome;
use crate::handle::Handle;
use crate::state::Timeout;
use crate::time::{duration, milliseconds};

/// Closes the base. Idempotent.
#[napi(catch_unwind)]
pub fn base_close(handle: Handle) -> Outcome<()> {
    handle.detach();
    drop(handle.shared.take());
    handle.net_close();
    handle.base().close().map(drop).into()
}

/// Replaces the kernel's objects of the base, as a forked child must.
#[napi(catch_unwind)]
pub fn base_reinit(handle: Handle) -> Outcome<()> {
    let result = handle.base().reinit();
    // Also after a failure, which concerns some event and not the objects.
    handle.rewatch().and(result).into()
}

/// The name of the backend.
#[napi(catch_unwind)]
pub fn base_method(handle: Handle) -> Outcome<&'static str> {
    handle.base().method().into()
}

/// Bits of `Feature`.
#[napi(catch_unwind)]
pub fn base_features(handle: Handle) -> Outcome<u32> {
    handle.base().features().map(|features| u32::from(features.bits())).into()
}

/// Sets the number of priorities, 1 to 255.
#[napi(catch_unwind)]
pub fn base_set_priorities(handle: Handle, count: u32) -> Outcome<()> {
    handle.base().set_priorities(count as u8).into()
}

/// Leaves the loop at the end of the pass, or after some milliseconds; immediately if negative.
#[napi(catch_unwind)]
pub fn base_loop_exit(handle: Handle, after: f64) -> Outcome<()> {
    handle.base().loop_exit(duration(after)).into()
}

/// Leaves the loop after the current callback.
#[napi(catch_unwind)]
pub fn base_loop_break(handle: Handle) -> Outcome<()> {
    handle.base().loop_break().into()
}

/// Starts a new pass after the current callback.
#[napi(catch_unwind)]
pub fn base_loop_continue(handle: Handle) -> Outcome<()> {
    handle.base().loop_continue().into()
}

/// Whether `loopExit` ended the loop.
#[napi(catch_unwind)]
pub fn base_got_exit(handle: Handle) -> Outcome<bool> {
    handle.base().got_exit().into()
}

/// Whether `loopBreak` ended the loop.
#[napi(catch_unwind)]
pub fn base_got_break(handle: Handle) -> Outcome<bool> {
    handle.base().got_break().into()
}

/// Registers a timeout that many events use. The returned number is passed for the timeout to `eventAdd` and
/// `eventCreateAndAdd`.
#[napi(catch_unwind)]
pub fn base_common_timeout(handle: Handle, timeout: f64) -> Outcome<f64> {
    let common = handle.base().common_timeout(duration(timeout).unwrap_or_default());
    Outcome(common.map(|common| {
        let known = &mut *handle.common.borrow_mut();
        let index = known.iter().position(|other| *other == common).unwrap_or_else(|| {
            known.push(common);
            known.len() - 1
        });
        Timeout::number_of(index)
    }))
}

/// Cached wall time, milliseconds since 1970.
#[napi(catch_unwind)]
pub fn base_now(handle: Handle) -> Outcome<f64> {
    handle.base().now().map(milliseconds).into()
}

/// Fresh monotonic time in milliseconds.
#[napi(catch_unwind)]
pub fn base_monotonic(handle: Handle) -> Outcome<f64> {
    handle.base().monotonic().map(milliseconds).into()
}

/// Updates the cached time.
#[napi(catch_unwind)]
pub fn base_update_cached_time(handle: Handle) -> Outcome<()> {
    handle.base().update_cached_time().into()
}

/// The sum of the counters that `mask` selects.
#[napi(catch_unwind)]
pub fn base_count_events(handle: Handle, mask: u32) -> Outcome<u32> {
    let flags = CountFlags::from_bits_truncate(mask as u8);
    handle.base().count_events(flags).map(|count| count as u32).into()
}

/// The sum of the maxima of the counters that `mask` selects; with `clear` they start again.
#[napi(catch_unwind)]
pub fn base_max_events(handle: Handle, mask: u32, clear: bool) -> Outcome<u32> {
    let flags = CountFlags::from_bits_truncate(mask as u8);
    handle.base().max_events(flags, clear).map(|count| count as u32).into()
}

/// Activates the events of a descriptor.
#[napi(catch_unwind)]
pub fn base_activate_by_fd(handle: Handle, fd: i32, what: u32) -> Outcome<()> {
    let what = What::from_bits_truncate(what as u8);
    handle.base().activate_by_fd(fd, what).into()
}

/// One event, as `events()` returns it.
#[napi(object)]
#[derive(Debug)]
pub struct BindingEventInfo {
    /// Its id.
    pub id: f64,
    /// Its descriptor, -1 for none.
    pub fd: i32,
    /// The bits that it was made with.
    pub what: u32,
    /// The bits that it is pending for.
    pub pending: u32,
    /// The result bits that it is active with.
    pub result: u32,
    /// Whether it is active.
    pub active: bool,
    /// Its priority.
    pub priority: u32,
    /// When it expires, in milliseconds since 1970; negative without a deadline.
    pub expires_at: f64,
    /// Whether it belongs to a listener, a connect or a relay, and not to JavaScript.
    pub native: bool,
}

impl From<&EventInfo> for BindingEventInfo {
    fn from(info: &EventInfo) -> Self {
        BindingEventInfo {
            id: info.id.to_bits() as f64,
            fd: info.fd,
            what: u32::from(info.what.bits()),
            pending: u32::from(info.pending.bits()),
            result: u32::from(info.active.bits()),
            active: info.is_active,
            priority: u32::from(info.priority),
            expires_at: info.expires_at.map_or(-1.0, milliseconds),
            native: info.data != 0,
        }
    }
}

/// Every event that is pending or active.
#[napi(catch_unwind)]
pub fn base_events(handle: Handle) -> Outcome<Vec<BindingEventInfo>> {
    handle.base().events().map(|events| events.iter().map(BindingEventInfo::from).collect()).into()
}

/// Makes a watcher that runs before each wait of the loop, or one that runs after it. Returns its id.
#[napi(catch_unwind)]
pub fn base_watch(handle: Handle, before: bool) -> Outcome<f64> {
    let base = handle.base();
    let made = if before { base.on_prepare(0) } else { base.on_check(0) };
    made.map(|id| id.to_bits() as f64).into()
}

/// Removes a watcher.
#[napi(catch_unwind)]
pub fn base_unwatch(handle: Handle, watcher: f64) -> Outcome<()> {
    handle.base().remove_watcher(WatcherId::from_bits(watcher as u64)).into()
}

/// Every event that is pending or active, as text.
#[napi(catch_unwind)]
pub fn base_dump(handle: Handle) -> Outcome<String> {
    handle.base().dump().into()
}
