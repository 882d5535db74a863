//! One direction of a relay: from its source to its sink.

use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use event_base::Error;
use nix::errno::Errno;

use super::Pools;
use super::buffers::{CHUNK, Held};
use super::end::End;
use super::pipes::{Drain, Fill, Pipe};
use super::throttle::Throttle;
use super::transfer::{Mode, Transfer};
use crate::backoff::Backoff;
use crate::failure::{Result, is_memory_shortage, system};

/// The most bytes that one direction moves in one pass of the loop.
pub(super) const PASS_LIMIT: usize = 2 * CHUNK;
/// After this many failures in a row for lack of memory the direction fails. The pauses between them add up to
/// about half a minute.
const SHORTAGE_LIMIT: u32 = 32;
/// A source that can no longer be written to is read for this many more passes, which is more than its receive
/// buffer holds.
const LAST_PASSES: u32 = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The source may still send.
    Open,
    /// The source has ended. The sink gets the end of the stream once it has taken what is held.
    Ending,
    /// The sink got the whole stream and its end.
    Finished,
    /// The sink failed and takes no more.
    SinkFailed,
    /// The source failed, or bytes were lost: the sink must not take the stream for complete.
    SourceFailed,
}

/// Why moving stopped, and so what the direction waits for.
#[derive(Debug)]
pub(super) enum Halt {
    /// The source has no more bytes for now.
    Drained,
    /// The sink is full.
    Full,
    /// The direction may move nothing for this long: it lacks tokens, or the system lacks memory.
    Delayed(Duration),
    /// The relay is paused.
    Paused,
    /// The direction has ended.
    Over,
    /// The sink failed. What it has sent can still be read.
    SinkFailed(Error),
    /// The source failed, or bytes were lost.
    SourceFailed(Error),
}

/// The outcome of reading one piece.
enum Piece {
    /// This many bytes were read, and no more are known to have arrived.
    Last(usize),
    /// This many bytes were read, and there may be more.
    More(usize),
    /// The stream has ended.
    End,
    /// No bytes have arrived.
    Nothing,
    /// `splice` cannot distinguish the cases; a read can.
    Unknown,
    Failed(Errno),
}

/// The two ends of a direction.
#[derive(Clone, Copy)]
pub(super) struct Ends<'a> {
    pub(super) source: &'a End,
    pub(super) sink: &'a End,
    /// The source is known to have ended behind the bytes that have arrived.
    pub(super) ending: bool,
    /// The source must not be read.
    pub(super) paused: bool,
    /// Bytes for the source are held, so a write to it may fail next.
    pub(super) owes_source: bool,
}

#[derive(Debug)]
pub(super) struct Flow {
    state: State,
    mode: Mode,
    /// What the sink has not taken: first these bytes, then those in the pipe. A pipe is here only while it
    /// holds bytes.
    held: Option<Held>,
    pipe: Option<Pipe>,
    throttle: Option<Box<Throttle>>,
    shortage: Backoff,
    last_passes: u32,
    /// Bytes read from the source.
    received: u64,
    /// Bytes the sink has taken.
    pub(super) moved: u64,
    /// Those of them that were spliced.
    pub(super) spliced: u64,
}

impl Flow {
    /// `prefix` was read from the source before the relay existed.
    pub(super) fn new(throttle: Option<Box<Throttle>>, transfer: Transfer, prefix: Vec<u8>) -> Self {
        Flow {
            state: State::Open,
            mode: Mode::new(transfer),
            received: prefix.len() as u64,
            held: (!prefix.is_empty()).then(|| Held::own(prefix)),
            pipe: None,
            throttle,
            shortage: Backoff::new(),
            last_passes: LAST_PASSES,
            moved: 0,
            spliced: 0,
        }
    }

    /// Moves bytes until the direction has to wait or has used up its share of the pass.
    ///
    /// `now` is called at most once, and only for a limited direction.
    pub(super) fn advance(
        &mut self,
        ends: Ends<'_>,
        pools: &mut Pools,
        now: impl FnOnce() -> Result<Duration>,
    ) -> Result<Halt> {
        let tokens = match &mut self.throttle {
            Some(throttle) if !ends.paused => throttle.open(now()?),
            _ => usize::MAX,
        };
        let halt = self.advance_within(ends, pools, tokens);
        if let Some(throttle) = &mut self.throttle {
            throttle.close();
        }
        Ok(halt)
    }

    fn advance_within(&mut self, ends: Ends<'_>, pools: &mut Pools, mut tokens: usize) -> Halt {
        let mut left = PASS_LIMIT;
        let mut is_drained = false;
        // The error with which a write to the source failed: nothing can follow what has arrived from it.
        let broken = ends.source.broken();
        let ending = ends.ending || broken.is_some();
        loop {
            if let Some(halt) = self.flush(ends.sink, pools) {
                return halt;
            }
            if ends.paused {
                return Halt::Paused;
            }
            if is_drained || left == 0 {
                return match broken {
                    // Level-triggered: the loop reports the source again in its next pass.
                    None => Halt::Drained,
                    Some(error) => self.continue_last_pass(error),
                };
            }
            if let (0, Some(throttle)) = (tokens, &mut self.throttle) {
                return Halt::Delayed(throttle.wait());
            }
            let want = CHUNK.min(left).min(tokens);
            // A source that had bytes in this pass has probably just been emptied. The read that finds out
            // what else an empty splice means is left to the next pass.
            let confirm = left == PASS_LIMIT || ending;
            let (piece, failure) = match self.splice(ends, pools, want, confirm) {
                Piece::Unknown => self.copy(ends, pools, want),
                piece => (piece, None),
            };
            let count = match piece {
                Piece::More(count) => count,
                Piece::Last(count) => {
                    // Level-triggered readiness reports anything that arrives later, so the read that would
                    // find nothing is saved, unless it is known to find the end.
                    is_drained = !ending;
                    count
                }
                Piece::End => match broken.or_else(|| ends.source.cut(self.received, ends.owes_source)) {
                    None => {
                        self.state = State::Ending;
                        continue;
                    }
                    Some(error) => return self.source_failed(error),
                },
                Piece::Nothing | Piece::Unknown => match broken {
                    None => return Halt::Drained,
                    Some(error) => return self.source_failed(error),
                },
                Piece::Failed(errno) => return self.read_failed(ends.source, errno),
            };
            self.received += count as u64;
            self.shortage.reset();
            left -= count.min(left);
            if let Some(throttle) = &mut self.throttle {
                throttle.take(count);
                tokens -= count;
            }
            if let Some(errno) = failure {
                return self.send_failed(ends.sink, errno, pools);
            }
        }
    }

    /// Copies one piece. The bytes that the sink does not take immediately are held. The second value is the
    /// failure of the write, if it failed.
    fn copy(&mut self, ends: Ends<'_>, pools: &mut Pools, want: usize) -> (Piece, Option<Errno>) {
        let room = pools.buffers.scratch();
        let want = room.len().min(want);
        let count = match ends.source.receive(&mut room[..want]) {
            Ok(Some(0)) => return (Piece::End, None),
            Ok(Some(count)) => count,
            Ok(None) => return (Piece::Nothing, None),
            Err(errno) => return (Piece::Failed(errno), None),
        };
        self.mode.copied(count);
        let sent = ends.sink.send(&room[..count]);
        self.settle_copy(sent, count, pools);
        (if count < want { Piece::Last(count) } else { Piece::More(count) }, sent.err())
    }

    /// Counts what was sent of the first `count` bytes of the scratch buffer, and holds the rest.
    fn settle_copy(&mut self, sent: nix::Result<Option<usize>>, count: usize, pools: &mut Pools) {
        let taken = sent.ok().flatten().unwrap_or(0);
        self.took(taken);
        if taken < count {
            self.held = Some(pools.buffers.keep(taken, count));
        }
    }

    /// Moves one piece into a pipe, which `flush` then empties. `Unknown` requests a copy; for an empty source
    /// only if `confirm` is set.
    fn splice(&mut self, ends: Ends<'_>, pools: &mut Pools, want: usize, confirm: bool) -> Piece {
        if !self.mode.splices(want) {
            return Piece::Unknown;
        }
        let Some(pipe) = pools.pipes.borrow() else { return Piece::Unknown };
        match pipe.fill(ends.source.as_fd(), want) {
            Fill::Moved(pipe, count) => {
                self.mode.spliced(count);
                self.pipe = Some(pipe);
                // A piece is also short where its fragments fill the pipe.
                if count < want / 2 { Piece::Last(count) } else { Piece::More(count) }
            }
            Fill::Nothing(pipe) => {
                pools.pipes.put_back(pipe);
                if confirm { Piece::Unknown } else { Piece::Nothing }
            }
            Fill::Refused => {
                self.mode.refuse();
                Piece::Unknown
            }
            Fill::Shortage => Piece::Unknown,
            Fill::Failed(errno) => Piece::Failed(errno),
        }
    }

    /// Writes what is held, and then the end of the stream if the source has ended. `None` means that the source
    /// can be read.
    fn flush(&mut self, sink: &End, pools: &mut Pools) -> Option<Halt> {
        if let Some(held) = &mut self.held {
            match sink.send(held.bytes()) {
                Ok(taken) => {
                    let taken = taken.unwrap_or(0);
                    held.advance(taken);
                    let is_empty = held.is_empty();
                    self.took(taken);
                    if !is_empty {
                        return Some(Halt::Full);
                    }
                }
                Err(errno) => return Some(self.send_failed(sink, errno, pools)),
            }
            self.release_held(pools);
        }
        if self.pipe.is_some()
            && let Some(halt) = self.flush_pipe(sink, pools)
        {
            return Some(halt);
        }
        match self.state {
            State::Open => None,
            State::Ending => {
                sink.finish();
                self.state = State::Finished;
                Some(Halt::Over)
            }
            State::Finished | State::SinkFailed | State::SourceFailed => Some(Halt::Over),
        }
    }

    /// Empties the pipe into the sink. `None` means that it is empty and back in the pool.
    fn flush_pipe(&mut self, sink: &End, pools: &mut Pools) -> Option<Halt> {
        let pipe = self.pipe.as_mut()?;
        if !self.mode.is_refused() {
            match pipe.drain(sink.as_fd()) {
                Drain::Moved(count) => {
                    let is_stuck = pipe.held() > 0;
                    self.spliced += count as u64;
                    self.took(count);
                    if is_stuck {
                        return Some(Halt::Full);
                    }
                }
                Drain::Blocked => return Some(Halt::Full),
                Drain::Failed(errno) => return Some(self.send_failed(sink, errno, pools)),
                Drain::Refused => self.mode.refuse(),
                Drain::Shortage => {}
            }
        }
        // Copies the bytes that are left in the pipe of a sink that cannot be spliced to.
        while let Some(pipe) = &mut self.pipe
            && pipe.held() > 0
        {
            let room = pools.buffers.scratch();
            let count = match pipe.read(room) {
                Ok(count) => count,
                Err(errno) => {
                    self.release_all(pools);
                    return Some(self.source_failed(system(errno, "read", None)));
                }
            };
            let sent = sink.send(&room[..count]);
            self.settle_copy(sent, count, pools);
            match sent {
                Ok(_) if self.held.is_some() => break,
                Ok(_) => {}
                Err(errno) => return Some(self.send_failed(sink, errno, pools)),
            }
        }
        match self.pipe.take().map(Pipe::into_empty) {
            Some(Ok(empty)) => pools.pipes.put_back(empty),
            Some(Err(pipe)) => self.pipe = Some(pipe),
            None => {}
        }
        self.held.is_some().then_some(Halt::Full)
    }

    fn took(&mut self, count: usize) {
        self.moved += count as u64;
        if count > 0 {
            self.shortage.reset();
        }
    }

    /// A write failed; what it was to send is held. For lack of memory it is repeated later.
    fn send_failed(&mut self, sink: &End, errno: Errno, pools: &mut Pools) -> Halt {
        if let Some(pause) = self.pause_after(errno) {
            return Halt::Delayed(pause);
        }
        self.release_all(pools);
        self.state = State::SinkFailed;
        Halt::SinkFailed(system(errno, "write", Some(sink.as_fd().as_raw_fd())))
    }

    /// A read failed. For lack of memory it is repeated later.
    fn read_failed(&mut self, source: &End, errno: Errno) -> Halt {
        match self.pause_after(errno) {
            Some(pause) => Halt::Delayed(pause),
            None => self.source_failed(system(errno, "read", Some(source.as_fd().as_raw_fd()))),
        }
    }

    fn pause_after(&mut self, errno: Errno) -> Option<Duration> {
        let may_repeat = is_memory_shortage(errno) && self.shortage.failures() < SHORTAGE_LIMIT;
        may_repeat.then(|| self.shortage.next_pause())
    }

    fn source_failed(&mut self, error: Error) -> Halt {
        self.state = State::SourceFailed;
        Halt::SourceFailed(error)
    }

    /// The pass is over, and the source may have more bytes, of which readiness reports nothing any more.
    fn continue_last_pass(&mut self, error: Error) -> Halt {
        match self.last_passes.checked_sub(1) {
            Some(left) => {
                self.last_passes = left;
                Halt::Delayed(Duration::ZERO)
            }
            None => self.source_failed(error),
        }
    }

    fn release_held(&mut self, pools: &mut Pools) {
        if let Some(held) = self.held.take() {
            pools.buffers.put_back(held);
        }
    }

    /// Drops the bytes that are held. The pipe is closed.
    pub(super) fn release_all(&mut self, pools: &mut Pools) {
        self.release_held(pools);
        self.pipe = None;
    }

    /// Bytes read from the source that the sink has not taken.
    pub(super) fn held(&self) -> usize {
        let bytes = self.held.as_ref().map_or(0, |held| held.bytes().len());
        bytes + self.pipe.as_ref().map_or(0, Pipe::held)
    }

    /// The bytes that were read and those that were written: it changes whenever the flow moves a byte.
    pub(super) fn progress(&self) -> (u64, u64) {
        (self.received, self.moved)
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, State::Finished | State::SinkFailed | State::SourceFailed)
    }

    /// Whether the sink got the whole stream and its end.
    pub(super) fn is_complete(&self) -> bool {
        self.state == State::Finished
    }

    /// Whether the sink failed and takes no more.
    pub(super) fn has_sink_failed(&self) -> bool {
        self.state == State::SinkFailed
    }

    /// Whether the source has sent anything.
    pub(super) fn has_received(&self) -> bool {
        self.received > 0
    }

    /// Whether the end of the source's stream was read.
    pub(super) fn has_source_ended(&self) -> bool {
        matches!(self.state, State::Ending | State::Finished)
    }
}
