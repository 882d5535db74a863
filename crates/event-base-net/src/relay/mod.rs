//! A relay: bytes between two descriptors, both ways.
//!
//! Ground rules:
//!
//! * **Level-triggered.** Both ends are watched for reading as long as their bytes can be passed on; for
//!   writing only while a sink is full. A message that is passed on at once costs one read and one write and
//!   no change of interest, and a short read ends the turn without a read that finds nothing, which an
//!   edge-triggered relay cannot do safely: urgent data, and descriptors passed along, make a read short
//!   while more is there.
//! * **Back-pressure.** While a sink is full its source is not read, so its sender is slowed by its own
//!   transport. The source is then watched for a reset, where the backend can tell.
//! * **Half-close.** The end of a stream is passed on behind its last byte; the other direction goes on.
//! * **Failures.** A failed read ends the relay. A failed write ends its direction, but what the failed end
//!   has sent is still passed on: a server that answers early and closes is heard. A peer whose incoming
//!   stream broke off because of a failure is reset, so that it does not mistake it for a complete one.
//! * **Fairness.** A direction moves at most [`flow::TURN`] bytes per pass of the loop.
//! * Every descriptor and event is released in [`Relay::end`], which takes the relay by value.

mod buffers;
mod end;
mod flow;
mod limit;
mod report;

use std::os::fd::OwnedFd;
use std::time::Duration;

use event_base::{Base, Error, EventId, EventSpec};

pub(crate) use buffers::Buffers;
use end::End;
use flow::{Flow, Halt};
use limit::Bucket;
pub use limit::RateLimit;
pub use report::{EndReason, RelayEnd, RelayOptions, RelayStats};

use crate::failure::Result;
use crate::source::{Role, SourceKey};

/// Why a relay is to be ended, and the failure where there was one.
type Verdict = Option<(EndReason, Option<Error>)>;

#[derive(Debug)]
pub(crate) struct Relay {
    ends: [End; 2],
    /// `flows[i]` goes from `ends[i]` to `ends[1 - i]`.
    flows: [Flow; 2],
    idle: Option<Idle>,
    refill: Option<EventId>,
    /// Which flows wait for tokens.
    throttled: [bool; 2],
    started: Duration,
    /// The first failure that did not end the relay at once.
    failure: Option<Error>,
}

/// Ends a relay that moves nothing. The timer is not touched when bytes move; it looks at when they last
/// did when it fires, and goes back to sleep for what is left.
#[derive(Debug)]
struct Idle {
    timeout: Duration,
    timer: EventId,
    last_moved: Duration,
}

impl Relay {
    pub(crate) fn new(
        base: &Base,
        key: SourceKey,
        [a, b]: [OwnedFd; 2],
        options: RelayOptions,
    ) -> Result<Self> {
        if let Some(limit) = &options.limit {
            limit.check()?;
        }
        let now = base.monotonic()?;
        let bucket = || options.limit.map(|limit| Bucket::new(limit, now));
        let mut relay = Relay {
            ends: [End::new(a, key, 0)?, End::new(b, key, 1)?],
            flows: [Flow::new(bucket()), Flow::new(bucket())],
            idle: None,
            refill: None,
            throttled: [false; 2],
            started: now,
            failure: None,
        };
        match relay.start(base, key, options, now) {
            Ok(()) => Ok(relay),
            Err(error) => {
                relay.release(base);
                Err(error)
            }
        }
    }

    fn start(&mut self, base: &Base, key: SourceKey, options: RelayOptions, now: Duration) -> Result<()> {
        if let Some(timeout) = options.idle_timeout {
            let timer = base.create(EventSpec::timer().data(Role::Deadline.tag(key)))?;
            self.idle = Some(Idle { timeout, timer, last_moved: now });
            base.add(timer, Some(timeout))?;
        }
        if options.limit.is_some() {
            self.refill = Some(base.create(EventSpec::timer().data(Role::Refill.tag(key)))?);
        }
        for end in &mut self.ends {
            end.watch_read(base, true)?;
        }
        Ok(())
    }

    /// Called when one of its events fired: why it is to be ended, if it is.
    pub(crate) fn ready(&mut self, base: &Base, buffers: &mut Buffers, role: Role) -> Verdict {
        let outcome = match role {
            Role::Read(end) => self.advance(base, buffers, end),
            Role::Write(end) => self.advance(base, buffers, 1 - end),
            Role::Closed(end) => self.on_closed(base, end),
            Role::Deadline => self.on_deadline(base),
            Role::Refill => self.on_refill(base, buffers),
        };
        outcome.unwrap_or_else(|error| Some((EndReason::Error, Some(error))))
    }

    /// Lets `flows[index]` go on and waits for what it then lacks.
    fn advance(&mut self, base: &Base, buffers: &mut Buffers, index: usize) -> Result<Verdict> {
        if self.throttled[index] {
            return Ok(None);
        }
        let [first, second] = &mut self.ends;
        let (source, sink) = if index == 0 { (first, second) } else { (second, first) };
        let flow = &mut self.flows[index];
        let before = flow.progress();
        let halt = flow.copy(source, sink, buffers, || base.monotonic())?;
        if let Some(idle) = &mut self.idle
            && flow.progress() != before
        {
            idle.last_moved = base.monotonic()?;
        }
        match halt {
            Halt::Drained => {
                sink.watch_write(base, false)?;
                source.watch_read(base, true)?;
            }
            Halt::Full => {
                sink.watch_write(base, true)?;
                source.watch_closed(base)?;
                source.watch_read(base, false)?;
            }
            Halt::Throttled(wait) => {
                sink.watch_write(base, false)?;
                source.watch_closed(base)?;
                source.watch_read(base, false)?;
                self.await_tokens(base, index, wait)?;
            }
            Halt::Over => {
                sink.watch_write(base, false)?;
                source.watch_read(base, false)?;
            }
            Halt::SinkFailed(error) => {
                sink.watch_write(base, false)?;
                source.watch_read(base, false)?;
                self.failure.get_or_insert(error);
            }
            Halt::SourceFailed(error) => {
                return Ok(Some((EndReason::Error, Some(self.failure.unwrap_or(error)))));
            }
        }
        Ok(self.verdict())
    }

    fn verdict(&self) -> Verdict {
        if !self.flows.iter().all(Flow::is_over) {
            return None;
        }
        match self.failure {
            None => Some((EndReason::End, None)),
            failure => Some((EndReason::Error, failure)),
        }
    }

    fn on_closed(&mut self, base: &Base, end: usize) -> Result<Verdict> {
        let failure = self.ends[end].on_closed(base)?;
        Ok(failure.map(|error| (EndReason::Error, Some(error))))
    }

    fn on_deadline(&mut self, base: &Base) -> Result<Verdict> {
        let Some(idle) = &self.idle else { return Ok(None) };
        let quiet = base.monotonic()?.saturating_sub(idle.last_moved);
        // Waiting for tokens is the relay's own doing, not the peers'.
        let throttled = self.throttled.contains(&true);
        if quiet >= idle.timeout && !throttled {
            return Ok(Some((EndReason::Idle, None)));
        }
        let rest = if throttled { idle.timeout } else { idle.timeout - quiet };
        base.add(idle.timer, Some(rest))?;
        Ok(None)
    }

    fn on_refill(&mut self, base: &Base, buffers: &mut Buffers) -> Result<Verdict> {
        let waiting = std::mem::take(&mut self.throttled);
        for index in [0, 1].into_iter().filter(|index| waiting[*index]) {
            if let Some(verdict) = self.advance(base, buffers, index)? {
                return Ok(Some(verdict));
            }
        }
        Ok(None)
    }

    /// Both directions wait for one timer; the one that wakes too early for it waits again.
    fn await_tokens(&mut self, base: &Base, index: usize, wait: Duration) -> Result<()> {
        self.throttled[index] = true;
        match self.refill {
            Some(timer) if !self.throttled[1 - index] => base.add(timer, Some(wait)),
            _ => Ok(()),
        }
    }

    /// Bytes taken, from the first descriptor and from the second.
    pub(crate) fn moved(&self) -> [u64; 2] {
        [self.flows[0].moved, self.flows[1].moved]
    }

    pub(crate) fn stats(&self, base: &Base) -> RelayStats {
        RelayStats {
            bytes_a_to_b: self.flows[0].moved,
            bytes_b_to_a: self.flows[1].moved,
            held_a_to_b: self.flows[0].held(),
            held_b_to_a: self.flows[1].held(),
            // A closed base has no clock; its relays end without telling.
            duration: base.monotonic().map_or(Duration::ZERO, |now| now.saturating_sub(self.started)),
        }
    }

    /// Releases everything and says what there is to say.
    pub(crate) fn end(
        mut self,
        base: &Base,
        buffers: &mut Buffers,
        reason: EndReason,
        error: Option<Error>,
    ) -> RelayEnd {
        let stats = self.stats(base);
        for index in [0, 1] {
            if reason == EndReason::Error && !self.flows[index].is_complete() {
                self.ends[1 - index].reset_on_close();
            }
            self.flows[index].drop_held(buffers);
        }
        self.release(base);
        RelayEnd {
            bytes_a_to_b: stats.bytes_a_to_b,
            bytes_b_to_a: stats.bytes_b_to_a,
            duration: stats.duration,
            reason,
            error,
        }
    }

    fn release(self, base: &Base) {
        for timer in [self.idle.map(|idle| idle.timer), self.refill].into_iter().flatten() {
            let _ = base.free(timer);
        }
        for end in self.ends {
            end.close(base);
        }
    }
}
