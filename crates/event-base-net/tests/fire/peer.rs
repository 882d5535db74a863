//! One end of a connection: sends what its plan says, checks each byte that comes, leaves as planned.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::poll::PollFlags;
use socket2::SockRef;

use crate::plan::{Leave, Part, Trigger};

/// How a stream came to its end, as its reader saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// In order.
    End,
    /// It broke off.
    Broken,
    /// The reader left before it ended.
    Left,
}

/// What a peer did to its own stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// Ended it in order.
    End,
    /// Closed the connection in the middle.
    Closed,
    /// Reset it.
    Reset,
    /// Could not send any more.
    Failed,
    /// Fell silent.
    Nothing,
}

#[derive(Debug)]
pub(crate) struct Peer<'a> {
    pool: &'a [u8],
    part: &'a Part,
    /// Where in the pool the bytes begin that come from the other.
    theirs: usize,
    stream: Option<TcpStream>,
    pub(crate) sent: usize,
    pub(crate) received: usize,
    pub(crate) heard: Option<Heard>,
    pub(crate) said: Option<Said>,
    reset: bool,
    stalled: Option<Instant>,
    has_stalled: bool,
    /// What came was not what was sent.
    pub(crate) wrong: Option<String>,
}

impl<'a> Peer<'a> {
    pub(crate) fn new(pool: &'a [u8], part: &'a Part, other: &Part, stream: TcpStream) -> Self {
        stream.set_nonblocking(true).expect("it is a socket");
        // Bytes leave when they are written, so that the plan decides on the pieces.
        stream.set_nodelay(true).expect("it is a socket");
        Peer {
            pool,
            part,
            theirs: other.offset,
            stream: Some(stream),
            sent: 0,
            received: 0,
            heard: None,
            said: None,
            reset: false,
            stalled: None,
            has_stalled: false,
            wrong: None,
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.stream.is_none()
    }

    /// How long it wants to be left alone.
    pub(crate) fn rest(&self) -> Option<Duration> {
        self.stalled.map(|until| until.saturating_duration_since(Instant::now()))
    }

    /// What it waits for.
    pub(crate) fn interest(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        let stream = self.stream.as_ref().filter(|_| self.stalled.is_none())?;
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::POLLIN, self.heard.is_none());
        flags.set(PollFlags::POLLOUT, self.said.is_none() && self.has_more());
        Some((stream.as_fd(), flags))
    }

    fn limit(&self) -> usize {
        match self.part.leave {
            Leave::FallSilent(most) => most,
            Leave::AfterTheOther if self.heard.is_none() => self.part.size.saturating_sub(1),
            _ => self.part.size,
        }
    }

    fn has_more(&self) -> bool {
        self.sent < self.limit()
    }

    /// Does what it can.
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
        let Some(stream) = self.stream.as_mut().filter(|_| self.heard.is_none()) else { return };
        match stream.read(&mut buffer[..self.part.piece]) {
            // Whoever was told of a reset by a write is not told again by a read.
            Ok(0) => self.heard = Some(if self.reset { Heard::Broken } else { Heard::End }),
            Ok(count) => {
                let start = self.theirs + self.received;
                if self.wrong.is_none() && self.pool.get(start..start + count) != Some(&buffer[..count]) {
                    self.wrong =
                        Some(format!("other bytes than were sent within {count} from {}", self.received));
                }
                self.received += count;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => self.heard = Some(Heard::Broken),
        }
    }

    fn write(&mut self) {
        let limit = self.limit();
        let Some(stream) = self.stream.as_mut().filter(|_| self.said.is_none() && self.sent < limit) else {
            return;
        };
        let end = limit.min(self.sent + self.part.piece);
        match stream.write(&self.pool[self.part.offset + self.sent..self.part.offset + end]) {
            Ok(count) => self.sent += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => {
                self.reset = error.kind() != ErrorKind::BrokenPipe;
                self.said = Some(Said::Failed);
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
            Leave::Close(trigger) if reached(trigger) => return self.leave(Said::Closed),
            Leave::Reset(trigger) if reached(trigger) => return self.leave(Said::Reset),
            _ => {}
        }
        let silent = matches!(self.part.leave, Leave::FallSilent(_));
        let waits = self.part.leave == Leave::AfterTheOther && self.heard.is_none();
        if self.said.is_none() && !self.has_more() && !waits && (!silent || self.heard.is_some()) {
            let stream = self.stream.as_ref().expect("it is not done");
            // A reset that came meanwhile is read of.
            let shut = stream.shutdown(Shutdown::Write);
            self.said = Some(match shut {
                Ok(()) if self.sent == self.part.size => Said::End,
                Ok(()) => Said::Nothing,
                Err(_) => Said::Failed,
            });
        }
        if self.heard == Some(Heard::Broken) || (self.heard.is_some() && self.said.is_some()) {
            self.said.get_or_insert(Said::Failed);
            self.stream = None;
        }
    }

    fn leave(&mut self, how: Said) {
        let stream = self.stream.take().expect("it is not done");
        if how == Said::Reset {
            SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("it is a socket");
        }
        // What was ended in order before stays ended.
        if self.said != Some(Said::End) {
            self.said = Some(how);
        }
        self.heard.get_or_insert(Heard::Left);
    }
}
