//! kqueue: one kernel filter for reading and one for writing, each a registration of its own.
//!
//! - The interest in CLOSED has no filter. The one for reading tells of the peer's close with `EV_EOF`, whether
//!   or not bytes are left to be read, hence [`Features::EARLY_CLOSE`].
//! - A registration for CLOSED without READ must not be woken by bytes that nobody is going to read. Its filter
//!   asks for more bytes than there can be, where the kind of file honours that, and is edge-triggered, so that
//!   otherwise bytes wake the loop once, when they come. What `EV_EOF` then has to tell over and over,
//!   [`finish_wait`](Kqueue::finish_wait) makes it tell by adding the filter again.
//! - Each change is made at once and asks for receipts, so that it is the caller who hears of a refusal.
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

use super::{Applied, Change, Internal};
use crate::error::Error;
use crate::flags::{Features, What};
use crate::sys::kqueue::{Kevent, Kqueue as Kernel, abi};
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
}

impl Kqueue {
    pub(super) fn new() -> Result<Self, Error> {
        Ok(Kqueue {
            kernel: Arc::new(open()?),
            waiter: None,
            closers: BTreeMap::new(),
            broken: BTreeSet::new(),
            has_timer: false,
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
        let steps = Steps::of(change);
        let applied = self.apply(change, steps.as_slice())?;
        let wanted = if applied == Applied::Gone { What::empty() } else { change.wanted() };
        if !change.edge && read_mode(wanted, false) == Some(Mode::Quiet) {
            self.closers.insert(change.fd, change.token);
        } else {
            self.closers.remove(&change.fd);
        }
        Ok(applied)
    }

    /// Takes the steps one by one until the kernel objects; then takes back those before.
    fn apply(&mut self, change: &Change, steps: &[Step]) -> Result<Applied, Error> {
        let mut outcomes = [Ok(()); MOST_STEPS];
        self.submit(change, steps, &mut outcomes)?;
        let mut failure = None;
        for (step, outcome) in steps.iter().zip(&mut outcomes) {
            if step.filter == abi::EVFILT_WRITE {
                *outcome = self.heed_broken_pipe(change, *step, *outcome);
            }
            if let Err(errno) = *outcome {
                match step.act {
                    // The descriptor was closed, and may be another file by now.
                    Act::Confirm(_) | Act::Delete(_) if matches!(errno, Errno::ENOENT | Errno::EBADF) => {
                        failure = Some(None);
                        break;
                    }
                    _ => failure = failure.or(Some(Some(errno))),
                }
            }
        }
        let taking_all = change.wanted().is_empty();
        match failure {
            None => Ok(Applied::Done),
            Some(Some(errno)) if !taking_all => {
                self.take_back(change, steps, &outcomes);
                Err(Error::system(errno, "kevent", Some(change.fd)))
            }
            Some(_) => {
                self.clear(change);
                Ok(Applied::Gone)
            }
        }
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
            *outcome = to_result(receipt);
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
        one(&self.kernel, record)
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

    pub(super) fn start_wait(&mut self) -> KqueueWaiter {
        self.waiter.take().unwrap_or_else(|| KqueueWaiter::new(Arc::clone(&self.kernel)))
    }

    pub(super) fn finish_wait(&mut self, mut waiter: KqueueWaiter) {
        if !self.closers.is_empty() {
            self.keep_telling(waiter.found());
        }
        waiter.grow();
        self.waiter = Some(waiter);
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
        let kernel = Arc::get_mut(&mut self.kernel).ok_or(Error::Reentrant)?;
        kernel.replace(fresh).map_err(|errno| Error::system(errno, "dup2", None))?;
        self.closers.clear();
        self.broken.clear();
        Ok(())
    }
}

fn open() -> Result<Kernel, Error> {
    Kernel::new().map_err(|errno| Error::system(errno, "kqueue", None))
}

/// Makes one change.
fn one(kernel: &Kernel, record: Kevent) -> nix::Result<()> {
    let mut receipt = [Kevent::EMPTY];
    let receipts = kernel.change(&[record.with_flags(abi::EV_RECEIPT)], &mut receipt)?;
    receipts.first().map_or(Ok(()), to_result)
}

/// What a receipt says: zero if the change was made.
fn to_result(receipt: &Kevent) -> nix::Result<()> {
    match receipt.data() {
        0 => Ok(()),
        _ if receipt.flags() & abi::EV_ERROR == 0 => Ok(()),
        errno => Err(Errno::from_raw(errno as i32)),
    }
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
}
