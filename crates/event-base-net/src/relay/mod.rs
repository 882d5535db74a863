//! A relay moves bytes between two descriptors, in both directions.
//!
//! Rules:
//!
//! * **Level-triggered.** Both ends are watched for reading as long as their bytes can be passed on, and for
//!   writing only while a sink is full. A message that is passed on immediately costs one read, one write and no
//!   change of interest, and a short read ends the pass without a read that finds nothing. An edge-triggered relay
//!   could not end there: urgent data (tcp(7)), and descriptors that are sent with the bytes (`SCM_RIGHTS`,
//!   unix(7)), make a read short although more bytes have arrived.
//! * **Back-pressure.** While a sink is full its source is not read, so that the source's transport slows its
//!   sender. The source is then watched for a reset, where the backend supports it.
//! * **Half-close.** The end of a stream is passed on behind its last byte. The other direction continues, but a
//!   relay that moves no byte any more ends after the half-close timeout. A reset that follows the end of a stream ends
//!   the relay, where the backend is edge-triggered.
//! * **Failures.** A failed read ends the relay. A failed write ends its direction; what the failed end has sent is
//!   still passed on, so the answer of a server that answers early and closes arrives. Bytes that were received
//!   before a reset are delivered before the reset is passed on. A call that fails for lack of memory is repeated.
//! * **Incomplete streams.** A peer whose incoming stream was cut, for whatever reason, is reset. A stream ends
//!   properly only where its source ended it.
//! * **Lingering.** After a failure, ends whose peers have not received everything yet stay open for a bounded
//!   time: [`linger`].
//! * **Adaptive.** A small piece is copied through one buffer that all relays of the base share. A stream of large
//!   pieces is spliced through a pipe where the system supports it: [`transfer`]. Where `splice` finds no bytes, a
//!   read follows, because only a read reports the end of a stream and gets past urgent data.
//! * **Fairness.** A direction moves at most [`flow::PASS_LIMIT`] bytes per pass of the loop.
//! * **Readiness before timers.** A timer that expires reads what has arrived before it ends a relay: after a
//!   pause of the process both are due.
//! * Every descriptor and event is released in [`Relay::end`] and [`Relay::wind_down`], which take the relay by
//!   value.

mod buffers;
mod discard;
mod end;
mod flow;
mod group;
mod limit;
mod linger;
mod pipes;
mod report;
#[cfg(test)]
mod tests;
mod throttle;
mod transfer;
mod waits;

use std::os::fd::OwnedFd;
use std::time::Duration;

use event_base::{Base, Error, What};

use buffers::Buffers;
use discard::Discard;
use end::End;
use flow::{Ends, Flow, Halt};
use group::Member;
pub use group::RateGroup;
use limit::Bucket;
pub use limit::RateLimit;
pub(crate) use linger::{Lingering, WindDown};
use pipes::Pipes;
pub use report::{EndReason, RelayEnd, RelayOptions, RelayRefused, RelayStats};
use throttle::Throttle;
pub use transfer::Transfer;
use waits::{Alarm, Idle, ResetWatch};

use crate::failure::Result;
use crate::source::{Role, SourceKey};

/// The buffers and pipes of the relays of one [`Net`](crate::Net).
#[derive(Debug)]
pub(crate) struct Pools {
    buffers: Buffers,
    pipes: Pipes,
    relays: usize,
}

impl Pools {
    /// Nothing is allocated before the first relay reads.
    pub(crate) fn new() -> Self {
        Pools { buffers: Buffers::new(), pipes: Pipes::default(), relays: 0 }
    }

    /// Counts a relay that has ended. The last one closes the pipes that are kept.
    fn leave(&mut self) {
        self.relays -= 1;
        if self.relays == 0 {
            self.pipes.clear();
        }
    }
}

/// Why a relay has to end, and the error if it failed.
pub(crate) type Verdict = Option<(EndReason, Option<Error>)>;

#[derive(Debug)]
pub(crate) struct Relay {
    key: SourceKey,
    ends: [End; 2],
    /// `flows[i]` goes from `ends[i]` to `ends[1 - i]`.
    flows: [Flow; 2],
    /// Drops what `ends[i]` still sends after `flows[i]` has failed.
    discards: [Option<Discard>; 2],
    idle_timeout: Option<Duration>,
    half_close_timeout: Option<Duration>,
    /// Whether the half-close timeout applied after the last event.
    was_one_sided: bool,
    reset_watch: ResetWatch,
    /// Created when a timeout first applies.
    idle: Option<Idle>,
    connect_timeout: Option<Duration>,
    alarm: Option<Alarm>,
    /// Which flows wait for the alarm.
    delayed: [bool; 2],
    paused: bool,
    started: Duration,
    /// The first failure that did not end the relay.
    failure: Option<Error>,
}

/// Checks the options of a relay, and returns its members of the group and the time.
fn prepare(base: &Base, options: &RelayOptions) -> Result<([Option<Member>; 2], Duration)> {
    if let Some(limit) = &options.limit {
        limit.check()?;
    }
    let members = match &options.group {
        Some(group) => Member::both(group)?.map(Some),
        None => [None, None],
    };
    Ok((members, base.monotonic()?))
}

impl Relay {
    /// Takes ownership of both descriptors. `known` means that they are non-blocking and connected. Returns a verdict
    /// too if the relay has to end immediately.
    ///
    /// # Errors
    /// A system error has ended both connections. With any other error the descriptors are in `returned`.
    pub(crate) fn new(
        base: &Base,
        key: SourceKey,
        pools: &mut Pools,
        [a, b]: [OwnedFd; 2],
        options: RelayOptions,
        known: bool,
        returned: &mut Option<[OwnedFd; 2]>,
    ) -> Result<(Self, Verdict)> {
        let ([member_a, member_b], now) = match prepare(base, &options) {
            Ok(prepared) => prepared,
            Err(error) => {
                *returned = Some([a, b]);
                return Err(error);
            }
        };
        let flow = |member, prefix| {
            let bucket = options.limit.map(|limit| Bucket::new(limit, now));
            Flow::new(Throttle::new(bucket, member), options.transfer, prefix)
        };
        let mut relay = Relay {
            key,
            ends: [End::new(a, key, 0, known)?, End::new(b, key, 1, known)?],
            flows: [flow(member_a, options.prefix_a_to_b), flow(member_b, options.prefix_b_to_a)],
            discards: [None; 2],
            idle_timeout: options.idle_timeout,
            half_close_timeout: options.half_close_timeout,
            was_one_sided: false,
            reset_watch: ResetWatch::Unneeded,
            idle: None,
            connect_timeout: options.connect_timeout,
            alarm: None,
            delayed: [false; 2],
            paused: false,
            started: now,
            failure: None,
        };
        pools.relays += 1;
        match relay.start(base, pools) {
            Ok(verdict) => Ok((relay, verdict)),
            Err(error @ Error::System(_)) => {
                relay.end(base, pools, EndReason::Error, Some(error));
                Err(error)
            }
            Err(error) => {
                *returned = Some(relay.release(base, pools).map(|end| end.into_descriptor(base)));
                Err(error)
            }
        }
    }

    fn start(&mut self, base: &Base, pools: &mut Pools) -> Result<Verdict> {
        if let Some(error) = self.ends.iter_mut().find_map(End::take_connect_failure) {
            return Ok(Some((EndReason::Error, Some(error))));
        }
        if self.idle_timeout.is_some() {
            self.arm_idle(base)?;
        }
        if !self.is_connecting() {
            return match self.open(base, pools)? {
                None => self.note_one_sided(base).map(|()| None),
                verdict => Ok(verdict),
            };
        }
        for end in &mut self.ends {
            // Nothing is read before both ends are connected. A peer that resets meanwhile is noticed.
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

    /// Called when one of its events fired. Returns the verdict if the relay has to end.
    pub(crate) fn ready(&mut self, base: &Base, pools: &mut Pools, role: Role, what: What) -> Verdict {
        let outcome = match role {
            Role::Read(end) => self.advance(base, pools, end, what.contains(What::CLOSED)),
            Role::Write(end) if self.ends[end].is_connecting() => self.on_connected(base, pools, end, what),
            Role::Write(end) => self.advance(base, pools, 1 - end, false),
            Role::Closed(end) => self.on_closed(base, end),
            Role::Deadline => self.on_idle(base, pools),
            Role::Alarm => self.on_alarm(base, pools),
        };
        let outcome = match outcome {
            Ok(None) => {
                self.confirm_fresh(base, role).and_then(|()| self.note_one_sided(base)).map(|()| None)
            }
            outcome => outcome,
        };
        outcome.unwrap_or_else(|error| Some((EndReason::Error, Some(error))))
    }

    fn confirm_fresh(&mut self, base: &Base, role: Role) -> Result<()> {
        match role {
            Role::Read(end) | Role::Write(end) => self.ends[end].confirm_fresh(base, role),
            _ => Ok(()),
        }
    }

    /// Lets `flows[index]` move bytes, then watches for what it needs to continue.
    fn advance(&mut self, base: &Base, pools: &mut Pools, index: usize, ending: bool) -> Result<Verdict> {
        if self.delayed[index] {
            return Ok(None);
        }
        if self.flows[index].has_sink_failed() {
            return self.discard(base, pools, index);
        }
        let owes_source = self.flows[1 - index].held() > 0;
        let [first, second] = &mut self.ends;
        let (source, sink) = if index == 0 { (first, second) } else { (second, first) };
        let flow = &mut self.flows[index];
        let before = flow.progress();
        let ends = Ends { source, sink, ending, paused: self.paused, owes_source };
        let halt = flow.advance(ends, pools, || base.monotonic())?;
        if flow.progress() == before {
            source.confirm_watches(base)?;
            sink.confirm_watches(base)?;
        } else if let Some(idle) = &mut self.idle {
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
            Halt::Delayed(_) | Halt::Paused => {
                sink.watch_write(base, false)?;
                source.watch_closed(base)?;
                source.watch_read(base, false)?;
                if let Halt::Delayed(pause) = halt {
                    self.delay(base, index, pause)?;
                }
            }
            Halt::Over => {
                sink.watch_write(base, false)?;
                source.watch_read(base, false)?;
            }
            Halt::SinkFailed(error) => {
                sink.watch_write(base, false)?;
                sink.write_failed(error);
                let is_broken = sink.broken().is_some();
                source.watch_read(base, !self.paused)?;
                self.failure.get_or_insert(error);
                self.discards[index] = Some(Discard::new(base.monotonic()?));
                if is_broken && !self.flows[1 - index].is_over() {
                    // Nothing more arrives from the failed end, and no event reports the end of what has arrived.
                    return self.advance(base, pools, 1 - index, true);
                }
            }
            Halt::SourceFailed(error) => {
                source.read_failed(error);
                return Ok(Some((EndReason::Error, Some(self.failure.unwrap_or(error)))));
            }
        }
        Ok(self.verdict())
    }

    /// Reads and drops what a source sends whose sink has failed. A peer that sends everything before it reads
    /// then reads the answer. If its bytes were not read, the kernel would reset the connection when the descriptor is
    /// closed, and the peer could lose the answer.
    fn discard(&mut self, base: &Base, pools: &mut Pools, index: usize) -> Result<Verdict> {
        let is_over = match &mut self.discards[index] {
            Some(discard) => discard.advance(&self.ends[index], pools, base.monotonic()?).is_over(),
            None => true,
        };
        if is_over {
            self.ends[index].watch_read(base, false)?;
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
        self.restart_idle(base)?;
        self.open(base, pools)
    }

    fn on_closed(&mut self, base: &Base, end: usize) -> Result<Verdict> {
        if self.flows[end].is_complete() {
            return Ok(self.ends[end].on_reset(base)?.map(|error| (EndReason::Error, Some(error))));
        }
        // While an end is connecting, a peer that resets does not want the connection any more.
        let failure = self.ends[end].on_closed(base, self.is_connecting())?;
        // Bytes that are held are written first. The read after them reports the failure again.
        let is_held_up = self.flows[end].held() > 0 && !self.is_connecting();
        Ok(failure.filter(|_| !is_held_up).map(|error| (EndReason::Error, Some(error))))
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
            // A closed base has no clock.
            duration: base.monotonic().map_or(Duration::ZERO, |now| now.saturating_sub(self.started)),
        }
    }

    /// Ends the relay immediately and releases everything.
    pub(crate) fn end(
        self,
        base: &Base,
        pools: &mut Pools,
        reason: EndReason,
        error: Option<Error>,
    ) -> RelayEnd {
        let stats = self.stats(base);
        for index in [0, 1] {
            if !self.flows[index].is_complete() {
                self.ends[1 - index].reset_on_close();
            }
        }
        self.release(base, pools).into_iter().for_each(|end| end.close(base));
        stats.into_end(reason, error)
    }

    /// Releases everything but the ends.
    fn release(mut self, base: &Base, pools: &mut Pools) -> [End; 2] {
        for flow in &mut self.flows {
            flow.release_all(pools);
        }
        let timers = [self.idle.map(|idle| idle.timer), self.alarm.map(|alarm| alarm.timer)];
        for timer in timers.into_iter().flatten() {
            let _ = base.free(timer);
        }
        pools.leave();
        self.ends
    }
}
