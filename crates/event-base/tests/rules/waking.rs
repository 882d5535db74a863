//! Other threads change the base while the loop sleeps.

use std::os::fd::RawFd;
use std::sync::mpsc;
use std::time::Duration;

use event_base::{Base, EventSpec, LoopFlags, LoopResult, Step, Wait, What};

use crate::support::{
    CountingClock, ONE_PASS, PATIENCE, WAIT, fd, ms, not_applicable, pair, replace, run, run_watched,
    shared_base,
};

const FOREVER: Duration = Duration::from_secs(3600);

/// Runs `change` on another thread while the loop sleeps, or on a busy machine is about to sleep. Returns the result of
/// the loop and what it dispatched.
fn change_while_asleep(
    base: &Base,
    flags: LoopFlags,
    change: impl FnOnce(&Base) + Send,
) -> (LoopResult, Vec<What>) {
    let mut trace = vec![];
    let result = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(ms(30));
            change(base);
        });
        run_watched(base, flags, |_, ready| trace.push(ready.what))
    });
    (result, trace)
}

/// A base that other threads may change, and its timer; in a mode without locks the test is not applicable.
fn sleeper() -> Option<(Base, event_base::EventId)> {
    let base = shared_base()?;
    let timer = base.create_and_add(EventSpec::timer(), Some(FOREVER)).unwrap();
    Some((base, timer))
}

#[test]
fn activation_wakes_the_loop() {
    let Some((base, timer)) = sleeper() else { return };
    let seen = change_while_asleep(&base, WAIT, |base| assert!(base.activate(timer, What::WRITE).unwrap()));
    assert_eq!(seen, (LoopResult::Empty, vec![What::WRITE]));
    for kind in [Base::activate_later, Base::defer] {
        let Some((base, timer)) = sleeper() else { return };
        let seen = change_while_asleep(&base, WAIT, |base| assert!(kind(base, timer, What::WRITE).unwrap()));
        assert_eq!(seen, (LoopResult::Empty, vec![What::WRITE]));
    }
}

#[test]
fn an_earlier_deadline_wakes_the_loop() {
    let Some((base, timer)) = sleeper() else { return };
    let seen = change_while_asleep(&base, WAIT, |base| base.add(timer, Some(ms(1))).unwrap());
    assert_eq!(seen, (LoopResult::Empty, vec![What::TIMEOUT]));
}

#[test]
fn a_new_interest_applies_to_the_wait_in_progress() {
    let Some((base, _)) = sleeper() else { return };
    let (reader, _writer) = pair();
    let seen = change_while_asleep(&base, LoopFlags::ONCE, |base| {
        base.create_and_add(EventSpec::io(fd(&reader), What::WRITE), None).unwrap();
    });
    assert_eq!(seen, (LoopResult::Stopped, vec![What::WRITE]));
}

#[test]
fn deleting_the_last_event_wakes_the_loop() {
    for delete in [Base::del, Base::free, Base::remove_timer] {
        let Some((base, timer)) = sleeper() else { return };
        let seen = change_while_asleep(&base, WAIT, |base| delete(base, timer).unwrap());
        assert_eq!(seen, (LoopResult::Empty, vec![]));
    }
}

#[test]
fn the_last_release_wakes_the_loop() {
    let Some(base) = shared_base() else { return };
    base.retain().unwrap();
    let seen = change_while_asleep(&base, WAIT, |base| base.release().unwrap());
    assert_eq!(seen, (LoopResult::Empty, vec![]));
}

#[test]
fn exits_and_breaks_wake_the_loop() {
    let Some((base, _)) = sleeper() else { return };
    let seen = change_while_asleep(&base, WAIT, |base| base.loop_exit(None).unwrap());
    assert_eq!(seen, (LoopResult::Stopped, vec![]));
    assert!(base.got_exit().unwrap());
    let seen = change_while_asleep(&base, WAIT, |base| base.loop_exit(Some(ms(1))).unwrap());
    assert_eq!(seen, (LoopResult::Stopped, vec![]));
    let seen = change_while_asleep(&base, WAIT, |base| base.loop_break().unwrap());
    assert_eq!(seen, (LoopResult::Stopped, vec![]));
    assert!(base.got_break().unwrap());
}

#[test]
fn closing_the_base_ends_the_sleep() {
    let Some((base, _)) = sleeper() else { return };
    // A base that is closed before its loop begins refuses to run it.
    let entered = base.create(EventSpec::user()).unwrap();
    base.activate(entered, What::READ).unwrap();
    let (sender, receiver) = mpsc::channel();
    let mut trace = vec![];
    let result = std::thread::scope(|scope| {
        let base = &base;
        scope.spawn(move || {
            receiver.recv_timeout(PATIENCE).unwrap();
            std::thread::sleep(ms(30));
            base.close().unwrap();
        });
        run_watched(base, WAIT, |_, ready| {
            trace.push(ready.id);
            sender.send(()).unwrap();
        })
    });
    assert_eq!((result, trace), (LoopResult::Stopped, vec![entered]));
    assert!(base.is_closed());
}

#[test]
fn finalizing_wakes_the_loop() {
    let Some((base, timer)) = sleeper() else { return };
    let seen = change_while_asleep(&base, WAIT, |base| base.finalize(timer).unwrap());
    assert_eq!(seen, (LoopResult::Empty, vec![What::FINALIZE]));
}

#[test]
fn a_transient_event_orphaned_by_another_thread_is_reported_immediately() {
    let Some((base, _)) = sleeper() else { return };
    let (ours, _peer) = pair();
    let (other, _other_peer) = pair();
    base.create_and_add(EventSpec::io(fd(&ours), What::READ).transient().data(5), None).unwrap();
    let mut orphans = vec![];
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(ms(30));
            replace(&ours, &other);
            base.create_and_add(EventSpec::io(fd(&ours), What::READ), None).unwrap();
        });
        let result = run_watched(&base, WAIT, |base, ready| {
            orphans.push((ready.data, ready.orphaned));
            base.loop_break().unwrap();
        });
        assert_eq!(result, LoopResult::Stopped);
    });
    assert_eq!(orphans, [(5, true)]);
}

/// W2: in libevent 2.2 the first wake-up makes poll and select spin.
#[test]
fn after_a_wake_up_the_loop_sleeps_again() {
    if shared_base().is_none() {
        return;
    }
    let (base, clock) = CountingClock::base();
    let timer = base.create_and_add(EventSpec::timer(), Some(FOREVER)).unwrap();
    let user = base.create(EventSpec::user()).unwrap();
    let (sender, receiver) = mpsc::channel();
    let mut runs = 0;
    std::thread::scope(|scope| {
        let base = &base;
        scope.spawn(move || {
            for _ in 0..3 {
                std::thread::sleep(ms(40));
                base.activate(user, What::READ).unwrap();
                receiver.recv_timeout(PATIENCE).unwrap();
            }
            std::thread::sleep(ms(40));
            base.free(timer).unwrap();
        });
        let result = run_watched(base, WAIT, |_, ready| {
            assert_eq!((ready.id, ready.what), (user, What::READ));
            runs += 1;
            sender.send(()).unwrap();
        });
        assert_eq!(result, LoopResult::Empty);
    });
    assert_eq!(runs, 3);
    assert!(clock.reads() < 100, "the loop spins: {} readings of the clock", clock.reads());
}

/// The cached time of the pass before the sleep is not used.
#[test]
fn a_deadline_set_during_the_sleep_counts_from_then() {
    let Some(base) = shared_base() else { return };
    base.create_and_add(EventSpec::timer(), Some(ms(0))).unwrap();
    let timer = base.create_and_add(EventSpec::timer(), Some(FOREVER)).unwrap();
    let mut fired = None;
    let added = std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            std::thread::sleep(ms(150));
            let before = base.monotonic().unwrap();
            base.add(timer, Some(ms(60))).unwrap();
            before
        });
        run_watched(&base, WAIT, |base, ready| {
            if ready.id == timer {
                fired = Some(base.monotonic().unwrap());
            }
        });
        other.join().unwrap()
    });
    assert!(fired.unwrap() >= added + ms(60), "early: {:?}", fired.unwrap() - added);
}

/// Whether the notifier counts how often it was written to: only epoll does not drain its eventfd.
fn counts_wake_ups() -> bool {
    let method = crate::support::base().method().unwrap();
    let is_epoll = method.starts_with("epoll");
    if !is_epoll {
        not_applicable(&format!("{method} drains its notifier, or has none that counts"));
    }
    is_epoll
}

/// How often the base's eventfd was written to: it is never read, so its value is the sum.
fn wake_ups(base: &Base) -> u64 {
    let epoll = base.descriptor().unwrap().unwrap();
    let info = |fd: RawFd| std::fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).unwrap();
    let watched = info(epoll)
        .lines()
        .filter_map(|line| line.strip_prefix("tfd:")?.split_whitespace().next()?.parse().ok())
        .collect::<Vec<RawFd>>();
    let counters: Vec<u64> = watched
        .into_iter()
        .filter_map(|fd| {
            let text = info(fd);
            let count = text.lines().find_map(|line| line.strip_prefix("eventfd-count:"))?;
            u64::from_str_radix(count.trim(), 16).ok()
        })
        .collect();
    assert_eq!(counters.len(), 1, "one eventfd");
    counters[0]
}

/// P10: libevent writes whenever the loop runs.
#[test]
fn a_loop_that_runs_callbacks_gets_no_wake_up() {
    if !counts_wake_ups() {
        return;
    }
    let Some(base) = shared_base() else { return };
    let first = base.create(EventSpec::user()).unwrap();
    let users: Vec<_> = (0..100).map(|_| base.create(EventSpec::user()).unwrap()).collect();
    base.activate(first, What::READ).unwrap();
    let mut runs = 0;
    base.run(WAIT, |base, ready| {
        runs += 1;
        if ready.id == first {
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    for &user in &users {
                        base.activate(user, What::READ).unwrap();
                        base.add(user, Some(ms(0))).unwrap();
                    }
                });
            });
        }
    })
    .unwrap();
    assert_eq!(runs, 101);
    assert_eq!(wake_ups(&base), 0);
}

#[test]
fn a_sleeping_loop_gets_one_wake_up_and_only_for_changes_that_matter() {
    if !counts_wake_ups() {
        return;
    }
    let Some((base, timer)) = sleeper() else { return };
    base.enter(WAIT).unwrap();
    assert_eq!(base.next(Wait::Never), Ok(Step::Idle));
    let other = base.create(EventSpec::timer()).unwrap();
    let (reader, _writer) = pair();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            base.add(other, Some(FOREVER * 2)).unwrap();
            base.del(other).unwrap();
            base.create_and_add(EventSpec::io(fd(&reader), What::READ), None).unwrap();
            base.set_priority(timer, 0).unwrap();
            assert_eq!(base.count_events(event_base::CountFlags::ADDED), Ok(2));
        });
    });
    assert_eq!(wake_ups(&base), 0);
    for _ in 0..50 {
        base.activate(timer, What::READ).unwrap();
        base.add(other, Some(ms(1))).unwrap();
    }
    assert_eq!(wake_ups(&base), 1);
    base.leave();
    base.activate(timer, What::READ).unwrap();
    assert_eq!(wake_ups(&base), 1, "no loop sleeps");
}

#[test]
fn a_hundred_wake_ups_from_four_threads_all_arrive() {
    let Some(base) = shared_base() else { return };
    base.retain().unwrap();
    let users: Vec<_> = (0..4).map(|data| base.create(EventSpec::user().data(data)).unwrap()).collect();
    let mut runs = 0;
    std::thread::scope(|scope| {
        let (answers, receivers): (Vec<_>, Vec<_>) = (0..4).map(|_| mpsc::channel::<()>()).unzip();
        for (&user, answer) in users.iter().zip(receivers) {
            let base = &base;
            scope.spawn(move || {
                for _ in 0..25 {
                    base.activate(user, What::READ).unwrap();
                    answer.recv_timeout(PATIENCE).unwrap();
                }
            });
        }
        let result = run_watched(&base, WAIT, |base, ready| {
            answers[ready.data as usize].send(()).unwrap();
            runs += 1;
            if runs == 100 {
                base.release().unwrap();
            }
        });
        assert_eq!(result, LoopResult::Empty);
    });
    assert_eq!(runs, 100);
}

#[test]
fn a_wake_up_without_work_does_not_end_the_loop() {
    let Some((base, timer)) = sleeper() else { return };
    let seen = change_while_asleep(&base, WAIT, |base| {
        base.wake().unwrap();
        std::thread::sleep(ms(20));
        base.activate(timer, What::READ).unwrap();
    });
    assert_eq!(seen, (LoopResult::Empty, vec![What::READ]));
    assert_eq!(run(&base, ONE_PASS).0, LoopResult::Empty);
}
