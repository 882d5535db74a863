//! Changes that are put off until the kernel is spoken to anyway (`event_changelist`).
//!
//! Ground rules:
//! - What the caller has to hear of is not put off: the first registration of a descriptor the kernel does not
//!   have, which it may refuse, and a new interest in one it has, which is the question whether it still has it.
//! - What takes interests away is put off, and what then brings interests back, so that any number of them cost
//!   one call to the kernel in a pass.
//! - A descriptor deleted and added again before the kernel heard of either is *reborn*: it may have been closed
//!   and opened in between. Its change is told the kernel even if nothing seems to differ, and where the kernel
//!   does not know the descriptor any more, it is registered afresh.

use std::os::fd::RawFd;

use super::Change;
use crate::flags::What;

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    /// What the kernel has.
    told: What,
    /// What it is to have, once the change is made. Meaningful while `queued`.
    wanted: What,
    edge: bool,
    token: u64,
    queued: bool,
    reborn: bool,
}

/// What is to be done about a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing now.
    Queued,
    /// This, which takes up what was put off before.
    Now(Change),
}

/// A change that was put off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pending {
    /// `registered` is what the kernel has.
    pub(super) change: Change,
    /// The descriptor may have become another file, which is then to be registered.
    pub(super) reborn: bool,
}

/// What the kernel has of each descriptor, and what it has yet to hear.
#[derive(Debug, Default)]
pub(super) struct Changelist {
    /// By number.
    entries: Vec<Entry>,
    queue: Vec<RawFd>,
}

impl Changelist {
    /// Whether no change is deferred.
    #[cfg_attr(not(has_kqueue), allow(dead_code, reason = "only kqueue needs it"))]
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Decides about a change.
    pub(super) fn offer(&mut self, change: &Change) -> Verdict {
        let wanted = change.wanted();
        let Some(entry) = self.entries.get_mut(change.fd as usize) else {
            return if wanted.is_empty() { Verdict::Queued } else { Verdict::Now(*change) };
        };
        let is_new = change.registered.is_empty();
        let only_takes = change.add.is_empty() && !change.remove.is_empty();
        let brings_back = entry.queued && !change.add.is_empty() && entry.told.contains(wanted);
        let may_wait = if wanted.is_empty() {
            true
        } else if is_new {
            !entry.told.is_empty()
        } else {
            only_takes || brings_back || (entry.queued && entry.reborn)
        };
        if !may_wait {
            let told = entry.told;
            return Verdict::Now(Change {
                registered: told,
                add: wanted - told,
                remove: told - wanted,
                ..*change
            });
        }
        entry.reborn = !wanted.is_empty() && (entry.reborn || is_new);
        entry.wanted = wanted;
        entry.edge = change.edge;
        entry.token = change.token;
        let is_nothing = wanted.is_empty() && entry.told.is_empty();
        if !entry.queued && !is_nothing {
            entry.queued = true;
            self.queue.push(change.fd);
        }
        Verdict::Queued
    }

    /// The kernel has these interests now, and nothing more is to be told.
    pub(super) fn note(&mut self, fd: RawFd, told: What) {
        if self.entries.len() <= fd as usize {
            if told.is_empty() {
                return;
            }
            self.entries.resize(fd as usize + 1, Entry::default());
        }
        // Its place in the queue, if it has one, is passed over.
        self.entries[fd as usize] = Entry { told, ..Entry::default() };
    }

    /// The next change that was put off. Nothing is left of it here: what came of it has to be
    /// [noted](Self::note).
    pub(super) fn take(&mut self) -> Option<Pending> {
        while let Some(fd) = self.queue.pop() {
            let entry = &mut self.entries[fd as usize];
            if !std::mem::take(&mut entry.queued) {
                continue;
            }
            let reborn = std::mem::take(&mut entry.reborn);
            let Entry { told, wanted, edge, token, .. } = *entry;
            let change =
                Change { fd, registered: told, add: wanted - told, remove: told - wanted, edge, token };
            return Some(Pending { change, reborn });
        }
        None
    }

    /// The kernel has nothing of anything.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.queue.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const R: What = What::READ;
    const W: What = What::WRITE;
    const RW: What = What::READ.union(What::WRITE);
    const NONE: What = What::empty();

    /// A list, and the engine's side of descriptor 3.
    #[derive(Default)]
    struct Side {
        list: Changelist,
        registered: What,
        token: u64,
    }

    impl Side {
        fn change(&mut self, add: What, remove: What) -> Verdict {
            self.token += u64::from(self.registered.is_empty());
            let change =
                Change { fd: 3, registered: self.registered, add, remove, edge: false, token: self.token };
            self.registered = change.wanted();
            let verdict = self.list.offer(&change);
            if let Verdict::Now(change) = verdict {
                self.list.note(3, change.wanted());
            }
            verdict
        }

        fn told(&mut self, add: What) -> Self {
            let verdict = self.change(add, NONE);
            assert!(matches!(verdict, Verdict::Now(_)));
            std::mem::take(self)
        }

        fn take(&mut self) -> Vec<(What, What, u64, bool)> {
            let mut all = vec![];
            while let Some(Pending { change, reborn }) = self.list.take() {
                all.push((change.registered, change.wanted(), change.token, reborn));
                self.list.note(3, change.wanted());
            }
            assert!(self.list.queue.is_empty());
            all
        }
    }

    fn is_now(verdict: Verdict, registered: What, wanted: What) -> bool {
        matches!(verdict, Verdict::Now(change) if change.registered == registered && change.wanted() == wanted)
    }

    #[test]
    fn the_first_registration_is_not_put_off() {
        let mut side = Side::default();
        assert!(is_now(side.change(R, NONE), NONE, R));
        assert_eq!(side.take(), []);
    }

    #[test]
    fn a_refused_registration_leaves_nothing_to_be_told() {
        let mut list = Changelist::default();
        let change = Change { fd: 3, registered: NONE, add: R, remove: NONE, edge: false, token: 1 };
        for _ in 0..2 {
            assert_eq!(list.offer(&change), Verdict::Now(change));
            assert_eq!(list.take(), None);
        }
    }

    #[test]
    fn a_removal_is_put_off_and_told_once() {
        let mut side = Side::default().told(RW);
        assert_eq!(side.change(NONE, W), Verdict::Queued);
        assert_eq!(side.change(NONE, R), Verdict::Queued);
        assert_eq!(side.take(), [(RW, NONE, 1, false)]);
        assert!(is_now(side.change(R, NONE), NONE, R));
    }

    #[test]
    fn deleted_and_added_many_times_is_one_change() {
        let mut side = Side::default().told(R);
        for _ in 0..10 {
            assert_eq!(side.change(NONE, R), Verdict::Queued);
            assert_eq!(side.change(R, NONE), Verdict::Queued);
        }
        assert_eq!(side.take(), [(R, R, 11, true)]);
        assert_eq!(side.take(), []);
    }

    #[test]
    fn deleted_in_the_end_is_a_removal_whatever_was_between() {
        let mut side = Side::default().told(R);
        side.change(NONE, R);
        side.change(W, NONE);
        side.change(NONE, W);
        assert_eq!(side.take(), [(R, NONE, 2, false)]);
    }

    #[test]
    fn a_reborn_descriptor_takes_up_whatever_joins_it() {
        let mut side = Side::default().told(R);
        side.change(NONE, R);
        assert_eq!(side.change(W, NONE), Verdict::Queued);
        assert_eq!(side.change(R, NONE), Verdict::Queued);
        assert_eq!(side.change(NONE, NONE), Verdict::Queued, "the question waits too");
        assert_eq!(side.take(), [(R, RW, 2, true)]);
    }

    #[test]
    fn an_interest_switched_off_and_on_is_one_change() {
        let mut side = Side::default().told(RW);
        for _ in 0..3 {
            assert_eq!(side.change(NONE, W), Verdict::Queued);
            assert_eq!(side.change(W, NONE), Verdict::Queued);
        }
        assert_eq!(side.take(), [(RW, RW, 1, false)]);
    }

    #[test]
    fn a_new_interest_takes_up_what_was_put_off() {
        let mut side = Side::default().told(RW);
        side.change(NONE, W);
        assert!(is_now(side.change(What::CLOSED, NONE), RW, R | What::CLOSED));
        assert_eq!(side.take(), []);
    }

    #[test]
    fn the_question_whether_a_registration_stands_is_not_put_off() {
        let mut side = Side::default().told(R);
        assert!(is_now(side.change(NONE, NONE), R, R));
    }

    #[test]
    fn a_registration_that_is_gone_is_a_first_one_again() {
        let mut side = Side::default().told(RW);
        side.change(NONE, W);
        side.list.note(3, NONE);
        side.registered = NONE;
        assert_eq!(side.take(), []);
        assert!(is_now(side.change(R, NONE), NONE, R));
    }
}
