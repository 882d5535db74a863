//! Debug mode: checks that cost too much to be always made (`event_enable_debug_mode`).
//!
//! libevent's debug mode also finds events that were never assigned, are assigned while pending, or mix
//! edge-triggered and level-triggered. Those are errors here in any mode.

#[cfg(feature = "test-util")]
use crate::base::Base;
use crate::base::Inner;
use crate::error::Error;
use crate::sys::blocking::may_block;

/// Slots that one pass pays for; a base that has more of them is checked after as many passes as it takes.
const SLOTS_A_PASS: usize = 64;

/// Whether debug mode is on, and when the next check of all structures is due.
#[derive(Debug)]
pub(super) struct Debug {
    is_on: bool,
    /// What passes have paid towards the next check.
    paid: usize,
}

impl Debug {
    pub(super) fn new(is_on: bool) -> Self {
        Debug { is_on, paid: 0 }
    }

    #[inline]
    pub(super) fn is_on(&self) -> bool {
        self.is_on
    }

    /// Pays for one pass; returns whether a check of `slots` slots is paid for.
    fn pay(&mut self, slots: usize) -> bool {
        self.paid += SLOTS_A_PASS;
        let is_due = self.paid >= slots;
        if is_due {
            self.paid = 0;
        }
        is_due
    }
}

impl Inner {
    /// Refuses a descriptor that would block the thread that runs the loop.
    pub(in crate::base) fn check_descriptor(&self, fd: i32) -> Result<(), Error> {
        if self.kernel.has_descriptors() && may_block(fd) { Err(Error::Blocking(fd)) } else { Ok(()) }
    }

    /// In debug mode, checks that everything that is stored twice is stored alike. A large base is not checked
    /// after every pass, so that a pass costs [`SLOTS_A_PASS`] slots on average and not all.
    ///
    /// # Errors
    /// [`Error::Internal`] with what disagrees.
    #[inline]
    pub(in crate::base) fn check_consistency(&mut self) -> Result<(), Error> {
        if self.report.is_debug() && !self.closed { self.check_everything() } else { Ok(()) }
    }

    #[cold]
    fn check_everything(&mut self) -> Result<(), Error> {
        if self.report.debug.pay(self.events.slots()) {
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
