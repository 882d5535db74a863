//! The file through which the driver selects a fault: an array of 64-bit words in native byte order, mapped shared.
//!
//! | word | written by | contents |
//! |---|---|---|
//! | 0 | the library | the number of replaced entries of global offset tables |
//! | 1 | the driver | 1 while calls are counted and the fault applies, else 0 |
//! | 2 | the library | how often the fault was applied since the driver set it to 0 |
//! | 3 | the driver | the index of the call that fails |
//! | 4 | the driver | the first call that fails, counted from 1 |
//! | 5 | the driver | the number of calls in a row that fail |
//! | 6 | the driver | the kind of the fault, see [`Fault`] |
//! | 7 | the driver | the error, or the number of bytes of a short transfer |
//! | 8 | the library | the number of calls that can fail |
//!
//! From word 16 on, each call has [`ENTRY`] words: the number of times it was made, and its name.

use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use libc::c_int;

use crate::hooks::NAMES;

/// The number of words of the file.
const WORDS: usize = 1024;
/// The word of the first call.
const FIRST: usize = 16;
/// The number of words of a call.
const ENTRY: usize = 8;

const REPLACED: usize = 0;
const ARMED: usize = 1;
const APPLIED: usize = 2;
const CALL: usize = 3;
const NTH: usize = 4;
const TIMES: usize = 5;
const KIND: usize = 6;
const VALUE: usize = 7;
const CALLS: usize = 8;

/// What happens instead of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// 0: the call is not made and fails.
    Fail(c_int),
    /// 1: the call is made, its result is dropped, and it fails. What it opened is closed.
    FailAfterwards(c_int),
    /// 2: the connection is reset, and the call fails.
    Reset(c_int),
    /// 3: the call is made for at most this number of bytes or messages.
    Short(usize),
}

type Words = [AtomicU64; WORDS];

static MAPPED: OnceLock<&'static Words> = OnceLock::new();

/// Maps the file, which has to exist with its full length, and writes the names of the calls.
pub(crate) fn open(path: &std::ffi::CStr) -> bool {
    // SAFETY: the path is a C string.
    let fd = unsafe { libc::open(path.as_ptr(), libc::O_RDWR | libc::O_CLOEXEC) };
    if fd < 0 {
        return false;
    }
    let (length, protection) = (size_of::<Words>(), libc::PROT_READ | libc::PROT_WRITE);
    // SAFETY: a new mapping at an address that the kernel selects.
    let address = unsafe { libc::mmap(ptr::null_mut(), length, protection, libc::MAP_SHARED, fd, 0) };
    // SAFETY: the descriptor was opened above, and the mapping does not need it.
    unsafe { libc::close(fd) };
    if address == libc::MAP_FAILED {
        return false;
    }
    // SAFETY: the mapping has the size of the array, is aligned to a page, and is never unmapped.
    let words: &'static Words = unsafe { &*address.cast::<Words>() };
    for (index, name) in NAMES.iter().enumerate() {
        let mut bytes = [0; (ENTRY - 1) * 8];
        bytes[..name.len()].copy_from_slice(name.as_bytes());
        let (chunks, _) = bytes.as_chunks::<8>();
        for (offset, chunk) in chunks.iter().enumerate() {
            words[FIRST + index * ENTRY + 1 + offset].store(u64::from_ne_bytes(*chunk), Ordering::Relaxed);
        }
    }
    words[CALLS].store(NAMES.len() as u64, Ordering::Relaxed);
    MAPPED.set(words).is_ok()
}

/// Adds to the number of replaced entries.
pub(crate) fn count_replaced(count: u64) {
    if let Some(words) = MAPPED.get() {
        words[REPLACED].fetch_add(count, Ordering::Release);
    }
}

/// Counts a call, and returns the fault if this call is selected. Allocates nothing, and may run in a signal handler.
pub(crate) fn fault(call: usize) -> Option<Fault> {
    let words = MAPPED.get()?;
    if words[ARMED].load(Ordering::Acquire) == 0 {
        return None;
    }
    let number = words[FIRST + call * ENTRY].fetch_add(1, Ordering::Relaxed) + 1;
    let nth = words[NTH].load(Ordering::Relaxed);
    let is_selected = words[CALL].load(Ordering::Relaxed) == call as u64;
    if !is_selected || number < nth || number - nth >= words[TIMES].load(Ordering::Relaxed) {
        return None;
    }
    words[APPLIED].fetch_add(1, Ordering::Relaxed);
    let value = words[VALUE].load(Ordering::Relaxed);
    Some(match words[KIND].load(Ordering::Relaxed) {
        0 => Fault::Fail(value as c_int),
        1 => Fault::FailAfterwards(value as c_int),
        2 => Fault::Reset(value as c_int),
        _ => Fault::Short(value as usize),
    })
}
