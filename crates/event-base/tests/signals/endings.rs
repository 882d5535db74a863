//! Closing, deleting and panicking between the calls of a signal event.

use event_base::{LoopResult, What};

use crate::support::{LOOP_ONCE, POLL, WAIT, base, open_descriptors, run, run_watched};
use crate::{USR1, alone, handler_base, send, watch};

#[test]
fn closing_the_base_in_a_callback_drops_the_other_calls() {
    let _alone = alone();
    let descriptors = open_descriptors();
    let base = handler_base();
    watch(&base, USR1);
    send(USR1, 4);
    let mut calls = 0;
    let result = run_watched(&base, WAIT, |base, _| {
        calls += 1;
        base.close().unwrap();
    });
    assert_eq!((result, calls), (LoopResult::Stopped, 1));
    drop(base);
    assert_eq!(open_descriptors(), descriptors);
}

#[test]
fn an_event_that_deletes_another_is_not_dispatched_in_its_place() {
    let _alone = alone();
    let base = handler_base();
    let (first, second) = (watch(&base, USR1), watch(&base, USR1));
    send(USR1, 2);
    let mut dispatched = Vec::new();
    run_watched(&base, LOOP_ONCE, |base, ready| {
        dispatched.push(ready.id);
        base.free(second).unwrap_or_default();
    });
    assert_eq!(dispatched, [first, first]);
}

#[test]
fn a_loop_that_panicked_can_be_entered_again_and_loses_no_call() {
    let _alone = alone();
    let base = base();
    let event = watch(&base, USR1);
    base.activate_signal(event, What::SIGNAL, 3).unwrap();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        base.run(POLL, |_, _| std::panic::resume_unwind(Box::new(()))).unwrap();
    }));
    assert!(panicked.is_err());
    assert_eq!(run(&base, POLL).1, [(event, What::SIGNAL); 2]);
}
