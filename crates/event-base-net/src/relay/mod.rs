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
//!   stream broke off because of a failure is reset, so that it does not mistake it for a complete one; also
//!   where the write was told of the reset, and the reads behind it only see an end.
//! * **Adaptive.** A small piece is copied through one buffer of the whole base. A stream that turns out large
//!   is spliced through a pipe, where the system can, so that its bytes never come up: [`gait`]. What `splice`
//!   has no bytes for is asked again by a read, which alone tells the end of a stream and gets past urgent data.
//! * **Fairness.** A direction moves at most [`flow::TURN`] bytes per pass of the loop.
//! * Every descriptor and event is released in [`Relay::end`], which takes the relay by value.

mod buffers;
mod end;
mod flow;
mod gait;
mod group;
mod limit;
mod pipes;
mod report;
mod throttle;
mod waits;

use std::os::fd::OwnedFd;
use std::time::Duration;

use event_base::{Base, Error, EventSpec, What};

use buffers::Buffers;
use end::End;
use flow::{Flow, Halt, Way};
pub use gait::Transfer;
use group::Member;
pub use group::RateGroup;
use limit::Bucket;
pub use limit::RateLimit;
use pipes::Pipes;
pub use report::{EndReason, RelayEnd, RelayOptions, RelayStats};
use throttle::Throttle;
use waits::{Idle, Refill};

use crate::failure::Result;
use crate::source::{Role, SourceKey};

/// What the relays of one [`Net`](crate::Net) move bytes through.
#[derive(Debug)]
pub(crate) struct Pools {
    buffers: Buffers,
    pipes: Pipes,
    relays: usize,
}

impl Pools {
    /// Nothing is taken before the first relay reads.
    pub(crate) fn new() -> Self {
        Pools { buffers: Buffers::new(), pipes: Pipes::default(), relays: 0 }
    }

    /// Where nobody relays, no descriptor is kept.
    fn leave(&mut self) {
        self.relays -= 1;
        if self.relays == 0 {
            self.pipes.clear();
        }
    }
}

/// Why a relay is to be ended, and the failure where there was one.
pub(crate) type Verdict = Option<(EndReason, Option<Error>)>;

#[derive(Debug)]
pub(crate) struct Relay {
    ends: [End; 2],
    /// `flows[i]` goes from `ends[i]` to `ends[1 - i]`.
    flows: [Flow; 2],
    idle: Option<Idle>,
    connect_timeout: Option<Duration>,
    refill: Option<Refill>,
    /// Which flows wait for tokens.
    throttled: [bool; 2],
    paused: bool,
    started: Duration,
    /// The first failure that did not end the relay at once.
    failure: Option<Error>,
}

impl Relay {
    /// Both descriptors are owned from here on; `known` says that they are non-blocking and connected. The verdict is
    /// to be told as if an event had led to it.
    pub(crate) fn new(
        base: &Base,
        key: SourceKey,
        pools: &mut Pools,
        [a, b]: [OwnedFd; 2],
        options: RelayOptions,
        known: bool,
    ) -> Result<(Self, Verdict)> {
        if let Some(limit) = &options.limit {
            limit.check()?;
        }
        let [there, back] = match &options.group {
            Some(group) => Member::both(group)?.map(Some),
            None => [None, None],
        };
        let now = base.monotonic()?;
        let flow = |member, prefix| {
            let bucket = options.limit.map(|limit| Bucket::new(limit, now));
            Flow::new(Throttle::new(bucket, member), options.transfer, prefix)
        };
        let is_limited = options.limit.is_some() || options.group.is_some();
        let mut relay = Relay {
            ends: [End::new(a, key, 0, known)?, End::new(b, key, 1, known)?],
            flows: [flow(there, options.prefix_a_to_b), flow(back, options.prefix_b_to_a)],
            idle: None,
            connect_timeout: options.connect_timeout,
            refill: None,
            throttled: [false; 2],
            paused: false,
            started: now,
            failure: None,
        };
        match relay.start(base, key, pools, options.idle_timeout, is_limited) {
            Ok(verdict) => {
                pools.relays += 1;
                Ok((relay, verdict))
            }
            Err(error) => {
                for flow in &mut relay.flows {
                    flow.drop_all(pools);
                }
                relay.release(base);
                Err(error)
            }
        }
    }

    fn start(
        &mut self,
        base: &Base,
        key: SourceKey,
        pools: &mut Pools,
        idle_timeout: Option<Duration>,
        is_limited: bool,
    ) -> Result<Verdict> {
        if let Some(error) = self.ends.iter_mut().find_map(End::take_failure) {
            return Ok(Some((EndReason::Error, Some(error))));
        }
        if let Some(timeout) = idle_timeout {
            let timer = base.create(EventSpec::timer().data(Role::Deadline.tag(key)))?;
            self.idle = Some(Idle { timeout, timer, last_moved: self.started });
            base.add(timer, Some(timeout))?;
        }
        if is_limited {
            let timer = base.create(EventSpec::timer().data(Role::Refill.tag(key)))?;
            self.refill = Some(Refill { timer, due: Duration::MAX });
        }
        if !self.is_connecting() {
            return self.open(base, pools);
        }
        for end in &mut self.ends {
            // Nothing is read while there is nobody to pass it on to. A peer that gives up meanwhile is noticed.
            if end.is_connecting() {
                end.watch_connect(base, self.connect_timeout)?
            } else {
                end.watch_closed(base)?
            }
        }
        Ok(None)
    }

    fn is_connecting(&self) -> bool {
        self.ends.iter().any(End::is_connecting)
    }

    /// Both ends are connected: bytes may move.
    fn open(&mut self, base: &Base, pools: &mut Pools) -> Result<Verdict> {
        for index in [0, 1] {
            if self.flows[index].held() > 0 || self.paused {
                if let Some(verdict) = self.advance(base, pools, index, false)? {
                    return Ok(Some(verdict));
                }
            } else {
                self.ends[index].watch_read(base, true)?;
            }
        }
        Ok(None)
    }

    /// Called when one of its events fired: why it is to be ended, if it is.
    pub(crate) fn ready(&mut self, base: &Base, pools: &mut Pools, role: Role, what: What) -> Verdict {
        let outcome = match role {
            Role::Read(end) => self.advance(base, pools, end, what.contains(What::CLOSED)),
            Role::Write(end) if self.ends[end].is_connecting() => self.on_connected(base, pools, end, what),
            Role::Write(end) => self.advance(base, pools, 1 - end, false),
            Role::Closed(end) => self.on_closed(base, end),
            Role::Deadline => self.on_deadline(base),
            Role::Refill => self.on_refill(base, pools),
        };
        outcome.unwrap_or_else(|error| Some((EndReason::Error, Some(error))))
    }

    /// Lets `flows[index]` go on and waits for what it then lacks.
    fn advance(&mut self, base: &Base, pools: &mut Pools, index: usize, ending: bool) -> Result<Verdict> {
        if self.throttled[index] {
            return Ok(None);
        }
        let [first, second] = &mut self.ends;
        let (source, sink) = if index == 0 { (first, second) } else { (second, first) };
        let flow = &mut self.flows[index];
        let before = flow.progress();
        let way = Way { source, sink, ending, paused: self.paused };
        let halt = flow.advance(way, pools, || base.monotonic())?;
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
            Halt::Throttled(_) | Halt::Paused => {
                sink.watch_write(base, false)?;
                source.watch_closed(base)?;
                source.watch_read(base, false)?;
                if let Halt::Throttled(wait) = halt {
                    self.await_tokens(base, index, wait)?;
                }
            }
            Halt::Over => {
                sink.watch_write(base, false)?;
                source.watch_read(base, false)?;
            }
            Halt::SinkFailed(error) => {
                sink.watch_write(base, false)?;
                source.watch_read(base, false)?;
                sink.write_failed(error);
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

    fn on_connected(&mut self, base: &Base, pools: &mut Pools, end: usize, what: What) -> Result<Verdict> {
        self.ends[end].on_connected(base, what)?;
        if self.is_connecting() {
            return Ok(None);
        }
        self.rest_idle(base)?;
        self.open(base, pools)
    }

    fn on_closed(&mut self, base: &Base, end: usize) -> Result<Verdict> {
        let failure = self.ends[end].on_closed(base)?;
        Ok(failure.map(|error| (EndReason::Error, Some(error))))
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
            bytes_spliced: self.flows[0].spliced + self.flows[1].spliced,
            // A closed base has no clock; its relays end without telling.
            duration: base.monotonic().map_or(Duration::ZERO, |now| now.saturating_sub(self.started)),
        }
    }

    /// Releases everything and says what there is to say.
    pub(crate) fn end(
        mut self,
        base: &Base,
        pools: &mut Pools,
        reason: EndReason,
        error: Option<Error>,
    ) -> RelayEnd {
        let stats = self.stats(base);
        for index in [0, 1] {
            if reason == EndReason::Error && !self.flows[index].is_complete() {
                self.ends[1 - index].reset_on_close();
            }
            self.flows[index].drop_all(pools);
        }
        self.release(base);
        pools.leave();
        RelayEnd {
            bytes_a_to_b: stats.bytes_a_to_b,
            bytes_b_to_a: stats.bytes_b_to_a,
            bytes_spliced: stats.bytes_spliced,
            duration: stats.duration,
            reason,
            error,
        }
    }

    fn release(self, base: &Base) {
        let timers = [self.idle.map(|idle| idle.timer), self.refill.map(|refill| refill.timer)];
        for timer in timers.into_iter().flatten() {
            let _ = base.free(timer);
        }
        for end in self.ends {
            end.close(base);
        }
    }
}
