//! libevent's library as a whole: whether it is the one that the rules are for, its messages, and new bases.
#![expect(unsafe_code, reason = "libevent is a C library")]

use std::ffi::{CStr, c_char, c_int};
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

use event_base_conformance::libevent::{raw, version};

use crate::event_struct;
use crate::interpose::Micros;
use crate::program::Settings;

/// The seed of the program that is running, for the message of a libevent that aborts.
static SEED: AtomicU64 = AtomicU64::new(0);

pub(crate) fn note_seed(seed: u64) {
    SEED.store(seed, Ordering::Relaxed);
}

extern "C" fn ignore(_severity: c_int, _message: *const c_char) {}

extern "C" fn fatal(_code: c_int) {
    eprintln!("libevent gave up in the program of seed {}", SEED.load(Ordering::Relaxed));
    std::process::abort();
}

/// Checks the version and silences warnings about what is done on purpose.
///
/// # Errors
/// A message, if this is another libevent than the rules are written for.
pub(crate) fn prepare() -> Result<(), String> {
    let version = version();
    let size = raw::event_get_struct_event_size();
    if !version.starts_with("2.1.") || size != event_struct::SIZE {
        return Err(format!("this is libevent {version}; the rules are those of 2.1.12"));
    }
    raw::event_set_log_callback(Some(ignore));
    raw::event_set_fatal_callback(Some(fatal));
    Ok(())
}

pub(crate) fn timeval(time: Micros) -> libc::timeval {
    libc::timeval {
        tv_sec: (time / 1_000_000) as libc::time_t,
        tv_usec: (time % 1_000_000) as libc::suseconds_t,
    }
}

/// Calls with the address of the time, or null.
pub(crate) fn with_time<T>(time: Option<Micros>, call: impl FnOnce(*const libc::timeval) -> T) -> T {
    let time = time.map(timeval);
    call(time.as_ref().map_or(ptr::null(), ptr::from_ref))
}

/// A base of libevent's, as these settings want it.
pub(crate) fn new_base(settings: &Settings) -> *mut raw::EventBase {
    let config = raw::event_config_new();
    assert!(!config.is_null(), "event_config_new");
    let mut flags =
        raw::EVENT_BASE_FLAG_IGNORE_ENV | raw::EVENT_BASE_FLAG_NOLOCK | raw::EVENT_BASE_FLAG_PRECISE_TIMER;
    if !settings.cached_time {
        flags |= raw::EVENT_BASE_FLAG_NO_CACHE_TIME;
    }
    if settings.both_changelists {
        flags |= raw::EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST;
    }
    let callbacks = settings.most_callbacks.map_or(-1, |most| most as c_int);
    let from = c_int::from(settings.limited_from);
    // SAFETY: the configuration was just made.
    unsafe { raw::event_config_set_flag(config, flags) };
    for name in settings.method.others() {
        // SAFETY: as above; the name is terminated.
        unsafe { raw::event_config_avoid_method(config, name.as_ptr()) };
    }
    with_time(settings.longest_pass, |time| {
        // SAFETY: as above.
        unsafe { raw::event_config_set_max_dispatch_interval(config, time, callbacks, from) }
    });
    // SAFETY: as above.
    let base = unsafe { raw::event_base_new_with_config(config) };
    // SAFETY: nothing refers to it any more.
    unsafe { raw::event_config_free(config) };
    assert!(!base.is_null(), "event_base_new_with_config");
    // SAFETY: the base is alive.
    let name = unsafe { raw::event_base_get_method(base) };
    // SAFETY: a name that lives as long as the base.
    let name = unsafe { CStr::from_ptr(name) };
    assert!(name.to_bytes().starts_with(settings.method.name().to_bytes()), "{name:?}");
    let has_list = name.to_bytes().ends_with(b"changelist)");
    assert_eq!(has_list, settings.both_changelists, "{name:?}");
    // SAFETY: the base was just made.
    unsafe { raw::event_base_priority_init(base, settings.priorities.into()) };
    base
}
