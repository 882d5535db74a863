//! One direction of a relay: from its source to its sink.

use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use event_base::Error;
use nix::errno::Errno;

use super::buffers::{Buffers, CHUNK, Held};
use super::end::End;
use super::limit::Bucket;
use crate::failure::{Result, system};

/// Bytes one direction may move before the others of the base get their turn.
pub(super) const TURN: usize = 2 * CHUNK;

/// How far the direction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The source may still send.
    Open,
    /// The source has ended; the sink is told once it has taken what is held.
    Ending,
    /// The sink knows that the source has ended.
    Finished,
    /// The sink takes no more.
    Broken,
}

/// Why copying stopped, and so what to wait for.
#[derive(Debug)]
pub(super) enum Halt {
    /// Waits for the source.
    Drained,
    /// Waits for the sink.
    Full,
    /// Waits for tokens, this long.
    Throttled(Duration),
    /// Waits for nothing more: it has ended.
    Over,
    /// The sink failed. What it has sent can still be read.
    SinkFailed(Error),
    /// The source failed.
    SourceFailed(Error),
}

#[derive(Debug)]
pub(super) struct Flow {
    state: State,
    held: Option<Held>,
    bucket: Option<Bucket>,
    /// Bytes read from the source.
    received: u64,
    /// Bytes the sink has taken.
    pub(super) moved: u64,
}

impl Flow {
    pub(super) fn new(bucket: Option<Bucket>) -> Self {
        Flow { state: State::Open, held: None, bucket, received: 0, moved: 0 }
    }

    /// Copies until something has to be waited for or the turn is over.
    ///
    /// `now` is asked at most once, and only for a limited flow.
    pub(super) fn copy(
        &mut self,
        source: &End,
        sink: &End,
        buffers: &mut Buffers,
        now: impl FnOnce() -> Result<Duration>,
    ) -> Result<Halt> {
        let tokens = match &mut self.bucket {
            Some(bucket) => Some(bucket.available(now()?)),
            None => None,
        };
        Ok(self.copy_within(source, sink, buffers, tokens))
    }

    fn copy_within(
        &mut self,
        source: &End,
        sink: &End,
        buffers: &mut Buffers,
        mut tokens: Option<usize>,
    ) -> Halt {
        let mut turn = TURN;
        loop {
            if let Some(halt) = self.flush(sink, buffers) {
                return halt;
            }
            if turn == 0 {
                // Level-triggered: the loop reports the source again in its next pass.
                return Halt::Drained;
            }
            let room = buffers.scratch();
            let mut want = room.len().min(turn);
            if let (Some(tokens), Some(bucket)) = (tokens, &self.bucket) {
                if tokens == 0 {
                    return Halt::Throttled(bucket.wait());
                }
                want = want.min(tokens);
            }
            let count = match source.receive(&mut room[..want]) {
                Ok(Some(0)) => {
                    self.state = State::Ending;
                    continue;
                }
                Ok(Some(count)) => count,
                Ok(None) => return Halt::Drained,
                Err(errno) => {
                    return Halt::SourceFailed(system(errno, "read", Some(source.as_fd().as_raw_fd())));
                }
            };
            turn -= count;
            self.received += count as u64;
            if let Some(bucket) = &mut self.bucket {
                bucket.take(count);
                tokens = tokens.map(|tokens| tokens - count);
            }
            let taken = match sink.send(&buffers.scratch()[..count]) {
                Ok(taken) => taken.unwrap_or(0),
                Err(errno) => return self.break_off(sink, errno),
            };
            self.moved += taken as u64;
            if taken < count {
                self.held = Some(buffers.keep(taken, count));
                return Halt::Full;
            }
            if count < want {
                // The source had less than was asked for. Level-triggered readiness tells of anything
                // that came since, so the read that would only answer "nothing" is saved.
                return Halt::Drained;
            }
        }
    }

    /// Writes what is held, and the end of the stream behind it. `None`: the source can be read.
    fn flush(&mut self, sink: &End, buffers: &mut Buffers) -> Option<Halt> {
        if let Some(held) = &mut self.held {
            let taken = match sink.send(held.bytes()) {
                Ok(taken) => taken.unwrap_or(0),
                Err(errno) => {
                    self.drop_held(buffers);
                    return Some(self.break_off(sink, errno));
                }
            };
            self.moved += taken as u64;
            held.advance(taken);
            if !held.is_empty() {
                return Some(Halt::Full);
            }
            self.drop_held(buffers);
        }
        match self.state {
            State::Open => None,
            State::Ending => {
                sink.finish();
                self.state = State::Finished;
                Some(Halt::Over)
            }
            State::Finished | State::Broken => Some(Halt::Over),
        }
    }

    fn break_off(&mut self, sink: &End, errno: Errno) -> Halt {
        self.state = State::Broken;
        Halt::SinkFailed(system(errno, "write", Some(sink.as_fd().as_raw_fd())))
    }

    pub(super) fn drop_held(&mut self, buffers: &mut Buffers) {
        if let Some(held) = self.held.take() {
            buffers.give_back(held);
        }
    }

    /// Bytes read from the source that the sink has not taken.
    pub(super) fn held(&self) -> usize {
        self.held.as_ref().map_or(0, |held| held.bytes().len())
    }

    /// A number that changes whenever a byte was read or written.
    pub(super) fn progress(&self) -> u64 {
        self.received + self.moved
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, State::Finished | State::Broken)
    }

    /// Whether the sink got the whole stream and was told so.
    pub(super) fn is_complete(&self) -> bool {
        self.state == State::Finished
    }
}
