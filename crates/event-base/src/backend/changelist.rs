//! Changes that are deferred until the wait (`event_changelist`).
//!
//! Rules:
//! - A change whose outcome the caller needs is not deferred: the first registration of a descriptor, which the kernel
//!   may refuse, and a new interest in a registered one, which checks that the registration still exists.
//! - A change that removes interests is deferred, and so is one that restores them, so that any number of such changes
//!   of one descriptor cost one system call in a pass.
//! - A descriptor that is deleted and added again while the change is deferred is *reborn*: it may have been closed and
//!   opened in between. Its change is made even if nothing seems to differ, and if the kernel no longer has the
//!   registration, the descriptor is registered afresh.
//! - No change of an exclusive registration is deferred.

use std::os::fd::RawFd;

use super::Change;
use crate::flags::What;

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    /// The interests that the kernel has.
    registered: What,
    /// The interests after the deferred change. Valid while `queued`.
    wanted: What,
    edge: bool,
    token: u64,
    queued: bool,
    reborn: bool,
}

/// What to do with a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is deferred.
    Queued,
    /// The caller makes this change now. It includes what was deferred before.
    Now(Change),
}

/// A deferred change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pending {
    /// `registered` holds the interests that the kernel has.
    pub(super) change: Change,
    /// Whether the descriptor may be another file by now, which is to be registered.
    pub(super) reborn: bool,
}

/// The interests that the kernel has for each descriptor, and the deferred changes.
#[derive(Debug, Default)]
pub(super) struct Changelist {
    /// By descriptor number.
    entries: Vec<Entry>,
    queue: Vec<RawFd>,
}

impl Changelist {
    /// Whether no change is deferred.
    #[cfg_attr(not(has_kqueue), allow(dead_code, reason = "only kqueue needs it"))]
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Defers a change, or returns the change to make now.
    pub(super) fn offer(&mut self, change: &Change) -> Verdict {
        let wanted = change.wanted();
        let Some(entry) = self.entries.get_mut(change.fd as usize) else {
            return if wanted.is_empty() { Verdict::Queued } else { Verdict::Now(*change) };
        };
        let is_new = change.registered.is_empty();
        let only_removes = change.add.is_empty() && !change.remove.is_empty();
        let restores = entry.queued && !change.add.is_empty() && entry.registered.contains(wanted);
        let may_wait = if wanted.is_empty() {
            true
        } else if is_new {
            !entry.registered.is_empty()
        } else {
            only_removes || restores || (entry.queued && entry.reborn)
        };
        if !may_wait {
            let registered = entry.registered;
            return Verdict::Now(Change {
                registered,
                add: wanted - registered,
                remove: registered - wanted,
                ..*change
            });
        }
        entry.reborn = !wanted.is_empty() && (entry.reborn || is_new);
        entry.wanted = wanted;
        entry.edge = change.edge;
        entry.token = change.token;
        let is_nothing = wanted.is_empty() && entry.registered.is_empty();
        if !entry.queued && !is_nothing {
            entry.queued = true;
            self.queue.push(change.fd);
        }
        Verdict::Queued
    }

    /// Records that the kernel has these interests, and drops the deferred change of the descriptor.
    pub(super) fn note(&mut self, fd: RawFd, registered: What) {
        if self.entries.len() <= fd as usize {
            if registered.is_empty() {
                return;
            }
            self.entries.resize(fd as usize + 1, Entry::default());
        }
        // If the descriptor is in the queue, `take` skips it.
        self.entries[fd as usize] = Entry { registered, ..Entry::default() };
    }

    /// Takes the next deferred change. The caller must [note](Self::note) its outcome.
    pub(super) fn take(&mut self) -> Option<Pending> {
        while let Some(fd) = self.queue.pop() {
            let entry = &mut self.entries[fd as usize];
            if !std::mem::take(&mut entry.queued) {
                continue;
            }
            let reborn = std::mem::take(&mut entry.reborn);
            let Entry { registered, wanted, edge, token, .. } = *entry;
            let (add, remove) = (wanted - registered, registered - wanted);
            let change = Change { fd, registered, add, remove, edge, exclusive: false, token };
            return Some(Pending { change, reborn });
        }
        None
    }

    /// Records that the kernel has no registrations.
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

    /// A changelist, and what the engine has registered for descriptor 3.
    #[derive(Default)]
    struct Side {
        list: Changelist,
        registered: What,
        token: u64,
    }

    impl Side {
        fn change(&mut self, add: What, remove: What) -> Verdict {
            self.token += u64::from(self.registered.is_empty());
            let (registered, token) = (self.registered, self.token);
            let change = Change { fd: 3, registered, add, remove, edge: false, exclusive: false, token };
            self.registered = change.wanted();
            let verdict = self.list.offer(&change);
            if let Verdict::Now(change) = verdict {
                self.list.note(3, change.wanted());
            }
            verdict
        }

        fn registered(&mut self, add: What) -> Self {
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
    fn the_first_registration_is_not_deferred() {
        let mut side = Side::default();
        assert!(is_now(side.change(R, NONE), NONE, R));
        assert_eq!(side.take(), []);
    }

    #[test]
    fn a_refused_registration_leaves_no_deferred_change() {
        let mut list = Changelist::default();
        let change =
            Change { fd: 3, registered: NONE, add: R, remove: NONE, edge: false, exclusive: false, token: 1 };
        for _ in 0..2 {
            assert_eq!(list.offer(&change), Verdict::Now(change));
            assert_eq!(list.take(), None);
        }
    }

    #[test]
    fn a_removal_is_deferred_and_made_once() {
        let mut side = Side::default().registered(RW);
        assert_eq!(side.change(NONE, W), Verdict::Queued);
        assert_eq!(side.change(NONE, R), Verdict::Queued);
        assert_eq!(side.take(), [(RW, NONE, 1, false)]);
        assert!(is_now(side.change(R, NONE), NONE, R));
    }

    #[test]
    fn deleted_and_added_many_times_is_one_change() {
        let mut side = Side::default().registered(R);
        for _ in 0..10 {
            assert_eq!(side.change(NONE, R), Verdict::Queued);
            assert_eq!(side.change(R, NONE), Verdict::Queued);
        }
        assert_eq!(side.take(), [(R, R, 11, true)]);
        assert_eq!(side.take(), []);
    }

    #[test]
    fn a_final_delete_is_a_removal_whatever_was_in_between() {
        let mut side = Side::default().registered(R);
        side.change(NONE, R);
        side.change(W, NONE);
        side.change(NONE, W);
        assert_eq!(side.take(), [(R, NONE, 2, false)]);
    }

    #[test]
    fn changes_of_a_reborn_descriptor_are_joined() {
        let mut side = Side::default().registered(R);
        side.change(NONE, R);
        assert_eq!(side.change(W, NONE), Verdict::Queued);
        assert_eq!(side.change(R, NONE), Verdict::Queued);
        assert_eq!(side.change(NONE, NONE), Verdict::Queued, "the check is deferred too");
        assert_eq!(side.take(), [(R, RW, 2, true)]);
    }

    #[test]
    fn an_interest_switched_off_and_on_is_one_change() {
        let mut side = Side::default().registered(RW);
        for _ in 0..3 {
            assert_eq!(side.change(NONE, W), Verdict::Queued);
            assert_eq!(side.change(W, NONE), Verdict::Queued);
        }
        assert_eq!(side.take(), [(RW, RW, 1, false)]);
    }

    #[test]
    fn a_new_interest_includes_the_deferred_change() {
        let mut side = Side::default().registered(RW);
        side.change(NONE, W);
        assert!(is_now(side.change(What::CLOSED, NONE), RW, R | What::CLOSED));
        assert_eq!(side.take(), []);
    }

    #[test]
    fn the_check_of_a_registration_is_not_deferred() {
        let mut side = Side::default().registered(R);
        assert!(is_now(side.change(NONE, NONE), R, R));
    }

    #[test]
    fn after_a_lost_registration_the_next_one_is_the_first_again() {
        let mut side = Side::default().registered(RW);
        side.change(NONE, W);
        side.list.note(3, NONE);
        side.registered = NONE;
        assert_eq!(side.take(), []);
        assert!(is_now(side.change(R, NONE), NONE, R));
    }
}
