//! Persistent events with a timeout: they keep their phase, skip missed periods, and are not registered again.

use event_base::{EventSpec, LoopResult, ScriptedChange, What};

use crate::support::{Bed, ONE_PASS, WAIT, ms};

fn times(line: &[(event_base::EventId, What, u64)]) -> Vec<(What, u64)> {
    line.iter().map(|(_, what, at)| (*what, *at)).collect()
}

#[test]
fn a_period_keeps_its_phase_however_late_the_callback() {
    let bed = Bed::new();
    bed.periodic(ms(100));
    bed.base.loop_exit(Some(ms(450))).unwrap();
    let mut at = Vec::new();
    bed.base
        .run(WAIT, |_, _| {
            at.push(bed.elapsed());
            bed.clock.advance(ms(30));
        })
        .unwrap();
    assert_eq!(at, [ms(100), ms(200), ms(300), ms(400)]);
}

#[test]
fn missed_periods_are_skipped_and_a_new_one_begins() {
    let bed = Bed::new();
    let timer = bed.periodic(ms(100));
    bed.clock.advance(ms(370));
    let line = bed.timeline(ms(700));
    assert_eq!(
        line,
        [
            (timer, What::TIMEOUT, 370),
            (timer, What::TIMEOUT, 470),
            (timer, What::TIMEOUT, 570),
            (timer, What::TIMEOUT, 670)
        ]
    );
}

/// W20: libevent fires it once and never again.
#[test]
fn a_period_of_zero_fires_once_in_every_pass_and_starves_no_other_event() {
    let bed = Bed::new();
    let spinner = bed.periodic(ms(0));
    let reader = bed.io(3, What::READ | What::PERSIST);
    bed.base.add(reader, None).unwrap();
    for _ in 0..3 {
        bed.script.then(ms(0), &[(3, What::READ)]);
        let (_, trace) = bed.run(ONE_PASS);
        assert_eq!(trace, [(reader, What::READ), (spinner, What::TIMEOUT)]);
    }
    assert_eq!(bed.run(ONE_PASS).1, [(spinner, What::TIMEOUT)]);
}

/// P2: libevent removes the descriptor from epoll and adds it again, in each period.
#[test]
fn the_timeout_of_a_persistent_event_changes_no_registration() {
    let bed = Bed::new();
    let reader = bed.io(3, What::READ | What::PERSIST);
    bed.base.add(reader, Some(ms(10))).unwrap();
    assert_eq!(bed.script.take_changes(), [ScriptedChange { fd: 3, wanted: What::READ, edge: false }]);
    assert_eq!(times(&bed.timeline(ms(35))), [(What::TIMEOUT, 10), (What::TIMEOUT, 20), (What::TIMEOUT, 30)]);
    assert_eq!(bed.script.take_changes(), []);
    bed.script.then(ms(0), &[(3, What::READ)]);
    assert_eq!(bed.run(ONE_PASS).1, [(reader, What::READ)]);
}

/// W19: libevent adds the event again after the timeout and ignores that this can fail.
#[test]
fn a_persistent_event_outlives_a_backend_that_refuses_changes() {
    let bed = Bed::new();
    let reader = bed.io(3, What::READ | What::PERSIST);
    bed.base.add(reader, Some(ms(10))).unwrap();
    bed.script.fail_next_change(12);
    assert_eq!(times(&bed.timeline(ms(15))), [(What::TIMEOUT, 10)]);
    assert_eq!(bed.base.pending(reader, What::all()).unwrap(), What::READ | What::TIMEOUT);
}

#[test]
fn readiness_begins_a_new_period() {
    let bed = Bed::new();
    let reader = bed.io(3, What::READ | What::PERSIST);
    bed.base.add(reader, Some(ms(100))).unwrap();
    bed.script.then(ms(70), &[(3, What::READ)]);
    assert_eq!(times(&bed.timeline(ms(300))), [(What::READ, 70), (What::TIMEOUT, 170), (What::TIMEOUT, 270)]);
}

/// libevent counts from the deadline, which has not passed yet; that doubles the interval.
#[test]
fn activation_with_timeout_begins_a_new_period() {
    let bed = Bed::new();
    let timer = bed.periodic(ms(100));
    assert_eq!(bed.timeline(ms(140)), [(timer, What::TIMEOUT, 100)]);
    bed.base.activate(timer, What::TIMEOUT).unwrap();
    assert_eq!(
        times(&bed.timeline(ms(400))),
        [(What::TIMEOUT, 140), (What::TIMEOUT, 240), (What::TIMEOUT, 340)]
    );
}

#[test]
fn a_persistent_timer_deleted_in_its_callback_does_not_fire_again() {
    let bed = Bed::new();
    bed.periodic(ms(10));
    let mut count = 0;
    let result = bed.base.run(WAIT, |base, ready| {
        count += 1;
        base.del(ready.id).unwrap();
    });
    assert_eq!((result, count), (Ok(LoopResult::Empty), 1));
}

/// In libevent the event keeps its period when it is deleted, and the period begins again when it is activated.
#[test]
fn an_event_added_again_after_a_delete_has_no_period() {
    let bed = Bed::new();
    let timer = bed.periodic(ms(10));
    bed.base.del(timer).unwrap();
    bed.base.activate(timer, What::READ).unwrap();
    assert_eq!(bed.run(WAIT), (LoopResult::Empty, vec![(timer, What::READ)]));
    assert_eq!(bed.base.pending(timer, What::all()).unwrap(), What::empty());
}

/// libevent does nothing, as no timer is set any more, and the event fires again.
#[test]
fn removing_the_timer_of_an_active_event_ends_the_period() {
    let bed = Bed::new();
    let first = bed.timer(ms(10));
    let timer = bed.periodic(ms(10));
    let mut trace = Vec::new();
    let result = bed.base.run(WAIT, |base, ready| {
        trace.push((ready.id, ready.what));
        if ready.id == first {
            base.remove_timer(timer).unwrap();
        }
    });
    assert_eq!(result, Ok(LoopResult::Empty));
    assert_eq!(trace, [(first, What::TIMEOUT), (timer, What::TIMEOUT)]);
}

#[test]
fn a_persistent_event_added_without_a_timeout_has_no_period() {
    let bed = Bed::new();
    let reader = bed.base.create(EventSpec::io(3, What::READ).persist()).unwrap();
    bed.base.add(reader, None).unwrap();
    bed.script.then(ms(5), &[(3, What::READ)]);
    assert_eq!(times(&bed.timeline(ms(500))), [(What::READ, 5)]);
    assert_eq!(bed.base.expires_at(reader).unwrap(), None);
}

#[test]
fn adding_with_another_timeout_changes_the_period() {
    let bed = Bed::new();
    let timer = bed.periodic(ms(10));
    bed.base.add(timer, Some(ms(40))).unwrap();
    assert_eq!(times(&bed.timeline(ms(100))), [(What::TIMEOUT, 40), (What::TIMEOUT, 80)]);
}
