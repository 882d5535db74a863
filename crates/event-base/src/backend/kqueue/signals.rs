//! Signals as the kernel's own filter tells them, with how often each arrived.
//!
//! The filter sees a signal before what the process does on it, so the process may ignore it; and every kqueue that
//! asks is told.

use std::os::fd::RawFd;

use super::Kqueue;
use crate::backend::signals::signal_token;
use crate::backend::{Internal, Readiness};
use crate::error::Error;
use crate::flags::What;
use crate::sys::kqueue::{Kevent, abi};

impl Kqueue {
    pub(in crate::backend) fn watch_signal(&mut self, number: i32) -> Result<(), Error> {
        self.one(filter(number).with_flags(abi::EV_ADD | abi::EV_CLEAR))
            .map_err(|errno| Error::system(errno, "kevent", None))
    }

    /// Without effect on a signal that is not watched.
    pub(in crate::backend) fn unwatch_signal(&mut self, number: i32) {
        _ = self.one(filter(number).with_flags(abi::EV_DELETE));
    }
}

fn filter(number: RawFd) -> Kevent {
    Kevent::new(number as usize, abi::EVFILT_SIGNAL, Internal::Signal.token())
}

/// What a record of this filter says.
pub(super) fn to_readiness(event: &Kevent) -> Readiness {
    let times = u64::try_from(event.data()).unwrap_or(0).max(1);
    Readiness { token: signal_token(event.ident() as i32, times), what: What::SIGNAL }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::signal_of;

    #[test]
    fn a_record_says_which_signal_and_how_often() {
        for (data, times) in [(0, 1), (1, 1), (70_000, 70_000)] {
            let record = Kevent::new(30, abi::EVFILT_SIGNAL, 0).with_note(0, data);
            let readiness = to_readiness(&record);
            assert_eq!(Internal::of(readiness.token), Some(Internal::Signal));
            assert_eq!(signal_of(readiness.token), (30, times));
        }
    }
}
