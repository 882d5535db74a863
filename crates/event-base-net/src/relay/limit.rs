//! A token bucket: it limits the bytes per second, and the bytes that may move at one time after a rest.

use std::time::Duration;

use event_base::Error;

use crate::failure::Result;

/// How fast a relay may move bytes. Each direction has the limit for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Bytes per second in the long run; at least 1.
    pub rate: u64,
    /// Bytes that may move at one time after a rest; at least 1.
    pub burst: u64,
}

impl RateLimit {
    pub(crate) fn check(&self) -> Result<()> {
        match (self.rate, self.burst) {
            (0, _) => Err(Error::OutOfRange("rate")),
            (_, 0) => Err(Error::OutOfRange("burst")),
            _ => Ok(()),
        }
    }
}

/// The tokens of one direction.
#[derive(Debug)]
pub(super) struct Bucket {
    /// Tokens per second.
    rate: f64,
    burst: f64,
    level: f64,
    filled: Duration,
}

impl Bucket {
    /// A full bucket.
    pub(super) fn new(limit: RateLimit, now: Duration) -> Self {
        // Above 2^53 a float does not count single bytes any more. No such rate exists.
        let (rate, burst) = (limit.rate as f64, limit.burst as f64);
        Bucket { rate, burst, level: burst, filled: now }
    }

    /// The number of bytes that may move at `now`.
    pub(super) fn available(&mut self, now: Duration) -> usize {
        let passed = now.saturating_sub(self.filled).as_secs_f64();
        self.level = (self.level + passed * self.rate).min(self.burst);
        self.filled = now;
        self.level as usize
    }

    pub(super) fn take(&mut self, bytes: usize) {
        self.level -= bytes as f64;
    }

    /// The time from the last [`available`](Self::available) until the direction should continue: when there are tokens
    /// for a hundredth of a second, or half the burst if that is less. The other half is room for the tokens that are
    /// added while the timer is late.
    pub(super) fn wait(&self) -> Duration {
        let enough = (self.rate / 100.0).min(self.burst / 2.0).max(1.0);
        let missing = (enough - self.level).max(0.0);
        // Rounded up, and one more for the float's own rounding: a wait that ends a nanosecond early would find no
        // token.
        Duration::from_nanos((missing / self.rate * 1e9).ceil() as u64 + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_secs(100);

    fn after(millis: u64) -> Duration {
        START + Duration::from_millis(millis)
    }

    #[test]
    fn a_bucket_starts_full_and_fills_at_the_rate_up_to_the_burst() {
        let mut bucket = Bucket::new(RateLimit { rate: 1000, burst: 300 }, START);
        assert_eq!(bucket.available(START), 300);
        bucket.take(300);
        assert_eq!(bucket.available(after(100)), 100);
        bucket.take(100);
        assert_eq!(bucket.available(after(10_000)), 300);
    }

    #[test]
    fn a_wait_ends_with_at_least_one_token() {
        for (rate, burst) in [(1, 1), (1, 1_000_000), (3, 2), (1_000_000_000, 1), (1 << 40, 1 << 40)] {
            let mut bucket = Bucket::new(RateLimit { rate, burst }, START);
            bucket.take(burst as usize);
            assert_eq!(bucket.available(START), 0);
            let later = START + bucket.wait();
            assert!(bucket.available(later) >= 1, "rate {rate}, burst {burst}");
        }
    }

    #[test]
    fn a_rate_or_burst_of_zero_is_refused() {
        assert_eq!(RateLimit { rate: 0, burst: 1 }.check(), Err(Error::OutOfRange("rate")));
        assert_eq!(RateLimit { rate: 1, burst: 0 }.check(), Err(Error::OutOfRange("burst")));
        assert_eq!(RateLimit { rate: 1, burst: 1 }.check(), Ok(()));
    }
}
