//! libevent's stand-alone test programs.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use event_base::{Base, BaseFlags, Clock, Config, EventSpec, Features, LoopResult, What, supported_methods};

use crate::support::{
    Bed, CountingClock, WAIT, base, base_with, duplicate_from, fd, ms, not_applicable, only, pair,
    run_watched,
};

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn c_108_test_eof() {
    let base = base();
    let (reader, mut writer) = pair();
    writer.write_all(b"test string").unwrap();
    writer.shutdown(Shutdown::Write).unwrap();
    let event = base.create_and_add(EventSpec::io(fd(&reader), What::READ), Some(MINUTE)).unwrap();
    let mut sizes = vec![];
    let result = run_watched(&base, WAIT, |base, ready| {
        assert_eq!(ready.what, What::READ);
        let size = (&reader).read(&mut [0; 256]).unwrap();
        if size > 0 {
            base.add(event, Some(MINUTE)).unwrap();
        }
        sizes.push(size);
    });
    assert_eq!((result, sizes), (LoopResult::Empty, vec![11, 0]));
}

#[test]
fn c_109_test_weof() {
    let base = base();
    let (writer, reader) = pair();
    let mut reader = Some(reader);
    let event = base.create_and_add(EventSpec::io(fd(&writer), What::WRITE), None).unwrap();
    let mut outcomes = vec![];
    let result = run_watched(&base, WAIT, |base, ready| {
        assert_eq!(ready.what, What::WRITE);
        let outcome = (&writer).write(b"test string").map_err(|error| error.kind());
        if outcome.is_ok() {
            drop(reader.take());
            base.add(event, None).unwrap();
        }
        outcomes.push(outcome);
    });
    assert_eq!((result, outcomes), (LoopResult::Empty, vec![Ok(11), Err(ErrorKind::BrokenPipe)]));
}

#[test]
fn c_110_test_closed() {
    let Some(base) = base_with(Features::EARLY_CLOSE) else { return };
    let (ours, mut peer) = pair();
    peer.write_all(b"unread").unwrap();
    peer.shutdown(Shutdown::Both).unwrap();
    let event = base.create_and_add(EventSpec::io(fd(&ours), What::CLOSED), Some(MINUTE)).unwrap();
    let mut seen = vec![];
    let result = run_watched(&base, WAIT, |_, ready| seen.push((ready.id, ready.what)));
    assert_eq!((result, seen), (LoopResult::Empty, vec![(event, What::CLOSED)]));
}

/// 20 000 timers, of which each callback moves or deletes ten random ones; in virtual time.
#[test]
fn c_111_test_time() {
    const TIMERS: u64 = 20_000;
    let bed = Bed::new();
    let mut seed = 0x1234_5678_u64;
    let mut random = move |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let timers: Vec<_> = (0..TIMERS).map(|_| bed.timer(Duration::from_micros(random(50_000)))).collect();
    let mut calls = 0;
    let mut last = Duration::ZERO;
    let result = bed.base.run(WAIT, |base, _| {
        calls += 1;
        assert!(bed.elapsed() >= last);
        last = bed.elapsed();
        if calls < TIMERS * 2 {
            for _ in 0..10 {
                let timer = timers[random(TIMERS) as usize];
                let after = random(50_000);
                if after % 2 == 0 {
                    base.del(timer).unwrap();
                } else {
                    base.add(timer, Some(Duration::from_micros(after))).unwrap();
                }
            }
        }
    });
    assert_eq!(result, Ok(LoopResult::Empty));
    assert!(calls >= TIMERS, "{calls}");
}

#[test]
fn c_112_test_changelist() {
    for flags in [BaseFlags::empty(), BaseFlags::EPOLL_USE_CHANGELIST] {
        toggles_do_not_spin(flags);
    }
}

fn toggles_do_not_spin(flags: BaseFlags) {
    let clock = Arc::new(CountingClock::default());
    let config = Config::new().set_flags(flags).set_clock(Arc::clone(&clock) as Arc<dyn Clock>);
    let base = Base::with_config(&config).unwrap();
    let (socket, mut peer) = pair();
    let event = base.create_and_add(EventSpec::io(fd(&socket), What::WRITE).persist(), None).unwrap();
    let timer = base.create_and_add(EventSpec::timer(), Some(ms(100))).unwrap();
    crate::support::fill(&socket);
    let mut writes = 0;
    peer.read_exact(&mut [0; 4096]).unwrap();
    run_watched(&base, WAIT, |base, ready| {
        if ready.id == timer {
            base.loop_break().unwrap();
            return;
        }
        writes += 1;
        base.del(event).unwrap();
        base.add(event, None).unwrap();
        base.del(event).unwrap();
        crate::support::fill(&socket);
        base.add(event, None).unwrap();
    });
    assert!(writes <= 2 && clock.reads() < 100, "{writes} writes, {} readings of the clock", clock.reads());
}

const CHILD: &str = "EVENT_BASE_COLLISION_CHILD";

#[test]
fn c_115_test_kq_collision() {
    let method = base().method().unwrap();
    if method != "kqueue" {
        return not_applicable("is about kqueue");
    }
    collide("programs::c_115_test_kq_collision", &[method]);
}

#[test]
fn the_notifier_is_never_reported_as_a_descriptor_of_an_event() {
    let name = "programs::the_notifier_is_never_reported_as_a_descriptor_of_an_event";
    collide(name, &supported_methods());
}

/// The kernel reports the notifier under a number of its own, which must not be mistaken for a descriptor; libevent used
/// 42 and 0. Runs `test` again in a process of its own, where descriptor 42 is free.
fn collide(test: &str, methods: &[&str]) {
    if std::env::var_os(CHILD).is_none() {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test])
            .env(CHILD, "1")
            .output()
            .unwrap();
        let output = String::from_utf8_lossy(&child.stdout);
        assert!(child.status.success() && output.contains("1 passed"), "{output}");
        return;
    }
    for name in methods {
        let config = Config::new().set_flags(BaseFlags::IGNORE_ENV);
        let base = Base::with_config(&only(config, name)).unwrap();
        let (reader, mut writer) = pair();
        let named = duplicate_from(&reader, 42);
        assert_eq!(named.as_raw_fd(), 42);
        let event = base.create_and_add(EventSpec::io(42, What::READ), None).unwrap();
        let user = base.create(EventSpec::user()).unwrap();
        let mut trace = vec![];
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(ms(30));
                base.activate(user, What::WRITE).unwrap();
                std::thread::sleep(ms(30));
                writer.write_all(b"x").unwrap();
            });
            run_watched(&base, WAIT, |_, ready| trace.push((ready.id, ready.what)));
        });
        assert_eq!(trace, [(user, What::WRITE), (event, What::READ)], "{name}");
    }
}
