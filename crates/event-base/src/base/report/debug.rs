//! Debug mode: checks that are too expensive to be always on (`event_enable_debug_mode`).
//!
//! libevent's debug mode also finds events that were never assigned, are assigned while pending, or mix
//! edge-triggered and level-triggered. Those are errors here in any mode.

#[cfg(feature = "test-util")]
use crate::base::Base;
use crate::base::Inner;
use crate::error::Error;
use crate::sys::blocking::may_block;

/// The number of slots checked per pass, on average. A base with more slots is checked after every few passes.
const SLOTS_A_PASS: usize = 64;

/// Whether debug mode is on, and when the next check of all structures is due.
#[derive(Debug)]
pub(super) struct Debug {
    is_on: bool,
    /// The number of slots that the passes since the last check allow to be checked.
    allowed: usize,
}

impl Debug {
    pub(super) fn new(is_on: bool) -> Self {
        Debug { is_on, allowed: 0 }
    }

    #[inline]
    pub(super) fn is_on(&self) -> bool {
        self.is_on
    }

    /// Counts one pass. Returns whether a check of `slots` slots is due.
    fn count_pass(&mut self, slots: usize) -> bool {
        self.allowed += SLOTS_A_PASS;
        let is_due = self.allowed >= slots;
        if is_due {
            self.allowed = 0;
        }
        is_due
    }
}

impl Inner {
    /// Refuses a descriptor that would block the thread that runs the loop.
    pub(in crate::base) fn check_descriptor(&self, fd: i32) -> Result<(), Error> {
        if self.kernel.has_descriptors() && may_block(fd) { Err(Error::Blocking(fd)) } else { Ok(()) }
    }

    /// In debug mode, checks that the structures of the base agree with each other. A large base is not checked after
    /// every pass, so that a pass checks [`SLOTS_A_PASS`] slots on average.
    ///
    /// # Errors
    /// [`Error::Internal`] with the first contradiction.
    #[inline]
    pub(in crate::base) fn check_consistency(&mut self) -> Result<(), Error> {
        if self.report.is_debug() && !self.closed { self.check_everything() } else { Ok(()) }
    }

    #[cold]
    fn check_everything(&mut self) -> Result<(), Error> {
        if self.report.debug.count_pass(self.events.slots()) {
            self.events.check().map_err(Error::Internal)
        } else {
            Ok(())
        }
    }
}

#[cfg(feature = "test-util")]
impl Base {
    /// Whether the base is in [debug mode](crate::Config::set_debug). For tests.
    pub fn is_debug(&self) -> Result<bool, Error> {
        self.with(|inner| inner.report.is_debug())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_is_due_once_the_passes_since_the_last_one_allow_as_many_slots() {
        let mut debug = Debug::new(true);
        assert!([0, 1, SLOTS_A_PASS].into_iter().all(|slots| debug.count_pass(slots)));
        let due: Vec<_> = (0..6).map(|_| debug.count_pass(2 * SLOTS_A_PASS + 1)).collect();
        assert_eq!(due, [false, false, true, false, false, true]);
    }
}
