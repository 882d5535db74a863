//! The start of the library in a process, and the loading of addons.

use std::env;
use std::ffi::{CStr, CString};
use std::sync::OnceLock;

use libc::{c_char, c_int, c_void};

use crate::{control, table};

/// Names the file of [`control`].
const VARIABLE: &str = "EVENT_BASE_FAULTS";

#[used]
#[unsafe(link_section = ".init_array")]
static START: extern "C" fn() = start;

extern "C" fn start() {
    let path = env::var(VARIABLE).ok().and_then(|path| CString::new(path).ok());
    if let Some(path) = path
        && !control::open(&path)
    {
        eprintln!("{VARIABLE} names a file that cannot be mapped");
    }
}

type Open = unsafe extern "C" fn(*const c_char, c_int) -> *mut c_void;

fn system() -> Option<Open> {
    static SYSTEM: OnceLock<Option<Open>> = OnceLock::new();
    *SYSTEM.get_or_init(|| {
        // SAFETY: the name is a C string.
        let found = unsafe { libc::dlsym(libc::RTLD_NEXT, c"dlopen".as_ptr()) };
        // SAFETY: the symbol of this name in the C library has this type; null becomes `None`.
        unsafe { std::mem::transmute::<*mut c_void, Option<Open>>(found) }
    })
}

/// Replaces the function of the C library: loads an object, and replaces the calls of addons.
///
/// # Safety
/// The same as for dlopen(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn dlopen(path: *const c_char, flags: c_int) -> *mut c_void {
    let Some(open) = system() else { return std::ptr::null_mut() };
    // SAFETY: the caller's arguments.
    let handle = unsafe { open(path, flags) };
    if !handle.is_null() && !path.is_null() {
        // SAFETY: the path was valid for the call above.
        let path = unsafe { CStr::from_ptr(path) };
        if path.to_bytes().ends_with(b".node") {
            control::count_replaced(table::replace_calls());
        }
    }
    handle
}
