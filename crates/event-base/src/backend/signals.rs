//! The tokens with which a backend reports signals.

use super::Internal;
use crate::config::Config;
use crate::flags::BaseFlags;

const TIMES_SHIFT: u32 = 16;

/// The token for a signal that arrived `times` times.
#[cfg(has_kqueue)]
pub(super) fn signal_token(number: i32, times: u64) -> u64 {
    let times = times.min((Internal::FLAG >> TIMES_SHIFT) - 1);
    Internal::Signal.token() | u64::from(number as u8) << 8 | times << TIMES_SHIFT
}

/// The number of the signal, and how often it arrived, from a token for [`Internal::Signal`].
pub(crate) fn signal_of(token: u64) -> (i32, u64) {
    (i32::from((token >> 8) as u8), (token & !Internal::FLAG) >> TIMES_SHIFT)
}

/// Whether signals are read from a descriptor (`EVENT_BASE_FLAG_USE_SIGNALFD`, `EVENT_USE_SIGNALFD`).
pub(crate) fn wants_signalfd(config: &Config) -> bool {
    config.flags.contains(BaseFlags::USE_SIGNALFD) || config.is_set("EVENT_USE_SIGNALFD")
}
