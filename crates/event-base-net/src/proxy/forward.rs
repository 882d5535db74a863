//! The steps of a connection on one thread: accept, connect to a server, relay, count.

use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use event_base::{Error, SystemError};
use nix::errno::Errno;

use super::connections::{Attempt, Connection, Flowing};
use super::header::header;
use super::health::UpstreamState;
use super::problems::Problem;
use super::server::Server;
use super::shared::Shared;
use super::upstreams::Choice;
use super::worker::Worker;
use crate::address::Address;
use crate::connect::ConnectRequest;
use crate::failure::{Result, errno, is_shortage};
use crate::relay::{EndReason, RelayEnd, RelayOptions};
use crate::socket;
use crate::source::SourceKey;

impl Worker {
    /// Called with a connection that a [place](Shared::enter) was reserved for.
    pub(super) fn accepted(&mut self, client: OwnedFd, peer: Address) {
        let counters = &self.here().counters;
        counters.accepted.add(1);
        counters.open.add(1);
        let list = Rc::clone(&self.upstreams);
        let Some(choice) = list.pick(&[], || self.now()) else { return self.refused(&client) };
        let mut attempt = Attempt { client, peer, list, choice, tried: Vec::new(), started: Duration::ZERO };
        begin(&mut attempt, choice);
        self.connect(attempt);
    }

    /// Counts a connection that ended before a server was connected. The client receives a reset when the caller closes
    /// the connection: the end of a stream without bytes would look as if a server had sent none.
    fn refused(&self, client: &OwnedFd) {
        socket::reset_on_close(client);
        self.here().counters.refused.add(1);
        self.closed();
    }

    /// Counts the end of a connection.
    fn closed(&self) {
        self.here().counters.open.subtract(1);
        self.shared.leave();
    }

    /// Connects to the server of the attempt, or to the next one that is not refused immediately.
    fn connect(&mut self, mut attempt: Attempt) {
        loop {
            attempt.started = self.now();
            let server = attempt.server();
            let request = ConnectRequest {
                first: server.preferred.load(Ordering::Relaxed),
                timeout: self.shared.settings.connect_timeout,
                client: Some(attempt.client.as_fd()),
                ..ConnectRequest::new(&server.addresses)
            };
            match self.net.connect_request(&request) {
                Ok(key) => {
                    self.connections.insert(key, Connection::Connecting(Box::new(attempt)));
                    return;
                }
                Err(error) => match self.next_attempt(attempt, error, 0) {
                    Some(next) => attempt = next,
                    None => return,
                },
            }
        }
    }

    pub(super) fn connect_failed(&mut self, key: SourceKey, error: Error, failures: &[(usize, Error)]) {
        let Some(Connection::Connecting(attempt)) = self.connections.remove(key) else { return };
        // Reports the first failure that is the server's, if there are several. A timeout concerns all addresses.
        let is_late = errno(&error) == Some(Errno::ETIMEDOUT);
        let (address, error) = match failures.iter().find(|(_, error)| !is_own(error)) {
            Some(failure) if !is_late => *failure,
            _ => (attempt.server().preferred.load(Ordering::Relaxed), error),
        };
        if let Some(next) = self.next_attempt(*attempt, error, address) {
            self.connect(next);
        }
    }

    /// Called when a connect failed. Returns the attempt at the next server, if there is one.
    fn next_attempt(&self, mut attempt: Attempt, error: Error, address: usize) -> Option<Attempt> {
        self.report_failure(&attempt, error, address);
        if !is_shortage(&error) {
            let list = Rc::clone(&attempt.list);
            if let Some(choice) = list.pick(&attempt.tried, || self.now()) {
                begin(&mut attempt, choice);
                return Some(attempt);
            }
        }
        self.refused(&attempt.client);
        None
    }

    /// Counts and reports a failed connect. `address` is the index of the address that failed.
    fn report_failure(&self, attempt: &Attempt, error: Error, address: usize) {
        let (server, now) = (attempt.server(), self.now());
        let error = without_descriptor(error);
        let record = &server.record;
        release(server);
        record.counters[self.thread].refused.add(1);
        let address = || server.addresses[address].clone();
        let upstream = || record.name.clone();
        if let Some(times) = record.count_failure(now) {
            let problem = Problem::ConnectFailed { upstream: upstream(), address: address(), error, times };
            self.shared.problems.put(problem);
        }
        if is_own(&error) {
            if attempt.choice.probe {
                server.state.health.abandon_probe();
            }
            return;
        }
        let entry = attempt.list.entry_of(server);
        let went_down = server.state.health.failed(now, attempt.choice.probe).is_some();
        if went_down && let Some(retry_after) = entry.retry_after(now) {
            let problem =
                Problem::UpstreamDown { upstream: upstream(), address: address(), error, retry_after };
            self.shared.problems.put(problem);
        }
        if let Some(host) = &entry.host {
            self.shared.lookups.suspect(host);
        }
    }

    /// Ends a connect, because its client has closed the connection or the proxy ends.
    pub(super) fn abandon(&mut self, key: SourceKey) {
        let Some(Connection::Connecting(attempt)) = self.connections.remove(key) else { return };
        let server = attempt.server();
        release(server);
        if attempt.choice.probe {
            server.state.health.abandon_probe();
        }
        self.refused(&attempt.client);
    }

    pub(super) fn connected(&mut self, key: SourceKey, fd: OwnedFd, address: usize) {
        let Some(Connection::Connecting(attempt)) = self.connections.remove(key) else { return };
        let server = Arc::clone(attempt.server());
        if server.state.health.succeeded() && !self.has_another_up(&attempt) {
            self.shared.problems.put(Problem::UpstreamUp { upstream: server.record.name.clone() });
        }
        if server.preferred.load(Ordering::Relaxed) != address {
            server.preferred.store(address, Ordering::Relaxed);
        }
        let counters = &server.record.counters[self.thread];
        let took = u64::try_from((self.now() - attempt.started).as_nanos()).unwrap_or(u64::MAX);
        counters.connected.add(1);
        counters.connecting.add(took);
        counters.longest.raise(took);
        self.relay(*attempt, fd, server);
    }

    /// Whether another server of the same upstream is up.
    fn has_another_up(&self, attempt: &Attempt) -> bool {
        let server = attempt.server();
        let others = attempt.list.entry_of(server).servers.iter().filter(|other| !Arc::ptr_eq(other, server));
        let now = self.now();
        others.into_iter().any(|other| other.state.health.state(now) == UpstreamState::Up)
    }

    fn relay(&mut self, attempt: Attempt, fd: OwnedFd, server: Arc<Server>) {
        let Ok(prefix) = self.header(&attempt) else {
            socket::reset_on_close(&attempt.client);
            socket::reset_on_close(&fd);
            return self.over(&server, true);
        };
        // The header is not the client's, so it is not counted.
        let counted = [prefix.len() as u64, 0];
        let options = RelayOptions { prefix_a_to_b: prefix, ..self.shared.settings.relay.clone() };
        match self.net.relay_own(attempt.client, fd, options) {
            Ok(key) => self.connections.insert(key, Connection::Flowing(Flowing { server, counted })),
            Err(_) => self.over(&server, true),
        }
    }

    /// The PROXY header for the connection; empty if none is configured.
    fn header(&self, attempt: &Attempt) -> Result<Vec<u8>> {
        match self.shared.settings.proxy_protocol {
            None => Ok(Vec::new()),
            Some(version) => Ok(header(version, &attempt.peer, &socket::address(&attempt.client)?)),
        }
    }

    pub(super) fn ended(&mut self, key: SourceKey, end: &RelayEnd) {
        let Some(Connection::Flowing(mut flowing)) = self.connections.remove(key) else { return };
        count(&self.shared, self.thread, &mut flowing, [end.bytes_a_to_b, end.bytes_b_to_a]);
        if end.reason == EndReason::Idle {
            self.here().counters.timed_out.add(1);
        }
        self.over(&flowing.server, end.reason == EndReason::Error);
    }

    /// Counts the end of a connection to a server.
    fn over(&self, server: &Server, failed: bool) {
        release(server);
        self.closed();
        if failed {
            server.record.counters[self.thread].failed.add(1);
            self.here().counters.failed.add(1);
        }
    }

    /// Counts what a relay has moved since the last call.
    pub(super) fn count(&mut self, key: SourceKey) {
        let Some(moved) = self.net.moved(key) else { return };
        let Some(flowing) = self.connections.flowing(key) else { return };
        count(&self.shared, self.thread, flowing, moved);
    }
}

/// Chooses the server of an attempt, and counts the connection as open there.
fn begin(attempt: &mut Attempt, choice: Choice) {
    attempt.choice = choice;
    attempt.tried.push(choice.server);
    let server = attempt.server();
    server.state.open.fetch_add(1, Ordering::Relaxed);
    server.record.open.fetch_add(1, Ordering::Relaxed);
}

/// Counts that a connection no longer uses the server.
fn release(server: &Server) {
    server.state.open.fetch_sub(1, Ordering::Relaxed);
    server.record.open.fetch_sub(1, Ordering::Relaxed);
}

fn count(shared: &Shared, thread: usize, flowing: &mut Flowing, moved: [u64; 2]) {
    let more = |direction: usize| moved[direction].saturating_sub(flowing.counted[direction]);
    let [a_to_b, b_to_a] = [more(0), more(1)];
    flowing.counted = [flowing.counted[0] + a_to_b, flowing.counted[1] + b_to_a];
    let (all, one) = (&shared.threads[thread].counters, &flowing.server.record.counters[thread]);
    if a_to_b > 0 {
        all.bytes_a_to_b.add(a_to_b);
        one.bytes_a_to_b.add(a_to_b);
    }
    if b_to_a > 0 {
        all.bytes_b_to_a.add(b_to_a);
        one.bytes_b_to_a.add(b_to_a);
    }
}

/// Whether the cause of a failure is this host and not the server.
fn is_own(error: &Error) -> bool {
    is_shortage(error) || errno(error) == Some(Errno::EADDRNOTAVAIL)
}

/// The descriptor of a failed connect is closed, and its number means nothing to the owner of the proxy.
fn without_descriptor(error: Error) -> Error {
    match error {
        Error::System(error) => Error::System(SystemError { fd: None, ..error }),
        other => other,
    }
}

#[cfg(test)]
mod tests;
