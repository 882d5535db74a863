//! Threads.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Instant;

use event_base::{Base, EventSpec, LoopFlags, LoopResult, What};

use crate::support::{PATIENCE, WAIT, base, config, ms, run_watched, shared_base};

const HOURS: std::time::Duration = std::time::Duration::from_secs(10_000);

#[test]
fn c_065_del_notify() {
    let Some(base) = shared_base() else { return };
    let (reader, _writer) = crate::support::pair();
    let event =
        base.create_and_add(EventSpec::io(crate::support::fd(&reader), What::READ).persist(), None).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(ms(50));
            base.del(event).unwrap();
        });
        assert_eq!(run_watched(&base, WAIT, |_, _| {}), LoopResult::Empty);
    });
}

#[test]
fn c_066_del_timeout_notify() {
    let Some(base) = shared_base() else { return };
    let timer = base.create_and_add(EventSpec::timer(), Some(HOURS)).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(ms(50));
            base.del(timer).unwrap();
        });
        assert_eq!(run_watched(&base, WAIT, |_, _| {}), LoopResult::Empty);
    });
}

/// Each of libevent's threads waits for its timer to fire before it adds it again.
#[test]
fn c_087_thread_basic() {
    let Some(base) = shared_base() else { return };
    base.retain().unwrap();
    let fired: Vec<AtomicU32> = (0..100).map(|_| AtomicU32::new(0)).collect();
    let mut total = 0;
    std::thread::scope(|scope| {
        for (data, mine) in (0..).zip(&fired) {
            let base = &base;
            scope.spawn(move || {
                let timer = base.create(EventSpec::timer().data(data)).unwrap();
                for round in 0..100 {
                    base.add(timer, Some(std::time::Duration::from_micros(10))).unwrap();
                    while mine.load(Ordering::Acquire) == round {
                        std::thread::sleep(std::time::Duration::from_micros(100));
                    }
                }
            });
        }
        let result = run_watched(&base, WAIT, |base, ready| {
            total += 1;
            fired[ready.data as usize].fetch_add(1, Ordering::Release);
            if total == 10_000 {
                base.release().unwrap();
            }
        });
        // A watchdog that barked must not leave the others waiting.
        fired.iter().for_each(|mine| _ = mine.fetch_max(100, Ordering::Release));
        assert_eq!(result, LoopResult::Empty);
    });
    assert_eq!(total, 10_000);
}

#[test]
fn c_092_thread_no_events() {
    let Some(base) = shared_base() else { return };
    let events = [0, 1, 2, 3].map(|data| base.create(EventSpec::user().data(data)).unwrap());
    let mut trace = vec![];
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let base = &base;
        scope.spawn(move || {
            for event in &events[..2] {
                std::thread::sleep(ms(30));
                base.activate(*event, What::READ).unwrap();
            }
            std::thread::sleep(ms(30));
            base.add(events[2], Some(ms(30))).unwrap();
            base.add(events[3], Some(ms(45))).unwrap();
            // All four have fired, and with nothing pending the loop goes on.
            (0..4).for_each(|_| told.recv_timeout(PATIENCE).unwrap());
            std::thread::sleep(ms(50));
            base.loop_break().unwrap();
        });
        let result = run_watched(base, LoopFlags::NO_EXIT_ON_EMPTY, |_, ready| {
            trace.push((ready.data, ready.what));
            tell.send(()).unwrap();
        });
        assert_eq!(result, LoopResult::Stopped);
    });
    assert_eq!(trace, [(0, What::READ), (1, What::READ), (2, What::TIMEOUT), (3, What::TIMEOUT)]);
}

#[test]
fn c_093_debug_mode_too_late_race() {
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                for _ in 0..20 {
                    let base = base();
                    let event = base.create_and_add(EventSpec::timer(), Some(HOURS)).unwrap();
                    base.free(event).unwrap();
                    base.close().unwrap();
                }
            });
        }
    });
}

/// Deferred activations from eight threads, sixteen callbacks between two looks at the time. libevent lets a timer
/// of 1 s fire within 0.6 s to 1.4 s and leaves its test off, as a busy machine takes longer; so this one tries
/// longer times there, and none may be early.
#[test]
fn c_091_deferred_cb_skew() {
    if shared_base().is_none() {
        return;
    }
    let limited = config().set_max_dispatch_interval(None, Some(16), 0);
    let in_time = [250, 1_000, 4_000, 16_000].into_iter().any(|milliseconds| {
        let base = Base::with_config(&limited).unwrap();
        let done = AtomicBool::new(false);
        let timer = base.create_and_add(EventSpec::timer(), Some(ms(milliseconds))).unwrap();
        let (start, mut took, mut calls) = (Instant::now(), None, 0_u64);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                let (base, done) = (&base, &done);
                scope.spawn(move || {
                    let user = base.create(EventSpec::user()).unwrap();
                    while !done.load(Ordering::Acquire) {
                        base.defer(user, What::READ).unwrap();
                        std::thread::yield_now();
                    }
                });
            }
            let result = run_watched(&base, WAIT, |base, ready| {
                calls += 1;
                if ready.id == timer {
                    took = Some(start.elapsed());
                    base.loop_break().unwrap();
                }
            });
            done.store(true, Ordering::Release);
            assert_eq!(result, LoopResult::Stopped);
        });
        let took = took.unwrap();
        assert!(took >= ms(milliseconds), "early: {took:?}");
        assert!(calls > 16, "{calls} callbacks");
        took < ms(milliseconds) * 14 / 10
    });
    assert!(in_time);
}
