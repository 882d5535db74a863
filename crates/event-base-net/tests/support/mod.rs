//! Shared by the tests: a base with a net, a loop with a time limit, and peers on blocking sockets.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of this")]

pub mod proxy;

use std::io::{ErrorKind, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use event_base::{Base, Config, EventId, EventSpec, LoopFlags};
use event_base_net::{Address, Completion, Net, RelayEnd, RelayOptions, SourceKey, socket};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::time::{ClockId, clock_gettime};

/// The longest time for which a test runs its loop. It is long because the machine may be busy: only a test that hangs
/// reaches it.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Serializes the tests of a file, because descriptors are counted for the whole process.
pub fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The number of open descriptors of the process.
pub fn open_descriptors() -> usize {
    std::fs::read_dir("/dev/fd").expect("every system has it").count()
}

/// The processor time of the calling thread.
pub fn busy_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("a thread has one").into()
}

/// Runs a test on each backend of this system, or on the one that `EVENT_BASE_TEST_BACKEND` names.
pub fn each_method(mut test: impl FnMut(&str, &mut Bed)) {
    let _turn = alone();
    let wanted = std::env::var("EVENT_BASE_TEST_BACKEND").ok().filter(|name| !name.is_empty());
    let supported = event_base::supported_methods().into_iter();
    let methods: Vec<_> =
        supported.filter(|method| wanted.as_ref().is_none_or(|wanted| wanted == method)).collect();
    assert!(!methods.is_empty(), "there is no backend {wanted:?}");
    for method in methods {
        let mut config = Config::new();
        for other in event_base::supported_methods() {
            if other != method {
                config = config.avoid_method(other);
            }
        }
        if method.contains("changelist") {
            config = config.set_flags(event_base::BaseFlags::EPOLL_USE_CHANGELIST);
        }
        let base = Base::with_config(&config).expect("a supported method can be had alone");
        let mut bed = Bed::with_base(base);
        test(method, &mut bed);
        let net = bed.net;
        drop(net);
        assert_eq!(
            bed.base.count_events(event_base::CountFlags::ADDED).expect("the base is open"),
            0,
            "{method}: events are left over"
        );
    }
}

/// A base, its net, and the loop between them.
pub struct Bed {
    pub base: Base,
    pub net: Net,
    /// The number of events that were passed to the net.
    pub handed: usize,
}

impl Bed {
    pub fn new() -> Self {
        Self::with_base(Base::new().expect("a base can be made"))
    }

    pub fn with_base(base: Base) -> Self {
        Bed { net: Net::new(base.clone()), base, handed: 0 }
    }

    /// Runs the loop until `stop` returns `true`. Panics after [`PATIENCE`].
    pub fn run_until(&mut self, mut stop: impl FnMut(&mut Net, Completion) -> bool) {
        let give_up = Instant::now() + PATIENCE;
        let mut stopped = false;
        let tick = self.tick(Duration::from_millis(50));
        while !stopped {
            assert!(Instant::now() < give_up, "the test takes too long");
            self.pass(|net, completion| stopped = stopped || stop(net, completion));
        }
        self.base.free(tick).expect("the base is open");
    }

    /// Runs the loop for `time`, and for one pass at least; completions are collected.
    pub fn run_for(&mut self, time: Duration) -> Vec<Completion> {
        let end = Instant::now() + time;
        let mut completions = Vec::new();
        let tick = self.tick(time);
        loop {
            self.pass(|_, completion| completions.push(completion));
            if Instant::now() >= end {
                break;
            }
        }
        self.base.free(tick).expect("the base is open");
        completions
    }

    /// Runs the loop until `reached` returns `true`. Panics after [`PATIENCE`], and if anything completes meanwhile.
    #[track_caller]
    pub fn run_to(&mut self, mut reached: impl FnMut(&mut Self) -> bool) {
        let give_up = Instant::now() + PATIENCE;
        while !reached(self) {
            assert!(Instant::now() < give_up, "the test takes too long");
            let completions = self.run_for(Duration::from_millis(10));
            assert!(completions.is_empty(), "{completions:?}");
        }
    }

    /// Runs the loop until the relay moves nothing and no event is dispatched for `time`. Returns the processor time
    /// that this took. On a busy system the kernel may report a socket as writable once although a write finds no room.
    /// A relay that is woken again and again never comes to rest, and the test fails.
    #[track_caller]
    pub fn run_at_rest(&mut self, relay: SourceKey, time: Duration) -> Duration {
        let give_up = Instant::now() + PATIENCE;
        loop {
            let moved = |bed: &Self| {
                let stats = bed.net.stats(relay).expect("it is running");
                (stats.bytes_a_to_b, stats.bytes_b_to_a, stats.held_a_to_b, stats.held_b_to_a)
            };
            let (before, handed, busy) = (moved(self), self.handed, busy_time());
            let completions = self.run_for(time);
            let busy = busy_time() - busy;
            assert!(completions.is_empty(), "{completions:?}");
            if moved(self) == before && self.handed == handed {
                return busy;
            }
            assert!(Instant::now() < give_up, "the relay does not come to rest");
        }
    }

    fn tick(&self, every: Duration) -> EventId {
        let tick = self.base.create(EventSpec::timer().persist()).expect("the base is open");
        self.base.add(tick, Some(every)).expect("the base is open");
        tick
    }

    fn pass(&mut self, mut each: impl FnMut(&mut Net, Completion)) {
        let (net, handed) = (&mut self.net, &mut self.handed);
        self.base
            .run(LoopFlags::ONCE, |_, ready| {
                if ready.data == 0 {
                    return;
                }
                *handed += 1;
                net.ready(&ready);
                while let Some(completion) = net.completion() {
                    each(net, completion);
                }
            })
            .expect("the loop runs");
    }

    /// Runs the loop until the relay ends.
    pub fn run_to_end(&mut self, relay: SourceKey) -> RelayEnd {
        let mut found = None;
        self.run_until(|_, completion| match completion {
            Completion::RelayEnded { key, end } if key == relay => {
                found = Some(end);
                true
            }
            other => panic!("unexpected: {other:?}"),
        });
        found.expect("the relay ended")
    }

    /// A relay between two new connections: its key and the two far ends, blocking.
    pub fn relay(&mut self, options: RelayOptions) -> (SourceKey, TcpStream, TcpStream) {
        let (a, client) = connection();
        let (b, server) = connection();
        let key = self.net.relay(a, b, options).expect("two sockets can be relayed");
        (key, client, server)
    }
}

/// Repeats an attempt that a busy machine may be too slow for, at paces up to 32 times slower than the first. Panics
/// with the reason of the slowest attempt if all of them fail.
#[track_caller]
pub fn at_some_pace(mut attempt: impl FnMut(u32) -> Result<(), String>) {
    let mut reason = String::new();
    for pace in [1, 2, 4, 8, 16, 32] {
        match attempt(pace) {
            Ok(()) => return,
            Err(why) => reason = why,
        }
    }
    panic!("{reason}");
}

/// Waits until there is something to read, or to accept.
pub fn await_readable(fd: &impl AsFd) {
    let mut fds = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
    let timeout = PollTimeout::try_from(PATIENCE).expect("it is short");
    assert_eq!(poll(&mut fds, timeout), Ok(1), "nothing has arrived");
}

/// Two connected TCP sockets: one for the net, one for the test.
pub fn connection() -> (OwnedFd, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let far = TcpStream::connect(listener.local_addr().expect("it is bound")).expect("it listens");
    let (near, _) = listener.accept().expect("one connection waits");
    far.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    far.set_write_timeout(Some(PATIENCE)).expect("a timeout can be set");
    (near.into(), far)
}

/// A port that refuses connections: it is bound, so that no other socket gets it, and does not listen.
pub fn closed_port() -> (socket2::Socket, SocketAddr) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)
        .expect("a descriptor is free");
    let any: SocketAddr = ([127, 0, 0, 1], 0).into();
    socket.bind(&any.into()).expect("a port is free");
    let address = socket.local_addr().expect("it is bound").as_socket().expect("it is an internet address");
    (socket, address)
}

/// A port whose queue is full: the kernel drops connection requests, as if the host did not exist.
pub fn silent_port() -> (OwnedFd, Address, Vec<TcpStream>) {
    let any = Address::internet("127.0.0.1", 0).expect("it is numeric");
    let options = socket::BindOptions { backlog: 0, ..socket::BindOptions::default() };
    let listener = socket::listen(&any, &options).expect("a port is free");
    let address = socket::address(&listener).expect("it is bound");
    let Address::Internet(number) = address else { panic!("it is an internet address") };
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&number, Duration::from_millis(250)) {
        waiting.push(stream);
        assert!(waiting.len() < 10, "the queue never fills");
    }
    (listener, address, waiting)
}

/// Reads the rest of a stream that was cut: it ends with a reset, and not as a complete one.
#[track_caller]
pub fn read_to_reset(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let cut = stream.read_to_end(&mut bytes).expect_err("the stream was cut");
    assert_eq!(cut.kind(), ErrorKind::ConnectionReset);
    bytes
}

/// The errno of a system error.
#[track_caller]
pub fn errno(error: &event_base::Error) -> (nix::errno::Errno, &'static str) {
    match error {
        event_base::Error::System(error) => (nix::errno::Errno::from_raw(error.errno), error.syscall),
        other => panic!("not a system error: {other:?}"),
    }
}

/// `length` bytes that differ after any shift, loss or repetition.
pub fn pattern(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}
