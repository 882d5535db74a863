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

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;

use super::{Applied, Change, Internal, Readiness};
use crate::error::Error;
use crate::flags::{Features, What};
use crate::sys::kqueue::{Kevent, Kqueue as Kernel, abi};
use crate::time::{Clock, Nanos, SystemClock};

pub(super) const NAME: &str = "kqueue";
pub(super) const FEATURES: Features =
    Features::ET.union(Features::O1).union(Features::FDS).union(Features::EARLY_CLOSE);

/// Room for the first wait, and what it may grow to.
const FIRST_ROOM: usize = 256;
const MOST_ROOM: usize = 4096;

/// More bytes than any file holds back for its reader.
const NEVER_SO_MANY: isize = i32::MAX as isize;

/// No change needs more: both filters taken out and put in again.
const MOST_STEPS: usize = 4;

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

/// A wait under way.
#[derive(Debug)]
pub(crate) struct KqueueWaiter {
    kernel: Arc<Kernel>,
    events: Vec<Kevent>,
    found: usize,
    /// What the events mean, if some come in twos.
    merged: Vec<Readiness>,
    /// The place in `merged` of each token. Scratch.
    places: HashMap<u64, usize>,
}

/// One of the two filters of a descriptor as it is, or is to be, registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Level,
    Edge,
    /// For CLOSED alone.
    Quiet,
}

/// What is done to a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Add(Mode),
    Confirm(Mode),
    Delete(Mode),
}

#[derive(Clone, Copy, Debug)]
struct Step {
    filter: i16,
    act: Act,
}

impl Step {
    fn record(self, fd: RawFd, token: u64) -> Kevent {
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
    fn reverse(self) -> Option<Self> {
        let act = match self.act {
            Act::Add(mode) => Act::Delete(mode),
            Act::Delete(mode) => Act::Add(mode),
            Act::Confirm(_) => return None,
        };
        Some(Step { act, ..self })
    }
}

/// The steps of a change, those that speak of filters the kernel ought to have first.
#[derive(Debug)]
struct Steps {
    steps: [Step; MOST_STEPS],
    len: usize,
}

impl Steps {
    fn of(change: &Change) -> Self {
        let none = Step { filter: 0, act: Act::Delete(Mode::Level) };
        let mut all = Steps { steps: [none; MOST_STEPS], len: 0 };
        let (old, new) = (change.registered, change.wanted());
        let pairs = [
            (abi::EVFILT_READ, read_mode(old, change.edge), read_mode(new, change.edge)),
            (abi::EVFILT_WRITE, write_mode(old, change.edge), write_mode(new, change.edge)),
        ];
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

    fn push(&mut self, filter: i16, act: Act) {
        self.steps[self.len] = Step { filter, act };
        self.len += 1;
    }

    fn as_slice(&self) -> &[Step] {
        &self.steps[..self.len]
    }
}

fn read_mode(interests: What, edge: bool) -> Option<Mode> {
    if interests.contains(What::READ) {
        Some(if edge { Mode::Edge } else { Mode::Level })
    } else {
        interests.contains(What::CLOSED).then_some(Mode::Quiet)
    }
}

fn write_mode(interests: What, edge: bool) -> Option<Mode> {
    interests.contains(What::WRITE).then_some(if edge { Mode::Edge } else { Mode::Level })
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
        self.waiter.take().unwrap_or_else(|| KqueueWaiter {
            kernel: Arc::clone(&self.kernel),
            events: vec![Kevent::EMPTY; FIRST_ROOM],
            found: 0,
            merged: Vec::new(),
            places: HashMap::new(),
        })
    }

    pub(super) fn finish_wait(&mut self, mut waiter: KqueueWaiter) {
        if !self.closers.is_empty() {
            self.keep_telling(&waiter.events[..waiter.found]);
        }
        if waiter.is_full() && waiter.events.len() < MOST_ROOM {
            waiter.events.resize(waiter.events.len() * 2, Kevent::EMPTY);
        }
        self.waiter = Some(waiter);
    }

    /// Lets what told of a peer's close tell of it in the next wait too.
    fn keep_telling(&self, found: &[Kevent]) {
        for event in found {
            let fd = event.ident() as RawFd;
            let is_closed = event.filter() == abi::EVFILT_READ && event.flags() & abi::EV_EOF != 0;
            if is_closed && self.closers.get(&fd) == Some(&event.token()) {
                let step = Step { filter: abi::EVFILT_READ, act: Act::Confirm(Mode::Quiet) };
                // It fails if the descriptor was closed, and then there is nothing to tell.
                _ = self.one(step.record(fd, event.token()));
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

impl KqueueWaiter {
    pub(super) fn len(&self) -> usize {
        if self.merged.is_empty() { self.found } else { self.merged.len() }
    }

    pub(super) fn is_full(&self) -> bool {
        self.found == self.events.len()
    }

    pub(super) fn get(&self, index: usize) -> Readiness {
        match self.merged.get(index) {
            Some(readiness) => *readiness,
            None => to_readiness(&self.events[index]),
        }
    }

    pub(super) fn wait(&mut self, timeout: Option<Duration>) -> Result<(), Error> {
        self.merged.clear();
        self.found = match self.kernel.wait(&mut self.events, timeout) {
            Ok(found) => found,
            Err(Errno::EINTR) => 0,
            Err(errno) => return Err(Error::system(errno, "kevent", None)),
        };
        self.merge();
        Ok(())
    }

    /// Makes one readiness of what both filters of a descriptor told: its events are to be told in the order
    /// in which they were added, not readers before writers.
    fn merge(&mut self) {
        let found = &self.events[..self.found];
        let of_read = |event: &Kevent| event.filter() == abi::EVFILT_READ;
        if !found.iter().any(of_read) || found.iter().all(of_read) {
            return;
        }
        self.places.clear();
        for readiness in found.iter().map(to_readiness) {
            let place = *self.places.entry(readiness.token).or_insert(self.merged.len());
            match self.merged.get_mut(place) {
                Some(before) => before.what |= readiness.what,
                None => self.merged.push(readiness),
            }
        }
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

fn to_readiness(event: &Kevent) -> Readiness {
    Readiness { token: event.token(), what: to_interests(event) }
}

/// What the kernel's record means to events.
///
/// The end of what can be written is told to writers only: it can be this side's own doing.
fn to_interests(event: &Kevent) -> What {
    if event.flags() & abi::EV_ERROR != 0 {
        return What::IO;
    }
    match event.filter() {
        abi::EVFILT_READ if event.flags() & abi::EV_EOF != 0 => What::READ | What::CLOSED,
        abi::EVFILT_READ => What::READ,
        _ => What::WRITE,
    }
}
