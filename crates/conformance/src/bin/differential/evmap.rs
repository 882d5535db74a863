//! Replacements of libevent's functions with which a backend reports readiness. libevent's library calls them through its
//! table of symbols, and so finds these, like those of `interpose`.
#![expect(unsafe_code, reason = "C functions are replaced and called")]

use std::ffi::{CStr, c_int, c_short, c_void};
use std::mem;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use event_base_conformance::libevent::raw::{Event, EventBase};

use crate::interpose::in_charge;

type Active = unsafe extern "C" fn(*mut EventBase, c_int, c_short);

/// libevent's function of this name.
fn find(name: &CStr, found: &AtomicPtr<c_void>) -> *mut c_void {
    let mut function = found.load(Ordering::Relaxed);
    if function.is_null() {
        // SAFETY: the name is terminated.
        function = unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) };
        assert!(!function.is_null(), "libevent has no function {name:?}");
        found.store(function, Ordering::Relaxed);
    }
    function
}

/// libevent's `evmap_io_active_`: makes the events of a descriptor active.
pub(crate) fn io_active(base: *mut EventBase, fd: c_int, what: c_short) {
    static FOUND: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());
    // SAFETY: it is that function.
    let active = unsafe { mem::transmute::<*mut c_void, Active>(find(c"evmap_io_active_", &FOUND)) };
    // SAFETY: the base is alive.
    unsafe { active(base, fd, what) };
}

/// libevent's `evmap_signal_active_`: makes the events of a signal active.
pub(crate) fn signal_active(base: *mut EventBase, number: c_int, times: c_int) {
    type Active = unsafe extern "C" fn(*mut EventBase, c_int, c_int);
    static FOUND: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());
    // SAFETY: it is that function.
    let active = unsafe { mem::transmute::<*mut c_void, Active>(find(c"evmap_signal_active_", &FOUND)) };
    // SAFETY: the base is alive.
    unsafe { active(base, number, times) };
}

#[unsafe(no_mangle)]
unsafe extern "C" fn evmap_signal_active_(base: *mut EventBase, number: c_int, times: c_int) {
    match in_charge() {
        Some(machine) => machine.signal_active(number, times),
        None => signal_active(base, number, times),
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn evmap_signal_del_(base: *mut EventBase, number: c_int, event: *mut Event) -> c_int {
    type Delete = unsafe extern "C" fn(*mut EventBase, c_int, *mut Event) -> c_int;
    static FOUND: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());
    // SAFETY: it is that function.
    let delete = unsafe { mem::transmute::<*mut c_void, Delete>(find(c"evmap_signal_del_", &FOUND)) };
    // SAFETY: the caller's arguments, unchanged.
    let result = unsafe { delete(base, number, event) };
    if let Some(machine) = in_charge() {
        machine.signal_left(number);
    }
    result
}

#[unsafe(no_mangle)]
unsafe extern "C" fn evmap_io_active_(base: *mut EventBase, fd: c_int, what: c_short) {
    match in_charge() {
        Some(machine) if machine.is_reported(fd, what) => {}
        _ => io_active(base, fd, what),
    }
}
