//! A wait that is interrupted: by a signal, or because the process was stopped and continues. What became ready
//! meanwhile is found before timers expire.

use event_base::{LoopResult, Step, Wait, What};

use crate::support::{Bed, LOOP_ONCE, WAIT, ms, next_event};

const READ: What = What::READ;

/// A bed whose next wait is interrupted for an hour, in which descriptor 3 becomes readable.
fn paused() -> Bed {
    let bed = Bed::new();
    bed.script.then_interrupted(ms(10), ms(3_600_000));
    bed.script.then(ms(0), &[(3, READ)]);
    bed
}

#[test]
fn an_event_whose_deadline_passed_during_the_pause_receives_its_readiness() {
    let bed = paused();
    let reader = bed.io(3, READ);
    bed.base.add(reader, Some(ms(100))).unwrap();
    assert_eq!(bed.run(WAIT), (LoopResult::Empty, vec![(reader, READ | What::TIMEOUT)]));
    assert_eq!(bed.elapsed(), ms(3_600_010));
}

#[test]
fn a_persistent_event_receives_it_too_and_keeps_its_period() {
    let bed = paused();
    let reader = bed.io(3, READ | What::PERSIST);
    bed.base.add(reader, Some(ms(100))).unwrap();
    assert_eq!(bed.run(LOOP_ONCE).1, [(reader, READ | What::TIMEOUT)]);
    assert_eq!(bed.base.pending(reader, What::all()), Ok(READ | What::TIMEOUT));
}

#[test]
fn readiness_is_dispatched_before_a_timer_that_expired_during_the_pause() {
    let bed = paused();
    let timer = bed.timer(ms(100));
    let reader = bed.io(3, READ);
    bed.base.add(reader, None).unwrap();
    assert_eq!(bed.run(WAIT).1, [(reader, READ), (timer, What::TIMEOUT)]);
}

#[test]
fn the_wait_of_a_host_finds_it_as_well() {
    let bed = paused();
    let reader = bed.io(3, READ);
    bed.base.add(reader, Some(ms(100))).unwrap();
    bed.base.enter(WAIT).unwrap();
    let mut wait = bed.base.start_wait().unwrap();
    wait.wait().unwrap();
    bed.base.finish_wait(wait).unwrap();
    assert_eq!(next_event(&bed.base, Wait::Never).what, READ | What::TIMEOUT);
    assert_eq!(bed.base.next(Wait::Never), Ok(Step::Done(LoopResult::Empty)));
    bed.base.leave();
}

#[test]
fn only_an_interrupted_wait_is_followed_by_a_second_one() {
    let bed = Bed::new();
    let reader = bed.io(3, READ);
    bed.base.add(reader, Some(ms(100))).unwrap();
    bed.script.then(ms(10), &[(3, READ)]);
    bed.run(WAIT);
    assert_eq!(bed.script.take_waits(), [Some(ms(100))]);
    bed.timer(ms(50));
    bed.script.then_interrupted(ms(20), ms(0));
    bed.run(WAIT);
    assert_eq!(bed.script.take_waits(), [Some(ms(50)), Some(ms(0)), Some(ms(30))]);
}
