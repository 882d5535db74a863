//! What the threads of a proxy and its owner share.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;

use super::clock::Clock;
use super::commands::{Command, ThreadState};
use super::connection_limit::ConnectionLimit;
use super::directory::Directory;
use super::lookups::Lookups;
use super::options::ProxyProtocol;
use super::problems::Problems;
use super::resolver::Resolver;
use super::upstreams::Upstreams;
use crate::accept::ListenOptions;
use crate::relay::RelayOptions;
use crate::socket::BoundPath;

/// The options that do not change while a proxy runs.
#[derive(Debug, Default)]
pub(super) struct Settings {
    pub(super) accept: ListenOptions,
    pub(super) connect_timeout: Option<Duration>,
    pub(super) max_connections: Option<u32>,
    pub(super) relay: RelayOptions,
    pub(super) proxy_protocol: Option<ProxyProtocol>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) threads: Box<[ThreadState]>,
    pub(super) problems: Problems,
    pub(super) lookups: Arc<Lookups>,
    pub(super) clock: Clock,
    upstreams: Mutex<Arc<Upstreams>>,
    /// Whether connections can be given to `upstreams`: see `Directory::is_ready`.
    is_ready: AtomicBool,
    connections: Option<ConnectionLimit>,
    path: Mutex<Option<BoundPath>>,
    running: Mutex<usize>,
}

impl Shared {
    pub(super) fn new(
        settings: Settings,
        threads: Box<[ThreadState]>,
        directory: Directory,
        resolver: Arc<dyn Resolver>,
        problems: Problems,
        path: Option<BoundPath>,
    ) -> Arc<Self> {
        let clock = Clock::start();
        let upstreams = directory.upstreams(None);
        let is_ready = AtomicBool::new(directory.is_ready(&upstreams));
        Arc::new_cyclic(|proxy: &Weak<Shared>| Shared {
            running: Mutex::new(threads.len()),
            connections: settings.max_connections.map(ConnectionLimit::new),
            settings,
            threads,
            problems,
            lookups: Arc::new(Lookups::new(directory, resolver, clock, proxy.clone())),
            clock,
            upstreams: Mutex::new(Arc::new(upstreams)),
            is_ready,
            path: Mutex::new(path),
        })
    }

    pub(super) fn upstreams(&self) -> Arc<Upstreams> {
        Arc::clone(&self.upstreams.lock())
    }

    pub(super) fn set_upstreams(&self, list: Arc<Upstreams>) {
        let old = std::mem::replace(&mut *self.upstreams.lock(), list);
        drop(old);
        self.is_ready.store(true, Ordering::Release);
        self.send_all(Command::SetUpstreams);
    }

    pub(super) fn is_ready(&self) -> bool {
        self.is_ready.load(Ordering::Acquire)
    }

    /// Counts a connection that a thread is about to accept. `false`: the limit is reached, and the thread must not
    /// accept before it gets [`Command::Accept`].
    pub(super) fn enter(&self, thread: usize) -> bool {
        let has_place = self.connections.as_ref().is_none_or(|limit| limit.enter(thread));
        if !has_place {
            self.threads[thread].counters.accept_pauses.add(1);
        }
        has_place
    }

    /// Counts the end of a connection.
    pub(super) fn leave(&self) {
        if let Some(thread) = self.connections.as_ref().and_then(ConnectionLimit::leave) {
            self.threads[thread].send(Command::Accept);
        }
    }

    fn send_all(&self, command: Command) {
        for thread in &self.threads {
            thread.send(command);
        }
    }

    /// Ends the threads, and the look-ups, which serve new connections only.
    pub(super) fn end(&self, command: Command) {
        self.lookups.close();
        self.send_all(command);
    }

    /// Removes the path of the listening socket, so that another socket can be bound there.
    pub(super) fn release_path(&self) {
        let path = self.path.lock().take();
        drop(path);
    }

    /// Counts a thread that has ended. The last one notifies the owner.
    pub(super) fn thread_ended(&self) {
        let mut running = self.running.lock();
        *running -= 1;
        let is_last = *running == 0;
        drop(running);
        if is_last {
            self.problems.notify();
        }
    }

    pub(super) fn is_over(&self) -> bool {
        *self.running.lock() == 0
    }
}

impl Drop for Shared {
    /// Ends the look-ups, also after a start that failed.
    fn drop(&mut self) {
        self.lookups.close();
    }
}
