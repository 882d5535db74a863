//! One thread of a proxy: a base, a listener, and the connections it accepted.

use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use event_base::{Base, Error, EventId, EventSpec, LoopFlags, Ready};
use nix::errno::Errno;

use super::connections::{Attempt, Connection, Connections, Flowing, List};
use super::header::header;
use super::problem::Problem;
use super::shared::{Command, Shared, ThreadShared};
use super::upstreams::Choice;
use crate::address::Address;
use crate::completion::Completion;
use crate::failure::Result;
use crate::net::Net;
use crate::relay::{EndReason, RelayEnd, RelayOptions};
use crate::socket;
use crate::source::{Role, SourceKey};

pub(super) struct Worker {
    shared: Arc<Shared>,
    /// Which of the threads this is.
    thread: usize,
    base: Base,
    net: Net,
    /// The listener, and another descriptor of its socket, to empty its queue before it is closed.
    listener: Option<(SourceKey, OwnedFd)>,
    connections: Connections,
    upstreams: List,
    /// Ends a drain that takes too long.
    deadline: EventId,
    leaving: bool,
    /// Why it cannot go on.
    failure: Option<Error>,
}

impl Worker {
    /// Nothing is accepted before it [runs](Self::run).
    pub(super) fn new(shared: Arc<Shared>, thread: usize, door: OwnedFd) -> Result<Self> {
        let base = shared.threads[thread].base.clone();
        let mut net = Net::new(base.clone());
        let spare = door.try_clone().map_err(|error| crate::failure::from_io(&error, "fcntl", None))?;
        let key = net.listen(door, shared.options.accept)?;
        let deadline = base.create(EventSpec::timer())?;
        let upstreams = Rc::new(shared.upstreams());
        Ok(Worker {
            shared,
            thread,
            base,
            net,
            listener: Some((key, spare)),
            connections: Connections::default(),
            upstreams,
            deadline,
            leaving: false,
            failure: None,
        })
    }

    /// Forwards until it is told to end.
    pub(super) fn run(&mut self) -> Result<()> {
        let base = self.base.clone();
        base.run(LoopFlags::NO_EXIT_ON_EMPTY, |_, ready| {
            if ready.data != 0 {
                self.ready(&ready);
            } else if ready.id == self.deadline {
                self.stop();
            } else {
                self.obey();
            }
            if self.failure.is_some() || self.leaving && self.connections.is_empty() {
                // A closed base ends its loop by itself.
                let _ = self.base.loop_break();
            }
        })?;
        self.failure.map_or(Ok(()), Err)
    }

    fn here(&self) -> &ThreadShared {
        &self.shared.threads[self.thread]
    }

    fn now(&self) -> Duration {
        self.shared.clock.now()
    }

    fn ready(&mut self, ready: &Ready) {
        self.net.ready(ready);
        if let Some((key, _)) = Role::of(ready.data) {
            self.count(key);
        }
        self.complete();
    }

    fn complete(&mut self) {
        while let Some(completion) = self.net.completion() {
            match completion {
                Completion::Accepted { fd, peer, .. } => self.accepted(fd, peer),
                Completion::AcceptFailed { error, retry_after: Some(retry_after), .. } => {
                    self.shared.outbox.put(Problem::AcceptFailed { error, retry_after });
                }
                Completion::AcceptFailed { error, retry_after: None, .. } => self.failure = Some(error),
                Completion::Connected { key, result } => self.connected(key, result),
                Completion::RelayEnded { key, end } => self.ended(key, &end),
            }
        }
    }

    /// Counts what a relay has moved since it was counted last.
    fn count(&mut self, key: SourceKey) {
        let Some(moved) = self.net.moved(key) else { return };
        if let Some(flowing) = self.connections.flowing(key) {
            count(&self.shared, self.thread, flowing, moved);
        }
    }

    fn accepted(&mut self, client: OwnedFd, peer: Address) {
        let counters = &self.here().counters;
        counters.accepted.add(1);
        counters.open.add(1);
        let list = Rc::clone(&self.upstreams);
        let Some(choice) = list.pick(&[], || self.now()) else { return self.refused() };
        let mut attempt = Attempt {
            client,
            peer,
            list,
            choice,
            tried: Vec::new(),
            address: 0,
            addresses_tried: 0,
            begun: Duration::ZERO,
        };
        begin(&mut attempt, choice);
        self.connect(attempt);
    }

    /// No upstream took a connection.
    fn refused(&self) {
        self.here().counters.refused.add(1);
        self.here().counters.open.subtract(1);
    }

    /// Connects to the address whose turn it is, or to the next one that does not fail at once.
    fn connect(&mut self, mut attempt: Attempt) {
        loop {
            attempt.begun = self.now();
            let entry = attempt.list.entry(attempt.choice.index);
            let address = &entry.addresses[attempt.address];
            match self.net.connect(address, self.shared.options.connect_timeout) {
                Ok(key) => {
                    self.connections.insert(key, Connection::Connecting(Box::new(attempt)));
                    return;
                }
                Err(error) => match self.failed(attempt, error) {
                    Some(next) => attempt = next,
                    None => return,
                },
            }
        }
    }

    /// A connect failed: the attempt with where to go next, if there is anywhere.
    fn failed(&self, mut attempt: Attempt, error: Error) -> Option<Attempt> {
        let entry = attempt.list.entry(attempt.choice.index);
        attempt.addresses_tried += 1;
        if attempt.addresses_tried < entry.addresses.len() && !is_shortage(&error) {
            attempt.address = (attempt.address + 1) % entry.addresses.len();
            return Some(attempt);
        }
        self.leave_target(&attempt, &error);
        if !is_shortage(&error) {
            let list = Rc::clone(&attempt.list);
            if let Some(choice) = list.pick(&attempt.tried, || self.now()) {
                begin(&mut attempt, choice);
                return Some(attempt);
            }
        }
        self.refused();
        None
    }

    /// An upstream did not take a connection.
    fn leave_target(&self, attempt: &Attempt, error: &Error) {
        let (target, now) = (attempt.target(), self.now());
        target.open.fetch_sub(1, Ordering::Relaxed);
        target.counters[self.thread].refused.add(1);
        let upstream = || target.name.clone();
        if let Some(times) = target.note_failure(now) {
            self.shared.outbox.put(Problem::ConnectFailed { upstream: upstream(), error: *error, times });
        }
        if is_ours(error) {
            // It says nothing about the upstream.
            if attempt.choice.probe {
                target.health.abandon_probe();
            }
        } else if let Some(retry_after) = target.health.failed(now, attempt.choice.probe) {
            self.shared.outbox.put(Problem::UpstreamDown {
                upstream: upstream(),
                error: *error,
                retry_after,
            });
        }
    }

    fn connected(&mut self, key: SourceKey, result: Result<OwnedFd>) {
        let Some(Connection::Connecting(attempt)) = self.connections.remove(key) else { return };
        match result {
            Ok(fd) => self.relay(*attempt, fd),
            Err(error) => {
                if let Some(next) = self.failed(*attempt, error) {
                    self.connect(next);
                }
            }
        }
    }

    fn relay(&mut self, attempt: Attempt, upstream: OwnedFd) {
        let target = Arc::clone(attempt.target());
        if target.health.succeeded() {
            self.shared.outbox.put(Problem::UpstreamUp { upstream: target.name.clone() });
        }
        if target.preferred.load(Ordering::Relaxed) != attempt.address {
            target.preferred.store(attempt.address, Ordering::Relaxed);
        }
        let counters = &target.counters[self.thread];
        let took = u64::try_from((self.now() - attempt.begun).as_nanos()).unwrap_or(u64::MAX);
        counters.connected.add(1);
        counters.connecting.add(took);
        counters.longest.raise(took);

        let prefix = match self.introduction(&attempt) {
            Ok(prefix) => prefix,
            Err(_) => return self.over(&target, true),
        };
        // What the proxy adds is not the client's.
        let counted = [prefix.len() as u64, 0];
        let options = RelayOptions { prefix_a_to_b: prefix, ..self.shared.options.relay.clone() };
        match self.net.relay_own(attempt.client, upstream, options) {
            Ok(key) => self.connections.insert(key, Connection::Flowing(Flowing { target, counted })),
            Err(_) => self.over(&target, true),
        }
    }

    /// What tells the upstream where the connection came from.
    fn introduction(&self, attempt: &Attempt) -> Result<Vec<u8>> {
        match self.shared.options.proxy_protocol {
            None => Ok(Vec::new()),
            Some(version) => Ok(header(version, &attempt.peer, &socket::address(&attempt.client)?)),
        }
    }

    fn ended(&mut self, key: SourceKey, end: &RelayEnd) {
        let Some(Connection::Flowing(mut flowing)) = self.connections.remove(key) else { return };
        count(&self.shared, self.thread, &mut flowing, [end.bytes_a_to_b, end.bytes_b_to_a]);
        self.over(&flowing.target, end.reason == EndReason::Error);
    }

    /// A connection that an upstream took is over.
    fn over(&self, target: &super::upstreams::Target, failed: bool) {
        target.open.fetch_sub(1, Ordering::Relaxed);
        self.here().counters.open.subtract(1);
        if failed {
            target.counters[self.thread].failed.add(1);
            self.here().counters.failed.add(1);
        }
    }

    fn obey(&mut self) {
        for command in self.here().take_commands() {
            match command {
                Command::SetUpstreams => self.upstreams = Rc::new(self.shared.upstreams()),
                Command::Drain(timeout) => self.drain(timeout),
                Command::Stop => self.stop(),
                #[cfg(test)]
                Command::Panic => panic!("a test asked for it"),
            }
        }
    }

    /// Accepts no more, and leaves when the last connection has ended.
    fn drain(&mut self, timeout: Option<Duration>) {
        self.leaving = true;
        if let Some((key, door)) = self.listener.take() {
            // What waits in the queue would be reset when the last descriptor of the socket is closed. No more than
            // the queue holds: who comes meanwhile may come faster than they can be accepted.
            for _ in 0..=socket::DEFAULT_BACKLOG {
                let Ok(Some((client, peer))) = socket::accept(&door) else { break };
                self.accepted(client, peer);
            }
            let _ = self.net.close(key);
        }
        if let Some(timeout) = timeout
            && self.base.add(self.deadline, Some(timeout)).is_err()
        {
            self.stop();
        }
    }

    /// Ends everything at once.
    fn stop(&mut self) {
        self.leaving = true;
        if let Some((key, _)) = self.listener.take() {
            let _ = self.net.close(key);
        }
        for key in self.connections.keys() {
            let _ = self.net.close(key);
        }
        self.complete();
        // The connects tell nothing more.
        for key in self.connections.keys() {
            let Some(Connection::Connecting(attempt)) = self.connections.remove(key) else { continue };
            attempt.target().open.fetch_sub(1, Ordering::Relaxed);
            if attempt.choice.probe {
                attempt.target().health.abandon_probe();
            }
            self.refused();
        }
    }
}

/// Turns an attempt to another upstream.
fn begin(attempt: &mut Attempt, choice: Choice) {
    attempt.choice = choice;
    attempt.tried.push(choice.index as u16);
    let entry = attempt.list.entry(choice.index);
    entry.target.open.fetch_add(1, Ordering::Relaxed);
    attempt.address = entry.target.preferred.load(Ordering::Relaxed) % entry.addresses.len();
    attempt.addresses_tried = 0;
}

fn count(shared: &Shared, thread: usize, flowing: &mut Flowing, moved: [u64; 2]) {
    let more = |direction: usize| moved[direction].saturating_sub(flowing.counted[direction]);
    let [up, down] = [more(0), more(1)];
    flowing.counted = [flowing.counted[0] + up, flowing.counted[1] + down];
    let (all, one) = (&shared.threads[thread].counters, &flowing.target.counters[thread]);
    if up > 0 {
        all.bytes_a_to_b.add(up);
        one.bytes_a_to_b.add(up);
    }
    if down > 0 {
        all.bytes_b_to_a.add(down);
        one.bytes_b_to_a.add(down);
    }
}

fn errno(error: &Error) -> Option<Errno> {
    match error {
        Error::System(error) => Some(Errno::from_raw(error.errno)),
        _ => None,
    }
}

/// The process has no descriptor or no memory left, so no other address would do better.
fn is_shortage(error: &Error) -> bool {
    matches!(errno(error), None | Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM))
}

/// It is this host's fault, not the upstream's.
fn is_ours(error: &Error) -> bool {
    is_shortage(error) || errno(error) == Some(Errno::EADDRNOTAVAIL)
}
