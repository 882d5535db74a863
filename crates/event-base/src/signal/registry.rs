//! What the process does on each signal, and what it did before.
//!
//! Dispositions belong to the process, so all bases share this table. The first base that watches a signal saves
//! what was there, the last one that stops puts it back. Who else changes a disposition meanwhile is not undone
//! in the end, and can be joined by [`reassert`].

use parking_lot::Mutex;

use super::receiver::{on_signal, set_next_handler};
use crate::error::Error;
use crate::sys::signal::{Disposition, HIGHEST};

/// How a base watches a signal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim {
    /// By the handler; else the kernel tells the base, and the process needs only not to die of it.
    pub(super) by_handler: bool,
    /// The handler that was there is called as well, if it is one that goes on.
    pub(super) shared: bool,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    handled: u32,
    told: u32,
    shared: u32,
    /// What was there, while something of ours is installed.
    previous: Option<Disposition>,
    installed: Option<Disposition>,
}

static SLOTS: Mutex<[Slot; HIGHEST as usize + 1]> = Mutex::new(
    [Slot { handled: 0, told: 0, shared: 0, previous: None, installed: None }; HIGHEST as usize + 1],
);

/// Lets the process have `number` for a base.
///
/// # Errors
/// [`Error::System`] with `sigaction`: `EINVAL` for a signal that cannot be had.
pub(super) fn claim(number: i32, claim: Claim) -> Result<(), Error> {
    let slot = &mut SLOTS.lock()[number as usize];
    slot.count(claim, 1);
    slot.settle(number).inspect_err(|_| slot.count(claim, -1))
}

/// Takes a [`claim`] back.
pub(super) fn release(number: i32, claim: Claim) {
    let slot = &mut SLOTS.lock()[number as usize];
    slot.count(claim, -1);
    // What was installed once can be installed again.
    _ = slot.settle(number);
}

/// Looks whether somebody else has replaced what the bases need the process to do on `number`, takes that for
/// what was there before, and replaces it in turn.
///
/// For a host that installs handlers of its own without regard to others. Without effect on a signal that no base
/// watches through the process, and on a number that is no signal. Any thread.
///
/// # Errors
/// [`Error::System`] with `sigaction`.
pub fn reassert_signal(number: i32) -> Result<(), Error> {
    match SLOTS.lock().get_mut(usize::try_from(number).unwrap_or(usize::MAX)) {
        Some(slot) if slot.handled + slot.told > 0 => slot.settle(number),
        _ => Ok(()),
    }
}

impl Slot {
    fn count(&mut self, claim: Claim, by: i32) {
        let count = if claim.by_handler { &mut self.handled } else { &mut self.told };
        *count = count.wrapping_add_signed(by);
        if claim.shared {
            self.shared = self.shared.wrapping_add_signed(by);
        }
    }

    /// Makes what the process does agree with the counts.
    fn settle(&mut self, number: i32) -> Result<(), Error> {
        let failed = |errno| Error::system(errno, "sigaction", None);
        let current = Disposition::current(number).map_err(failed)?;
        let is_ours = self.installed.is_some_and(|installed| current.is(&installed));
        let found = if is_ours { self.previous.unwrap_or(current) } else { current };
        // Somebody who had saved our handler put it back after we had gone.
        let is_relic = found.is(&Disposition::handler(on_signal));
        let previous = if is_relic { Disposition::default_action() } else { found };
        let function = previous.function().filter(|_| self.shared > 0);
        let wanted = if self.handled > 0 {
            Some(Disposition::handler(on_signal))
        } else if self.told > 0 && function.is_none() {
            Some(quiet(number))
        } else {
            None
        };
        // Before the handler is there, so that nobody misses a signal in between.
        let follows = wanted.is_some() && self.handled > 0;
        if follows {
            set_next_handler(number, function);
        }
        match wanted {
            Some(wanted) if !current.is(&wanted) => wanted.install(number).map_err(failed)?,
            None if is_ours => previous.install(number).map_err(failed)?,
            _ => {}
        }
        if !follows {
            set_next_handler(number, None);
        }
        self.previous = wanted.map(|_| previous);
        self.installed = wanted;
        Ok(())
    }
}

/// What lets the process live through a signal without interrupting it. SIGCHLD does that by default, and children
/// would be reaped if it were ignored.
fn quiet(number: i32) -> Disposition {
    if number == libc::SIGCHLD { Disposition::default_action() } else { Disposition::ignore() }
}
