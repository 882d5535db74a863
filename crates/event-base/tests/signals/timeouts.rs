//! Signal events that have a deadline as well.

use event_base::{EventSpec, LoopResult, What};

use crate::support::{Bed, POLL, WAIT, in_mode_by_handler, ms};
use crate::{USR1, alone, send};

/// The scripted backend reports no signals, so they are received through the handler.
fn bed() -> Bed {
    Bed::with(|_| in_mode_by_handler())
}

#[test]
fn a_one_shot_event_is_deleted_by_its_timeout() {
    let _alone = alone();
    let bed = bed();
    let event = bed.base.create_and_add(EventSpec::signal_once(USR1), Some(ms(10))).unwrap();
    assert_eq!(bed.run(WAIT), (LoopResult::Empty, vec![(event, What::TIMEOUT)]));
    assert_eq!(bed.base.pending(event, What::all()), Ok(What::empty()));
}

#[test]
fn the_signal_disarms_the_deadline_of_a_one_shot_event() {
    let _alone = alone();
    let bed = bed();
    let event = bed.base.create_and_add(EventSpec::signal_once(USR1), Some(ms(10))).unwrap();
    send(USR1, 1);
    assert_eq!(bed.run(WAIT), (LoopResult::Empty, vec![(event, What::SIGNAL)]));
    assert_eq!(bed.elapsed(), ms(0));
}

#[test]
fn a_persistent_event_stays_pending_and_its_period_begins_again() {
    let _alone = alone();
    let bed = bed();
    let event = bed.base.create_and_add(EventSpec::signal(USR1), Some(ms(10))).unwrap();
    let timer = bed.timer(ms(15));
    let mut dispatched = Vec::new();
    bed.base.loop_exit(Some(ms(40))).unwrap();
    bed.base
        .run(WAIT, |_, ready| {
            dispatched.push((ready.what, bed.elapsed().as_millis()));
            if ready.id == timer {
                send(USR1, 1);
            }
        })
        .unwrap();
    let expected = [
        (What::TIMEOUT, 10),
        (What::TIMEOUT, 15),
        (What::SIGNAL, 15),
        (What::TIMEOUT, 25),
        (What::TIMEOUT, 35),
    ];
    assert_eq!(dispatched, expected);
    let pending = bed.base.pending(event, What::all()).unwrap();
    assert_eq!(pending, What::SIGNAL | What::TIMEOUT);
}

#[test]
fn a_new_deadline_cancels_a_timeout_and_no_signal() {
    let _alone = alone();
    let bed = bed();
    let event = bed.base.create_and_add(EventSpec::signal(USR1), Some(ms(10))).unwrap();
    bed.base.activate_signal(event, What::TIMEOUT, 3).unwrap();
    bed.base.add(event, Some(ms(10))).unwrap();
    assert_eq!(bed.run(POLL).1, []);
    bed.base.activate_signal(event, What::TIMEOUT | What::SIGNAL, 2).unwrap();
    bed.base.add(event, Some(ms(10))).unwrap();
    assert_eq!(bed.run(POLL).1, [(event, What::SIGNAL); 2]);
}

#[test]
fn a_deadline_does_not_make_the_number_of_a_signal_a_descriptor() {
    let _alone = alone();
    let bed = bed();
    bed.base.create_and_add(EventSpec::signal(USR1), Some(ms(10))).unwrap();
    bed.base.activate_by_fd(USR1, What::TIMEOUT).unwrap();
    bed.base.activate_by_fd(USR1, What::READ).unwrap();
    assert_eq!(bed.run(POLL).1, []);
}

#[test]
fn a_signal_that_is_found_together_with_the_timeout_is_dispatched_with_it() {
    let _alone = alone();
    let bed = bed();
    let event = bed.base.create_and_add(EventSpec::signal_once(USR1), Some(ms(10))).unwrap();
    bed.clock.advance(ms(20));
    send(USR1, 2);
    let both = (event, What::SIGNAL | What::TIMEOUT);
    assert_eq!(bed.run(WAIT), (LoopResult::Empty, vec![both, both]));
}

#[test]
fn removing_the_timer_keeps_the_calls_that_are_left() {
    let _alone = alone();
    let bed = bed();
    let event = bed.base.create_and_add(EventSpec::signal(USR1), Some(ms(10))).unwrap();
    bed.base.activate_signal(event, What::SIGNAL, 3).unwrap();
    bed.base.remove_timer(event).unwrap();
    assert_eq!(bed.run(POLL).1, [(event, What::SIGNAL); 3]);
}
