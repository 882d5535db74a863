//! Finalizing: the event is handed out once more and is gone.

use event_base::{Error, LoopResult, What};

use crate::support::{Bed, WAIT, ms};

#[test]
fn nothing_can_happen_to_an_event_that_is_being_finalized() {
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
fn an_event_that_finalizes_itself_is_told_in_the_next_pass() {
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
fn the_descriptor_is_given_up_before_the_finalizer_runs() {
    let bed = Bed::new();
    let reader = bed.io(3, What::READ | What::PERSIST);
    bed.base.add(reader, Some(ms(10))).unwrap();
    bed.base.finalize(reader).unwrap();
    assert_eq!(bed.script.take_changes().last().map(|change| change.wanted), Some(What::empty()));
}
