//! The stopwatch, which counts the engine's allocations as well.
#![expect(unsafe_code, reason = "a global allocator is an unsafe trait")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Instant;

thread_local! {
    /// Allocations and reallocations of this thread since it started.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, with a count. libevent calls `malloc` itself, so
/// that the count is of Rust code alone.
struct Counting;

fn count() {
    // A thread that is ending has no counter any more; nothing is timed there.
    let _ = ALLOCATIONS.try_with(|allocations| allocations.set(allocations.get() + 1));
}

// SAFETY: every call is passed on as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is the same.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is the same.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is the same.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What a timed part took in all.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Timed {
    /// Wall time, nanoseconds.
    pub(crate) nanoseconds: f64,
    /// Allocations by Rust code on this thread.
    pub(crate) allocations: u64,
}

impl Timed {
    /// The figure for one of `operations`. Allocations stay a total.
    pub(crate) fn per(self, operations: usize) -> Self {
        Self { nanoseconds: self.nanoseconds / operations as f64, ..self }
    }
}

impl std::ops::AddAssign for Timed {
    fn add_assign(&mut self, other: Self) {
        self.nanoseconds += other.nanoseconds;
        self.allocations += other.allocations;
    }
}

/// Times `part`.
///
/// # Errors
/// Those of `part`.
pub(crate) fn timed<E>(part: impl FnOnce() -> Result<(), E>) -> Result<Timed, E> {
    let before = ALLOCATIONS.get();
    let start = Instant::now();
    part()?;
    let nanoseconds = start.elapsed().as_nanos() as f64;
    Ok(Timed { nanoseconds, allocations: ALLOCATIONS.get() - before })
}
