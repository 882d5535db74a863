//! Signals, which the filter `EVFILT_SIGNAL` reports with the number of times each arrived.
//!
//! The filter reports a signal even if the process ignores it, and each kqueue with such a filter reports it
//! (kqueue(2)).

use crate::backend::signals::signal_token;
use crate::backend::{Internal, Readiness};
use crate::error::Error;
use crate::flags::What;
use crate::sys::kqueue::{Kevent, Kqueue as Kernel, abi};

pub(super) fn watch(kernel: &Kernel, number: i32) -> Result<(), Error> {
    kernel
        .one(filter(number).with_flags(abi::EV_ADD | abi::EV_CLEAR))
        .map_err(|errno| Error::system(errno, "kevent", None))
}

pub(super) fn unwatch(kernel: &Kernel, number: i32) {
    _ = kernel.one(filter(number).with_flags(abi::EV_DELETE));
}

fn filter(number: i32) -> Kevent {
    Kevent::new(number as usize, abi::EVFILT_SIGNAL, Internal::Signal.token())
}

/// The readiness that a record of this filter means.
pub(super) fn to_readiness(event: &Kevent) -> Readiness {
    let times = u64::try_from(event.data()).unwrap_or(0).max(1);
    Readiness { token: signal_token(event.ident() as i32, times), what: What::SIGNAL }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::signal_of;

    #[test]
    fn a_record_contains_the_signal_and_how_often_it_arrived() {
        for (data, times) in [(0, 1), (1, 1), (70_000, 70_000)] {
            let record = Kevent::new(30, abi::EVFILT_SIGNAL, 0).with_note(0, data);
            let readiness = to_readiness(&record);
            assert_eq!(Internal::of(readiness.token), Some(Internal::Signal));
            assert_eq!(signal_of(readiness.token), (30, times));
        }
    }
}
