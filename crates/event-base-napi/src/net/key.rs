//! The keys of sources, which JavaScript has as numbers.

use event_base::Error;
use event_base_net::SourceKey;

/// The key that a number from JavaScript names.
pub(super) fn key(bits: f64) -> Result<SourceKey, Error> {
    SourceKey::from_bits(bits as u64).ok_or(Error::Closed)
}

/// The number of a key.
pub(super) fn bits(key: SourceKey) -> f64 {
    key.to_bits() as f64
}
