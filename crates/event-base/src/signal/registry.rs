//! The disposition that bases install for each signal, and the previous one, which they restore.
//!
//! Dispositions belong to the process, so all bases share this table. The first base that watches a signal saves the
//! disposition, and the last one restores it. A disposition that other code installs meanwhile stays in effect;
//! [`reassert_signal`] replaces it by the base's, as another base that begins to watch the signal does. If other code
//! restores the bases' handler after the last base has left, the handler restores what it had replaced: [`handler`].

use parking_lot::Mutex;

use super::handler::{self, Mode, Replaced};
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

#[derive(Clone, Copy)]
struct Slot {
    /// Bases that watch the signal through the handler.
    handled: u32,
    /// Bases whose backend reports the signal.
    reported: u32,
    /// Bases that share the signal with the previous handler.
    shared: u32,
    /// The disposition that the bases have installed.
    installed: Option<Disposition>,
    /// Whether what the handler [replaced](handler::State) is still needed: bases watch the signal, or other code may
    /// have saved the handler and may restore it.
    is_kept: bool,
    /// The entry that was the last one replaced when the bases began to watch the signal.
    floor: Option<&'static Replaced>,
}

static SLOTS: Mutex<[Slot; HIGHEST as usize + 1]> = Mutex::new(
    [Slot { handled: 0, reported: 0, shared: 0, installed: None, is_kept: false, floor: None };
        HIGHEST as usize + 1],
);

/// Installs the disposition that a base needs for `number`.
///
/// # Errors
/// [`Error::System`] with `sigaction`: `EINVAL` for a signal that cannot be caught.
pub(super) fn claim(number: i32, claim: Claim) -> Result<(), Error> {
    let slot = &mut SLOTS.lock()[number as usize];
    slot.count(claim, 1);
    slot.settle(number, true).inspect_err(|_| slot.release(number, claim))
}

/// Undoes a [`claim`].
pub(super) fn release(number: i32, claim: Claim) {
    SLOTS.lock()[number as usize].release(number, claim);
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
        Some(slot) if slot.is_used() => slot.settle(number, true),
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

    fn release(&mut self, number: i32, claim: Claim) {
        self.count(claim, -1);
        // `sigaction` accepts what it accepted before.
        _ = self.settle(number, false);
    }

    /// Makes the disposition agree with the counts. A disposition that other code has installed is replaced only if
    /// `takes_over`.
    fn settle(&mut self, number: i32, takes_over: bool) -> Result<(), Error> {
        let failed = |errno| Error::system(errno, "sigaction", None);
        let state = handler::state(number);
        // Before the disposition is read: a handler that hands over meanwhile installs itself again.
        state.set_mode(if self.handled > 0 && self.shared == 0 { Mode::Alone } else { Mode::Sharing });
        let current = Disposition::current(number).map_err(failed)?;
        // Also a handler that other code had saved and has restored.
        let is_ours =
            current.is(&handler::ours()) || self.installed.is_some_and(|installed| current.is(&installed));
        if self.is_used() && takes_over && !is_ours {
            if !self.is_kept {
                state.clear();
            }
            self.is_kept = true;
            // Before the handler is installed, so that the previous one misses no signal in between.
            if self.installed.is_none() {
                self.floor = state.push(current, None);
            } else {
                state.push(current, self.floor);
            }
        }
        let previous = state.replaced().unwrap_or_else(Disposition::default_action);
        let is_shared = self.shared > 0 && previous.function().is_some();
        let wanted = if self.handled > 0 {
            Some(handler::ours())
        } else if self.reported > 0 && !is_shared {
            Some(quiet(number))
        } else {
            None
        };
        if self.handled == 0 {
            // Before the disposition is installed, as above. The backend reports what reaches the handler now.
            state.set_mode(if wanted.is_some() { Mode::Alone } else { Mode::Dormant });
        }
        match wanted {
            Some(wanted) if !current.is(&wanted) && (is_ours || takes_over) => {
                wanted.install(number).map_err(failed)?;
            }
            None if is_ours => self.is_kept = state.restore(number).map_err(failed)?,
            _ => {}
        }
        self.installed = wanted;
        Ok(())
    }

    fn is_used(&self) -> bool {
        self.handled + self.reported > 0
    }
}

/// A disposition with which the process survives a signal and is not interrupted by it. SIGCHLD has one by default; if
/// it were ignored, the kernel would reap children (`waitpid(2)`).
fn quiet(number: i32) -> Disposition {
    if number == libc::SIGCHLD { Disposition::default_action() } else { Disposition::ignore() }
}
