//! Pauses between attempts while the system lacks descriptors or memory.

use std::time::Duration;

/// The pause after the first failure.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A pause that doubles with each failure, from 10 ms to 1 s, until an attempt succeeds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    pub(crate) const fn new() -> Self {
        Backoff { failures: 0 }
    }

    /// Failures since the last success.
    pub(crate) const fn failures(self) -> u32 {
        self.failures
    }

    /// Counts a failure and returns the pause before the next attempt.
    pub(crate) fn next_pause(&mut self) -> Duration {
        let pause = FIRST_PAUSE * 2_u32.pow(self.failures.min(7));
        self.failures = self.failures.saturating_add(1);
        pause.min(LONGEST_PAUSE)
    }

    /// An attempt succeeded.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_up_to_a_second_and_starts_again_after_a_success() {
        let mut backoff = Backoff::new();
        let pauses: Vec<u128> = (0..9).map(|_| backoff.next_pause().as_millis()).collect();
        assert_eq!(pauses, [10, 20, 40, 80, 160, 320, 640, 1000, 1000]);
        backoff.reset();
        assert_eq!((backoff.failures(), backoff.next_pause()), (0, FIRST_PAUSE));
    }
}
