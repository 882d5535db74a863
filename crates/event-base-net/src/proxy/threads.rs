//! Starting the threads of a proxy, and how each ends.

use std::any::Any;
use std::io;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, JoinHandle};

use nix::errno::Errno;
use nix::sys::signal::{SigSet, SigmaskHow, Signal};

use super::commands::Command;
use super::problems::Problem;
use super::shared::Shared;
use super::worker::Worker;
use crate::failure::{Result, system};

/// Starts a thread for each listening socket. The threads accept once all of them are ready. If one fails to start, all
/// of them end.
pub(super) fn start(shared: &Arc<Shared>, listeners: Vec<OwnedFd>) -> Result<Vec<JoinHandle<()>>> {
    start_with(shared, listeners, |name, run| Builder::new().name(name).spawn(run))
}

type Run = Box<dyn FnOnce() + Send>;

fn start_with(
    shared: &Arc<Shared>,
    listeners: Vec<OwnedFd>,
    mut spawn: impl FnMut(String, Run) -> io::Result<JoinHandle<()>>,
) -> Result<Vec<JoinHandle<()>>> {
    let (report, reports) = channel();
    let mut gates: Vec<Sender<()>> = Vec::new();
    let mut threads = Vec::new();
    let mut outcome = Ok(());
    let mask = SignalMask::block();
    for (index, listener) in listeners.into_iter().enumerate() {
        let (gate, opened) = channel();
        let (shared, report) = (Arc::clone(shared), report.clone());
        let run = Box::new(move || run_thread(&shared, index, listener, &report, &opened));
        match spawn(format!("proxy {index}"), run) {
            Ok(thread) => {
                gates.push(gate);
                threads.push(thread);
            }
            Err(error) => {
                outcome = Err(spawn_failed(&error));
                break;
            }
        }
    }
    drop(mask);
    // Each thread that was spawned reports once, and then waits for its gate. One that panics before drops its sender.
    drop(report);
    for made in reports.iter().take(threads.len()) {
        outcome = outcome.and(made);
    }
    if let Err(error) = outcome {
        // A gate that is dropped ends its thread.
        drop(gates);
        for thread in threads {
            let _ = thread.join();
        }
        return Err(error);
    }
    for gate in gates {
        let _ = gate.send(());
    }
    Ok(threads)
}

/// Starts a thread that takes no signals and that no other thread waits for.
pub(super) fn spawn(name: String, run: impl FnOnce() + Send + 'static) -> Result<()> {
    let mask = SignalMask::block();
    let spawned = Builder::new().name(name).spawn(run);
    drop(mask);
    spawned.map(drop).map_err(|error| spawn_failed(&error))
}

fn spawn_failed(error: &io::Error) -> event_base::Error {
    let errno = error.raw_os_error().map_or(Errno::EAGAIN, Errno::from_raw);
    system(errno, "pthread_create", None)
}

/// Runs one thread of a proxy.
fn run_thread(
    shared: &Arc<Shared>,
    index: usize,
    listener: OwnedFd,
    report: &Sender<Result<()>>,
    opened: &Receiver<()>,
) {
    let ended = catch_unwind(AssertUnwindSafe(|| {
        let mut worker = match Worker::new(Arc::clone(shared), index, listener) {
            Ok(worker) => worker,
            Err(error) => {
                let _ = report.send(Err(error));
                return Ok(());
            }
        };
        let _ = report.send(Ok(()));
        if opened.recv().is_err() {
            return Ok(());
        }
        worker.run()
    }));
    let reason = match ended {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(panic) => Some(reason_of(&*panic)),
    };
    if let Some(reason) = reason {
        shared.problems.put(Problem::ThreadFailed { reason });
        shared.end(Command::Stop);
    }
    // This closes its descriptors; other threads may still hold the base.
    let _ = shared.threads[index].base.close();
    shared.thread_ended();
}

fn reason_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("a thread of the proxy panicked: {}", text.unwrap_or("without a message"))
}

/// Blocks signals in the threads that are made while it exists, so that handlers run on the threads of the program.
/// The signals that the kernel sends to a thread for its own fault stay unblocked.
struct SignalMask(Option<SigSet>);

impl SignalMask {
    fn block() -> Self {
        let mut signals = SigSet::all();
        for own in [Signal::SIGSEGV, Signal::SIGBUS, Signal::SIGFPE, Signal::SIGILL, Signal::SIGTRAP] {
            signals.remove(own);
        }
        SignalMask(signals.thread_swap_mask(SigmaskHow::SIG_BLOCK).ok())
    }
}

impl Drop for SignalMask {
    fn drop(&mut self) {
        if let Some(old) = &self.0 {
            let _ = old.thread_set_mask();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};
    use std::time::{Duration, Instant};

    use super::*;
    use crate::address::Address;
    use crate::proxy::options::{AddressUse, Balance, Endpoint, HealthOptions, Upstream};
    use crate::proxy::{
        Directory, ListSettings, Listeners, LookupTimes, Problems, Settings, ThreadState, listeners,
    };
    use crate::socket::BindOptions;

    /// A resolver that does not return before the proxy is dropped.
    #[derive(Debug)]
    struct Hanging(parking_lot::Mutex<Receiver<()>>);

    impl crate::proxy::Resolver for Hanging {
        fn resolve(&self, _: &str) -> io::Result<Vec<std::net::SocketAddr>> {
            let _ = self.0.lock().recv();
            Ok(Vec::new())
        }
    }

    /// What a proxy at a path shares, with `threads` listening sockets of it.
    fn shared(
        path: &Path,
        threads: usize,
        resolver: Arc<dyn crate::proxy::Resolver>,
    ) -> (Arc<Shared>, Vec<OwnedFd>) {
        let address = Address::path(path.to_str().unwrap()).unwrap();
        let endpoint = Endpoint::Bind(address, BindOptions::default());
        let Listeners { sockets, path: bound, .. } = listeners::open(endpoint, threads).unwrap();
        assert!(path.exists());
        let health = HealthOptions::default();
        let list_settings =
            ListSettings { balance: Balance::RoundRobin, addresses: AddressUse::All, health, threads };
        let second = Duration::from_secs(1);
        let times = LookupTimes { interval: None, backoff: second, max_backoff: second, limit: second };
        let list = vec![Upstream::named("name", "name", 1)];
        let directory = Directory::new(list, list_settings, times).unwrap();
        let settings = Settings::default();
        let states = (0..threads).map(|_| ThreadState::new().unwrap()).collect();
        let problems = Problems::new(Box::new(|| {}));
        (Shared::new(settings, states, directory, resolver, problems, bound), sockets)
    }

    fn temporary(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("event-base-{name}-{}", std::process::id()))
    }

    #[test]
    fn a_thread_that_cannot_be_started_ends_the_earlier_ones_and_leaves_nothing() {
        let path = temporary("no-thread");
        let (release, released) = channel::<()>();
        let resolver = Arc::new(Hanging(parking_lot::Mutex::new(released)));
        let (shared, sockets) = shared(&path, 4, resolver);
        shared.lookups.start().unwrap();

        let mut left = 2;
        let started = start_with(&shared, sockets, |name, run| {
            if left == 0 {
                return Err(io::Error::from_raw_os_error(Errno::EAGAIN as i32));
            }
            left -= 1;
            Builder::new().name(name).spawn(run)
        });
        let refused = started.map(|threads| threads.len());
        assert_eq!(refused, Err(system(Errno::EAGAIN, "pthread_create", None)));
        let weak = Arc::downgrade(&shared);
        drop(shared);
        // A look-up in progress holds no reference to the proxy.
        let give_up = Instant::now() + Duration::from_secs(60);
        while weak.upgrade().is_some() {
            assert!(Instant::now() < give_up, "a thread holds the proxy");
            std::thread::yield_now();
        }
        assert!(!path.exists());
        drop(release);
    }

    #[test]
    fn a_thread_that_panics_before_it_reports_is_not_waited_for() {
        let path = temporary("no-report");
        let (shared, sockets) = shared(&path, 2, Arc::new(crate::proxy::SystemResolver));
        let (outcome, outcomes) = channel();
        let starting = Arc::clone(&shared);
        std::thread::spawn(move || {
            let started = start_with(&starting, sockets, |name, run| {
                // What the thread would run is dropped, as by a panic.
                Builder::new().name(name).spawn(|| drop(run))
            });
            let _ = outcome.send(started.map(|threads| threads.len()));
        });
        assert_eq!(outcomes.recv_timeout(Duration::from_secs(60)), Ok(Ok(2)));
    }
}
