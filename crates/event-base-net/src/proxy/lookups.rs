//! The threads on which names are looked up.
//!
//! One thread waits for the next look-up to become due. Before it makes the look-up, it lets another thread wait in
//! its place, so that a look-up which hangs delays no other one. At most [`MAX_THREADS`] look-ups are in progress at
//! a time; `getaddrinfo(3)` cannot be interrupted, but `resolv.conf(5)` limits how long it takes. A proxy without
//! names has none of these threads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::clock::Clock;
use super::directory::{Directory, check};
use super::names::Settled;
use super::options::Upstream;
use super::problems::Problem;
use super::resolver::Resolver;
use super::shared::Shared;
use super::threads;
use crate::failure::Result;

/// The most look-ups in progress. One more thread waits for the next look-up.
const MAX_THREADS: usize = 8;
/// Threads that are kept when there is nothing to look up.
const KEPT_THREADS: usize = 2;

#[derive(Debug)]
struct State {
    directory: Directory,
    threads: usize,
    /// Threads that wait for the next look-up.
    idle: usize,
    closed: bool,
}

/// The configured upstreams, and the threads that keep their addresses current.
///
/// A thread whose look-up hangs holds a reference to this and to nothing else of the proxy, so the proxy can end.
#[derive(Debug)]
pub(super) struct Lookups {
    state: Mutex<State>,
    /// Notified when something is due sooner than planned.
    changed: Condvar,
    resolver: Arc<dyn Resolver>,
    clock: Clock,
    proxy: Weak<Shared>,
}

impl Lookups {
    pub(super) fn new(
        directory: Directory,
        resolver: Arc<dyn Resolver>,
        clock: Clock,
        proxy: Weak<Shared>,
    ) -> Self {
        let state = Mutex::new(State { directory, threads: 0, idle: 0, closed: false });
        Lookups { state, changed: Condvar::new(), resolver, clock, proxy }
    }

    /// Starts the first thread if there is a name.
    ///
    /// # Errors
    /// `pthread_create`.
    pub(super) fn start(self: &Arc<Self>) -> Result<()> {
        let mut state = self.state.lock();
        if state.threads > 0 || !state.directory.has_names() {
            return Ok(());
        }
        self.spawn(&mut state)
    }

    /// Replaces the list of upstreams.
    ///
    /// # Errors
    /// [`OutOfRange`](event_base::Error::OutOfRange), and `pthread_create` where the first name needs a thread that
    /// cannot be made. The old list stays then.
    pub(super) fn set(self: &Arc<Self>, list: Vec<Upstream>) -> Result<()> {
        check(&list)?;
        let mut state = self.state.lock();
        if state.threads == 0 && list.iter().any(|upstream| upstream.host().is_some()) {
            self.spawn(&mut state)?;
        }
        state.directory.set(list, self.clock.now());
        self.publish(&mut state);
        self.changed.notify_one();
        Ok(())
    }

    /// Looks `host` up again soon, because a connect to one of its addresses failed.
    pub(super) fn suspect(&self, host: &str) {
        if self.state.lock().directory.names.suspect(host, self.clock.now()) {
            self.changed.notify_one();
        }
    }

    /// The time until `host` is looked up again.
    pub(super) fn retry_after(&self, host: &str) -> Duration {
        self.state.lock().directory.names.retry_after(host, self.clock.now())
    }

    /// Ends the threads. Does not wait for them: one whose look-up hangs ends when that returns.
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.changed.notify_all();
    }

    fn spawn(self: &Arc<Self>, state: &mut State) -> Result<()> {
        let lookups = Arc::clone(self);
        threads::spawn("proxy names".to_owned(), move || lookups.run())?;
        state.threads += 1;
        state.idle += 1;
        Ok(())
    }

    /// Runs one thread, which starts and ends idle.
    fn run(self: &Arc<Self>) {
        let mut state = self.state.lock();
        while !state.closed {
            let now = self.clock.now();
            let overdue = state.directory.names.take_overdue(now);
            if !overdue.is_empty() {
                self.publish(&mut state);
                let problems = overdue.into_iter().flat_map(|one| state.directory.problems_of(one)).collect();
                MutexGuard::unlocked(&mut state, || self.report(problems));
                continue;
            }
            if state.directory.names.has_due(now) && self.may_leave(&mut state) {
                self.look_up(&mut state, now);
                if state.idle > KEPT_THREADS {
                    break;
                }
                continue;
            }
            match state.directory.names.next_after(now) {
                Some(next) => drop(self.changed.wait_for(&mut state, next - now)),
                // The end of a look-up, or a new list, notifies.
                None => self.changed.wait(&mut state),
            }
        }
        state.idle -= 1;
        state.threads -= 1;
    }

    /// Whether this thread may make a look-up: another thread waits or was started, or this is the only one and no
    /// other can be started.
    fn may_leave(self: &Arc<Self>, state: &mut State) -> bool {
        if state.idle > 1 {
            return true;
        }
        let may_spawn = state.threads <= MAX_THREADS;
        may_spawn && self.spawn(state).is_ok() || state.threads == 1
    }

    fn look_up(&self, state: &mut MutexGuard<'_, State>, now: Duration) {
        let Some(host) = state.directory.names.take_due(now) else { return };
        state.idle -= 1;
        // Lets the waiting thread include the limit of this look-up in its next deadline.
        self.changed.notify_one();
        let answer = MutexGuard::unlocked(state, || {
            let answer = catch_unwind(AssertUnwindSafe(|| self.resolver.resolve(&host)));
            let answer = answer.unwrap_or_else(|_| Err(std::io::Error::other("the resolver panicked")));
            answer.map_err(|error| reason(&error))
        });
        state.idle += 1;
        let Settled { has_changed, is_back, failure } =
            state.directory.names.settle(&host, answer, self.clock.now());
        if has_changed {
            self.publish(state);
        }
        self.changed.notify_one();
        let problems: Vec<_> = match failure {
            Some(failure) => state.directory.problems_of(failure).collect(),
            None if is_back => {
                let names = state.directory.names_at(&host);
                names.map(|upstream| Problem::UpstreamUp { upstream }).collect()
            }
            None => return,
        };
        MutexGuard::unlocked(state, || self.report(problems));
    }

    /// Passes the list of servers to the threads of the proxy. Called under the lock, so that an older list never
    /// replaces a newer one.
    fn publish(&self, state: &mut MutexGuard<'_, State>) {
        let Some(proxy) = self.proxy.upgrade() else { return };
        let upstreams = state.directory.upstreams(Some(&proxy.upstreams()));
        if state.directory.is_ready(&upstreams) {
            proxy.set_upstreams(Arc::new(upstreams));
        }
        // If this is the last reference to the proxy, dropping it calls `close`, which takes the lock.
        MutexGuard::unlocked(state, || drop(proxy));
    }

    /// Called without the lock, because it calls the owner's `notify`.
    fn report(&self, problems: Vec<Problem>) {
        let Some(proxy) = self.proxy.upgrade() else { return };
        for problem in problems {
            proxy.problems.put(problem);
        }
    }
}

/// The resolver's reason, without the prefix that the standard library adds.
fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    let bare = text.strip_prefix("failed to lookup address information: ").map(str::to_owned);
    bare.unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::net::{IpAddr, Ipv4Addr, SocketAddr};
    use std::sync::atomic::{AtomicU8, Ordering};
    use std::thread::yield_now;
    use std::time::Instant;

    use super::*;
    use crate::proxy::options::{AddressUse, Balance, HealthOptions, MAX_ADDRESSES};
    use crate::proxy::{ListSettings, LookupTimes, Problems, Settings};

    /// A resolver with other addresses at each call.
    #[derive(Debug, Default)]
    struct Changing(AtomicU8);

    impl Resolver for Changing {
        fn resolve(&self, _: &str) -> io::Result<Vec<SocketAddr>> {
            let subnet = self.0.fetch_add(1, Ordering::Relaxed);
            let at = |host| SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, subnet, host)), 0);
            Ok((1..=MAX_ADDRESSES as u8).map(at).collect())
        }
    }

    /// A resolver that does not return before the gate is open.
    #[derive(Debug, Default)]
    struct Gated {
        open: Mutex<bool>,
        opened: Condvar,
    }

    impl Resolver for Gated {
        fn resolve(&self, _: &str) -> io::Result<Vec<SocketAddr>> {
            let mut open = self.open.lock();
            self.opened.wait_while(&mut open, |open| !*open);
            Err(io::Error::other("no address"))
        }
    }

    /// A proxy without threads, whose look-ups have started.
    fn started(list: Vec<Upstream>, times: LookupTimes, resolver: Arc<dyn Resolver>) -> Arc<Shared> {
        let settings = ListSettings {
            balance: Balance::RoundRobin,
            addresses: AddressUse::All,
            health: HealthOptions::default(),
            threads: 0,
        };
        let directory = Directory::new(list, settings, times).unwrap();
        let problems = Problems::new(Box::new(|| {}));
        let shared = Shared::new(Settings::default(), Box::new([]), directory, resolver, problems, None);
        shared.lookups.start().unwrap();
        shared
    }

    #[test]
    fn threads_whose_look_ups_have_ended_end_and_are_no_longer_counted() {
        let hour = Duration::from_secs(3600);
        let times = LookupTimes { interval: None, backoff: hour, max_backoff: hour, limit: hour };
        let name = |number: usize| Upstream::named(number.to_string(), number.to_string(), 1);
        let list = (0..2 * MAX_THREADS).map(name).collect();
        let resolver = Arc::new(Gated::default());
        let gate: Arc<dyn Resolver> = Arc::clone(&resolver) as _;
        let shared = started(list, times, gate);
        let lookups = Arc::clone(&shared.lookups);
        let until = |what: &str, reached: &dyn Fn(&State) -> bool| {
            let give_up = Instant::now() + Duration::from_secs(60);
            while !reached(&lookups.state.lock()) {
                assert!(Instant::now() < give_up, "never {what}: {:?}", lookups.state.lock());
                yield_now();
            }
        };
        // One thread is idle beside those that wait for an answer.
        until("busy", &|state| (state.threads, state.idle) == (MAX_THREADS + 1, 1));
        *resolver.open.lock() = true;
        resolver.opened.notify_all();
        until("at rest", &|state| {
            state.directory.names.are_settled() && (state.threads, state.idle) == (KEPT_THREADS, KEPT_THREADS)
        });
        // Each look-up has failed, less than the patience of this test ago.
        assert!((hour - 2 * Duration::from_secs(60)..=hour).contains(&lookups.retry_after("0")));
        drop(shared);
        until("over", &|state| (state.threads, state.idle) == (0, 0));
    }

    #[test]
    fn a_proxy_that_is_dropped_while_a_list_is_published_ends_its_look_ups() {
        let (short, second) = (Duration::from_millis(1), Duration::from_secs(1));
        let times =
            LookupTimes { interval: Some(short), backoff: second, max_backoff: second, limit: second };
        let list = (0..64).map(|number| Upstream::named(number.to_string(), "name", 1)).collect();
        let shared = started(list, times, Arc::new(Changing::default()));
        let lookups = Arc::clone(&shared.lookups);

        let give_up = Instant::now() + Duration::from_secs(60);
        while Arc::strong_count(&shared) == 1 {
            assert!(Instant::now() < give_up, "no list is published");
        }
        // The thread that publishes has the last reference now.
        drop(shared);
        loop {
            let state = lookups.state.try_lock_until(give_up).expect("no thread keeps the lock");
            if state.threads == 0 {
                break;
            }
            drop(state);
            yield_now();
        }
    }
}
