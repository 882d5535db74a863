//! kqueue: one kernel filter for reading and one for writing, each a registration of its own.
//!
//! - The interest in CLOSED has no filter. The one for reading tells of the peer's close with `EV_EOF`, whether
//!   or not bytes are left to be read, hence [`Features::EARLY_CLOSE`].
//! - A registration for CLOSED without READ must not be woken by bytes that nobody is going to read. Its filter
//!   asks for more bytes than there can be, where the kind of file honours that, and is edge-triggered, so that
//!   otherwise bytes wake the loop once, when they come. What `EV_EOF` then has to tell over and over,
//!   [`finish_wait`](Kqueue::finish_wait) makes it tell by adding the filter again.
//! - A change that the caller has to hear of is made at once and asks for receipts. The others are put off, and
//!   go along with the call that waits; what is refused then is [lost](super::Backend::take_lost).
//! - A filter that is there is confirmed with `EV_ENABLE`, which unlike `EV_ADD` fails if it is not.

mod signals;
mod steps;
mod waiter;

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;

use nix::errno::Errno;

use steps::{Act, MOST_STEPS, Mode, Step, Steps, read_mode};
pub(super) use waiter::KqueueWaiter;

use super::changelist::{Changelist, Pending, Verdict};
use super::{Applied, Change, Internal};
use crate::error::Error;
use crate::flags::{Features, What};
use crate::sys::fork;
use crate::sys::kqueue::{Kevent, Kqueue as Kernel, UserFilter, abi};
use crate::sys::notify::Notifier;
use crate::time::{Clock, Nanos, SystemClock};

pub(super) const NAME: &str = "kqueue";
pub(super) const FEATURES: Features =
    Features::ET.union(Features::O1).union(Features::FDS).union(Features::EARLY_CLOSE);

/// The backend.
#[derive(Debug)]
pub(crate) struct Kqueue {
    kernel: Arc<Kernel>,
    /// What the next wait needs; out while one is under way.
    waiter: Option<KqueueWaiter>,
    /// Level-triggered registrations for CLOSED without READ, with their tokens.
    closers: BTreeMap<RawFd, u64>,
    /// Pipes that have no reader, whose filter for writing the kernel refuses.
    broken: BTreeSet<RawFd>,
    has_timer: bool,
    changes: Changelist,
    /// The changes that the waiter has taken along.
    batch: Vec<(Pending, Steps)>,
    /// Tokens of registrations that the kernel refused when it was told of them late.
    lost: Vec<u64>,
    /// The process that the kernel's object is of: a child does not inherit it.
    process: u32,
}

impl Kqueue {
    pub(super) fn new() -> Result<Self, Error> {
        Ok(Kqueue {
            kernel: Arc::new(open()?),
            waiter: None,
            closers: BTreeMap::new(),
            broken: BTreeSet::new(),
            has_timer: false,
            changes: Changelist::default(),
            batch: Vec::new(),
            lost: Vec::new(),
            process: fork::generation(),
        })
    }

    pub(super) fn name(&self) -> &'static str {
        NAME
    }

    pub(super) fn features(&self) -> Features {
        FEATURES
    }

    pub(super) fn descriptor(&self) -> Option<RawFd> {
        abi::IS_POLLABLE.then(|| self.kernel.number())
    }

    pub(super) fn change(&mut self, change: &Change) -> Result<Applied, Error> {
        if self.process != fork::generation() {
            return Err(Error::Forked);
        }
        let Verdict::Now(change) = self.changes.offer(change) else { return Ok(Applied::Done) };
        let steps = Steps::of(&change);
        let mut outcomes = [Ok(()); MOST_STEPS];
        self.submit(&change, steps.as_slice(), &mut outcomes)?;
        let applied = self.judge(&change, steps.as_slice(), &mut outcomes, false).map_err(|errno| {
            self.take_back(&change, steps.as_slice(), &outcomes);
            Error::system(errno, "kevent", Some(change.fd))
        })?;
        if applied == Applied::Gone {
            self.clear(&change);
        }
        self.settle(&change, applied == Applied::Done);
        Ok(applied)
    }

    /// What came of the steps of a change.
    fn judge(
        &mut self,
        change: &Change,
        steps: &[Step],
        outcomes: &mut [nix::Result<()>; MOST_STEPS],
        reborn: bool,
    ) -> Result<Applied, Errno> {
        let mut result = Ok(Applied::Done);
        for (step, outcome) in steps.iter().zip(outcomes) {
            if step.filter == abi::EVFILT_WRITE {
                *outcome = self.heed_broken_pipe(change, *step, *outcome);
            }
            match (*outcome, step.act) {
                (Ok(()), _) => {}
                (Err(Errno::ENOENT | Errno::EBADF), Act::Delete(_)) if reborn => {}
                // The descriptor was closed, and may be another file by now.
                (Err(Errno::ENOENT | Errno::EBADF), Act::Confirm(_) | Act::Delete(_)) => {
                    return Ok(Applied::Gone);
                }
                (Err(errno), _) => result = result.and(Err(errno)),
            }
        }
        result
    }

    /// Keeps the books, once the kernel has what is wanted, or nothing.
    fn settle(&mut self, change: &Change, is_done: bool) {
        let told = if is_done { change.wanted() } else { What::empty() };
        self.changes.note(change.fd, told);
        if !change.edge && read_mode(told, false) == Some(Mode::Quiet) {
            self.closers.insert(change.fd, change.token);
        } else {
            self.closers.remove(&change.fd);
        }
    }

    /// Makes the changes that were put off; those that a wait is to follow leave it to that.
    pub(super) fn flush(&mut self, wait_follows: bool) {
        if wait_follows {
            return;
        }
        while let Some(pending) = self.changes.take() {
            let steps = steps_of(&pending);
            let mut outcomes = [Ok(()); MOST_STEPS];
            let submitted = self.submit(&pending.change, steps.as_slice(), &mut outcomes);
            self.conclude(&pending, &steps, &mut outcomes, submitted.is_ok());
        }
    }

    /// Deals with the outcome of a change that nobody waits for.
    fn conclude(
        &mut self,
        pending: &Pending,
        steps: &Steps,
        outcomes: &mut [nix::Result<()>; MOST_STEPS],
        submitted: bool,
    ) {
        let Pending { change, reborn } = pending;
        let is_done =
            submitted && self.judge(change, steps.as_slice(), outcomes, *reborn) == Ok(Applied::Done);
        if !is_done {
            self.clear(change);
            if !change.wanted().is_empty() {
                self.lost.push(change.token);
            }
        }
        self.settle(change, is_done);
    }

    pub(super) fn take_lost(&mut self) -> Option<u64> {
        self.lost.pop()
    }

    /// Makes the steps in one call and notes what the kernel answered to each.
    fn submit(
        &self,
        change: &Change,
        steps: &[Step],
        outcomes: &mut [nix::Result<()>; MOST_STEPS],
    ) -> Result<(), Error> {
        let mut records = [Kevent::EMPTY; MOST_STEPS];
        for (record, step) in records.iter_mut().zip(steps) {
            *record = step.record(change.fd, change.token);
        }
        let mut receipts = [Kevent::EMPTY; MOST_STEPS];
        let count = steps.len();
        let receipts = self
            .kernel
            .change(&records[..count], &mut receipts[..count])
            .map_err(|errno| Error::system(errno, "kevent", Some(change.fd)))?;
        for (outcome, receipt) in outcomes.iter_mut().zip(receipts) {
            *outcome = receipt.result();
        }
        Ok(())
    }

    /// A pipe whose reader is gone refuses the filter for writing with `EPIPE`, although a write would not
    /// block: it is writable, and the writer is to hear of it as of any other error. A filter of the user's
    /// stands in for it, triggered once and for all.
    fn heed_broken_pipe(&mut self, change: &Change, step: Step, outcome: nix::Result<()>) -> nix::Result<()> {
        let stand_in = Kevent::new(change.fd as usize, abi::EVFILT_USER, change.token);
        match (step.act, outcome) {
            (Act::Add(mode), Err(Errno::EPIPE)) => {
                let clear = if mode == Mode::Edge { abi::EV_CLEAR } else { 0 };
                self.one(stand_in.with_flags(abi::EV_ADD | clear))?;
                self.one(stand_in.with_note(abi::NOTE_TRIGGER, 0))?;
                self.broken.insert(change.fd);
                Ok(())
            }
            (Act::Confirm(mode), Err(Errno::ENOENT)) if self.broken.contains(&change.fd) => {
                // The stand-in outlives the descriptor; whether that is still the broken pipe shows only here.
                let again = Step { act: Act::Add(mode), ..step };
                match self.one(again.record(change.fd, change.token)) {
                    Err(Errno::EPIPE) => self.one(stand_in.with_note(abi::NOTE_TRIGGER, 0)),
                    Err(errno) => Err(errno),
                    Ok(()) => Err(Errno::ENOENT),
                }
            }
            (Act::Delete(_), Err(Errno::ENOENT)) if self.broken.remove(&change.fd) => {
                self.one(stand_in.with_flags(abi::EV_DELETE))
            }
            (_, outcome) => outcome,
        }
    }

    /// After a refusal: as it was before.
    fn take_back(&mut self, change: &Change, steps: &[Step], outcomes: &[nix::Result<()>; MOST_STEPS]) {
        for (step, outcome) in steps.iter().zip(outcomes).rev() {
            let Some(reverse) = outcome.ok().and_then(|()| step.reverse()) else { continue };
            let outcome = self.one(reverse.record(change.fd, change.token));
            if step.filter == abi::EVFILT_WRITE {
                // If this fails too the descriptor was closed meanwhile, and the next change says so.
                _ = self.heed_broken_pipe(change, reverse, outcome);
            }
        }
    }

    /// Leaves nothing registered.
    fn clear(&mut self, change: &Change) {
        for filter in [abi::EVFILT_READ, abi::EVFILT_WRITE] {
            let step = Step { filter, act: Act::Delete(Mode::Level) };
            _ = self.one(step.record(change.fd, change.token));
        }
        if self.broken.remove(&change.fd) {
            let stand_in = Kevent::new(change.fd as usize, abi::EVFILT_USER, change.token);
            _ = self.one(stand_in.with_flags(abi::EV_DELETE));
        }
    }

    fn one(&self, record: Kevent) -> nix::Result<()> {
        self.kernel.one(record)
    }

    /// Edge-triggered, so that nothing has to be read to silence it.
    pub(super) fn watch_internal(&mut self, fd: BorrowedFd<'_>, internal: Internal) -> Result<(), Error> {
        let record = Kevent::new(fd.as_raw_fd() as usize, abi::EVFILT_READ, internal.token());
        self.one(record.with_flags(abi::EV_ADD | abi::EV_CLEAR))
            .map_err(|errno| Error::system(errno, "kevent", Some(fd.as_raw_fd())))
    }

    /// Without effect on a descriptor that is not watched.
    pub(super) fn unwatch_internal(&mut self, fd: BorrowedFd<'_>) {
        let record = Kevent::new(fd.as_raw_fd() as usize, abi::EVFILT_READ, 0);
        _ = self.one(record.with_flags(abi::EV_DELETE));
    }

    /// The notifier that needs no descriptor, unless the kernel does not have it.
    pub(super) fn open_notifier(&mut self) -> Option<Notifier> {
        UserFilter::new(Arc::clone(&self.kernel), Internal::Notifier.token()).ok().map(Notifier::User)
    }

    /// What was put off goes along; the lock is held until the kernel has answered.
    pub(super) fn start_wait(&mut self) -> KqueueWaiter {
        let mut waiter = self.waiter.take().unwrap_or_else(|| KqueueWaiter::new(Arc::clone(&self.kernel)));
        while let Some(pending) = self.changes.take() {
            let steps = steps_of(&pending);
            let Change { fd, token, .. } = pending.change;
            let records = steps.as_slice().iter().map(|step| step.record(fd, token).without_receipt());
            waiter.changes.extend(records);
            self.changes.note(fd, pending.change.wanted());
            self.batch.push((pending, steps));
        }
        waiter
    }

    pub(super) fn finish_wait(&mut self, mut waiter: KqueueWaiter) {
        if !self.batch.is_empty() {
            self.finish_batch(&mut waiter);
        }
        if !self.closers.is_empty() {
            self.keep_telling(waiter.found());
        }
        waiter.grow();
        self.waiter = Some(waiter);
    }

    /// The kernel answered: what it did not refuse is done.
    fn finish_batch(&mut self, waiter: &mut KqueueWaiter) {
        // A wait that failed altogether made nothing that could be relied on.
        let submitted = !waiter.has_changes();
        waiter.changes.clear();
        let mut batch = std::mem::take(&mut self.batch);
        for (pending, steps) in batch.drain(..) {
            let fd = pending.change.fd as usize;
            let mut outcomes = [Ok(()); MOST_STEPS];
            for refusal in waiter.refusals.iter().filter(|refusal| refusal.ident() == fd) {
                // It does not say of which step of a filter it speaks, but nothing that is added is missing.
                let is_missing = refusal.result() == Err(Errno::ENOENT);
                for (step, outcome) in steps.as_slice().iter().zip(&mut outcomes) {
                    let adds = matches!(step.act, Act::Add(_));
                    if step.filter == refusal.filter() && (!is_missing || !adds) {
                        *outcome = refusal.result();
                    }
                }
            }
            self.conclude(&pending, &steps, &mut outcomes, submitted);
        }
        self.batch = batch;
    }

    /// Lets what told of a peer's close tell of it in the next wait too.
    fn keep_telling(&self, found: &[Kevent]) {
        for event in found {
            let fd = event.ident() as RawFd;
            let is_closed = event.filter() == abi::EVFILT_READ && event.flags() & abi::EV_EOF != 0;
            if is_closed && self.closers.get(&fd) == Some(&event.token()) {
                let step = |act| Step { filter: abi::EVFILT_READ, act }.record(fd, event.token());
                // Taken out first, which not every kernel needs to look again. That fails if the descriptor was
                // closed, and then there is nothing to tell and nothing to put back.
                if self.one(step(Act::Delete(Mode::Quiet))).is_ok() {
                    _ = self.one(step(Act::Add(Mode::Quiet)));
                }
            }
        }
    }

    pub(super) fn open_timer(&mut self) -> Result<(), Error> {
        self.has_timer = true;
        Ok(())
    }

    pub(super) fn arm_timer(&mut self, deadline: Option<Nanos>) -> Result<(), Error> {
        if !self.has_timer {
            return Ok(());
        }
        let timer = Kevent::new(0, abi::EVFILT_TIMER, Internal::Timer.token());
        // Not every kernel sets a timer anew that is there; one that has fired is not.
        _ = self.one(timer.with_flags(abi::EV_DELETE));
        let Some(deadline) = deadline else { return Ok(()) };
        let from_now = deadline.saturating_sub(SystemClock.monotonic()).max(1);
        let from_now = isize::try_from(from_now).unwrap_or(isize::MAX);
        let timer = timer.with_flags(abi::EV_ADD | abi::EV_ONESHOT).with_note(abi::TIMER_FLAGS, from_now);
        self.one(timer).map_err(|errno| Error::system(errno, "kevent", None))
    }

    pub(super) fn renew(&mut self) -> Result<(), Error> {
        let fresh = open()?;
        self.waiter = None;
        // No waiter is out: the thread that waits is the one that asks for this.
        self.kernel.replace(fresh).map_err(|errno| Error::system(errno, "dup2", None))?;
        self.closers.clear();
        self.broken.clear();
        self.changes.clear();
        self.batch.clear();
        self.lost.clear();
        Ok(())
    }

    pub(super) fn renew_after_fork(&mut self) -> Result<(), Error> {
        if Arc::get_mut(&mut self.kernel).is_none() && self.waiter.is_none() {
            // A thread waited, which is not in this process to give its waiter back.
            self.kernel = Arc::new(open()?);
        }
        self.renew()?;
        self.process = fork::generation();
        Ok(())
    }
}

fn open() -> Result<Kernel, Error> {
    Kernel::new().map_err(|errno| Error::system(errno, "kqueue", None))
}

fn steps_of(pending: &Pending) -> Steps {
    if pending.reborn { Steps::afresh(&pending.change) } else { Steps::of(&pending.change) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    use super::*;
    use crate::backend::Readiness;

    const SHORT: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(20);

    fn wait(backend: &mut Kqueue, timeout: Duration) -> Vec<Readiness> {
        let mut waiter = backend.start_wait();
        waiter.wait(Some(timeout)).unwrap();
        let found = (0..waiter.len()).map(|index| waiter.get(index)).collect();
        backend.finish_wait(waiter);
        found
    }

    #[test]
    fn the_timer_fires_once_and_not_early() {
        let mut backend = Kqueue::new().unwrap();
        backend.open_timer().unwrap();
        let start = SystemClock.monotonic();
        backend.arm_timer(Some(start + 3_600_000_000_000)).unwrap();
        backend.arm_timer(Some(start + 20_000_000)).unwrap();
        let found = wait(&mut backend, LONG);
        assert!(SystemClock.monotonic() >= start + 20_000_000);
        assert_eq!(found.len(), 1);
        assert_eq!(Internal::of(found[0].token), Some(Internal::Timer));
        assert_eq!(wait(&mut backend, SHORT), []);
        backend.arm_timer(Some(start)).unwrap();
        assert_eq!(wait(&mut backend, LONG).len(), 1);
        backend.arm_timer(Some(SystemClock.monotonic() + 10_000_000)).unwrap();
        backend.arm_timer(None).unwrap();
        assert_eq!(wait(&mut backend, SHORT), []);
    }

    #[test]
    fn closed_alone_is_told_in_every_wait_and_bytes_do_not_keep_the_loop_awake() {
        let mut backend = Kqueue::new().unwrap();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let fd = ours.as_raw_fd();
        let add = Change {
            fd,
            registered: What::empty(),
            add: What::CLOSED,
            remove: What::empty(),
            edge: false,
            token: 7,
        };
        assert_eq!(backend.change(&add), Ok(Applied::Done));
        theirs.write_all(b"nobody reads this").unwrap();
        wait(&mut backend, SHORT);
        assert_eq!(wait(&mut backend, SHORT), []);
        drop(theirs);
        for _ in 0..3 {
            let found = wait(&mut backend, LONG);
            assert_eq!(found.len(), 1);
            assert!(found[0].token == 7 && found[0].what.contains(What::CLOSED));
        }
        let delete = Change { registered: What::CLOSED, add: What::empty(), remove: What::CLOSED, ..add };
        assert_eq!(backend.change(&delete), Ok(Applied::Done));
        assert_eq!(wait(&mut backend, SHORT), []);
    }

    fn change(fd: RawFd, registered: What, add: What, remove: What, token: u64) -> Change {
        Change { fd, registered, add, remove, edge: false, token }
    }

    #[test]
    fn what_was_put_off_goes_along_with_the_wait() {
        let mut backend = Kqueue::new().unwrap();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let fd = ours.as_raw_fd();
        let none = What::empty();
        assert_eq!(backend.change(&change(fd, none, What::READ, none, 1)), Ok(Applied::Done));
        // Deleted and added again, then with another interest: one change, made by the wait.
        assert_eq!(backend.change(&change(fd, What::READ, none, What::READ, 1)), Ok(Applied::Done));
        assert_eq!(backend.change(&change(fd, none, What::READ, none, 2)), Ok(Applied::Done));
        assert_eq!(backend.change(&change(fd, What::READ, What::WRITE, none, 2)), Ok(Applied::Done));
        theirs.write_all(b"x").unwrap();
        let mut waiter = backend.start_wait();
        assert!(waiter.has_changes());
        waiter.wait(Some(LONG)).unwrap();
        let found: Vec<_> = (0..waiter.len()).map(|index| waiter.get(index)).collect();
        backend.finish_wait(waiter);
        let both = What::READ | What::WRITE | What::ET;
        assert_eq!(found, [Readiness { token: 2, what: both }]);
        assert_eq!(backend.take_lost(), None);
    }

    /// libkqueue does not see that a descriptor was closed, and accepts it.
    #[cfg(not(feature = "libkqueue"))]
    #[test]
    fn a_late_change_of_a_closed_descriptor_is_lost() {
        let mut backend = Kqueue::new().unwrap();
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let fd = nix::fcntl::fcntl(&ours, nix::fcntl::FcntlArg::F_DUPFD_CLOEXEC(600)).unwrap();
        let none = What::empty();
        assert_eq!(backend.change(&change(fd, none, What::READ, none, 1)), Ok(Applied::Done));
        assert_eq!(backend.change(&change(fd, What::READ, none, What::READ, 1)), Ok(Applied::Done));
        assert_eq!(backend.change(&change(fd, none, What::READ, none, 2)), Ok(Applied::Done));
        nix::unistd::close(fd).unwrap();
        assert_eq!(wait(&mut backend, SHORT), []);
        assert_eq!(backend.take_lost(), Some(2));
        assert_eq!(backend.take_lost(), None);
    }

    #[test]
    fn the_notifier_ends_a_wait_once_for_any_number_of_times() {
        let mut backend = Kqueue::new().unwrap();
        let notifier = backend.open_notifier().unwrap();
        assert!(notifier.descriptor().is_none());
        for _ in 0..3 {
            notifier.notify();
        }
        let found = wait(&mut backend, LONG);
        assert_eq!(found.len(), 1);
        assert_eq!(Internal::of(found[0].token), Some(Internal::Notifier));
        assert_eq!(wait(&mut backend, SHORT), []);
        backend.renew().unwrap();
        notifier.install().unwrap();
        notifier.notify();
        assert_eq!(wait(&mut backend, LONG).len(), 1);
    }
}
