//! The part of libevent's C interface that the measures use, declared by hand.
//!
//! Checked against the headers of 2.1.12; the signatures are the same in 2.2.
#![allow(missing_docs, reason = "the names are libevent's own; its headers document them")]

use std::ffi::{c_char, c_int, c_short, c_void};

/// `struct event_base`, only ever behind a pointer.
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

/// `struct event_config`, only ever behind a pointer.
#[repr(C)]
#[derive(Debug)]
pub struct EventConfig {
    opaque: [u8; 0],
}

/// `event_callback_fn`; `evutil_socket_t` is `int` everywhere but on Windows.
pub type Callback = unsafe extern "C" fn(fd: c_int, what: c_short, argument: *mut c_void);

pub const EV_PERSIST: c_short = 0x10;
pub const EVLOOP_ONCE: c_int = 0x01;
pub const EVLOOP_NONBLOCK: c_int = 0x02;
pub const EVENT_BASE_FLAG_NOLOCK: c_int = 0x01;
pub const EVENT_BASE_FLAG_IGNORE_ENV: c_int = 0x02;

unsafe extern "C" {
    pub safe fn event_get_version() -> *const c_char;
    pub safe fn event_get_struct_event_size() -> usize;
    pub safe fn event_config_new() -> *mut EventConfig;
    pub fn event_config_set_flag(config: *mut EventConfig, flag: c_int) -> c_int;
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
}
