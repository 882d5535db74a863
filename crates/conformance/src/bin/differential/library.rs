//! libevent's library as a whole: whether it is the one that the rules are for, and its messages.

use std::ffi::{c_char, c_int};
use std::sync::atomic::{AtomicU64, Ordering};

use event_base_conformance::libevent::{raw, version};

use crate::event_struct;

/// The seed under way, for libevent's last words.
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
