//! One thread of a proxy: its base, its listener, and its connections.

use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use event_base::{Base, Error, EventId, EventSpec, LoopFlags, Ready};

use super::commands::{Command, ThreadState};
use super::connections::{Connections, List};
use super::problems::Problem;
use super::shared::Shared;
use crate::accept::{Admission, ListenOptions};
use crate::backoff::Backoff;
use crate::completion::Completion;
use crate::failure::{Result, errno, from_io, is_memory_shortage};
use crate::net::Net;
use crate::socket;
use crate::source::{Role, SourceKey};
#[cfg(test)]
use crate::{failure::system, faults};

/// The places for connections, as one thread sees them.
struct Places<'a> {
    shared: &'a Shared,
    thread: usize,
}

impl Admission for Places<'_> {
    fn reserve(&self) -> bool {
        self.shared.enter(self.thread)
    }

    fn release(&self) {
        self.shared.leave();
    }
}

pub(super) struct Worker {
    pub(super) shared: Arc<Shared>,
    /// The index of this thread.
    pub(super) thread: usize,
    base: Base,
    pub(super) net: Net,
    /// The listener, and another descriptor of its socket, to empty its queue before it is closed.
    listener: Option<(SourceKey, OwnedFd)>,
    /// Whether the listener is paused until the first list with a server.
    awaits_upstreams: bool,
    pub(super) connections: Connections,
    pub(super) upstreams: List,
    /// The timer that ends a drain after its timeout.
    deadline: EventId,
    /// When that timer expires, in time of the proxy's clock.
    ends_by: Duration,
    is_leaving: bool,
    /// The failure that ends this thread.
    failure: Option<Error>,
}

impl Worker {
    /// Accepts nothing before [`run`](Self::run).
    pub(super) fn new(shared: Arc<Shared>, thread: usize, listener: OwnedFd) -> Result<Self> {
        let base = shared.threads[thread].base.clone();
        let mut net = Net::new(base.clone());
        let spare = listener.try_clone().map_err(|error| from_io(&error, "fcntl", None))?;
        // Connections wait in the kernel's queue until a server is known, or the first look-ups have ended without one.
        let awaits_upstreams = !shared.is_ready();
        let accept = ListenOptions { paused: awaits_upstreams, ..shared.settings.accept };
        let key = net.listen(listener, accept)?;
        let deadline = base.create(EventSpec::timer())?;
        let upstreams = Rc::new(shared.upstreams());
        Ok(Worker {
            shared,
            thread,
            base,
            net,
            listener: Some((key, spare)),
            awaits_upstreams,
            connections: Connections::default(),
            upstreams,
            deadline,
            ends_by: Duration::MAX,
            is_leaving: false,
            failure: None,
        })
    }

    /// Forwards connections until a command ends it.
    pub(super) fn run(&mut self) -> Result<()> {
        let mut shortage = Backoff::new();
        // `ENOMEM` of poll(2), select(2) and kevent(2): the wait may succeed later.
        while let Err(error) = self.dispatch(&mut shortage) {
            if !errno(&error).is_some_and(is_memory_shortage) {
                return Err(error);
            }
            thread::sleep(shortage.next_pause());
        }
        self.failure.map_or(Ok(()), Err)
    }

    /// Runs the loop until a command ends the thread, or until a wait fails.
    fn dispatch(&mut self, shortage: &mut Backoff) -> Result<()> {
        #[cfg(test)]
        if let Some(errno) = faults::next(faults::Call::Dispatch) {
            return Err(system(errno, "poll", None));
        }
        let base = self.base.clone();
        base.run(LoopFlags::NO_EXIT_ON_EMPTY, |_, ready| {
            shortage.reset();
            if ready.data != 0 {
                self.ready(&ready);
            } else if ready.id == self.deadline {
                self.stop();
            } else {
                self.run_commands();
            }
            if self.failure.is_some() || self.is_leaving && self.connections.is_empty() {
                // The loop of a closed base ends without it.
                let _ = self.base.loop_break();
            }
        })
        .map(drop)
    }

    pub(super) fn here(&self) -> &ThreadState {
        &self.shared.threads[self.thread]
    }

    pub(super) fn now(&self) -> Duration {
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
        while let Some(completion) = self.next_completion() {
            match completion {
                Completion::Accepted { fd, peer, .. } => self.accepted(fd, peer),
                Completion::AcceptFailed { error, retry_after: Some(retry_after), .. } => {
                    self.shared.problems.put(Problem::AcceptFailed { error, retry_after });
                }
                Completion::AcceptFailed { error, retry_after: None, .. } => self.failure = Some(error),
                Completion::Connected { key, result: Ok(fd), address, .. } => {
                    self.connected(key, fd, address);
                }
                Completion::Connected { key, result: Err(error), failures, .. } => {
                    self.connect_failed(key, error, &failures);
                }
                Completion::ConnectAbandoned { key } => self.abandon(key),
                Completion::RelayEnded { key, end } => self.ended(key, &end),
            }
        }
    }

    fn next_completion(&mut self) -> Option<Completion> {
        self.net.completion_within(&Places { shared: &self.shared, thread: self.thread })
    }

    fn run_commands(&mut self) {
        for command in self.here().take_commands() {
            match command {
                Command::SetUpstreams => self.set_upstreams(),
                Command::Accept => self.accept_again(),
                Command::Drain(timeout) => self.drain(timeout),
                Command::Stop => self.stop(),
                #[cfg(test)]
                Command::Panic => panic!("a test requested it"),
            }
        }
    }

    fn set_upstreams(&mut self) {
        self.upstreams = Rc::new(self.shared.upstreams());
        // A listener that waits for a place stays paused. If it accepted again while it stands in the line, it could be
        // chosen for a place although the kernel has notified another thread, now paused, of the connection that waits.
        if std::mem::take(&mut self.awaits_upstreams) {
            self.accept_again();
        }
    }

    fn accept_again(&mut self) {
        if let Some((key, _)) = &self.listener
            && let Err(error) = self.net.resume(*key)
        {
            self.failure = Some(error);
        }
    }

    /// Accepts no more connections, and ends when the last one has ended.
    fn drain(&mut self, timeout: Option<Duration>) {
        self.is_leaving = true;
        // The path is removed first, so that no connection joins the queue that is emptied here.
        self.shared.release_path();
        if let Some((key, listener)) = self.listener.take() {
            // Closing the last descriptor of the socket resets the connections in its queue, so they are accepted
            // first. Their number is limited, because others may join the queue faster than they are accepted.
            for _ in 0..=socket::DEFAULT_BACKLOG {
                if !self.shared.enter(self.thread) {
                    break;
                }
                let Ok(Some((client, peer))) = socket::accept(&listener) else {
                    self.shared.leave();
                    break;
                };
                self.accepted(client, peer);
            }
            let _ = self.net.close(key);
        }
        let Some(timeout) = timeout else { return };
        let ends_by = self.now().saturating_add(timeout);
        if ends_by < self.ends_by {
            self.ends_by = ends_by;
            if self.base.add(self.deadline, Some(timeout)).is_err() {
                self.stop();
            }
        }
    }

    /// Ends all connections.
    fn stop(&mut self) {
        self.is_leaving = true;
        self.shared.release_path();
        if let Some((key, _)) = self.listener.take() {
            let _ = self.net.close(key);
        }
        for key in self.connections.keys() {
            let _ = self.net.close(key);
        }
        self.complete();
        // A connect that was closed has no completion.
        for key in self.connections.keys() {
            self.abandon(key);
        }
    }
}

impl Drop for Worker {
    /// Removes the path, however the thread ends. The listener is closed afterwards.
    fn drop(&mut self) {
        self.shared.release_path();
    }
}
