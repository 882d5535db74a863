//! Threads.

use std::sync::atomic::{AtomicU32, Ordering};

use event_base::{Base, EventSpec, LoopFlags, LoopResult, What};

use crate::support::{PATIENCE, WAIT, ms, run_watched};

const HOURS: std::time::Duration = std::time::Duration::from_secs(10_000);

#[test]
fn c_065_del_notify() {
    let base = Base::new().unwrap();
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
    let base = Base::new().unwrap();
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
    let base = Base::new().unwrap();
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
    let base = Base::new().unwrap();
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
                    let base = Base::new().unwrap();
                    let event = base.create_and_add(EventSpec::timer(), Some(HOURS)).unwrap();
                    base.free(event).unwrap();
                    base.close().unwrap();
                }
            });
        }
    });
}
