//! One direction of a relay: from its source to its sink.

use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use event_base::Error;
use nix::errno::Errno;

use super::Pools;
use super::buffers::{CHUNK, Held};
use super::end::End;
use super::gait::{Gait, Transfer};
use super::pipes::{Pipe, Step};
use super::throttle::Throttle;
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

/// Why moving stopped, and so what to wait for.
#[derive(Debug)]
pub(super) enum Halt {
    /// Waits for the source.
    Drained,
    /// Waits for the sink.
    Full,
    /// Waits for tokens, this long.
    Throttled(Duration),
    /// Waits to be resumed.
    Paused,
    /// Waits for nothing more: it has ended.
    Over,
    /// The sink failed. What it has sent can still be read.
    SinkFailed(Error),
    /// The source failed.
    SourceFailed(Error),
}

/// What came of one piece.
enum Piece {
    /// So many bytes were read, and nothing is known to be there beyond them.
    Last(usize),
    /// So many bytes were read, and there may be more.
    More(usize),
    /// The stream has ended.
    End,
    /// Nothing was there.
    Nothing,
    /// The kernel left the answer to a read.
    Unknown,
    Failed(Errno),
}

/// The two ends as a direction sees them.
#[derive(Clone, Copy)]
pub(super) struct Way<'a> {
    pub(super) source: &'a End,
    pub(super) sink: &'a End,
    /// The source is known to have ended behind what it still has to say.
    pub(super) ending: bool,
    /// The source may not be read.
    pub(super) paused: bool,
}

#[derive(Debug)]
pub(super) struct Flow {
    state: State,
    gait: Gait,
    /// What the sink has not taken: first these bytes, then those in the pipe, which is there only if there
    /// are any.
    held: Option<Held>,
    pipe: Option<Pipe>,
    throttle: Option<Box<Throttle>>,
    /// Bytes read from the source.
    received: u64,
    /// Bytes the sink has taken.
    pub(super) moved: u64,
    /// Those of them that were spliced.
    pub(super) spliced: u64,
}

impl Flow {
    /// `prefix` was read from the source before there was a relay.
    pub(super) fn new(throttle: Option<Box<Throttle>>, transfer: Transfer, prefix: Vec<u8>) -> Self {
        Flow {
            state: State::Open,
            gait: Gait::new(transfer),
            received: prefix.len() as u64,
            held: (!prefix.is_empty()).then(|| Held::own(prefix)),
            pipe: None,
            throttle,
            moved: 0,
            spliced: 0,
        }
    }

    /// Moves bytes until something has to be waited for or the turn is over.
    ///
    /// `now` is asked at most once, and only for a limited flow.
    pub(super) fn advance(
        &mut self,
        way: Way<'_>,
        pools: &mut Pools,
        now: impl FnOnce() -> Result<Duration>,
    ) -> Result<Halt> {
        let tokens = match &mut self.throttle {
            Some(throttle) if !way.paused => throttle.open(now()?),
            _ => usize::MAX,
        };
        let halt = self.advance_within(way, pools, tokens);
        if let Some(throttle) = &mut self.throttle {
            throttle.close();
        }
        Ok(halt)
    }

    fn advance_within(&mut self, way: Way<'_>, pools: &mut Pools, mut tokens: usize) -> Halt {
        let mut turn = TURN;
        let mut is_drained = false;
        loop {
            if let Some(halt) = self.flush(way.sink, pools) {
                return halt;
            }
            if way.paused {
                return Halt::Paused;
            }
            // Level-triggered: the loop reports the source again in its next pass.
            if is_drained || turn == 0 {
                return Halt::Drained;
            }
            if let (0, Some(throttle)) = (tokens, &mut self.throttle) {
                return Halt::Throttled(throttle.wait());
            }
            let want = CHUNK.min(turn).min(tokens);
            // A source that had bytes in this turn may just have been emptied; what else "nothing" can mean is
            // asked in the next turn.
            let ask = turn == TURN || way.ending;
            let piece = match self.splice(way, pools, want, ask) {
                Piece::Unknown => match self.copy(way, pools, want) {
                    Ok(piece) => piece,
                    Err(halt) => return halt,
                },
                piece => piece,
            };
            let count = match piece {
                Piece::More(count) => count,
                Piece::Last(count) => {
                    // Level-triggered readiness tells of anything that came since, so the read that would
                    // only answer "nothing" is saved; unless it is known to answer "the end".
                    is_drained = !way.ending;
                    count
                }
                Piece::End => match way.source.broken() {
                    None => {
                        self.state = State::Ending;
                        continue;
                    }
                    Some(error) => return Halt::SourceFailed(error),
                },
                Piece::Nothing | Piece::Unknown => return Halt::Drained,
                Piece::Failed(errno) => {
                    return Halt::SourceFailed(system(errno, "read", Some(way.source.as_fd().as_raw_fd())));
                }
            };
            turn -= count.min(turn);
            if let Some(throttle) = &mut self.throttle {
                throttle.take(count);
                tokens -= count;
            }
        }
    }

    /// Copies one piece. What the sink does not take at once is held.
    fn copy(&mut self, way: Way<'_>, pools: &mut Pools, want: usize) -> Result<Piece, Halt> {
        let room = pools.buffers.scratch();
        let want = room.len().min(want);
        let count = match way.source.receive(&mut room[..want]) {
            Ok(Some(0)) => return Ok(Piece::End),
            Ok(Some(count)) => count,
            Ok(None) => return Ok(Piece::Nothing),
            Err(errno) => return Ok(Piece::Failed(errno)),
        };
        self.received += count as u64;
        self.gait.copied(count);
        let taken = match way.sink.send(&room[..count]) {
            Ok(taken) => taken.unwrap_or(0),
            Err(errno) => return Err(self.break_off(way.sink, errno)),
        };
        self.moved += taken as u64;
        if taken < count {
            self.held = Some(pools.buffers.keep(taken, count));
        }
        Ok(if count < want { Piece::Last(count) } else { Piece::More(count) })
    }

    /// Takes one piece into a pipe, which is then poured out. `Unknown`: a copy is to be tried, for nothing
    /// only if `ask` says so.
    fn splice(&mut self, way: Way<'_>, pools: &mut Pools, want: usize, ask: bool) -> Piece {
        if !self.gait.splices(want) {
            return Piece::Unknown;
        }
        let Some(mut pipe) = pools.pipes.take() else { return Piece::Unknown };
        let step = pipe.fill(way.source.as_fd(), want);
        match step {
            Step::Moved(count) => {
                self.received += count as u64;
                self.gait.spliced(count);
                self.pipe = Some(pipe);
                // A piece is also short where its fragments fill the pipe.
                return if count < want / 2 { Piece::Last(count) } else { Piece::More(count) };
            }
            Step::Refused => self.gait.refuse(),
            Step::Blocked | Step::Failed(_) => {}
        }
        pools.pipes.give_back(pipe);
        match step {
            Step::Failed(errno) => Piece::Failed(errno),
            Step::Blocked if !ask => Piece::Nothing,
            _ => Piece::Unknown,
        }
    }

    /// Writes what is held, and the end of the stream behind it. `None`: the source can be read.
    fn flush(&mut self, sink: &End, pools: &mut Pools) -> Option<Halt> {
        if let Some(held) = &mut self.held {
            match sink.send(held.bytes()) {
                Ok(taken) => {
                    let taken = taken.unwrap_or(0);
                    self.moved += taken as u64;
                    held.advance(taken);
                }
                Err(errno) => return Some(self.drop_and_break_off(sink, errno, pools)),
            }
            if !held.is_empty() {
                return Some(Halt::Full);
            }
            self.drop_held(pools);
        }
        if self.pipe.is_some()
            && let Some(halt) = self.pour(sink, pools)
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
            State::Finished | State::Broken => Some(Halt::Over),
        }
    }

    /// Empties the pipe into the sink. `None`: it is empty, and back in the pool.
    fn pour(&mut self, sink: &End, pools: &mut Pools) -> Option<Halt> {
        let pipe = self.pipe.as_mut()?;
        if !self.gait.is_refused() {
            match pipe.pour(sink.as_fd()) {
                Step::Moved(count) => {
                    self.moved += count as u64;
                    self.spliced += count as u64;
                    if pipe.held() > 0 {
                        return Some(Halt::Full);
                    }
                }
                Step::Blocked => return Some(Halt::Full),
                Step::Failed(errno) => return Some(self.drop_and_break_off(sink, errno, pools)),
                Step::Refused => self.gait.refuse(),
            }
        }
        // What a sink that cannot be spliced to left in the pipe is copied.
        while pipe.held() > 0 {
            let room = pools.buffers.scratch();
            let count = pipe.read(room);
            match sink.send(&room[..count]) {
                Ok(taken) => {
                    let taken = taken.unwrap_or(0);
                    self.moved += taken as u64;
                    if taken < count {
                        self.held = Some(pools.buffers.keep(taken, count));
                        break;
                    }
                }
                Err(errno) => return Some(self.drop_and_break_off(sink, errno, pools)),
            }
        }
        let is_stuck = self.held.is_some();
        self.pipe = self.pipe.take().and_then(|pipe| {
            if pipe.held() > 0 {
                return Some(pipe);
            }
            pools.pipes.give_back(pipe);
            None
        });
        is_stuck.then_some(Halt::Full)
    }

    fn drop_and_break_off(&mut self, sink: &End, errno: Errno, pools: &mut Pools) -> Halt {
        self.drop_all(pools);
        self.break_off(sink, errno)
    }

    fn break_off(&mut self, sink: &End, errno: Errno) -> Halt {
        self.state = State::Broken;
        Halt::SinkFailed(system(errno, "write", Some(sink.as_fd().as_raw_fd())))
    }

    fn drop_held(&mut self, pools: &mut Pools) {
        if let Some(held) = self.held.take() {
            pools.buffers.give_back(held);
        }
    }

    /// Gives back what is held, undelivered.
    pub(super) fn drop_all(&mut self, pools: &mut Pools) {
        self.drop_held(pools);
        if let Some(pipe) = self.pipe.take() {
            pools.pipes.give_back(pipe);
        }
    }

    /// Bytes read from the source that the sink has not taken.
    pub(super) fn held(&self) -> usize {
        let bytes = self.held.as_ref().map_or(0, |held| held.bytes().len());
        bytes + self.pipe.as_ref().map_or(0, Pipe::held)
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
