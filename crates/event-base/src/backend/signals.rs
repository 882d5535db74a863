//! What backends and configurations have to say about signals.

use super::{Backend, Internal};
use crate::config::Config;
use crate::error::Error;
use crate::flags::BaseFlags;

const TIMES_SHIFT: u32 = 16;

/// The token with which a backend tells that a signal arrived some times.
#[cfg(has_kqueue)]
pub(super) fn signal_token(number: i32, times: u64) -> u64 {
    let times = times.min((Internal::FLAG >> TIMES_SHIFT) - 1);
    Internal::Signal.token() | u64::from(number as u8) << 8 | times << TIMES_SHIFT
}

/// The signal and how often it arrived, of a token for [`Internal::Signal`].
pub(crate) fn signal_of(token: u64) -> (i32, u64) {
    (i32::from((token >> 8) as u8), (token & !Internal::FLAG) >> TIMES_SHIFT)
}

impl Backend {
    /// Whether the kernel's object tells signals by itself, by [`watch_signal`](Self::watch_signal).
    pub(crate) fn tells_signals(&self) -> bool {
        match self {
            #[cfg(has_kqueue)]
            Backend::Kqueue(_) => true,
            #[allow(unreachable_patterns, reason = "some builds have that one backend")]
            _ => false,
        }
    }

    /// Tells of a signal from now on, as [`Internal::Signal`].
    #[cfg_attr(
        not(has_kqueue),
        expect(unused_variables, clippy::unnecessary_wraps, reason = "no backend of this build does")
    )]
    pub(crate) fn watch_signal(&mut self, number: i32) -> Result<(), Error> {
        match self {
            #[cfg(has_kqueue)]
            Backend::Kqueue(inner) => inner.watch_signal(number),
            #[allow(unreachable_patterns, reason = "some builds have that one backend")]
            _ => Ok(()),
        }
    }

    /// Tells of it no more.
    #[cfg_attr(not(has_kqueue), expect(unused_variables, reason = "no backend of this build does"))]
    pub(crate) fn unwatch_signal(&mut self, number: i32) {
        match self {
            #[cfg(has_kqueue)]
            Backend::Kqueue(inner) => inner.unwatch_signal(number),
            #[allow(unreachable_patterns, reason = "some builds have that one backend")]
            _ => {}
        }
    }
}

/// Whether signals are to come through a descriptor (`EVENT_BASE_FLAG_USE_SIGNALFD`, `EVENT_USE_SIGNALFD`).
pub(crate) fn wants_signalfd(config: &Config) -> bool {
    config.flags.contains(BaseFlags::USE_SIGNALFD) || config.is_set("EVENT_USE_SIGNALFD")
}
