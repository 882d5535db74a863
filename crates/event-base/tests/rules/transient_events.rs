//! Transient events: the engine frees them when they are dispatched and not pending.

use event_base::{Error, EventSpec, LoopResult, What};

use crate::support::{Bed, ONE_PASS, WAIT, ms};

#[test]
fn a_one_shot_is_freed_just_before_it_is_dispatched() {
    let bed = Bed::new();
    let timer = bed.base.create_and_add(EventSpec::timer().transient().data(7), Some(ms(1))).unwrap();
    let mut seen = vec![];
    bed.base
        .run(WAIT, |base, ready| {
            seen.push((ready.id, ready.data, ready.released, ready.orphaned));
            assert_eq!(base.add(timer, None), Err(Error::Closed));
        })
        .unwrap();
    assert_eq!(seen, [(timer, 7, true, false)]);
    assert_eq!(bed.base.live_events().unwrap(), 0);
}

#[test]
fn a_persistent_one_exists_while_it_is_pending() {
    let bed = Bed::new();
    let reader = bed.base.create_and_add(EventSpec::io(3, What::READ).persist().transient(), None).unwrap();
    for _ in 0..2 {
        bed.script.then(ms(0), &[(3, What::READ)]);
        let mut released = vec![];
        bed.base.run(ONE_PASS, |_, ready| released.push(ready.released)).unwrap();
        assert_eq!(released, [false]);
    }
    bed.base.free(reader).unwrap();
    assert_eq!(bed.base.live_events().unwrap(), 0);
}

#[test]
fn one_that_was_only_activated_is_freed_too() {
    let bed = Bed::new();
    let user = bed.base.create(EventSpec::user().transient()).unwrap();
    bed.base.activate(user, What::READ).unwrap();
    let mut released = vec![];
    assert_eq!(bed.base.run(WAIT, |_, ready| released.push(ready.released)), Ok(LoopResult::Empty));
    assert_eq!(released, [true]);
}

#[test]
fn one_that_was_deleted_is_not_freed() {
    let bed = Bed::new();
    let timer = bed.base.create_and_add(EventSpec::timer().transient(), Some(ms(1))).unwrap();
    bed.base.del(timer).unwrap();
    assert_eq!(bed.run(WAIT), (LoopResult::Empty, vec![]));
    bed.base.add(timer, Some(ms(1))).unwrap();
    assert_eq!(bed.run(WAIT).1, [(timer, What::TIMEOUT)]);
    assert_eq!(bed.base.free(timer), Err(Error::Closed));
}

#[test]
fn one_whose_descriptor_was_closed_is_reported_as_orphaned() {
    let bed = Bed::new();
    let old =
        bed.base.create_and_add(EventSpec::io(3, What::READ).persist().transient().data(1), None).unwrap();
    let kept = bed.base.create_and_add(EventSpec::io(3, What::READ).persist().data(2), None).unwrap();
    bed.script.forget(3);
    let new = bed.base.create_and_add(EventSpec::io(3, What::READ).data(3), None).unwrap();
    bed.script.then(ms(1), &[(3, What::READ)]);
    let mut seen = vec![];
    let result =
        bed.base.run(WAIT, |_, ready| seen.push((ready.id, ready.what, ready.released, ready.orphaned)));
    assert_eq!(result, Ok(LoopResult::Empty));
    assert_eq!(seen, [(old, What::empty(), true, true), (new, What::READ, false, false)]);
    assert_eq!(bed.base.pending(kept, What::all()).unwrap(), What::empty());
    assert_eq!(bed.base.pending(old, What::all()), Err(Error::Closed));
}

#[test]
fn an_orphaned_one_with_a_deadline_waits_for_it() {
    let bed = Bed::new();
    let old = bed.base.create_and_add(EventSpec::io(3, What::READ).transient(), Some(ms(10))).unwrap();
    bed.script.forget(3);
    let new = bed.base.create_and_add(EventSpec::io(3, What::READ), None).unwrap();
    bed.base.del(new).unwrap();
    let mut seen = vec![];
    bed.base.run(WAIT, |_, ready| seen.push((ready.id, ready.what, ready.released, ready.orphaned))).unwrap();
    assert_eq!(seen, [(old, What::TIMEOUT, true, false)]);
}

#[test]
fn assigning_sets_and_clears_whether_an_event_is_transient() {
    let bed = Bed::new();
    let [becomes, no_longer] =
        [EventSpec::user(), EventSpec::user().transient()].map(|spec| bed.base.create(spec).unwrap());
    bed.base.assign(becomes, EventSpec::user().transient()).unwrap();
    bed.base.assign(no_longer, EventSpec::user()).unwrap();
    for event in [becomes, no_longer] {
        bed.base.activate(event, What::READ).unwrap();
    }
    let mut released = vec![];
    bed.base.run(WAIT, |_, ready| released.push((ready.id, ready.released))).unwrap();
    assert_eq!(released, [(becomes, true), (no_longer, false)]);
    assert_eq!(bed.base.live_events(), Ok(1));
}
