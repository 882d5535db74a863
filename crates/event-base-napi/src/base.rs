//! The base as a whole: life, control, time, counters.

use event_base::{CountFlags, EventInfo, WatcherId};
use napi::Env;
use napi_derive::napi;

use crate::error::check;
use crate::handle::{Handle, Timeout, duration, milliseconds};

/// Closes the base. Idempotent.
#[napi(catch_unwind)]
pub fn base_close(env: Env, handle: Handle) -> napi::Result<()> {
    handle.detach();
    handle.unshare();
    handle.net_close();
    check(&env, handle.base().close())
}

/// Makes the kernel's objects anew.
#[napi(catch_unwind)]
pub fn base_reinit(env: Env, handle: Handle) -> napi::Result<()> {
    let result = handle.base().reinit();
    // Also after a refusal, which is of some event, not of the whole.
    check(&env, handle.rewatch())?;
    check(&env, result)
}

/// The backend's name.
#[napi(catch_unwind)]
pub fn base_method(env: Env, handle: Handle) -> napi::Result<&'static str> {
    check(&env, handle.base().method())
}

/// Bits of `Feature`.
#[napi(catch_unwind)]
pub fn base_features(env: Env, handle: Handle) -> napi::Result<u32> {
    check(&env, handle.base().features().map(|features| u32::from(features.bits())))
}

/// The number of priorities.
#[napi(catch_unwind)]
pub fn base_priorities(env: Env, handle: Handle) -> napi::Result<u32> {
    check(&env, handle.base().priorities().map(u32::from))
}

/// Sets the number of priorities, 1 to 255.
#[napi(catch_unwind)]
pub fn base_set_priorities(env: Env, handle: Handle, count: u32) -> napi::Result<()> {
    check(&env, handle.base().set_priorities(count as u8))
}

/// Leaves the loop at the end of the pass, or after some milliseconds; at once if negative.
#[napi(catch_unwind)]
pub fn base_loop_exit(env: Env, handle: Handle, after: f64) -> napi::Result<()> {
    check(&env, handle.base().loop_exit(duration(after)))
}

/// Leaves the loop after the current callback.
#[napi(catch_unwind)]
pub fn base_loop_break(env: Env, handle: Handle) -> napi::Result<()> {
    check(&env, handle.base().loop_break())
}

/// Begins a new pass after the current callback.
#[napi(catch_unwind)]
pub fn base_loop_continue(env: Env, handle: Handle) -> napi::Result<()> {
    check(&env, handle.base().loop_continue())
}

/// Whether an exit ended the loop.
#[napi(catch_unwind)]
pub fn base_got_exit(env: Env, handle: Handle) -> napi::Result<bool> {
    check(&env, handle.base().got_exit())
}

/// Whether a break ended the loop.
#[napi(catch_unwind)]
pub fn base_got_break(env: Env, handle: Handle) -> napi::Result<bool> {
    check(&env, handle.base().got_break())
}

/// Names a duration to be used for many events; what is returned can stand for a timeout in `eventAdd` and
/// `eventCreateAndAdd`.
#[napi(catch_unwind)]
pub fn base_common_timeout(env: Env, handle: Handle, timeout: f64) -> napi::Result<f64> {
    let common = check(&env, handle.base().common_timeout(duration(timeout).unwrap_or_default()))?;
    let known = &mut *handle.common.borrow_mut();
    let place = known.iter().position(|other| *other == common).unwrap_or_else(|| {
        known.push(common);
        known.len() - 1
    });
    Ok(Timeout::number_of(place))
}

/// Cached wall time, milliseconds since 1970.
#[napi(catch_unwind)]
pub fn base_now(env: Env, handle: Handle) -> napi::Result<f64> {
    check(&env, handle.base().now().map(milliseconds))
}

/// Fresh monotonic time in milliseconds.
#[napi(catch_unwind)]
pub fn base_monotonic(env: Env, handle: Handle) -> napi::Result<f64> {
    check(&env, handle.base().monotonic().map(milliseconds))
}

/// Lets the cached time catch up.
#[napi(catch_unwind)]
pub fn base_update_cached_time(env: Env, handle: Handle) -> napi::Result<()> {
    check(&env, handle.base().update_cached_time())
}

/// The sum of the counters in `mask`.
#[napi(catch_unwind)]
pub fn base_count_events(env: Env, handle: Handle, mask: u32) -> napi::Result<u32> {
    let flags = CountFlags::from_bits_truncate(mask as u8);
    check(&env, handle.base().count_events(flags).map(|count| count as u32))
}

/// The sum of the maxima of the counters in `mask`.
#[napi(catch_unwind)]
pub fn base_max_events(env: Env, handle: Handle, mask: u32, clear: bool) -> napi::Result<u32> {
    let flags = CountFlags::from_bits_truncate(mask as u8);
    check(&env, handle.base().max_events(flags, clear).map(|count| count as u32))
}

/// Makes the events of a descriptor active.
#[napi(catch_unwind)]
pub fn base_activate_by_fd(env: Env, handle: Handle, fd: i32, what: u32) -> napi::Result<()> {
    let what = event_base::What::from_bits_truncate(what as u8);
    check(&env, handle.base().activate_by_fd(fd, what))
}

/// One event, as `events()` shows it.
#[napi(object)]
#[derive(Debug)]
pub struct BindingEventInfo {
    /// Its id.
    pub id: f64,
    /// Its descriptor, -1 for none.
    pub fd: i32,
    /// What it was made with.
    pub what: u32,
    /// What it waits for now.
    pub pending: u32,
    /// The result it is active with.
    pub result: u32,
    /// Whether it is active.
    pub active: bool,
    /// Its priority.
    pub priority: u32,
    /// Milliseconds since 1970; negative for none.
    pub expires_at: f64,
    /// Whether it belongs to a native source and not to JavaScript.
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
pub fn base_events(env: Env, handle: Handle) -> napi::Result<Vec<BindingEventInfo>> {
    let events = check(&env, handle.base().events())?;
    Ok(events.iter().map(BindingEventInfo::from).collect())
}

/// Makes a watcher that is told before the loop waits, or one that is told afterwards.
#[napi(catch_unwind)]
pub fn base_watch(env: Env, handle: Handle, before: bool) -> napi::Result<f64> {
    let base = handle.base();
    let made = if before { base.on_prepare(0) } else { base.on_check(0) };
    check(&env, made.map(|id| id.to_bits() as f64))
}

/// Removes a watcher.
#[napi(catch_unwind)]
pub fn base_unwatch(env: Env, handle: Handle, watcher: f64) -> napi::Result<()> {
    check(&env, handle.base().remove_watcher(WatcherId::from_bits(watcher as u64)))
}

/// Every event that is pending or active, as text.
#[napi(catch_unwind)]
pub fn base_dump(env: Env, handle: Handle) -> napi::Result<String> {
    check(&env, handle.base().dump())
}
