//! One end of a connection: it sends and closes as its plan specifies, and checks each byte that arrives.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::poll::PollFlags;
use socket2::SockRef;

use crate::plan::{Leave, Part, Trigger};

/// How a stream ended for its reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadEnd {
    /// Properly.
    End,
    /// It was cut.
    Broken,
    /// The reader closed before it ended.
    Left,
}

/// How a peer ended its own stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WriteEnd {
    /// Properly.
    End,
    /// It closed the connection early.
    Closed,
    /// It reset the connection.
    Reset,
    /// It could not send any more.
    Failed,
    /// It stopped sending, and kept the connection.
    Nothing,
}

#[derive(Debug)]
pub(crate) struct Peer<'a> {
    pool: &'a [u8],
    part: &'a Part,
    /// The position in the pool of the bytes that the other peer sends.
    theirs: usize,
    stream: Option<TcpStream>,
    pub(crate) sent: usize,
    pub(crate) received: usize,
    pub(crate) read_end: Option<ReadEnd>,
    pub(crate) write_end: Option<WriteEnd>,
    reset: bool,
    stalled: Option<Instant>,
    has_stalled: bool,
    /// The bytes that arrived differ from those that were sent.
    pub(crate) wrong: Option<String>,
}

impl<'a> Peer<'a> {
    pub(crate) fn new(pool: &'a [u8], part: &'a Part, other: &Part, stream: TcpStream) -> Self {
        stream.set_nonblocking(true).expect("it is a socket");
        // Bytes are sent when they are written, so that the plan determines the pieces.
        stream.set_nodelay(true).expect("it is a socket");
        Peer {
            pool,
            part,
            theirs: other.offset,
            stream: Some(stream),
            sent: 0,
            received: 0,
            read_end: None,
            write_end: None,
            reset: false,
            stalled: None,
            has_stalled: false,
            wrong: None,
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.stream.is_none()
    }

    /// The time until it continues.
    pub(crate) fn rest(&self) -> Option<Duration> {
        self.stalled.map(|until| until.saturating_duration_since(Instant::now()))
    }

    /// The readiness it waits for.
    pub(crate) fn interest(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        let stream = self.stream.as_ref().filter(|_| self.stalled.is_none())?;
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::POLLIN, self.read_end.is_none());
        flags.set(PollFlags::POLLOUT, self.write_end.is_none() && self.has_more());
        Some((stream.as_fd(), flags))
    }

    fn limit(&self) -> usize {
        match self.part.leave {
            Leave::FallSilent(most) => most,
            Leave::AfterTheOther if self.read_end.is_none() => self.part.size.saturating_sub(1),
            _ => self.part.size,
        }
    }

    fn has_more(&self) -> bool {
        self.sent < self.limit()
    }

    /// Reads and writes as far as possible.
    pub(crate) fn step(&mut self, buffer: &mut [u8]) {
        if self.stalled.is_some_and(|until| Instant::now() >= until) {
            self.stalled = None;
        }
        if self.stalled.is_some() || self.stream.is_none() {
            return;
        }
        self.read(buffer);
        self.write();
        self.consider();
    }

    fn read(&mut self, buffer: &mut [u8]) {
        let Some(stream) = self.stream.as_mut().filter(|_| self.read_end.is_none()) else { return };
        match stream.read(&mut buffer[..self.part.piece]) {
            // A reset that a write has returned is not returned by a read.
            Ok(0) => self.read_end = Some(if self.reset { ReadEnd::Broken } else { ReadEnd::End }),
            Ok(count) => {
                let start = self.theirs + self.received;
                if self.wrong.is_none() && self.pool.get(start..start + count) != Some(&buffer[..count]) {
                    self.wrong =
                        Some(format!("other bytes than were sent within {count} from {}", self.received));
                }
                self.received += count;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => self.read_end = Some(ReadEnd::Broken),
        }
    }

    fn write(&mut self) {
        let limit = self.limit();
        let Some(stream) = self.stream.as_mut().filter(|_| self.write_end.is_none() && self.sent < limit)
        else {
            return;
        };
        let end = limit.min(self.sent + self.part.piece);
        match stream.write(&self.pool[self.part.offset + self.sent..self.part.offset + end]) {
            Ok(count) => self.sent += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => {
                self.reset = error.kind() != ErrorKind::BrokenPipe;
                self.write_end = Some(WriteEnd::Failed);
            }
        }
    }

    fn consider(&mut self) {
        if let Some((after, time)) = self.part.stall
            && !self.has_stalled
            && self.sent + self.received >= after
        {
            self.has_stalled = true;
            self.stalled = Some(Instant::now() + time);
        }
        let reached = |trigger| match trigger {
            Trigger::Sent(most) => self.sent >= most,
            Trigger::Received(most) => self.received >= most,
        };
        match self.part.leave {
            Leave::Close(trigger) if reached(trigger) => return self.leave(WriteEnd::Closed),
            Leave::Reset(trigger) if reached(trigger) => return self.leave(WriteEnd::Reset),
            _ => {}
        }
        let silent = matches!(self.part.leave, Leave::FallSilent(_));
        let waits = self.part.leave == Leave::AfterTheOther && self.read_end.is_none();
        if self.write_end.is_none() && !self.has_more() && !waits && (!silent || self.read_end.is_some()) {
            let stream = self.stream.as_ref().expect("it is not done");
            // A read reports a reset that has arrived meanwhile.
            let shut = stream.shutdown(Shutdown::Write);
            self.write_end = Some(match shut {
                Ok(()) if self.sent == self.part.size => WriteEnd::End,
                Ok(()) => WriteEnd::Nothing,
                Err(_) => WriteEnd::Failed,
            });
        }
        if self.read_end == Some(ReadEnd::Broken) || (self.read_end.is_some() && self.write_end.is_some()) {
            self.write_end.get_or_insert(WriteEnd::Failed);
            self.stream = None;
        }
    }

    fn leave(&mut self, how: WriteEnd) {
        let stream = self.stream.take().expect("it is not done");
        if how == WriteEnd::Reset {
            SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("it is a socket");
        }
        // A stream that was ended properly before stays so.
        if self.write_end != Some(WriteEnd::End) {
            self.write_end = Some(how);
        }
        self.read_end.get_or_insert(ReadEnd::Left);
    }
}
