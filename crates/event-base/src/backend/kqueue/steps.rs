//! Which filters a change touches, and how.

use std::os::fd::RawFd;

use crate::backend::Change;
use crate::flags::What;
use crate::sys::kqueue::{Kevent, abi};

/// More bytes than any file holds back for its reader.
const NEVER_SO_MANY: isize = i32::MAX as isize;

/// No change needs more: both filters taken out and put in again.
pub(super) const MOST_STEPS: usize = 4;

/// One of the two filters of a descriptor as it is, or is to be, registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Level,
    Edge,
    /// For CLOSED alone.
    Quiet,
}

/// What is done to a filter.
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
        let record = record.with_flags(flags);
        match mode {
            Mode::Level => record,
            Mode::Edge => record.with_flags(abi::EV_CLEAR),
            Mode::Quiet => record.with_flags(abi::EV_CLEAR).with_note(abi::QUIET, NEVER_SO_MANY),
        }
    }

    /// What takes the step back.
    pub(super) fn reverse(self) -> Option<Self> {
        let act = match self.act {
            Act::Add(mode) => Act::Delete(mode),
            Act::Delete(mode) => Act::Add(mode),
            Act::Confirm(_) => return None,
        };
        Some(Step { act, ..self })
    }
}

/// The steps of a change, those that speak of filters the kernel ought to have first.
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
        // What is deleted was there, and so the other filter is too; confirming that would only make an edge
        // come twice.
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

    /// For a descriptor that may have become another file, whose filters the kernel then dropped: those that
    /// are wanted are added whether or not they seem to be there.
    pub(super) fn afresh(change: &Change) -> Self {
        let mut all = Steps { steps: [NO_STEP; MOST_STEPS], len: 0 };
        for (filter, old, new) in filters(change) {
            // Always taken out first: adding would not turn one that is edge-triggered into the other kind.
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

/// Each filter, with what it is and what it is to be.
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
        let change = Change { fd: 0, registered, add, remove, edge: false, token: 0 };
        Steps::of(&change).as_slice().iter().map(|step| (step.filter, step.act)).collect()
    }

    #[test]
    fn each_filter_comes_and_goes_by_itself() {
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
    fn what_stays_is_confirmed_before_something_joins_it() {
        let level = Mode::Level;
        let joined = [(READ, Act::Confirm(level)), (WRITE, Act::Add(level))];
        assert_eq!(steps(What::READ, What::WRITE, What::empty()), joined);
        assert_eq!(steps(What::READ, What::empty(), What::empty()), [(READ, Act::Confirm(level))]);
        assert_eq!(steps(What::READ, What::CLOSED, What::empty()), [(READ, Act::Confirm(level))]);
    }

    #[test]
    fn closed_alone_has_a_quiet_filter_that_a_reader_replaces() {
        let (quiet, level) = (Mode::Quiet, Mode::Level);
        assert_eq!(steps(What::empty(), What::CLOSED, What::empty()), [(READ, Act::Add(quiet))]);
        let replaced = [(READ, Act::Delete(quiet)), (READ, Act::Add(level))];
        assert_eq!(steps(What::CLOSED, What::READ, What::empty()), replaced);
        let back = [(READ, Act::Delete(level)), (READ, Act::Add(quiet))];
        assert_eq!(steps(What::READ | What::CLOSED, What::empty(), What::READ), back);
    }

    #[test]
    fn no_change_takes_more_steps_than_there_is_room_for() {
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
