//! The last phase of a relay that failed: its ends stay open until their peers have received what was sent to them.
//!
//! Closing a descriptor can destroy bytes that its peer has not received. A reset discards the send queue, and the
//! kernel sends one by itself when a TCP socket is closed with unread bytes, or receives more after the close
//! (RFC 9293, section 3.6; RFC 1122, section 4.2.2.13).
//!
//! So after a failure such an end is read, and what arrives is dropped, until its peer
//!
//! * has ended its stream, as HTTP servers do (RFC 9112, section 9.6), or has acknowledged everything and sent
//!   nothing for [`SILENCE`]: it has sent all it had, and waits or reads;
//! * and, if its incoming stream was cut, has acknowledged everything. Then it is reset. A peer that has ended its
//!   stream, or has sent nothing at all, is reset without waiting for silence.
//!
//! All of it is bounded: reading by [`DISCARD_TIME`](super::discard::DISCARD_TIME) and a number of bytes; waiting for
//! acknowledgements by [`QUIET_TIME`] without progress and [`LINGER_TIME`] in total. The kernel does not report an
//! acknowledgement, so a timer checks for it.

use std::time::Duration;

use event_base::{Base, Error, EventId, EventSpec};

use super::discard::{Discard, Found};
use super::end::End;
use super::report::{EndReason, RelayEnd, RelayStats};
use super::{Pools, Relay};
use crate::source::Role;

/// A peer that acknowledges nothing for this long, or for the relay's idle timeout if that is shorter, is reset.
const QUIET_TIME: Duration = Duration::from_secs(30);
/// The longest time that a peer may take to acknowledge everything.
const LINGER_TIME: Duration = Duration::from_secs(600);
/// A peer that sends nothing for this long has sent everything, or waits for an answer.
const SILENCE: Duration = Duration::from_millis(500);
/// The first pause between two checks for acknowledgements. It doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// The result of winding a relay down.
#[derive(Debug)]
pub(crate) enum WindDown {
    /// Both descriptors are closed.
    Ended(RelayEnd),
    /// At least one of them stays open for a while.
    Lingers(Box<Lingering>),
}

/// An end that stays open.
#[derive(Debug)]
struct Open {
    end: End,
    /// The peer's incoming stream was cut, so the end is reset.
    is_cut: bool,
    /// For how long the peer has to send nothing.
    silence: Duration,
    discard: Discard,
    /// The bytes that were not acknowledged at the last check.
    unacknowledged: usize,
    /// When that number last became smaller.
    last_progress: Duration,
    /// When the peer last sent something.
    last_arrival: Duration,
}

/// The ends that stay open after a relay failed.
#[derive(Debug)]
pub(crate) struct Lingering {
    ends: [Option<Open>; 2],
    timer: EventId,
    pause: Duration,
    quiet_time: Duration,
    started: Duration,
    deadline: Duration,
    stats: RelayStats,
    /// Why the relay failed.
    error: Option<Error>,
}

impl Relay {
    /// Ends the relay. After a failure, ends whose peers have not received everything stay open.
    pub(crate) fn wind_down(
        self,
        base: &Base,
        pools: &mut Pools,
        reason: EndReason,
        error: Option<Error>,
    ) -> WindDown {
        let silences = [0, 1].map(|index| self.needs_silence(index));
        if reason != EndReason::Error || silences == [None, None] {
            return WindDown::Ended(self.end(base, pools, reason, error));
        }
        let spec = EventSpec::timer().data(Role::Alarm.tag(self.key));
        let (Ok(now), Ok(timer)) = (base.monotonic(), base.create(spec)) else {
            return WindDown::Ended(self.end(base, pools, reason, error));
        };
        let mut lingering = self.linger(base, pools, silences, error, now, timer);
        if lingering.check(base, pools, now) {
            WindDown::Ended(lingering.end(base))
        } else {
            WindDown::Lingers(Box::new(lingering))
        }
    }

    /// For how long the peer of `ends[index]` has to send nothing before the end is closed. `None`: the end can be
    /// closed immediately.
    fn needs_silence(&self, index: usize) -> Option<Duration> {
        let (inbound, outbound, end) = (&self.flows[1 - index], &self.flows[index], &self.ends[index]);
        if inbound.moved == 0 || inbound.has_sink_failed() || end.broken().is_some() {
            None
        } else if inbound.is_complete() {
            let has_ended = outbound.has_source_ended() || self.discards[index].is_some_and(Discard::is_over);
            (end.is_socket() && !has_ended).then_some(SILENCE)
        } else {
            let is_sending = outbound.has_received() && !outbound.has_source_ended();
            end.is_tcp().then_some(if is_sending { SILENCE } else { Duration::ZERO })
        }
    }

    fn linger(
        self,
        base: &Base,
        pools: &mut Pools,
        silences: [Option<Duration>; 2],
        error: Option<Error>,
        now: Duration,
        timer: EventId,
    ) -> Lingering {
        let idle_timeout = self.idle_timeout.unwrap_or(QUIET_TIME);
        let (stats, started) = (self.stats(base), self.started);
        let complete = [0, 1].map(|index| self.flows[1 - index].is_complete());
        let discards = [0, 1].map(|index| match self.discards[index] {
            Some(discard) => discard.renewed(now),
            // A read after the end of a stream finds the end again.
            None => Discard::new(now),
        });
        let keep_open = |index: usize, end: End| {
            let is_cut = !complete[index];
            match silences[index] {
                Some(silence) => Some(Open::new(end, is_cut, silence, discards[index], now)),
                None => {
                    if is_cut {
                        end.reset_on_close();
                    }
                    end.close(base);
                    None
                }
            }
        };
        let [a, b] = self.release(base, pools);
        Lingering {
            ends: [keep_open(0, a), keep_open(1, b)],
            timer,
            pause: FIRST_PAUSE,
            quiet_time: QUIET_TIME.min(idle_timeout),
            started,
            deadline: now + LINGER_TIME,
            stats,
            error,
        }
    }
}

impl Open {
    fn new(end: End, is_cut: bool, silence: Duration, discard: Discard, now: Duration) -> Self {
        let unacknowledged = end.unacknowledged();
        Open { unacknowledged, end, is_cut, silence, discard, last_progress: now, last_arrival: now }
    }

    /// Whether the end can be closed. `false` means that it waits for its peer or for the timer.
    fn check(&mut self, base: &Base, pools: &mut Pools, now: Duration, quiet_time: Duration) -> bool {
        let before = self.discard;
        let found = self.discard.advance(&self.end, pools, now);
        if self.discard.has_read_since(before) {
            self.last_arrival = now;
            self.silence = SILENCE;
        }
        self.is_done(found, now, quiet_time) || self.end.watch_read_only(base, !found.is_over()).is_err()
    }

    fn is_done(&mut self, found: Found, now: Duration, quiet_time: Duration) -> bool {
        let unacknowledged = self.end.unacknowledged();
        if unacknowledged < self.unacknowledged {
            self.last_progress = now;
        }
        self.unacknowledged = unacknowledged;
        match found {
            Found::Failure => true,
            Found::End if !self.is_cut || unacknowledged == 0 => true,
            Found::Nothing if unacknowledged == 0 && now >= self.last_arrival + self.silence => true,
            _ => now >= self.last_progress.max(self.last_arrival) + quiet_time || self.end.has_failed(),
        }
    }

    fn close(self, base: &Base) {
        if self.is_cut {
            self.end.reset_on_close();
        }
        self.end.close(base);
    }
}

impl Lingering {
    /// Called when one of its events fired. Returns whether all ends are closed.
    pub(crate) fn ready(&mut self, base: &Base, pools: &mut Pools) -> bool {
        // A closed base has no clock, and frees everything.
        base.monotonic().map_or(true, |now| self.check(base, pools, now))
    }

    fn check(&mut self, base: &Base, pools: &mut Pools, now: Duration) -> bool {
        for slot in &mut self.ends {
            let is_done = slot
                .as_mut()
                .is_some_and(|open| now >= self.deadline || open.check(base, pools, now, self.quiet_time));
            if is_done && let Some(open) = slot.take() {
                open.close(base);
            }
        }
        let Some(next) = self.next_check(now) else { return true };
        // Without a timer nothing bounds the wait.
        base.add(self.timer, Some(next.saturating_sub(now))).is_err()
    }

    /// When the timer has to fire next; `None` once all ends are closed.
    fn next_check(&mut self, now: Duration) -> Option<Duration> {
        let open = || self.ends.iter().flatten();
        open().next()?;
        let is_settled = open().all(|open| open.unacknowledged == 0);
        let silence = open().map(|open| open.last_arrival + open.silence).filter(|due| *due > now).min();
        let pause = self.pause;
        if is_settled && let Some(due) = silence {
            return Some(due.min(self.deadline));
        }
        self.pause = (pause * 2).min(LONGEST_PAUSE);
        Some((now + pause).min(self.deadline))
    }

    /// Bytes taken, from the first descriptor and from the second.
    pub(crate) fn moved(&self) -> [u64; 2] {
        [self.stats.bytes_a_to_b, self.stats.bytes_b_to_a]
    }

    pub(crate) fn stats(&self, base: &Base) -> RelayStats {
        let duration = base.monotonic().map_or(self.stats.duration, |now| now.saturating_sub(self.started));
        RelayStats { held_a_to_b: 0, held_b_to_a: 0, duration, ..self.stats }
    }

    /// Closes what is open.
    pub(crate) fn end(self, base: &Base) -> RelayEnd {
        let stats = self.stats(base);
        self.ends.into_iter().flatten().for_each(|open| open.close(base));
        let _ = base.free(self.timer);
        stats.into_end(EndReason::Error, self.error)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::{Read, Write};
    use std::net::{Shutdown, TcpListener, TcpStream};
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    use event_base::What;

    use super::*;
    use crate::relay::RelayOptions;
    use crate::source::SourceKey;

    const QUIET: Duration = Duration::from_secs(7);
    const START: Duration = Duration::from_secs(1000);

    struct Bed {
        base: Base,
        pools: Pools,
        lingering: Lingering,
        peer: TcpStream,
    }

    impl Bed {
        /// A cut end whose peer has read nothing, and whose queue is full.
        fn new() -> Self {
            let (near, peer) = tcp();
            near.set_nonblocking(true).unwrap();
            let key = SourceKey::from_bits(1 << 24).unwrap();
            let end = End::new(near.into(), key, 0, true).unwrap();
            while end.send(&[7; 65_536]).unwrap().is_some() {}
            let base = Base::new().unwrap();
            let timer = base.create(EventSpec::timer()).unwrap();
            let open = Open::new(end, true, Duration::ZERO, Discard::new(START), START);
            assert!(open.unacknowledged > 0);
            let lingering = Lingering {
                ends: [Some(open), None],
                timer,
                pause: FIRST_PAUSE,
                quiet_time: QUIET,
                started: START,
                deadline: START + LINGER_TIME,
                stats: RelayStats {
                    bytes_a_to_b: 0,
                    bytes_b_to_a: 0,
                    held_a_to_b: 0,
                    held_b_to_a: 0,
                    bytes_spliced: 0,
                    duration: Duration::ZERO,
                },
                error: None,
            };
            Bed { base, pools: Pools::new(), lingering, peer }
        }

        /// Checks the end when this much time has passed. Returns whether it is closed.
        fn is_closed_after(&mut self, passed: Duration) -> bool {
            self.lingering.check(&self.base, &mut self.pools, START + passed)
        }

        /// The peer reads until its kernel has acknowledged more than before.
        fn read_some(&mut self) {
            let unacknowledged = |lingering: &Lingering| match &lingering.ends[0] {
                Some(open) => open.end.unacknowledged(),
                None => panic!("it is closed"),
            };
            let before = unacknowledged(&self.lingering);
            while unacknowledged(&self.lingering) >= before {
                self.peer.read_exact(&mut [0; 1024]).unwrap();
            }
        }
    }

    #[test]
    fn a_peer_that_acknowledges_nothing_is_reset_after_the_quiet_time() {
        let mut bed = Bed::new();
        assert!(!bed.is_closed_after(QUIET - Duration::from_millis(1)));
        bed.read_some();
        // Progress starts the time again.
        assert!(!bed.is_closed_after(QUIET));
        assert!(!bed.is_closed_after(2 * QUIET - Duration::from_millis(1)));
        assert!(bed.is_closed_after(2 * QUIET));
    }

    #[test]
    fn a_peer_that_acknowledges_too_slowly_is_reset_in_the_end() {
        let mut bed = Bed::new();
        bed.lingering.quiet_time = Duration::MAX / 4;
        assert!(!bed.is_closed_after(LINGER_TIME - Duration::from_millis(1)));
        assert!(bed.is_closed_after(LINGER_TIME));
    }

    /// A relay from `near` to a TCP server, which has sent an answer. The second value is the server.
    fn answered(base: &Base, pools: &mut Pools, near: OwnedFd) -> (Relay, TcpStream) {
        let (there, mut server) = tcp();
        let key = SourceKey::from_bits(1 << 24).unwrap();
        let ends = [near, there.into()];
        let (mut relay, verdict) =
            Relay::new(base, key, pools, ends, RelayOptions::default(), false, &mut None).unwrap();
        assert!(verdict.is_none());
        assert_eq!([0, 1].map(|index| relay.needs_silence(index)), [None; 2], "nothing was sent yet");
        server.write_all(b"an answer").unwrap();
        while relay.moved()[1] < 9 {
            assert!(relay.ready(base, pools, Role::Read(1), What::READ).is_none());
        }
        (relay, server)
    }

    fn tcp() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let far = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (listener.accept().unwrap().0, far)
    }

    #[test]
    fn an_end_whose_stream_was_cut_needs_silence_only_while_its_peer_is_sending() {
        let (base, mut pools) = (Base::new().unwrap(), Pools::new());
        let (near, mut client) = tcp();
        let (mut relay, _server) = answered(&base, &mut pools, near.into());
        assert_eq!(relay.needs_silence(0), Some(Duration::ZERO), "it has sent nothing");
        assert_eq!(relay.needs_silence(1), None, "it got nothing");
        client.write_all(b"request").unwrap();
        while relay.moved()[0] < 7 {
            assert!(relay.ready(&base, &mut pools, Role::Read(0), What::READ).is_none());
        }
        assert_eq!([0, 1].map(|index| relay.needs_silence(index)), [Some(SILENCE); 2]);
        client.shutdown(Shutdown::Write).unwrap();
        while !relay.flows[0].has_source_ended() {
            assert!(relay.ready(&base, &mut pools, Role::Read(0), What::READ).is_none());
        }
        assert_eq!(relay.needs_silence(0), Some(Duration::ZERO), "it has sent everything");
        relay.ends[0].read_failed(Error::Closed);
        assert_eq!(relay.needs_silence(0), None, "nothing more reaches it");
        relay.end(&base, &mut pools, EndReason::Closed, None);
    }

    #[test]
    fn an_end_that_got_its_whole_stream_needs_silence_until_its_peer_has_ended_its_own() {
        let (base, mut pools) = (Base::new().unwrap(), Pools::new());
        let (near, mut client) = UnixStream::pair().unwrap();
        let (mut relay, server) = answered(&base, &mut pools, near.into());
        assert_eq!(relay.needs_silence(0), None, "a close does not discard what a unix socket has sent");
        server.shutdown(Shutdown::Write).unwrap();
        while !relay.flows[1].is_complete() {
            assert!(relay.ready(&base, &mut pools, Role::Read(1), What::READ).is_none());
        }
        assert_eq!(relay.needs_silence(0), Some(SILENCE));
        client.write_all(b"request").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        while !relay.flows[0].has_source_ended() {
            relay.ready(&base, &mut pools, Role::Read(0), What::READ);
        }
        assert_eq!(relay.needs_silence(0), None, "it has ended its stream");
        relay.end(&base, &mut pools, EndReason::Closed, None);
    }

    #[test]
    fn pauses_between_checks_double_up_to_a_quarter_of_a_second_and_end_at_the_deadline() {
        let mut bed = Bed::new();
        let mut pause = || bed.lingering.next_check(START).unwrap() - START;
        let pauses: Vec<_> = (0..9).map(|_| pause().as_millis()).collect();
        assert_eq!(pauses, [2, 4, 8, 16, 32, 64, 128, 250, 250]);
        let late = START + LINGER_TIME - Duration::from_millis(1);
        assert_eq!(bed.lingering.next_check(late), Some(START + LINGER_TIME));
        bed.lingering.ends = [None, None];
        assert_eq!(bed.lingering.next_check(START), None);
    }

    #[test]
    fn an_end_whose_peer_has_acknowledged_everything_is_checked_when_its_silence_ends() {
        let mut bed = Bed::new();
        let open = bed.lingering.ends[0].as_mut().unwrap();
        (open.unacknowledged, open.silence) = (0, SILENCE);
        assert_eq!(bed.lingering.next_check(START + SILENCE / 5), Some(START + SILENCE));
        // A peer that has been silent for long enough, but whose end could not be closed, is checked after a pause.
        let now = START + SILENCE;
        assert_eq!(bed.lingering.next_check(now), Some(now + FIRST_PAUSE));
        // While another peer has not acknowledged everything, the pauses continue.
        bed.lingering.ends[1] = Bed::new().lingering.ends[0].take();
        assert_eq!(bed.lingering.next_check(START), Some(START + 2 * FIRST_PAUSE));
    }

    #[test]
    fn an_end_is_closed_when_its_connection_has_failed() {
        let mut bed = Bed::new();
        assert!(!bed.is_closed_after(Duration::ZERO));
        // Nothing more is read, so only the error of the socket shows the reset.
        bed.lingering.ends[0].as_mut().unwrap().discard = Discard::ended(START);
        socket2::SockRef::from(&bed.peer).set_linger(Some(Duration::ZERO)).unwrap();
        drop(bed.peer);
        assert!(bed.lingering.check(&bed.base, &mut bed.pools, START));
    }
}
