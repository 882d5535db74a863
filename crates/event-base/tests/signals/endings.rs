//! Closing in the middle of it.

use event_base::{LoopResult, What};

use crate::support::{LOOP_ONCE, POLL, WAIT, base, open_descriptors, run, run_watched};
use crate::{USR1, alone, handler_base, send, watch};

#[test]
fn closing_the_base_in_a_callback_takes_the_other_calls_along() {
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
fn an_event_that_deletes_its_neighbour_is_not_told_for_it() {
    let _alone = alone();
    let base = handler_base();
    let (first, second) = (watch(&base, USR1), watch(&base, USR1));
    send(USR1, 2);
    let mut told = Vec::new();
    run_watched(&base, LOOP_ONCE, |base, ready| {
        told.push(ready.id);
        base.free(second).unwrap_or_default();
    });
    assert_eq!(told, [first, first]);
}

#[test]
fn a_loop_that_is_left_by_a_panic_can_be_entered_again_and_loses_no_call() {
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
