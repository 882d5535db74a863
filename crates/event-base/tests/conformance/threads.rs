//! Threads.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use event_base::{EventSpec, LoopFlags, LoopResult, What};

use crate::support::{PATIENCE, WAIT, base, base_from, config, ms, run_watched, shared_base};

const HOURS: Duration = Duration::from_secs(10_000);

/// In libevent's test the main thread deletes; here another thread does, and the loop runs in this one.
#[test]
fn c_064_del_wait() {
    let Some(base) = shared_base() else { return };
    let (reader, mut writer) = crate::support::pair();
    let spec = EventSpec::io(crate::support::fd(&reader), What::READ).persist();
    let event = base.create_and_add(spec, None).unwrap();
    let (started, ended) = (std::sync::Barrier::new(2), AtomicU32::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::io::Write::write_all(&mut writer, b"x").unwrap();
            started.wait();
            base.del_block(event).unwrap();
            assert_eq!(ended.load(Ordering::SeqCst), 1);
        });
        let result = run_watched(&base, WAIT, |_, _| {
            started.wait();
            std::thread::sleep(ms(300));
            ended.fetch_add(1, Ordering::SeqCst);
        });
        assert_eq!(result, LoopResult::Empty);
    });
}

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
                    base.add(timer, Some(Duration::from_micros(10))).unwrap();
                    while mine.load(Ordering::Acquire) == round {
                        std::thread::sleep(Duration::from_micros(100));
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
        // If the watchdog ended the loop, the others must not wait for ever.
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
    let (sender, receiver) = std::sync::mpsc::channel();
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
            // All four have fired, and the loop continues although nothing is pending.
            (0..4).for_each(|_| receiver.recv_timeout(PATIENCE).unwrap());
            std::thread::sleep(ms(50));
            base.loop_break().unwrap();
        });
        let result = run_watched(base, LoopFlags::NO_EXIT_ON_EMPTY, |_, ready| {
            trace.push((ready.data, ready.what));
            sender.send(()).unwrap();
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

/// Eight threads flood the base with deferred activations, each of which takes a millisecond and defers itself again; a
/// limit of 16 callbacks keeps the timer from waiting for them. Its lateness is counted in callbacks, which does not
/// depend on the load of the machine.
#[test]
fn c_091_deferred_cb_skew() {
    const LIMIT: u32 = 16;
    if shared_base().is_none() {
        return;
    }
    let base = base_from(&config().set_priorities(2).set_max_dispatch_interval(None, Some(LIMIT), 0));
    let after = Duration::from_millis(300);
    let start = Instant::now();
    let timer = base.create_and_add(EventSpec::timer().priority(0), Some(after)).unwrap();
    // Later than the deadline only by the time of this line.
    let due = Instant::now() + after;
    let (mut callbacks, mut late) = (0_u32, 0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..128 {
                    let event = base.create(EventSpec::user().priority(1)).unwrap();
                    base.defer(event, What::READ).unwrap();
                    std::thread::sleep(Duration::from_millis(1));
                }
            });
        }
        run_watched(&base, WAIT, |base, ready| {
            if ready.id == timer {
                return base.loop_break().unwrap();
            }
            callbacks += 1;
            late += u32::from(Instant::now() >= due);
            std::thread::sleep(Duration::from_millis(1));
            base.defer(ready.id, What::READ).unwrap();
        });
    });
    assert!(start.elapsed() >= after);
    // The flood was larger than one pass.
    assert!(callbacks > LIMIT, "{callbacks} callbacks");
    assert!(late <= LIMIT, "{late} of {callbacks} callbacks ran past the deadline");
}
