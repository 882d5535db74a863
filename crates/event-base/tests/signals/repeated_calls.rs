//! A signal event is dispatched once for each signal, and what a callback may do between two calls. Most of these tests
//! raise no signal.

use event_base::{Config, Error, EventSpec, LoopResult, What};

use crate::support::{Bed, LOOP_ONCE, ONE_PASS, POLL, WAIT, ms};
use crate::{USR1, USR2, alone, watch};

const SIGNAL: What = What::SIGNAL;

#[test]
fn an_event_is_dispatched_as_often_as_it_was_activated_in_one_pass_without_others_between() {
    let _alone = alone();
    let bed = Bed::new();
    let (signal, user) = (watch(&bed.base, USR1), bed.user());
    bed.base.activate_signal(signal, SIGNAL, 3).unwrap();
    bed.base.activate(user, What::READ).unwrap();
    let expected = [(signal, SIGNAL), (signal, SIGNAL), (signal, SIGNAL), (user, What::READ)];
    assert_eq!(bed.run(ONE_PASS).1, expected);
    assert_eq!(bed.run(POLL).1, []);
}

#[test]
fn zero_calls_do_not_change_the_event() {
    let _alone = alone();
    let bed = Bed::new();
    let once = bed.base.create_and_add(EventSpec::signal_once(USR1), None).unwrap();
    bed.base.activate_signal(once, SIGNAL, 0).unwrap();
    assert_eq!(bed.run(POLL), (LoopResult::Stopped, vec![]));
    assert_eq!(bed.base.pending(once, What::all()), Ok(SIGNAL));
}

#[test]
fn an_event_that_is_not_for_a_signal_is_dispatched_once() {
    let _turn = alone();
    let bed = Bed::new();
    let user = bed.user();
    for calls in [0, 1, 7] {
        bed.base.activate_signal(user, What::READ, calls).unwrap();
        assert_eq!(bed.run(POLL).1, [(user, What::READ)]);
    }
}

#[test]
fn calls_add_up_while_the_event_is_queued() {
    let _alone = alone();
    let bed = Bed::new();
    let signal = watch(&bed.base, USR1);
    bed.base.activate_signal(signal, SIGNAL, 1).unwrap();
    bed.base.activate_signal(signal, SIGNAL, 2).unwrap();
    assert_eq!(bed.run(POLL).1, [(signal, SIGNAL); 3]);
    assert_eq!(bed.run(POLL).1, []);
}

#[test]
fn calls_added_by_its_own_callback_are_dispatched_in_the_next_pass() {
    let _alone = alone();
    let bed = Bed::new();
    let signal = watch(&bed.base, USR1);
    bed.base.activate_signal(signal, SIGNAL, 2).unwrap();
    let mut calls = 0;
    let again = |base: &event_base::Base, _: event_base::Ready| {
        calls += 1;
        base.activate_signal(signal, SIGNAL, 1).unwrap();
    };
    bed.base.run(POLL, again).unwrap();
    assert_eq!(calls, 2);
    assert_eq!(bed.run(POLL).1, [(signal, SIGNAL); 2]);
    assert_eq!(bed.run(POLL).1, []);
}

#[test]
fn calls_added_by_its_own_callback_before_a_break_join_those_that_are_left() {
    let _alone = alone();
    let bed = Bed::new();
    let signal = watch(&bed.base, USR1);
    bed.base.activate_signal(signal, SIGNAL, 3).unwrap();
    let again = |base: &event_base::Base, _: event_base::Ready| {
        base.activate_signal(signal, What::READ, 2).unwrap();
        base.loop_break().unwrap();
    };
    bed.base.run(POLL, again).unwrap();
    assert_eq!(bed.run(POLL).1, [(signal, SIGNAL | What::READ); 4]);
    assert_eq!(bed.run(POLL).1, []);
}

#[test]
fn a_one_shot_event_that_is_added_again_stays_pending_during_the_other_calls() {
    let _alone = alone();
    let bed = Bed::new();
    let once = bed.base.create_and_add(EventSpec::signal_once(USR1), None).unwrap();
    bed.base.activate_signal(once, SIGNAL, 3).unwrap();
    let mut calls = 0;
    let add_first = |base: &event_base::Base, ready: event_base::Ready| {
        calls += 1;
        if calls == 1 {
            base.add(ready.id, None).unwrap();
        }
    };
    bed.base.run(POLL, add_first).unwrap();
    assert_eq!((calls, bed.base.pending(once, What::all())), (3, Ok(SIGNAL)));
}

#[test]
fn an_event_cannot_be_assigned_while_calls_of_it_are_left() {
    let _alone = alone();
    let bed = Bed::new();
    let once = bed.base.create(EventSpec::signal_once(USR1)).unwrap();
    bed.base.activate_signal(once, SIGNAL, 2).unwrap();
    let mut answers = Vec::new();
    let assign = |base: &event_base::Base, ready: event_base::Ready| {
        answers.push(base.assign(ready.id, EventSpec::user()));
    };
    bed.base.run(POLL, assign).unwrap();
    assert_eq!(answers, [Err(Error::Active), Ok(())]);
}

#[test]
fn a_one_shot_event_gets_all_its_calls_and_is_not_pending_during_them() {
    let _alone = alone();
    let bed = Bed::new();
    let once = bed.base.create_and_add(EventSpec::signal_once(USR1), None).unwrap();
    bed.base.activate_signal(once, SIGNAL, 3).unwrap();
    let mut registered = Vec::new();
    let result = bed
        .base
        .run(WAIT, |base, ready| {
            let event = base.events().unwrap().into_iter().find(|event| event.id == ready.id);
            registered.push(event.is_some_and(|event| !event.pending.is_empty()));
        })
        .unwrap();
    assert_eq!((result, registered), (LoopResult::Empty, vec![false; 3]));
}

#[test]
fn a_transient_event_is_released_with_its_last_call() {
    let _alone = alone();
    let bed = Bed::new();
    let spec = EventSpec::signal_once(USR1).transient();
    let once = bed.base.create_and_add(spec, None).unwrap();
    bed.base.activate_signal(once, SIGNAL, 3).unwrap();
    let mut released = Vec::new();
    bed.base.run(WAIT, |_, ready| released.push(ready.released)).unwrap();
    assert_eq!(released, [false, false, true]);
    assert_eq!(bed.base.live_events(), Ok(0));
}

#[test]
fn deleting_in_the_callback_drops_the_other_calls() {
    let _alone = alone();
    let bed = Bed::new();
    let signal = watch(&bed.base, USR1);
    bed.base.activate_signal(signal, SIGNAL, 5).unwrap();
    let mut calls = 0;
    bed.base
        .run(POLL, |base, ready| {
            calls += 1;
            base.del(ready.id).unwrap();
        })
        .unwrap();
    assert_eq!(calls, 1);
    bed.base.activate_signal(signal, SIGNAL, 1).unwrap();
    assert_eq!(bed.run(POLL).1.len(), 1);
}

#[test]
fn after_a_break_the_other_calls_are_dispatched_by_the_next_loop() {
    let _alone = alone();
    let bed = Bed::new();
    let signal = watch(&bed.base, USR1);
    bed.base.activate_signal(signal, SIGNAL, 5).unwrap();
    let mut calls = 0;
    let result = bed
        .base
        .run(POLL, |base, _| {
            calls += 1;
            if calls == 2 {
                base.loop_break().unwrap();
            }
        })
        .unwrap();
    assert_eq!((result, calls), (LoopResult::Stopped, 2));
    assert_eq!(bed.run(POLL).1, [(signal, SIGNAL); 3]);
}

/// After the break the event is in front of its queue, before events that were behind it.
#[test]
fn deleting_the_event_behind_it_after_a_break_keeps_the_other_calls() {
    let _alone = alone();
    let bed = Bed::new();
    let (signal, behind, last) = (watch(&bed.base, USR1), bed.user(), bed.user());
    bed.base.activate_signal(signal, SIGNAL, 3).unwrap();
    bed.base.activate(behind, What::READ).unwrap();
    bed.base.activate(last, What::READ).unwrap();
    bed.base.run(POLL, |base, _| base.loop_break().unwrap()).unwrap();
    bed.base.del(behind).unwrap();
    assert_eq!(bed.run(POLL).1, [(signal, SIGNAL), (signal, SIGNAL), (last, What::READ)]);
}

#[test]
fn a_more_urgent_event_is_dispatched_between_two_calls() {
    let _alone = alone();
    let bed = Bed::with(|config| config.set_priorities(3));
    let urgent = bed.base.create(EventSpec::user().priority(0)).unwrap();
    let signal = watch(&bed.base, USR1);
    bed.base.activate_signal(signal, SIGNAL, 3).unwrap();
    let mut order = Vec::new();
    bed.base
        .run(POLL, |base, ready| {
            order.push(ready.id);
            if order.len() == 1 {
                base.activate(urgent, What::READ).unwrap();
            }
        })
        .unwrap();
    assert_eq!(order, [signal, urgent, signal, signal]);
}

#[test]
fn a_limit_on_callbacks_counts_each_call() {
    let _alone = alone();
    let bed = Bed::with(|config: Config| config.set_max_dispatch_interval(None, Some(2), 0));
    let (signal, timer) = (watch(&bed.base, USR1), bed.timer(ms(0)));
    bed.base.activate_signal(signal, SIGNAL, 4).unwrap();
    let order: Vec<_> = bed.run(POLL).1.iter().map(|entry| entry.0).collect();
    assert_eq!(order, [signal, signal, signal, signal, timer]);
    bed.base.activate_signal(signal, SIGNAL, 4).unwrap();
    _ = bed.script.take_waits();
    bed.run(LOOP_ONCE);
    assert_eq!(bed.script.take_waits().len(), 2);
}

#[test]
fn finalizing_in_the_callback_drops_the_other_calls() {
    let _alone = alone();
    let bed = Bed::new();
    let signal = watch(&bed.base, USR1);
    bed.base.activate_signal(signal, SIGNAL, 3).unwrap();
    let mut dispatched = Vec::new();
    bed.base
        .run(WAIT, |base, ready| {
            dispatched.push(ready.what);
            if dispatched.len() == 1 {
                base.finalize(ready.id).unwrap();
                base.activate_signal(ready.id, SIGNAL, 2).unwrap();
            }
        })
        .unwrap();
    assert_eq!(dispatched, [SIGNAL, What::FINALIZE]);
}

#[test]
fn a_reused_slot_has_no_calls_left() {
    let _alone = alone();
    let bed = Bed::new();
    let first = watch(&bed.base, USR1);
    bed.base.activate_signal(first, SIGNAL, 9).unwrap();
    bed.base.free(first).unwrap();
    let second = watch(&bed.base, USR2);
    assert_eq!(first.index(), second.index());
    bed.base.activate_signal(second, SIGNAL, 2).unwrap();
    assert_eq!(bed.run(POLL).1, [(second, SIGNAL); 2]);
}
