//! The disposition that bases install for each signal, and the previous one, which they restore.
//!
//! Dispositions belong to the process, so all bases share this table. The first base that watches a signal saves the
//! disposition, and the last one restores it. A disposition that other code installs meanwhile stays in effect;
//! [`reassert_signal`] replaces it by the base's.

use parking_lot::Mutex;

use super::receiver::{on_signal, set_next_handler};
use crate::error::Error;
use crate::sys::signal::{Disposition, HIGHEST};

/// How a base watches a signal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim {
    /// Through the handler. Otherwise the backend reports the signal, and the disposition only keeps it from ending the
    /// process.
    pub(super) by_handler: bool,
    /// Whether the previous handler is called as well, if the program continues after it: see
    /// [`Disposition::function`].
    pub(super) shared: bool,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    /// Bases that watch the signal through the handler.
    handled: u32,
    /// Bases whose backend reports the signal.
    reported: u32,
    /// Bases that share the signal with the previous handler.
    shared: u32,
    /// The disposition that `installed` replaced.
    previous: Option<Disposition>,
    installed: Option<Disposition>,
}

static SLOTS: Mutex<[Slot; HIGHEST as usize + 1]> = Mutex::new(
    [Slot { handled: 0, reported: 0, shared: 0, previous: None, installed: None }; HIGHEST as usize + 1],
);

/// Installs the disposition that a base needs for `number`.
///
/// # Errors
/// [`Error::System`] with `sigaction`: `EINVAL` for a signal that cannot be caught.
pub(super) fn claim(number: i32, claim: Claim) -> Result<(), Error> {
    let slot = &mut SLOTS.lock()[number as usize];
    slot.count(claim, 1);
    slot.settle(number).inspect_err(|_| slot.count(claim, -1))
}

/// Undoes a [`claim`].
pub(super) fn release(number: i32, claim: Claim) {
    let slot = &mut SLOTS.lock()[number as usize];
    slot.count(claim, -1);
    // `sigaction` accepts what it accepted before.
    _ = slot.settle(number);
}

/// Installs the disposition that the bases need for `number` again if other code has replaced it. The replacement
/// counts as the previous disposition from then on.
///
/// For a host whose handlers replace those of other code. Has no effect on a signal that no base watches through a
/// disposition, or on a number that is not a signal's. Any thread.
///
/// # Errors
/// [`Error::System`] with `sigaction`.
pub fn reassert_signal(number: i32) -> Result<(), Error> {
    match SLOTS.lock().get_mut(usize::try_from(number).unwrap_or(usize::MAX)) {
        Some(slot) if slot.handled + slot.reported > 0 => slot.settle(number),
        _ => Ok(()),
    }
}

impl Slot {
    fn count(&mut self, claim: Claim, by: i32) {
        let count = if claim.by_handler { &mut self.handled } else { &mut self.reported };
        *count = count.wrapping_add_signed(by);
        if claim.shared {
            self.shared = self.shared.wrapping_add_signed(by);
        }
    }

    /// Makes the disposition agree with the counts.
    fn settle(&mut self, number: i32) -> Result<(), Error> {
        let failed = |errno| Error::system(errno, "sigaction", None);
        let current = Disposition::current(number).map_err(failed)?;
        let is_ours = self.installed.is_some_and(|installed| current.is(&installed));
        let found = if is_ours { self.previous.unwrap_or(current) } else { current };
        // Other code had saved our handler, and restored it after we had removed it.
        let is_relic = found.is(&Disposition::handler(on_signal));
        let previous = if is_relic { Disposition::default_action() } else { found };
        let function = previous.function().filter(|_| self.shared > 0);
        let wanted = if self.handled > 0 {
            Some(Disposition::handler(on_signal))
        } else if self.reported > 0 && function.is_none() {
            Some(quiet(number))
        } else {
            None
        };
        // Before our handler is installed, so that the previous one misses no signal in between.
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

/// A disposition with which the process survives a signal and is not interrupted by it. SIGCHLD has one by default; if
/// it were ignored, the kernel would reap children (`waitpid(2)`).
fn quiet(number: i32) -> Disposition {
    if number == libc::SIGCHLD { Disposition::default_action() } else { Disposition::ignore() }
}
