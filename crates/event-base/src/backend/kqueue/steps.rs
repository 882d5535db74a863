//! The filters that a change adds, confirms or deletes.

use std::os::fd::RawFd;

use crate::backend::Change;
use crate::flags::What;
use crate::sys::kqueue::{Kevent, abi};

/// More bytes than a descriptor can hold.
const MORE_THAN_ANY: isize = i32::MAX as isize;

/// The maximum number of steps of a change: both filters are deleted and added again.
pub(super) const MOST_STEPS: usize = 4;

/// How one of the two filters of a descriptor is registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Level,
    Edge,
    /// For CLOSED without READ: bytes are not reported, where the kind of file supports that.
    Quiet,
}

/// An operation on a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Add(Mode),
    Confirm(Mode),
    Delete(Mode),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) filter: i16,
    pub(super) act: Act,
}

impl Step {
    pub(super) fn record(self, fd: RawFd, token: u64) -> Kevent {
        let record = Kevent::new(fd as usize, self.filter, token).with_flags(abi::EV_RECEIPT);
        let (flags, mode) = match self.act {
            Act::Add(mode) => (abi::EV_ADD, mode),
            Act::Confirm(mode) => (abi::EV_ENABLE, mode),
            Act::Delete(_) => return record.with_flags(abi::EV_DELETE),
        };
        let note = if self.filter == abi::EVFILT_READ { abi::AT_THE_END } else { 0 };
        let record = record.with_flags(flags);
        match mode {
            Mode::Level => record.with_note(note, 0),
            Mode::Edge => record.with_flags(abi::EV_CLEAR).with_note(note, 0),
            Mode::Quiet => record.with_flags(abi::EV_CLEAR).with_note(abi::QUIET, MORE_THAN_ANY),
        }
    }

    /// The step that undoes this one.
    pub(super) fn reverse(self) -> Option<Self> {
        let act = match self.act {
            Act::Add(mode) => Act::Delete(mode),
            Act::Delete(mode) => Act::Add(mode),
            Act::Confirm(_) => return None,
        };
        Some(Step { act, ..self })
    }
}

/// The steps of a change. Steps that expect a filter to exist come first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Steps {
    steps: [Step; MOST_STEPS],
    len: usize,
}

const NO_STEP: Step = Step { filter: 0, act: Act::Delete(Mode::Level) };

impl Steps {
    pub(super) fn of(change: &Change) -> Self {
        let mut all = Steps { steps: [NO_STEP; MOST_STEPS], len: 0 };
        let pairs = filters(change);
        for (filter, old, new) in pairs {
            if let Some(mode) = old
                && old != new
            {
                all.push(filter, Act::Delete(mode));
            }
        }
        // A successful delete shows that the other filter exists too. Confirming it would report an edge twice.
        if all.len == 0 {
            for (filter, old, new) in pairs {
                if let Some(mode) = old
                    && old == new
                {
                    all.push(filter, Act::Confirm(mode));
                }
            }
        }
        for (filter, old, new) in pairs {
            if let Some(mode) = new
                && old != new
            {
                all.push(filter, Act::Add(mode));
            }
        }
        all
    }

    /// For a descriptor that may be another file by now, so that the kernel dropped its filters: the wanted filters are
    /// added whether or not they seem to exist.
    pub(super) fn afresh(change: &Change) -> Self {
        let mut all = Steps { steps: [NO_STEP; MOST_STEPS], len: 0 };
        for (filter, old, new) in filters(change) {
            // Deleted first, because adding does not make an edge-triggered filter level-triggered.
            if let Some(mode) = old {
                all.push(filter, Act::Delete(mode));
            }
            if let Some(mode) = new {
                all.push(filter, Act::Add(mode));
            }
        }
        all
    }

    fn push(&mut self, filter: i16, act: Act) {
        self.steps[self.len] = Step { filter, act };
        self.len += 1;
    }

    pub(super) fn as_slice(&self) -> &[Step] {
        &self.steps[..self.len]
    }
}

/// Each filter, with its mode before and after the change.
fn filters(change: &Change) -> [(i16, Option<Mode>, Option<Mode>); 2] {
    let (old, new, edge) = (change.registered, change.wanted(), change.edge);
    [
        (abi::EVFILT_READ, read_mode(old, edge), read_mode(new, edge)),
        (abi::EVFILT_WRITE, write_mode(old, edge), write_mode(new, edge)),
    ]
}

pub(super) fn read_mode(interests: What, edge: bool) -> Option<Mode> {
    if interests.contains(What::READ) {
        Some(if edge { Mode::Edge } else { Mode::Level })
    } else {
        interests.contains(What::CLOSED).then_some(Mode::Quiet)
    }
}

fn write_mode(interests: What, edge: bool) -> Option<Mode> {
    interests.contains(What::WRITE).then_some(if edge { Mode::Edge } else { Mode::Level })
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: i16 = abi::EVFILT_READ;
    const WRITE: i16 = abi::EVFILT_WRITE;

    fn steps(registered: What, add: What, remove: What) -> Vec<(i16, Act)> {
        let change = Change { fd: 0, registered, add, remove, edge: false, exclusive: false, token: 0 };
        Steps::of(&change).as_slice().iter().map(|step| (step.filter, step.act)).collect()
    }

    #[test]
    fn each_filter_is_added_and_deleted_by_itself() {
        let both = What::READ | What::WRITE;
        let level = Mode::Level;
        assert_eq!(
            steps(What::empty(), both, What::empty()),
            [(READ, Act::Add(level)), (WRITE, Act::Add(level))]
        );
        assert_eq!(steps(both, What::empty(), What::READ), [(READ, Act::Delete(level))]);
        assert_eq!(
            steps(both, What::empty(), both),
            [(READ, Act::Delete(level)), (WRITE, Act::Delete(level))]
        );
    }

    #[test]
    fn a_remaining_filter_is_confirmed_before_another_is_added() {
        let level = Mode::Level;
        let joined = [(READ, Act::Confirm(level)), (WRITE, Act::Add(level))];
        assert_eq!(steps(What::READ, What::WRITE, What::empty()), joined);
        assert_eq!(steps(What::READ, What::empty(), What::empty()), [(READ, Act::Confirm(level))]);
        assert_eq!(steps(What::READ, What::CLOSED, What::empty()), [(READ, Act::Confirm(level))]);
    }

    #[test]
    fn closed_alone_has_a_quiet_filter_that_read_replaces() {
        let (quiet, level) = (Mode::Quiet, Mode::Level);
        assert_eq!(steps(What::empty(), What::CLOSED, What::empty()), [(READ, Act::Add(quiet))]);
        let replaced = [(READ, Act::Delete(quiet)), (READ, Act::Add(level))];
        assert_eq!(steps(What::CLOSED, What::READ, What::empty()), replaced);
        let back = [(READ, Act::Delete(level)), (READ, Act::Add(quiet))];
        assert_eq!(steps(What::READ | What::CLOSED, What::empty(), What::READ), back);
    }

    #[test]
    fn no_change_takes_more_than_the_most_steps() {
        let sets = || {
            (0..8).map(|bits| {
                let bit = |bit: u8, what| if bits & bit == 0 { What::empty() } else { what };
                bit(1, What::READ) | bit(2, What::WRITE) | bit(4, What::CLOSED)
            })
        };
        for old in sets() {
            for new in sets() {
                assert!(steps(old, new - old, old - new).len() <= MOST_STEPS);
            }
        }
    }
}
