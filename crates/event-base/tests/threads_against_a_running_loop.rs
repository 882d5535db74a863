//! Four threads call random operations on the events of a base while its loop runs.

mod support;

use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use event_base::{Base, CountFlags, Error, EventId, EventSpec, LoopResult, What};

use support::{CountingClock, WAIT, pair, run_watched};

const THREADS: u64 = 4;
const STEPS: u32 = 15_000;

/// Pseudorandom numbers, the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// Every event is in the list of one thread, and only that thread frees it. All other operations are also applied to
/// events of other threads.
fn disturb(base: &Base, seed: u64, shared: &[EventId], sockets: &[&UnixStream]) {
    let mut random = Random(seed * 0x9e37_79b9 + 1);
    let mut own: Vec<EventId> = Vec::new();
    for _ in 0..STEPS {
        let all = shared.len() + own.len();
        let place = random.below(all as u64) as usize;
        let id = if place < shared.len() { shared[place] } else { own[place - shared.len()] };
        let result = match random.below(12) {
            0..=2 => base.add(id, Some(Duration::from_micros(random.below(500)))),
            3 => base.add(id, None),
            4 | 5 => base.del(id),
            6 => base.activate(id, What::READ).map(drop),
            7 => base.activate_later(id, What::WRITE).map(drop),
            8 => base.remove_timer(id),
            9 if own.len() < 50 => {
                let spec = match random.below(3) {
                    0 => EventSpec::timer(),
                    1 => EventSpec::timer().persist(),
                    _ => {
                        let socket = &sockets[random.below(sockets.len() as u64) as usize];
                        EventSpec::io(socket.as_raw_fd(), What::READ)
                    }
                };
                base.create(spec).map(|id| own.push(id))
            }
            10 if !own.is_empty() => {
                let id = own.swap_remove(random.below(own.len() as u64) as usize);
                base.free(id)
            }
            _ => base.once(-1, What::TIMEOUT, 0, Some(Duration::from_micros(random.below(300)))).map(|_| ()),
        };
        assert_eq!(result, Ok(()));
    }
    for id in own {
        base.free(id).unwrap();
        assert_eq!(base.del(id), Err(Error::Closed));
    }
}

#[test]
fn the_counters_return_to_zero_and_the_loop_ends() {
    let base = Base::new().unwrap();
    let pairs: Vec<_> = (0..4).map(|_| pair()).collect();
    let sockets: Vec<_> = pairs.iter().map(|(reader, _)| reader).collect();
    let shared: Vec<EventId> = (0..40)
        .map(|number| {
            let spec = match number % 4 {
                0 => EventSpec::timer(),
                1 => EventSpec::timer().persist(),
                2 => EventSpec::io(sockets[number % 4].as_raw_fd(), What::READ),
                _ => EventSpec::io(sockets[number % 4].as_raw_fd(), What::READ).persist(),
            };
            base.create(spec).unwrap()
        })
        .collect();
    base.retain().unwrap();
    let running = AtomicU64::new(THREADS);
    let mut handled = 0_u64;
    std::thread::scope(|scope| {
        for seed in 0..THREADS {
            let (base, shared, sockets, running) = (&base, &shared, &sockets, &running);
            scope.spawn(move || {
                disturb(base, seed, shared, sockets);
                if running.fetch_sub(1, Ordering::SeqCst) == 1 {
                    // The last one makes the loop empty.
                    for &id in shared {
                        base.free(id).unwrap();
                    }
                    base.release().unwrap();
                }
            });
        }
        let mut writers = pairs.iter().map(|(_, writer)| writer).cycle();
        let result = run_watched(&base, WAIT, |_, ready| {
            handled += 1;
            if ready.fd >= 0 {
                let reader = sockets.iter().find(|socket| socket.as_raw_fd() == ready.fd).unwrap();
                _ = (&**reader).read(&mut [0; 16]);
            } else if handled.is_multiple_of(3) {
                _ = writers.next().unwrap().write(b"x");
            }
        });
        assert_eq!(result, LoopResult::Empty);
    });
    assert!(handled > 0);
    for flags in [CountFlags::ACTIVE, CountFlags::ADDED, CountFlags::VIRTUAL] {
        assert_eq!(base.count_events(flags).unwrap(), 0, "{flags:?}");
    }
    assert_eq!(base.live_events().unwrap(), 0);
    assert_eq!(base.events().unwrap(), []);
}

#[test]
fn two_threads_that_run_and_one_that_closes_the_base_all_return() {
    for _ in 0..50 {
        let base = Base::new().unwrap();
        base.create_and_add(EventSpec::timer().persist(), Some(Duration::from_micros(50))).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    loop {
                        match base.run(WAIT, |_, _| {}) {
                            Err(Error::Reentrant) => std::thread::yield_now(),
                            Err(Error::Closed) | Ok(LoopResult::Stopped) => return,
                            other => panic!("{other:?}"),
                        }
                    }
                });
            }
            scope.spawn(|| {
                std::thread::sleep(Duration::from_micros(300));
                base.close().unwrap();
            });
        });
        assert!(base.is_closed());
    }
}

/// After a lost wake-up the loop would sleep until the watchdog ends it.
#[test]
fn no_wake_up_is_lost_between_a_loop_that_falls_asleep_and_a_thread_that_activates() {
    let (base, clock) = CountingClock::base();
    base.retain().unwrap();
    let event = base.create(EventSpec::user()).unwrap();
    let seen = AtomicU64::new(0);
    // If two threads share a processor, a round takes two time slices.
    let end = Instant::now() + Duration::from_secs(4);
    let rounds = std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            let mut rounds = 0;
            while rounds < 20_000 && (rounds < 100 || Instant::now() < end) {
                base.activate(event, What::READ).unwrap();
                rounds += 1;
                let mut spins = 0_u32;
                while seen.load(Ordering::Acquire) < rounds {
                    std::hint::spin_loop();
                    spins += 1;
                    if rounds.is_multiple_of(64) || spins.is_multiple_of(1024) {
                        std::thread::yield_now();
                    }
                    if base.got_break() == Ok(true) {
                        return rounds;
                    }
                }
            }
            base.release().unwrap();
            rounds
        });
        let result = run_watched(&base, WAIT, |_, _| _ = seen.fetch_add(1, Ordering::Release));
        assert_eq!(result, LoopResult::Empty);
        other.join().unwrap()
    });
    assert_eq!(seen.into_inner(), rounds);
    assert!(clock.reads() < rounds * 20, "{} readings of the clock in {rounds} rounds", clock.reads());
}
