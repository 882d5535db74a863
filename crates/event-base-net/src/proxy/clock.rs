//! A clock that all threads of a proxy share.

use std::time::{Duration, Instant};

#[derive(Clone, Copy, Debug)]
pub(super) struct Clock(Instant);

impl Clock {
    pub(super) fn start() -> Self {
        Clock(Instant::now())
    }

    /// The time since the start.
    pub(super) fn now(self) -> Duration {
        self.0.elapsed()
    }
}
