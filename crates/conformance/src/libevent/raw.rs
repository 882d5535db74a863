//! The part of libevent's C interface that the measures use, declared by hand.
//!
//! Checked against the headers of 2.1.12; the signatures are the same in 2.2.
#![allow(missing_docs, reason = "the names are libevent's own; its headers document them")]

use std::ffi::{c_char, c_int, c_short, c_uint, c_void};

/// `struct event_base`, only used through a pointer.
#[repr(C)]
#[derive(Debug)]
pub struct EventBase {
    opaque: [u8; 0],
}

/// `struct event`, of the size that `event_get_struct_event_size` returns.
#[repr(C)]
#[derive(Debug)]
pub struct Event {
    opaque: [u8; 0],
}

/// `struct event_config`, only used through a pointer.
#[repr(C)]
#[derive(Debug)]
pub struct EventConfig {
    opaque: [u8; 0],
}

/// `event_callback_fn`; `evutil_socket_t` is `int` everywhere but on Windows.
pub type Callback = unsafe extern "C" fn(fd: c_int, what: c_short, argument: *mut c_void);

pub const EV_SIGNAL: c_short = 0x08;
pub const EV_PERSIST: c_short = 0x10;
pub const EVLOOP_ONCE: c_int = 0x01;
pub const EVLOOP_NONBLOCK: c_int = 0x02;
pub const EVENT_BASE_FLAG_NOLOCK: c_int = 0x01;
pub const EVENT_BASE_FLAG_IGNORE_ENV: c_int = 0x02;
pub const EVENT_BASE_FLAG_NO_CACHE_TIME: c_int = 0x08;
pub const EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST: c_int = 0x10;
pub const EVENT_BASE_FLAG_PRECISE_TIMER: c_int = 0x20;

/// `event_finalize_callback_fn`.
pub type Finalizer = unsafe extern "C" fn(event: *mut Event, argument: *mut c_void);

/// `event_log_cb`.
pub type Logger = unsafe extern "C" fn(severity: c_int, message: *const c_char);

/// `event_fatal_cb`.
pub type Fatal = unsafe extern "C" fn(code: c_int);

/// `event_base_foreach_event_cb`.
pub type Each =
    unsafe extern "C" fn(base: *const EventBase, event: *const Event, argument: *mut c_void) -> c_int;

unsafe extern "C" {
    pub safe fn event_get_version() -> *const c_char;
    pub safe fn event_get_struct_event_size() -> usize;
    pub safe fn event_config_new() -> *mut EventConfig;
    pub fn event_config_set_flag(config: *mut EventConfig, flag: c_int) -> c_int;
    pub fn event_config_avoid_method(config: *mut EventConfig, name: *const c_char) -> c_int;
    pub fn event_config_free(config: *mut EventConfig);
    pub fn event_base_new_with_config(config: *const EventConfig) -> *mut EventBase;
    pub fn event_base_free(base: *mut EventBase);
    pub fn event_base_get_method(base: *const EventBase) -> *const c_char;
    pub fn event_base_loop(base: *mut EventBase, flags: c_int) -> c_int;
    pub fn event_assign(
        event: *mut Event,
        base: *mut EventBase,
        fd: c_int,
        what: c_short,
        callback: Option<Callback>,
        argument: *mut c_void,
    ) -> c_int;
    pub fn event_base_init_common_timeout(
        base: *mut EventBase,
        duration: *const libc::timeval,
    ) -> *const libc::timeval;
    pub fn event_add(event: *mut Event, timeout: *const libc::timeval) -> c_int;
    pub fn event_del(event: *mut Event) -> c_int;
    pub fn event_active(event: *mut Event, what: c_int, calls: c_short);
    pub safe fn evthread_use_pthreads() -> c_int;
    pub safe fn event_set_log_callback(logger: Option<Logger>);
    pub safe fn event_set_fatal_callback(fatal: Option<Fatal>);
    pub fn event_config_set_max_dispatch_interval(
        config: *mut EventConfig,
        interval: *const libc::timeval,
        callbacks: c_int,
        from_priority: c_int,
    ) -> c_int;
    pub fn event_base_priority_init(base: *mut EventBase, count: c_int) -> c_int;
    pub fn event_base_loopexit(base: *mut EventBase, after: *const libc::timeval) -> c_int;
    pub fn event_base_loopbreak(base: *mut EventBase) -> c_int;
    pub fn event_base_loopcontinue(base: *mut EventBase) -> c_int;
    pub fn event_base_got_exit(base: *mut EventBase) -> c_int;
    pub fn event_base_got_break(base: *mut EventBase) -> c_int;
    pub fn event_base_get_num_events(base: *mut EventBase, flags: c_uint) -> c_int;
    pub fn event_base_gettimeofday_cached(base: *mut EventBase, time: *mut libc::timeval) -> c_int;
    pub fn event_base_update_cache_time(base: *mut EventBase) -> c_int;
    pub fn event_base_active_by_fd(base: *mut EventBase, fd: c_int, what: c_short);
    pub fn event_base_active_by_signal(base: *mut EventBase, signal: c_int);
    pub fn event_base_foreach_event(base: *mut EventBase, each: Each, argument: *mut c_void) -> c_int;
    pub fn event_add_nolock_(event: *mut Event, time: *const libc::timeval, is_absolute: c_int) -> c_int;
    pub fn event_base_once(
        base: *mut EventBase,
        fd: c_int,
        what: c_short,
        callback: Callback,
        argument: *mut c_void,
        timeout: *const libc::timeval,
    ) -> c_int;
    pub fn event_remove_timer(event: *mut Event) -> c_int;
    pub fn event_active_later_(event: *mut Event, what: c_int);
    pub fn event_priority_set(event: *mut Event, priority: c_int) -> c_int;
    pub fn event_finalize(flags: c_uint, event: *mut Event, finalizer: Finalizer) -> c_int;
}
