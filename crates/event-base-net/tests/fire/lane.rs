//! A lane: connections one after another through one listener. One thread runs both ends of each.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use event_base_net::{EndReason, RelayEnd};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::{Domain, Socket, Type};

use crate::peer::{Peer, ReadEnd, WriteEnd};
use crate::plan::{Part, Plan, TIGHT, Terms};
use crate::proxy::Outcome;

/// A connection that takes longer than this fails the test. The time is long because the machine may be busy: only a
/// connection that hangs reaches it.
const PATIENCE: Duration = Duration::from_secs(60);

/// The parameters of one lane.
pub(crate) struct Lane<'a> {
    pub(crate) terms: Terms,
    pub(crate) is_tight: bool,
    pub(crate) proxy: SocketAddr,
    pub(crate) upstream: TcpListener,
    /// The outcomes of the proxy's connections, in order.
    pub(crate) ends: Receiver<Outcome>,
    pub(crate) pool: &'a [u8],
}

/// The results of the connections.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) bytes: u64,
    /// Connections that ended properly, were cut, and ended by the idle timeout.
    pub(crate) ended: [usize; 3],
    pub(crate) failures: Vec<String>,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Tally) {
        self.bytes += other.bytes;
        for (sum, count) in self.ended.iter_mut().zip(other.ended) {
            *sum += count;
        }
        self.failures.extend(other.failures);
    }
}

impl Lane<'_> {
    /// Runs the connections with these numbers.
    pub(crate) fn run(&self, seed: u64, numbers: impl Iterator<Item = usize>) -> Tally {
        let mut tally = Tally::default();
        let mut buffer = vec![0; 65_536];
        for number in numbers {
            let plan = Plan::new(seed, number, self.terms);
            if let Err(what) = self.connection(&plan, &mut buffer, &mut tally) {
                tally.failures.push(format!("connection {number}: {what}\n  {:?}, {plan:?}", self.terms));
                // After a failure the outcomes cannot be matched with connections any more.
                break;
            }
        }
        tally
    }

    fn connect(&self) -> io::Result<TcpStream> {
        let client = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        if self.is_tight {
            client.set_recv_buffer_size(TIGHT)?;
        }
        client.connect(&self.proxy.into())?;
        Ok(client.into())
    }

    fn connection(&self, plan: &Plan, buffer: &mut [u8], tally: &mut Tally) -> Result<(), String> {
        let client = self.connect().map_err(|error| format!("connect: {error}"))?;
        await_readable(&self.upstream)?;
        let (server, _) = self.upstream.accept().map_err(|error| format!("accept: {error}"))?;
        let mut peers = [
            Peer::new(self.pool, &plan.client, &plan.server, client),
            Peer::new(self.pool, &plan.server, &plan.client, server),
        ];
        drive(&mut peers, buffer)?;
        tally.bytes += (peers[0].received + peers[1].received) as u64;
        let [client, server] = &peers;
        let outcome =
            self.ends.recv_timeout(PATIENCE).map_err(|error| format!("its relay does not end: {error}"))?;
        let end = match outcome {
            Outcome::Relayed(end) => end,
            Outcome::Lost if !plan.server.is_in_order() && client.received == 0 => {
                tally.ended[1] += 1;
                return Ok(());
            }
            Outcome::Lost => return Err("bytes are lost, though no peer closed early".into()),
            Outcome::Failed(what) => return Err(what),
        };
        tally.ended[match end.reason {
            EndReason::End => 0,
            EndReason::Idle => 2,
            _ => 1,
        }] += 1;
        let verdict = judge(&plan.client, client, server, &end, end.bytes_a_to_b)
            .and_then(|()| judge(&plan.server, server, client, &end, end.bytes_b_to_a))
            .and_then(|()| judge_end(self.terms, plan, &end));
        verdict.map_err(|what| {
            let describe = |peer: &Peer<'_>| {
                format!(
                    "{} sent, {:?}, {} received, {:?}",
                    peer.sent, peer.write_end, peer.received, peer.read_end
                )
            };
            format!("{what}\n  client: {}\n  server: {}\n  {end:?}", describe(client), describe(server))
        })
    }
}

/// Runs both peers until both have closed.
fn drive(peers: &mut [Peer<'_>; 2], buffer: &mut [u8]) -> Result<(), String> {
    let give_up = Instant::now() + PATIENCE;
    while peers.iter().any(|peer| !peer.is_done()) {
        if Instant::now() > give_up {
            let state = |peer: &Peer<'_>| (peer.sent, peer.write_end, peer.received, peer.read_end);
            return Err(format!("it hangs: client {:?}, server {:?}", state(&peers[0]), state(&peers[1])));
        }
        for peer in peers.iter_mut() {
            peer.step(buffer);
        }
        let mut wait = Duration::from_millis(1000);
        for rest in peers.iter().filter_map(Peer::rest) {
            wait = wait.min(rest + Duration::from_millis(1));
        }
        let mut fds: Vec<PollFd<'_>> =
            peers.iter().filter_map(Peer::interest).map(|(fd, flags)| PollFd::new(fd, flags)).collect();
        if fds.is_empty() && peers.iter().all(Peer::is_done) {
            break;
        }
        poll(&mut fds, PollTimeout::try_from(wait).expect("it is short"))
            .map_err(|errno| format!("poll: {errno}"))?;
    }
    Ok(())
}

fn await_readable(fd: &impl AsFd) -> Result<(), String> {
    let mut fds = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
    match poll(&mut fds, PollTimeout::try_from(PATIENCE).expect("it is short")) {
        Ok(1) => Ok(()),
        outcome => Err(format!("the proxy does not connect: {outcome:?}")),
    }
}

/// Checks that one peer received what the other sent.
fn judge(part: &Part, from: &Peer<'_>, to: &Peer<'_>, end: &RelayEnd, moved: u64) -> Result<(), String> {
    if let Some(wrong) = &to.wrong {
        return Err(wrong.clone());
    }
    if to.received > from.sent {
        return Err("more came than was sent".into());
    }
    if (moved as usize) < to.received || moved as usize > from.sent {
        return Err(format!("the relay counts {moved}"));
    }
    // The idle timeout closes both ends, whatever their state.
    if end.reason == EndReason::Idle || to.read_end != Some(ReadEnd::End) {
        return Ok(());
    }
    if to.received < from.sent {
        return Err(format!("the stream of {} bytes ends in order after {}", from.sent, to.received));
    }
    match from.write_end {
        Some(WriteEnd::Reset) => Err("a reset was passed on as an end".into()),
        Some(WriteEnd::End) if from.sent < part.size => Err("it ended before it had sent everything".into()),
        _ => Ok(()),
    }
}

fn judge_end(terms: Terms, plan: &Plan, end: &RelayEnd) -> Result<(), String> {
    let in_order = plan.client.is_in_order() && plan.server.is_in_order();
    match end.reason {
        EndReason::End => Ok(()),
        EndReason::Idle if terms == Terms::Idle => Ok(()),
        EndReason::Error if !in_order => Ok(()),
        _ => Err("it does not end as planned".into()),
    }
}
