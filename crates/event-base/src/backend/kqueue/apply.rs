//! Making changes: submitting the steps of a change, and evaluating their receipts.

use nix::errno::Errno;

use super::Kqueue;
use super::steps::{Act, MOST_STEPS, Mode, Step, Steps, read_mode};
use crate::backend::changelist::Pending;
use crate::backend::{Applied, Change};
use crate::error::Error;
use crate::flags::What;
use crate::sys::kqueue::{Kevent, abi};

/// The outcome of each step of a change.
type Outcomes = [nix::Result<()>; MOST_STEPS];

/// Deferred changes that one system call makes. Empty between flushes; kept for its memory.
#[derive(Debug, Default)]
pub(super) struct Batch {
    changes: Vec<(Pending, Steps)>,
    records: Vec<Kevent>,
    receipts: Vec<Kevent>,
}

impl Kqueue {
    /// Makes a change whose outcome the caller needs.
    pub(super) fn apply(&mut self, change: &Change) -> Result<Applied, Error> {
        let steps = Steps::of(change);
        let steps = steps.as_slice();
        let failed = |errno| Error::system(errno, "kevent", Some(change.fd));
        let mut records = [Kevent::EMPTY; MOST_STEPS];
        let mut receipts = [Kevent::EMPTY; MOST_STEPS];
        for (record, step) in records.iter_mut().zip(steps) {
            *record = step.record(change.fd, change.token);
        }
        let receipts =
            self.kernel.change(&records[..steps.len()], &mut receipts[..steps.len()]).map_err(failed)?;
        let mut outcomes = outcomes(receipts);
        let applied = self.judge(change, steps, &mut outcomes, false).map_err(|errno| {
            self.take_back(change, steps, &outcomes);
            failed(errno)
        })?;
        if applied == Applied::Gone {
            self.clear(change);
        }
        self.record(change, applied == Applied::Done);
        Ok(applied)
    }

    /// Makes the deferred changes, all in one system call.
    pub(super) fn apply_deferred(&mut self) {
        // In a forked child they are changes of the parent's kqueue.
        if !self.is_ours() {
            return;
        }
        let mut batch = std::mem::take(&mut self.batch);
        while let Some(pending) = self.changes.take() {
            let steps =
                if pending.reborn { Steps::afresh(&pending.change) } else { Steps::of(&pending.change) };
            let Change { fd, token, .. } = pending.change;
            batch.records.extend(steps.as_slice().iter().map(|step| step.record(fd, token)));
            batch.changes.push((pending, steps));
        }
        batch.receipts.resize(batch.records.len(), Kevent::EMPTY);
        let mut receipts = self.kernel.change(&batch.records, &mut batch.receipts).unwrap_or_default();
        for (pending, steps) in batch.changes.drain(..) {
            // Without a receipt for each step, the system call failed as a whole.
            let own = receipts.split_off(..steps.as_slice().len());
            self.conclude(&pending, steps.as_slice(), own);
        }
        batch.records.clear();
        batch.receipts.clear();
        self.batch = batch;
    }

    /// Records the outcome of a deferred change. A change that failed is lost.
    fn conclude(&mut self, pending: &Pending, steps: &[Step], receipts: Option<&[Kevent]>) {
        let Pending { change, reborn } = pending;
        let is_done = receipts.is_some_and(|receipts| {
            self.judge(change, steps, &mut outcomes(receipts), *reborn) == Ok(Applied::Done)
        });
        if !is_done {
            self.clear(change);
            if !change.wanted().is_empty() {
                self.lost.push(change.token);
            }
        }
        self.record(change, is_done);
    }

    /// Derives the outcome of a change from those of its steps.
    fn judge(
        &mut self,
        change: &Change,
        steps: &[Step],
        outcomes: &mut Outcomes,
        reborn: bool,
    ) -> Result<Applied, Errno> {
        let mut result = Ok(Applied::Done);
        for (step, outcome) in steps.iter().zip(outcomes) {
            if step.filter == abi::EVFILT_WRITE {
                *outcome = self.handle_broken_pipe(change, *step, *outcome);
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

    /// Records that the kernel has the wanted interests if the change was made, else that it has none.
    fn record(&mut self, change: &Change, is_done: bool) {
        let registered = if is_done { change.wanted() } else { What::empty() };
        self.changes.note(change.fd, registered);
        if !change.edge && read_mode(registered, false) == Some(Mode::Quiet) {
            self.closers.insert(change.fd, change.token);
        } else {
            self.closers.remove(&change.fd);
        }
    }

    /// Handles a pipe without a reader, for which FreeBSD's kernel refuses `EVFILT_WRITE` with `EPIPE`
    /// (`pipe_kqfilter`). Such a pipe is writable: a write returns immediately, with an error that the writer must
    /// receive. So a filter `EVFILT_USER` that stays triggered replaces the refused one.
    fn handle_broken_pipe(
        &mut self,
        change: &Change,
        step: Step,
        outcome: nix::Result<()>,
    ) -> nix::Result<()> {
        let stand_in = Kevent::new(change.fd as usize, abi::EVFILT_USER, change.token);
        match (step.act, outcome) {
            (Act::Add(mode), Err(Errno::EPIPE)) => {
                let clear = if mode == Mode::Edge { abi::EV_CLEAR } else { 0 };
                self.kernel.one(stand_in.with_flags(abi::EV_ADD | clear))?;
                self.kernel.one(stand_in.with_note(abi::NOTE_TRIGGER, 0))?;
                self.broken.insert(change.fd);
                Ok(())
            }
            (Act::Confirm(mode), Err(Errno::ENOENT)) if self.broken.contains(&change.fd) => {
                // The filter `EVFILT_USER` outlives the descriptor. Only if the kernel refuses `EVFILT_WRITE` again is
                // this still the same pipe.
                let again = Step { act: Act::Add(mode), ..step };
                match self.kernel.one(again.record(change.fd, change.token)) {
                    Err(Errno::EPIPE) => self.kernel.one(stand_in.with_note(abi::NOTE_TRIGGER, 0)),
                    Err(errno) => Err(errno),
                    Ok(()) => Err(Errno::ENOENT),
                }
            }
            (Act::Delete(_), Err(Errno::ENOENT)) if self.broken.remove(&change.fd) => {
                self.kernel.one(stand_in.with_flags(abi::EV_DELETE))
            }
            (_, outcome) => outcome,
        }
    }

    /// Reverses the steps that were made, after another one was refused.
    fn take_back(&mut self, change: &Change, steps: &[Step], outcomes: &Outcomes) {
        for (step, outcome) in steps.iter().zip(outcomes).rev() {
            let Some(reverse) = outcome.ok().and_then(|()| step.reverse()) else { continue };
            let outcome = self.kernel.one(reverse.record(change.fd, change.token));
            if step.filter == abi::EVFILT_WRITE {
                // If this fails too, the descriptor was closed meanwhile, and the next change reports that.
                _ = self.handle_broken_pipe(change, reverse, outcome);
            }
        }
    }

    /// Removes everything that is registered for the descriptor.
    fn clear(&mut self, change: &Change) {
        for filter in [abi::EVFILT_READ, abi::EVFILT_WRITE] {
            let step = Step { filter, act: Act::Delete(Mode::Level) };
            _ = self.kernel.one(step.record(change.fd, change.token));
        }
        if self.broken.remove(&change.fd) {
            let stand_in = Kevent::new(change.fd as usize, abi::EVFILT_USER, change.token);
            _ = self.kernel.one(stand_in.with_flags(abi::EV_DELETE));
        }
    }

    /// Makes the next wait report again each close of a peer that this wait reported.
    pub(super) fn repeat_closed(&self, found: &[Kevent]) {
        for event in found {
            let fd = event.ident() as i32;
            let is_closed = event.filter() == abi::EVFILT_READ && event.flags() & abi::EV_EOF != 0;
            if is_closed && self.closers.get(&fd) == Some(&event.token()) {
                let step = |act| Step { filter: abi::EVFILT_READ, act }.record(fd, event.token());
                // Not every kernel checks a filter again that is added while it exists, so it is deleted first. That
                // fails if the descriptor was closed; then there is nothing to report.
                if self.kernel.one(step(Act::Delete(Mode::Quiet))).is_ok() {
                    _ = self.kernel.one(step(Act::Add(Mode::Quiet)));
                }
            }
        }
    }
}

fn outcomes(receipts: &[Kevent]) -> Outcomes {
    let mut outcomes = [Ok(()); MOST_STEPS];
    for (outcome, receipt) in outcomes.iter_mut().zip(receipts) {
        *outcome = receipt.result();
    }
    outcomes
}
