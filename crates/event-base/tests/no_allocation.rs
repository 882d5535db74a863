//! Once its tables have grown to the size they need, the loop allocates nothing: not for an event, a pass or a change.
//! Each test runs rounds until the tables have grown, and then counts allocations.

#[path = "support/allocations.rs"]
mod allocations;

use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use allocations::allocations;
use event_base::{Base, BaseFlags, Config, EventId, EventSpec, LoopFlags, What, supported_methods};

const POLL: LoopFlags = LoopFlags::ONCE.union(LoopFlags::NONBLOCK);

/// Runs `round` until tables have grown, then returns the allocations of 64 more.
fn allocations_of(mut round: impl FnMut()) -> u64 {
    for _ in 0..32 {
        round();
    }
    let before = allocations();
    for _ in 0..64 {
        round();
    }
    allocations() - before
}

/// Calls `shape` with a base of each backend and of epoll's changelist, with locks and without.
fn on_each_base(shape: impl Fn(&Base)) {
    for name in supported_methods() {
        for flags in [BaseFlags::empty(), BaseFlags::NOLOCK, BaseFlags::EPOLL_USE_CHANGELIST] {
            let config = Config::new().set_flags(flags | BaseFlags::IGNORE_ENV);
            let others = supported_methods().into_iter().filter(|other| *other != name);
            shape(&Base::with_config(&others.fold(config, Config::avoid_method)).unwrap());
        }
    }
}

fn created(base: &Base, count: u64, spec: impl Fn(u64) -> EventSpec) -> Vec<EventId> {
    (1..=count).map(|data| base.create(spec(data)).unwrap()).collect()
}

/// Nonblocking passes until the count of ready events is reached.
fn pass_until(base: &Base, expected: usize) {
    let mut ready = 0;
    for _ in 0..1000 {
        base.run(POLL, |_, _| ready += 1).unwrap();
        if ready >= expected {
            break;
        }
        std::thread::yield_now();
    }
    assert_eq!(ready, expected);
}

#[test]
fn the_counter_counts() {
    let mut kept = Vec::new();
    assert_eq!(allocations_of(|| kept.push(Box::new(1_u64))) / 64, 1);
}

#[test]
fn ready_descriptors() {
    on_each_base(|base| {
        let pairs: Vec<_> = (0..32).map(|_| UnixStream::pair().unwrap()).collect();
        for (data, (reader, _)) in (1..).zip(&pairs) {
            let spec = EventSpec::io(reader.as_raw_fd(), What::READ).persist().data(data);
            base.add(base.create(spec).unwrap(), None).unwrap();
        }
        let allocations = allocations_of(|| {
            for (_, writer) in &pairs {
                assert_eq!((&*writer).write(b"e").unwrap(), 1);
            }
            let mut received = 0;
            base.run(POLL, |_, ready| {
                let (reader, _) = &pairs[ready.data as usize - 1];
                received += (&*reader).read(&mut [0]).unwrap();
            })
            .unwrap();
            assert_eq!(received, pairs.len());
        });
        assert_eq!(allocations, 0);
    });
}

#[test]
fn descriptors_added_and_deleted() {
    on_each_base(|base| {
        let pairs: Vec<_> = (0..32).map(|_| UnixStream::pair().unwrap()).collect();
        let events: Vec<_> = (1..)
            .zip(&pairs)
            .map(|(data, (reader, _))| {
                let spec = EventSpec::io(reader.as_raw_fd(), What::READ).persist().data(data);
                base.create(spec).unwrap()
            })
            .collect();
        let allocations = allocations_of(|| {
            events.iter().for_each(|&event| base.add(event, None).unwrap());
            pass_until(base, 0);
            events.iter().for_each(|&event| base.del(event).unwrap());
            pass_until(base, 0);
        });
        assert_eq!(allocations, 0);
    });
}

#[test]
fn timers_added_again() {
    on_each_base(|base| {
        let timers = created(base, 1000, |data| EventSpec::timer().data(data));
        let mut shift = 0;
        let allocations = allocations_of(|| {
            shift += 1;
            // Half of them move to an earlier deadline, the others to a later one.
            for (index, &timer) in (0..).zip(&timers) {
                let seconds = 60 + (index * 7919 + shift * 1801) % 3600;
                base.add(timer, Some(Duration::from_secs(seconds))).unwrap();
            }
            pass_until(base, 0);
        });
        assert_eq!(allocations, 0);
    });
}

#[test]
fn timers_that_fire_and_are_added_again() {
    on_each_base(|base| {
        let timers = created(base, 200, |data| EventSpec::timer().data(data));
        let allocations = allocations_of(|| {
            for (index, &timer) in (0..).zip(&timers) {
                base.add(timer, Some(Duration::from_micros(index % 50))).unwrap();
            }
            let mut fired = 0;
            base.run(LoopFlags::empty(), |_, _| fired += 1).unwrap();
            assert_eq!(fired, timers.len());
        });
        assert_eq!(allocations, 0);
    });
}

#[test]
fn persistent_timers() {
    on_each_base(|base| {
        for &timer in &created(base, 100, |data| EventSpec::timer().persist().data(data)) {
            base.add(timer, Some(Duration::from_micros(100))).unwrap();
        }
        let allocations = allocations_of(|| {
            let mut fired = 0;
            while fired < 100 {
                base.run(LoopFlags::ONCE, |_, _| fired += 1).unwrap();
            }
        });
        assert_eq!(allocations, 0);
    });
}

#[test]
fn common_timeouts() {
    on_each_base(|base| {
        let [soon, late] =
            [1, 60_000_000].map(|micros| base.common_timeout(Duration::from_micros(micros)).unwrap());
        let timers = created(base, 200, |data| EventSpec::timer().data(data));
        let persistent = created(base, 100, |data| EventSpec::timer().persist().data(data));
        // Periods that end out of order are kept in the heap; how many at a time depends on the speed of the machine.
        for timer in created(base, 1000, |data| EventSpec::timer().data(data)) {
            base.add(timer, Some(Duration::from_secs(60))).unwrap();
            base.add(timer, Some(Duration::from_secs(30))).unwrap();
        }
        for event in base.events().unwrap() {
            base.free(event.id).unwrap();
        }
        let allocations = allocations_of(|| {
            timers.iter().for_each(|&timer| base.add_common(timer, late).unwrap());
            timers.iter().for_each(|&timer| base.add_common(timer, soon).unwrap());
            persistent.iter().for_each(|&timer| base.add_common(timer, soon).unwrap());
            let mut fired = 0;
            while fired < 300 {
                base.run(LoopFlags::ONCE, |_, _| fired += 1).unwrap();
            }
            persistent.iter().for_each(|&timer| base.add_common(timer, late).unwrap());
            persistent.iter().for_each(|&timer| base.del(timer).unwrap());
        });
        assert_eq!(allocations, 0);
    });
}

#[test]
fn watchers() {
    on_each_base(|base| {
        let timer = base.create(EventSpec::timer().persist()).unwrap();
        base.add(timer, Some(Duration::ZERO)).unwrap();
        for data in 0..10 {
            base.on_prepare(data).unwrap();
            base.on_check(data).unwrap();
        }
        let allocations = allocations_of(|| {
            let mut calls = 0;
            base.run_with_watchers(POLL, |_, _| calls += 1).unwrap();
            assert_eq!(calls, 21);
        });
        assert_eq!(allocations, 0);
    });
}

#[test]
fn user_events() {
    on_each_base(|base| {
        let events = created(base, 1000, |data| EventSpec::user().data(data));
        let allocations = allocations_of(|| {
            events.iter().for_each(|&event| assert!(base.activate(event, What::READ).unwrap()));
            pass_until(base, events.len());
        });
        assert_eq!(allocations, 0);
    });
}

#[test]
fn events_created_and_freed() {
    on_each_base(|base| {
        let allocations = allocations_of(|| {
            for data in 1..=100 {
                let timer = base.create(EventSpec::timer().data(data)).unwrap();
                base.add(timer, Some(Duration::from_secs(data))).unwrap();
                base.free(timer).unwrap();
            }
            pass_until(base, 0);
        });
        assert_eq!(allocations, 0);
    });
}
