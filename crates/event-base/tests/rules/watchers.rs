//! Prepare and check watchers: calls before the loop waits, and after.

use std::time::Duration;

use event_base::{
    Base, Config, Error, EventSpec, LoopFlags, LoopResult, Step, Wait, WatcherCall, WatcherId, What,
};

use crate::support::{Bed, LOOP_ONCE, ONE_PASS, PATIENCE, POLL, WAIT, Watchdog, ms, next_event, pair};

/// A letter for each kind of step, with the planned wait in milliseconds for a prepare watcher.
fn letter(step: &Step) -> String {
    match step {
        Step::Event(ready) => format!("e{}", ready.data),
        Step::Watcher(WatcherCall::Prepare { data, wait, .. }) => match wait {
            Some(wait) => format!("p{data}:{}", wait.as_millis()),
            None => format!("p{data}:-"),
        },
        Step::Watcher(WatcherCall::Check { data, .. }) => format!("c{data}"),
        other => panic!("{other:?}"),
    }
}

/// Runs the loop and records its steps; calls `react` with each.
fn trace(bed: &Bed, flags: LoopFlags, mut react: impl FnMut(&Base, &str)) -> (LoopResult, String) {
    let mut line: Vec<String> = vec![];
    let result = bed
        .base
        .run_with_watchers(flags, |base, step| {
            let letter = letter(&step);
            assert!(line.len() < 100, "{line:?}");
            line.push(letter.clone());
            react(base, &letter);
        })
        .unwrap();
    (result, line.join(" "))
}

fn timer(bed: &Bed, data: u64, after: Duration) -> event_base::EventId {
    bed.base.create_and_add(EventSpec::timer().data(data), Some(after)).unwrap()
}

#[test]
fn each_pass_calls_prepare_then_check_watchers_in_the_order_of_creation_and_then_the_events() {
    let bed = Bed::new();
    bed.base.on_check(1).unwrap();
    bed.base.on_prepare(1).unwrap();
    bed.base.on_prepare(2).unwrap();
    bed.base.on_check(2).unwrap();
    timer(&bed, 1, ms(1_000));
    timer(&bed, 2, ms(1_000));
    timer(&bed, 3, ms(1_200));
    let expected = "p1:1000 p2:1000 c1 c2 e1 e2 p1:200 p2:200 c1 c2 e3";
    assert_eq!(trace(&bed, WAIT, |_, _| {}), (LoopResult::Empty, expected.to_owned()));
}

#[test]
fn an_empty_loop_ends_without_calling_its_watchers() {
    let bed = Bed::new();
    bed.base.on_prepare(1).unwrap();
    bed.base.on_check(1).unwrap();
    assert_eq!(trace(&bed, WAIT, |_, _| unreachable!()), (LoopResult::Empty, String::new()));
}

#[test]
fn without_a_deadline_there_is_no_planned_wait() {
    let bed = Bed::new();
    let reader = bed.io(3, What::READ);
    bed.base.add(reader, None).unwrap();
    bed.base.on_prepare(1).unwrap();
    bed.script.then(ms(7), &[(3, What::READ)]);
    assert_eq!(trace(&bed, WAIT, |_, _| {}), (LoopResult::Empty, "p1:- e0".to_owned()));
}

#[test]
fn the_planned_wait_is_zero_with_nonblock_and_while_an_event_is_active() {
    let bed = Bed::new();
    bed.base.on_prepare(1).unwrap();
    timer(&bed, 1, ms(50));
    assert_eq!(trace(&bed, POLL, |_, _| {}), (LoopResult::Stopped, "p1:0".to_owned()));
    let user = bed.base.create(EventSpec::user().data(2)).unwrap();
    bed.base.activate(user, What::READ).unwrap();
    assert_eq!(trace(&bed, LOOP_ONCE, |_, _| {}), (LoopResult::Stopped, "p1:0 e2".to_owned()));
    assert_eq!(trace(&bed, LOOP_ONCE, |_, _| {}), (LoopResult::Stopped, "p1:50 e1".to_owned()));
}

/// W23: libevent waits as computed before the watcher ran.
#[test]
fn a_timer_added_by_a_prepare_watcher_shortens_the_wait() {
    let bed = Bed::new();
    bed.base.on_prepare(1).unwrap();
    bed.base.on_prepare(2).unwrap();
    timer(&bed, 1, ms(200));
    let (result, line) = trace(&bed, WAIT, |_, letter| match letter {
        "p1:200" => drop(timer(&bed, 2, ms(10))),
        "e2" => assert_eq!(bed.elapsed(), ms(10)),
        _ => {}
    });
    assert_eq!((result, line.as_str()), (LoopResult::Empty, "p1:200 p2:10 e2 p1:190 p2:190 e1"));
    assert_eq!(bed.script.take_waits(), [Some(ms(10)), Some(ms(190))]);
}

#[test]
fn time_that_a_prepare_watcher_takes_shortens_the_wait() {
    let bed = Bed::new();
    bed.base.on_prepare(1).unwrap();
    timer(&bed, 1, ms(100));
    let late = bed.base.create(EventSpec::timer().data(2)).unwrap();
    let (_, line) = trace(&bed, WAIT, |base, letter| {
        if letter == "p1:100" {
            bed.clock.advance(ms(60));
            // It counts from the current time, not from the end of the pass before.
            base.add(late, Some(ms(70))).unwrap();
        }
    });
    assert_eq!(line, "p1:100 e1 p1:30 e2");
    assert_eq!(bed.elapsed(), ms(130));
}

#[test]
fn an_event_activated_by_a_check_watcher_joins_the_pass() {
    let bed = Bed::new();
    bed.base.on_check(1).unwrap();
    timer(&bed, 1, ms(10));
    let user = bed.base.create(EventSpec::user().data(2)).unwrap();
    let (result, line) = trace(&bed, WAIT, |base, letter| {
        if letter == "c1" && bed.elapsed() == ms(10) {
            base.activate(user, What::READ).unwrap();
            timer(&bed, 3, ms(0));
        }
    });
    assert_eq!((result, line.as_str()), (LoopResult::Empty, "c1 e2 e1 e3"));
}

/// W5: libevent accesses memory that was freed.
#[test]
fn a_watcher_may_remove_itself_and_others() {
    let bed = Bed::new();
    let ids: Vec<WatcherId> = (1..=4).map(|data| bed.base.on_prepare(data).unwrap()).collect();
    let check = bed.base.on_check(5).unwrap();
    timer(&bed, 1, ms(10));
    timer(&bed, 2, ms(20));
    let (_, line) = trace(&bed, WAIT, |base, letter| {
        if letter == "p2:10" {
            for id in [ids[0], ids[1], ids[2], check] {
                base.remove_watcher(id).unwrap();
                assert_eq!(base.remove_watcher(id), Err(Error::Closed));
            }
        }
    });
    assert_eq!(line, "p1:10 p2:10 p4:10 e1 p4:10 e2");
}

#[test]
fn the_last_watcher_may_remove_itself() {
    let bed = Bed::new();
    let (prepare, check) = (bed.base.on_prepare(1).unwrap(), bed.base.on_check(2).unwrap());
    timer(&bed, 1, ms(10));
    timer(&bed, 2, ms(20));
    let (_, line) = trace(&bed, WAIT, |base, letter| match letter {
        "p1:10" => base.remove_watcher(prepare).unwrap(),
        "c2" => base.remove_watcher(check).unwrap(),
        _ => {}
    });
    assert_eq!(line, "p1:10 c2 e1 e2");
}

#[test]
fn a_watcher_created_while_its_kind_is_called_is_called_from_the_next_pass_on() {
    let bed = Bed::new();
    bed.base.on_prepare(1).unwrap();
    bed.base.on_check(1).unwrap();
    timer(&bed, 1, ms(10));
    timer(&bed, 2, ms(20));
    let (_, line) = trace(&bed, WAIT, |base, letter| match letter {
        "p1:10" if bed.elapsed().is_zero() => {
            base.on_prepare(2).unwrap();
            // No check watcher was called yet.
            base.on_check(2).unwrap();
        }
        "c1" if bed.elapsed() == ms(10) => drop(base.on_check(3).unwrap()),
        _ => {}
    });
    assert_eq!(line, "p1:10 c1 c2 e1 p1:10 p2:10 c1 c2 c3 e2");
}

#[test]
fn a_watcher_that_replaces_itself_in_every_call_is_called_once_a_pass() {
    let bed = Bed::new();
    let mut current = bed.base.on_prepare(1).unwrap();
    timer(&bed, 1, ms(10));
    let (_, line) = trace(&bed, WAIT, |base, letter| {
        if letter.starts_with('p') {
            base.remove_watcher(current).unwrap();
            current = base.on_prepare(1).unwrap();
        }
    });
    assert_eq!(line, "p1:10 e1");
}

#[test]
fn closing_the_base_in_a_watcher_ends_the_loop_and_calls_no_more_watchers() {
    for closer in ["p1:10", "c1"] {
        let bed = Bed::new();
        for data in [1, 2] {
            bed.base.on_prepare(data).unwrap();
            bed.base.on_check(data).unwrap();
        }
        let id = bed.base.on_check(3).unwrap();
        timer(&bed, 1, ms(10));
        let (result, line) = trace(&bed, WAIT, |base, letter| {
            if letter == closer {
                base.close().unwrap();
                assert_eq!(base.remove_watcher(id), Err(Error::Closed));
                assert_eq!(base.on_prepare(0), Err(Error::Closed));
            }
        });
        assert_eq!(result, LoopResult::Stopped);
        assert!(line.ends_with(closer), "{line}");
    }
}

#[test]
fn a_break_in_a_watcher_ends_the_loop_without_a_wait() {
    for breaker in ["p1:10", "c1"] {
        let bed = Bed::new();
        bed.base.on_prepare(1).unwrap();
        bed.base.on_check(1).unwrap();
        bed.base.on_check(2).unwrap();
        timer(&bed, 1, ms(10));
        let (result, line) = trace(&bed, WAIT, |base, letter| {
            if letter == breaker {
                base.loop_break().unwrap();
            }
        });
        assert_eq!(result, LoopResult::Stopped);
        assert!(line.ends_with(breaker), "{line}");
        assert_eq!(bed.script.take_waits().len(), usize::from(breaker == "c1"));
        // Nothing is lost.
        assert_eq!(trace(&bed, WAIT, |_, _| {}).1.split(' ').next_back(), Some("e1"));
    }
}

#[test]
fn an_exit_in_a_prepare_watcher_lets_the_pass_finish_without_sleeping() {
    let bed = Bed::new();
    bed.base.on_prepare(1).unwrap();
    bed.base.on_check(1).unwrap();
    timer(&bed, 1, ms(10));
    let (result, line) = trace(&bed, WAIT, |base, letter| {
        if letter == "p1:10" {
            base.loop_exit(None).unwrap();
        }
    });
    assert_eq!((result, line.as_str()), (LoopResult::Stopped, "p1:10 c1"));
    assert_eq!(bed.elapsed(), ms(0));
}

#[test]
fn a_prepare_watcher_that_deletes_the_last_event_leaves_nothing_to_wait_for() {
    let bed = Bed::new();
    bed.base.on_prepare(1).unwrap();
    bed.base.on_prepare(2).unwrap();
    let reader = bed.io(3, What::READ);
    bed.base.add(reader, None).unwrap();
    let (result, line) = trace(&bed, WAIT, |base, letter| {
        if letter == "p1:-" {
            base.del(reader).unwrap();
        }
    });
    assert_eq!((result, line.as_str()), (LoopResult::Empty, "p1:- p2:0"));
}

#[test]
fn a_step_returns_each_watcher_and_the_next_continues_behind_it() {
    let bed = Bed::new();
    let prepare = bed.base.on_prepare(1).unwrap();
    let check = bed.base.on_check(2).unwrap();
    let event = timer(&bed, 3, ms(10));
    let wait = |millis| Some(ms(millis));
    bed.base.enter(WAIT).unwrap();
    assert_eq!(
        bed.base.next(Wait::Allowed),
        Ok(Step::Watcher(WatcherCall::Prepare { id: prepare, data: 1, wait: wait(10) }))
    );
    assert_eq!(bed.elapsed(), ms(0));
    assert_eq!(bed.base.next(Wait::Allowed), Ok(Step::Watcher(WatcherCall::Check { id: check, data: 2 })));
    assert_eq!(bed.elapsed(), ms(10));
    assert_eq!(next_event(&bed.base, Wait::Allowed).id, event);
    assert_eq!(bed.base.next(Wait::Allowed), Ok(Step::Done(LoopResult::Empty)));
    bed.base.leave();
}

#[test]
fn a_loop_left_between_two_watchers_begins_with_the_first_again() {
    let bed = Bed::new();
    for data in [1, 2] {
        bed.base.on_prepare(data).unwrap();
    }
    timer(&bed, 1, ms(10));
    bed.base.enter(WAIT).unwrap();
    assert!(matches!(bed.base.next(Wait::Allowed), Ok(Step::Watcher(WatcherCall::Prepare { data: 1, .. }))));
    bed.base.leave();
    assert_eq!(trace(&bed, WAIT, |_, _| {}).1, "p1:10 p2:10 e1");
}

#[test]
fn under_a_host_the_planned_wait_is_that_of_the_host() {
    let bed = Bed::new();
    let prepare = bed.base.on_prepare(1).unwrap();
    let check = bed.base.on_check(2).unwrap();
    timer(&bed, 3, ms(10));
    let prepare_call =
        |millis| Ok(Step::Watcher(WatcherCall::Prepare { id: prepare, data: 1, wait: Some(ms(millis)) }));
    bed.base.enter(WAIT).unwrap();
    assert_eq!(bed.base.next(Wait::Never), prepare_call(10));
    bed.clock.advance(ms(4));
    assert_eq!(bed.base.next(Wait::Never), Ok(Step::Watcher(WatcherCall::Check { id: check, data: 2 })));
    assert_eq!(bed.base.next(Wait::Never), Ok(Step::Idle));
    assert_eq!(bed.base.next(Wait::Never), prepare_call(6));
    bed.clock.advance(ms(6));
    assert_eq!(bed.base.next(Wait::Never), Ok(Step::Watcher(WatcherCall::Check { id: check, data: 2 })));
    next_event(&bed.base, Wait::Never);
    bed.base.leave();
}

#[test]
fn run_does_not_call_watchers() {
    let bed = Bed::new();
    bed.base.on_prepare(1).unwrap();
    bed.base.on_check(1).unwrap();
    let event = bed.timer(ms(10));
    assert_eq!(bed.run(WAIT), (LoopResult::Empty, vec![(event, What::TIMEOUT)]));
}

#[test]
fn a_nonblock_loop_calls_watchers_once() {
    let bed = Bed::with(|config| config.set_priorities(2));
    bed.base.on_prepare(1).unwrap();
    bed.base.on_check(1).unwrap();
    for (data, priority) in [(1, 0), (2, 1)] {
        let user = bed.base.create(EventSpec::user().data(data).priority(priority)).unwrap();
        bed.base.activate(user, What::READ).unwrap();
    }
    assert_eq!(trace(&bed, POLL, |_, _| {}).1, "p1:0 c1 e1 e2");
    assert_eq!(trace(&bed, ONE_PASS, |_, _| {}), (LoopResult::Empty, String::new()));
}

#[test]
fn the_loop_cannot_be_entered_from_a_watcher() {
    let bed = Bed::new();
    bed.base.on_prepare(1).unwrap();
    timer(&bed, 1, ms(10));
    trace(&bed, WAIT, |base, _| {
        assert_eq!(base.run(WAIT, |_, _| {}), Err(Error::Reentrant));
        assert_eq!(base.running_event().unwrap().is_some(), bed.elapsed() == ms(10));
    });
}

/// Another thread adds and removes watchers and activates events while a real loop runs.
#[test]
fn watchers_are_added_and_removed_by_another_thread() {
    let base = Base::with_config(&Config::new()).unwrap();
    let watchdog = Watchdog::over(&base);
    let (socket, _peer) = pair();
    let keeper = base.create(EventSpec::io(crate::support::fd(&socket), What::READ)).unwrap();
    base.add(keeper, None).unwrap();
    let user = base.create(EventSpec::user()).unwrap();
    base.on_prepare(u64::MAX).unwrap();
    base.on_check(u64::MAX).unwrap();
    let (mut prepared, mut checked) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let start = std::time::Instant::now();
            let mut ids = std::collections::VecDeque::new();
            for round in 0..2_000 {
                ids.push_back(
                    if round % 2 == 0 { base.on_prepare(round) } else { base.on_check(round) }.unwrap(),
                );
                if ids.len() > 5 {
                    base.remove_watcher(ids.pop_front().unwrap()).unwrap();
                }
                base.activate(user, What::READ).unwrap();
            }
            assert!(start.elapsed() < PATIENCE);
            base.del(keeper).unwrap();
        });
        let result = base.run_with_watchers(WAIT, |_, step| match step {
            Step::Watcher(WatcherCall::Prepare { data, .. }) => prepared += u32::from(data == u64::MAX),
            Step::Watcher(WatcherCall::Check { data, .. }) => checked += u32::from(data == u64::MAX),
            Step::Event(ready) => assert_eq!(ready.id, user),
            other => panic!("{other:?}"),
        });
        assert_eq!(result, Ok(LoopResult::Empty));
    });
    drop(watchdog);
    // The first two were called in every pass, whatever was added and removed beside them.
    assert!(prepared > 0);
    assert_eq!(prepared, checked);
}

#[test]
fn an_id_can_be_converted_to_a_number_and_back() {
    let bed = Bed::new();
    let id = bed.base.on_check(1).unwrap();
    assert_eq!(WatcherId::from_bits(id.to_bits()), id);
    assert_eq!(bed.base.remove_watcher(WatcherId::from_bits(id.to_bits() + 1)), Err(Error::Closed));
    bed.base.remove_watcher(id).unwrap();
}
