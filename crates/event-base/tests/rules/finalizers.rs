//! Finalizing: the event is dispatched once more and then freed.

use event_base::{Error, EventSpec, LoopResult, What};

use crate::support::{Bed, WAIT, ms};

#[test]
fn no_operation_affects_an_event_that_is_being_finalized() {
    let bed = Bed::new();
    let timer = bed.timer(ms(1));
    bed.base.finalize(timer).unwrap();
    assert_eq!(bed.base.add(timer, Some(ms(1))), Err(Error::Finalizing));
    bed.base.activate(timer, What::READ).unwrap();
    bed.base.activate_later(timer, What::READ).unwrap();
    bed.base.del(timer).unwrap();
    bed.base.finalize(timer).unwrap();
    let mut seen = vec![];
    let result = bed.base.run(WAIT, |_, ready| seen.push((ready.id, ready.what, ready.released)));
    assert_eq!((result, seen), (Ok(LoopResult::Empty), vec![(timer, What::FINALIZE, true)]));
    assert_eq!(bed.base.live_events().unwrap(), 0);
}

#[test]
fn an_event_that_finalizes_itself_is_dispatched_in_the_next_pass() {
    let bed = Bed::new();
    let timer = bed.periodic(ms(1));
    let mut seen = vec![];
    let result = bed.base.run(WAIT, |base, ready| {
        seen.push(ready.what);
        if ready.what == What::TIMEOUT {
            base.finalize(ready.id).unwrap();
        }
    });
    assert_eq!((result, seen), (Ok(LoopResult::Empty), vec![What::TIMEOUT, What::FINALIZE]));
    assert_eq!(bed.base.pending(timer, What::all()), Err(Error::Closed));
}

#[test]
fn the_descriptor_is_deregistered_before_the_finalizer_runs() {
    let bed = Bed::new();
    let reader = bed.io(3, What::READ | What::PERSIST);
    bed.base.add(reader, Some(ms(10))).unwrap();
    bed.base.finalize(reader).unwrap();
    assert_eq!(bed.script.take_changes().last().map(|change| change.wanted), Some(What::empty()));
}

#[test]
fn an_event_finalized_in_both_ways_is_freed() {
    for keep_first in [true, false] {
        let bed = Bed::new();
        let event = bed.user();
        if keep_first {
            bed.base.finalize_keep(event).unwrap();
            bed.base.finalize(event).unwrap();
        } else {
            bed.base.finalize(event).unwrap();
            bed.base.finalize_keep(event).unwrap();
        }
        assert_eq!(bed.run(WAIT).1, [(event, What::FINALIZE)]);
        assert_eq!(bed.base.live_events().unwrap(), 0);
    }
}

#[test]
fn an_event_is_assigned_again_only_while_it_is_idle() {
    let bed = Bed::new();
    let event = bed.periodic(ms(10));
    assert_eq!(bed.base.assign(event, EventSpec::user()), Err(Error::Active));
    bed.base.del(event).unwrap();
    bed.base.activate(event, What::READ).unwrap();
    assert_eq!(bed.base.assign(event, EventSpec::user()), Err(Error::Active));
    bed.run(WAIT);
    let refused = bed.base.assign(event, EventSpec::io(-1, What::READ));
    assert_eq!(refused, Err(Error::OutOfRange("the descriptor")));
    assert_eq!(bed.base.info(event).unwrap().what, What::PERSIST, "nothing changed");
    bed.base.assign(event, EventSpec::io(4, What::READ).data(9)).unwrap();
    let info = bed.base.info(event).unwrap();
    assert_eq!((info.fd, info.what, info.data), (4, What::READ, 9));
    bed.base.finalize_keep(event).unwrap();
    assert_eq!(bed.base.assign(event, EventSpec::user()), Err(Error::Finalizing));
    bed.run(WAIT);
    // The slot of a transient event is free.
    let transient = bed.base.create(EventSpec::user().transient()).unwrap();
    bed.base.finalize_keep(transient).unwrap();
    assert_eq!(bed.run(WAIT).1, [(transient, What::FINALIZE)]);
    assert_eq!(bed.base.assign(transient, EventSpec::user()), Err(Error::Closed));
}
