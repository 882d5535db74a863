//! Measures the time and the engine's allocations. libevent calls `malloc` itself, so only Rust code is counted.

#[path = "../../../../event-base/tests/support/allocations.rs"]
mod allocations;

use std::time::Instant;

use allocations::allocations;

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
    let before = allocations();
    let start = Instant::now();
    part()?;
    let nanoseconds = start.elapsed().as_nanos() as f64;
    Ok(Timed { nanoseconds, allocations: allocations() - before })
}
