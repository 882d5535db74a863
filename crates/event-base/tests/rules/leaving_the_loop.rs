//! Exit, break and continue; W24.

use event_base::{EventSpec, LoopFlags, LoopResult, What};

use crate::support::{Bed, ONE_PASS, WAIT, ms};

fn two_due(bed: &Bed) -> [event_base::EventId; 2] {
    [bed.timer(ms(1)), bed.timer(ms(1))]
}

#[test]
fn an_exit_lets_the_pass_finish() {
    let bed = Bed::new();
    let events = two_due(&bed);
    let rest = bed.timer(ms(2));
    let mut trace = vec![];
    let result = bed.base.run(WAIT, |base, ready| {
        trace.push(ready.id);
        base.loop_exit(None).unwrap();
        assert!(base.got_exit().unwrap(), "immediately, not when an event of the middle priority runs");
    });
    assert_eq!((result, trace), (Ok(LoopResult::Stopped), events.to_vec()));
    assert!(bed.base.got_exit().unwrap() && !bed.base.got_break().unwrap());
    assert_eq!(bed.base.pending(rest, What::TIMEOUT).unwrap(), What::TIMEOUT);
}

/// libevent's exit is an event of the middle priority: urgent events that are always active keep it from running.
#[test]
fn an_exit_is_not_starved_by_urgent_events() {
    let bed = Bed::with(|config| config.set_priorities(3));
    let urgent = bed.base.create(EventSpec::user().priority(0)).unwrap();
    bed.base.activate(urgent, What::READ).unwrap();
    bed.base.loop_exit(Some(ms(3))).unwrap();
    let mut runs = 0;
    let result = bed.base.run(WAIT, |base, _| {
        runs += 1;
        bed.clock.advance(ms(1));
        base.activate(urgent, What::READ).unwrap();
    });
    assert_eq!((result, runs), (Ok(LoopResult::Stopped), 4));
}

#[test]
fn a_break_leaves_the_rest_of_the_pass_active() {
    let bed = Bed::new();
    let events = two_due(&bed);
    let mut trace = vec![];
    let result = bed.base.run(WAIT, |base, ready| {
        trace.push(ready.id);
        base.loop_break().unwrap();
    });
    assert_eq!((result, trace), (Ok(LoopResult::Stopped), vec![events[0]]));
    assert!(bed.base.got_break().unwrap() && !bed.base.got_exit().unwrap());
    assert_eq!(bed.run(WAIT), (LoopResult::Empty, vec![(events[1], What::TIMEOUT)]));
    assert!(!bed.base.got_break().unwrap());
}

/// libevent discards it when the loop begins.
#[test]
fn a_break_before_the_loop_is_not_lost() {
    let bed = Bed::new();
    let timer = bed.timer(ms(0));
    bed.base.loop_break().unwrap();
    assert!(bed.base.got_break().unwrap());
    assert_eq!(bed.run(WAIT), (LoopResult::Stopped, vec![]));
    assert_eq!(bed.script.take_waits(), []);
    assert_eq!(bed.run(WAIT), (LoopResult::Empty, vec![(timer, What::TIMEOUT)]));
}

#[test]
fn an_exit_before_the_loop_lets_one_pass_run() {
    let bed = Bed::new();
    let timer = bed.timer(ms(0));
    bed.timer(ms(10));
    bed.base.loop_exit(None).unwrap();
    assert_eq!(bed.run(WAIT), (LoopResult::Stopped, vec![(timer, What::TIMEOUT)]));
    assert!(bed.base.got_exit().unwrap());
    assert_eq!(bed.elapsed(), ms(0));
}

#[test]
fn each_of_several_exits_ends_one_loop_in_the_order_of_their_deadlines() {
    let bed = Bed::new();
    for after in [30, 10, 20] {
        bed.base.loop_exit(Some(ms(after))).unwrap();
    }
    for at in [10, 20, 30] {
        assert_eq!(bed.run(WAIT), (LoopResult::Stopped, vec![]));
        assert!(bed.base.got_exit().unwrap());
        assert_eq!(bed.elapsed(), ms(at));
    }
    assert_eq!(bed.run(WAIT), (LoopResult::Empty, vec![]));
    assert!(!bed.base.got_exit().unwrap());
}

#[test]
fn exits_that_expire_together_end_one_loop() {
    let bed = Bed::new();
    bed.base.loop_exit(Some(ms(10))).unwrap();
    bed.base.loop_exit(Some(ms(20))).unwrap();
    bed.clock.advance(ms(20));
    assert_eq!(bed.run(WAIT).0, LoopResult::Stopped);
    assert_eq!(bed.run(WAIT).0, LoopResult::Empty);
}

#[test]
fn a_continue_polls_before_the_rest_of_the_pass() {
    let bed = Bed::new();
    let events = two_due(&bed);
    let reader = bed.io(3, What::READ);
    bed.base.add(reader, None).unwrap();
    bed.script.then(ms(1), &[]);
    bed.script.then(ms(0), &[(3, What::READ)]);
    let mut waits = vec![];
    let mut trace = vec![];
    bed.base
        .run(WAIT, |base, ready| {
            trace.push(ready.id);
            waits.push(bed.script.take_waits().len());
            if ready.id == events[0] {
                base.loop_continue().unwrap();
            }
        })
        .unwrap();
    assert_eq!(trace, [events[0], events[1], reader]);
    assert_eq!(waits, [1, 1, 0]);
}

#[test]
fn a_continue_outside_callbacks_does_nothing() {
    let bed = Bed::new();
    let events = two_due(&bed);
    bed.base.loop_continue().unwrap();
    let trace: Vec<_> = bed.run(ONE_PASS | LoopFlags::NONBLOCK).1;
    assert!(trace.is_empty());
    assert_eq!(bed.run(WAIT).1.len(), events.len());
}

#[test]
fn a_loop_without_events_returns_immediately_unless_no_exit_on_empty_is_set() {
    let bed = Bed::new();
    assert_eq!(bed.run(WAIT), (LoopResult::Empty, vec![]));
    assert_eq!(bed.script.take_waits(), []);
    bed.base.loop_exit(Some(ms(10))).unwrap();
    assert_eq!(bed.run(LoopFlags::NO_EXIT_ON_EMPTY), (LoopResult::Stopped, vec![]));
    assert_eq!(bed.script.take_waits(), [Some(ms(10))]);
}

#[test]
fn a_wait_that_fails_is_an_error_and_the_loop_can_be_run_again() {
    let bed = Bed::new();
    // The script has no result for an infinite wait.
    let error = bed.base.run(LoopFlags::NO_EXIT_ON_EMPTY, |_, _| {}).unwrap_err();
    assert!(matches!(error, event_base::Error::System(_)), "{error}");
    let timer = bed.timer(ms(1));
    assert_eq!(bed.run(WAIT), (LoopResult::Empty, vec![(timer, What::TIMEOUT)]));
}
