//! What the tests share: a base in virtual time, traces of loops, sockets, and a watchdog.

#![allow(dead_code, reason = "each test binary uses a part of this")]

mod matrix;

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

use event_base::{
    Base, Clock, Config, EventId, EventSpec, LoopFlags, LoopResult, ManualClock, Ready, Script, Step,
    SystemClock, Wait, What,
};

#[allow(unused_imports, reason = "each test binary uses a part of this")]
pub(crate) use matrix::{
    base, base_from, base_with, base_without, config, config_by_handler, in_mode, in_mode_by_handler,
    not_applicable, only, shared_base,
};

/// The longest that a test waits for something that should happen immediately. Long, because the machine may be busy:
/// only a test that hangs waits that long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) const WAIT: LoopFlags = LoopFlags::empty();
pub(crate) const POLL: LoopFlags = LoopFlags::NONBLOCK;
pub(crate) const LOOP_ONCE: LoopFlags = LoopFlags::ONCE;
pub(crate) const ONE_PASS: LoopFlags = LoopFlags::ONCE.union(LoopFlags::NONBLOCK);

/// What a loop dispatched, in order.
pub(crate) type Trace = Vec<(EventId, What)>;

pub(crate) fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// A base with a scripted backend and a manual clock.
pub(crate) struct Bed {
    pub(crate) base: Base,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) script: Script,
    start: Duration,
}

impl Bed {
    pub(crate) fn new() -> Self {
        Self::with(|config| config)
    }

    pub(crate) fn with(configure: impl FnOnce(Config) -> Config) -> Self {
        Self::starting_at(ms(5_000), configure)
    }

    pub(crate) fn starting_at(start: Duration, configure: impl FnOnce(Config) -> Config) -> Self {
        let clock = Arc::new(ManualClock::at(start.as_nanos() as u64));
        let script = Script::new(Arc::clone(&clock));
        let config = configure(in_mode()).set_clock(Arc::clone(&clock) as Arc<dyn Clock>);
        let base = Base::with_config(&config.set_script(script.clone())).unwrap();
        Bed { base, clock, script, start }
    }

    /// A bed for an existing base with this clock and this script.
    pub(crate) fn around(base: Base, clock: Arc<ManualClock>, script: Script) -> Self {
        let start = Duration::from_nanos(clock.monotonic());
        Bed { base, clock, script, start }
    }

    /// Virtual time since the bed was created.
    pub(crate) fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.clock.monotonic()) - self.start
    }

    pub(crate) fn io(&self, fd: RawFd, what: What) -> EventId {
        self.base.create(EventSpec::io(fd, what)).unwrap()
    }

    pub(crate) fn timer(&self, after: Duration) -> EventId {
        self.base.create_and_add(EventSpec::timer(), Some(after)).unwrap()
    }

    pub(crate) fn periodic(&self, period: Duration) -> EventId {
        self.base.create_and_add(EventSpec::timer().persist(), Some(period)).unwrap()
    }

    pub(crate) fn user(&self) -> EventId {
        self.base.create(EventSpec::user()).unwrap()
    }

    pub(crate) fn run(&self, flags: LoopFlags) -> (LoopResult, Trace) {
        run(&self.base, flags)
    }

    /// What fires until `until`, and how many milliseconds after the start.
    pub(crate) fn timeline(&self, until: Duration) -> Vec<(EventId, What, u64)> {
        let mut line = Vec::new();
        self.base.loop_exit(Some(until.saturating_sub(self.elapsed()))).unwrap();
        self.base
            .run(WAIT, |_, ready| line.push((ready.id, ready.what, self.elapsed().as_millis() as u64)))
            .unwrap();
        line
    }
}

/// Runs the loop and records what it dispatches.
pub(crate) fn run(base: &Base, flags: LoopFlags) -> (LoopResult, Trace) {
    let mut trace = Vec::new();
    let result = base.run(flags, |_, ready| trace.push((ready.id, ready.what))).unwrap();
    (result, trace)
}

/// The event that the next step of an entered loop dispatches; fails for any other step.
pub(crate) fn next_event(base: &Base, wait: Wait) -> Ready {
    match base.next(wait) {
        Ok(Step::Event(ready)) => ready,
        other => panic!("{other:?}"),
    }
}

/// Runs the loop in real time, for no longer than [`PATIENCE`].
pub(crate) fn run_watched(base: &Base, flags: LoopFlags, dispatch: impl FnMut(&Base, Ready)) -> LoopResult {
    let watchdog = Watchdog::over(base);
    let result = base.run(flags, dispatch).unwrap();
    drop(watchdog);
    result
}

/// Creates an event and adds it.
pub(crate) fn watch(base: &Base, fd: RawFd, what: What) -> EventId {
    base.create_and_add(EventSpec::io(fd, what), None).unwrap()
}

/// Runs for 60 ms and calls `each` with what fires; fails if the loop spins.
pub(crate) fn run_quietly_with(base: &Base, clock: &CountingClock, mut each: impl FnMut(EventId, What)) {
    let before = clock.reads();
    base.loop_exit(Some(ms(60))).unwrap();
    run_watched(base, WAIT, |_, ready| each(ready.id, ready.what));
    let reads = clock.reads() - before;
    assert!(reads < 100, "the loop spins: {reads} readings of the clock");
}

/// The same; returns what fired.
pub(crate) fn run_quietly(base: &Base, clock: &CountingClock) -> Trace {
    let mut trace = vec![];
    run_quietly_with(base, clock, |id, what| trace.push((id, what)));
    trace
}

/// Breaks the loop of a test that hangs, and makes the test fail.
pub(crate) struct Watchdog {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<bool>>,
}

impl Watchdog {
    pub(crate) fn over(base: &Base) -> Self {
        let (stop, stopped) = mpsc::channel();
        let base = base.clone();
        let thread = std::thread::spawn(move || {
            let late = stopped.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout);
            if late && base.loop_break().is_err() {
                // A base without locks refuses calls of other threads.
                eprintln!("the loop did not end by itself");
                std::process::abort();
            }
            late
        });
        Watchdog { stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.stop.take());
        let late = self.thread.take().is_some_and(|thread| thread.join().unwrap_or(true));
        assert!(!late || std::thread::panicking(), "the loop did not end by itself");
    }
}

/// The kernel's clocks, which counts its readings: about two in a pass.
#[derive(Debug, Default)]
pub(crate) struct CountingClock {
    reads: AtomicU64,
}

impl CountingClock {
    pub(crate) fn base() -> (Base, Arc<Self>) {
        let clock = Arc::new(CountingClock::default());
        let base = Base::with_config(&config().set_clock(Arc::clone(&clock) as Arc<dyn Clock>)).unwrap();
        (base, clock)
    }

    pub(crate) fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }
}

impl Clock for CountingClock {
    fn monotonic(&self) -> u64 {
        self.reads.fetch_add(1, Ordering::Relaxed);
        SystemClock.monotonic()
    }

    fn wall(&self) -> u64 {
        SystemClock.wall()
    }
}

/// Two connected stream sockets that do not block.
pub(crate) fn pair() -> (UnixStream, UnixStream) {
    let (a, b) = UnixStream::pair().unwrap();
    a.set_nonblocking(true).unwrap();
    b.set_nonblocking(true).unwrap();
    (a, b)
}

/// The same over loopback TCP.
pub(crate) fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let a = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (b, _) = listener.accept().unwrap();
    a.set_nonblocking(true).unwrap();
    b.set_nonblocking(true).unwrap();
    (a, b)
}

pub(crate) fn fd(socket: &impl AsRawFd) -> RawFd {
    socket.as_raw_fd()
}

/// Fills the socket's buffer until it is no longer writable.
pub(crate) fn fill(mut socket: impl Write) {
    let chunk = [7; 65536];
    loop {
        match socket.write(&chunk) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Reads all data; returns how much that was.
pub(crate) fn drain(mut socket: impl Read) -> usize {
    let mut buffer = [0; 65536];
    let mut total = 0;
    loop {
        match socket.read(&mut buffer) {
            Ok(0) => return total,
            Ok(count) => total += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return total,
            Err(error) => panic!("{error}"),
        }
    }
}

/// The number of open descriptors of this process; on FreeBSD without fdescfs a constant.
pub(crate) fn open_descriptors() -> usize {
    std::fs::read_dir("/dev/fd").unwrap().count()
}

/// Makes `target` a descriptor of the file of `source`, and closes what it was before. Atomic, so that no parallel test
/// can take the number in between.
#[expect(unsafe_code, reason = "a test replaces a descriptor that another value owns")]
pub(crate) fn replace(target: &impl AsRawFd, source: &impl AsRawFd) {
    // SAFETY: both are open descriptors of the test; the owner of `target` still owns its number.
    let result = unsafe { libc::dup2(fd(source), fd(target)) };
    assert_eq!(result, fd(target));
}

/// Another descriptor of the same file, with a number far above those that parallel tests open.
pub(crate) fn duplicate(socket: &UnixStream) -> OwnedFd {
    duplicate_from(socket, 700)
}

/// Another descriptor of the same file, with the number `lowest` or a higher one.
pub(crate) fn duplicate_from(socket: &UnixStream, lowest: RawFd) -> OwnedFd {
    let number = fcntl(socket, FcntlArg::F_DUPFD_CLOEXEC(lowest)).unwrap();
    adopt(number)
}

#[expect(unsafe_code, reason = "nix returns the new descriptor as a number")]
fn adopt(number: RawFd) -> OwnedFd {
    // SAFETY: the number was just opened and has no other owner.
    unsafe { OwnedFd::from_raw_fd(number) }
}

/// Another descriptor of the same file.
#[expect(unsafe_code, reason = "a test keeps the file of a descriptor that it replaces")]
pub(crate) fn duplicate_of(source: &impl AsRawFd) -> OwnedFd {
    // SAFETY: the descriptor is open during this call.
    let borrowed = unsafe { std::os::fd::BorrowedFd::borrow_raw(fd(source)) };
    borrowed.try_clone_to_owned().unwrap()
}
