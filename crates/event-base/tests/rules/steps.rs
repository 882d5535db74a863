//! The loop in steps: enter, next, leave.

use event_base::{Error, EventSpec, LoopFlags, LoopResult, Step, Wait, What};

use crate::support::{Bed, PATIENCE, WAIT, ms, next_event};

#[test]
fn the_steps_are_the_loop() {
    let bed = Bed::new();
    let timers = [bed.timer(ms(10)), bed.timer(ms(10)), bed.timer(ms(20))];
    bed.base.enter(WAIT).unwrap();
    let mut trace = vec![];
    let result = loop {
        match bed.base.next(Wait::Allowed).unwrap() {
            Step::Event(ready) => trace.push(ready.id),
            Step::Done(result) => break result,
            other => panic!("{other:?}"),
        }
    };
    bed.base.leave();
    assert_eq!((result, trace), (LoopResult::Empty, timers.to_vec()));
}

#[test]
fn a_step_that_must_not_wait_returns_idle() {
    let bed = Bed::new();
    bed.timer(ms(10));
    bed.base.enter(WAIT).unwrap();
    assert_eq!(bed.base.next(Wait::Never), Ok(Step::Idle));
    assert_eq!(bed.base.next(Wait::Never), Ok(Step::Idle));
    assert_eq!(bed.elapsed(), ms(0));
    bed.clock.advance(ms(10));
    next_event(&bed.base, Wait::Never);
    assert_eq!(bed.base.next(Wait::Never), Ok(Step::Done(LoopResult::Empty)));
    bed.base.leave();
}

#[test]
fn loop_flags_apply_to_steps() {
    let bed = Bed::new();
    bed.timer(ms(0));
    bed.timer(ms(10));
    bed.base.enter(LoopFlags::ONCE).unwrap();
    next_event(&bed.base, Wait::Never);
    assert_eq!(bed.base.next(Wait::Never), Ok(Step::Done(LoopResult::Stopped)));
    bed.base.leave();
    bed.base.enter(LoopFlags::NONBLOCK).unwrap();
    assert_eq!(bed.base.next(Wait::Allowed), Ok(Step::Done(LoopResult::Stopped)));
    bed.base.leave();
}

#[test]
fn an_event_that_is_active_when_the_loop_is_left_is_dispatched_by_the_next_loop() {
    let bed = Bed::new();
    let timers = [bed.timer(ms(0)), bed.timer(ms(0))];
    bed.base.enter(WAIT).unwrap();
    next_event(&bed.base, Wait::Allowed);
    bed.base.leave();
    assert_eq!(bed.run(WAIT), (LoopResult::Empty, vec![(timers[1], What::TIMEOUT)]));
}

#[test]
fn leaving_when_no_loop_runs_does_nothing() {
    let bed = Bed::new();
    bed.base.leave();
    bed.base.leave();
    bed.base.enter(WAIT).unwrap();
    assert_eq!(bed.base.enter(WAIT), Err(Error::Reentrant));
    bed.base.leave();
    bed.base.enter(WAIT).unwrap();
    bed.base.leave();
}

#[test]
fn only_the_thread_that_entered_the_loop_takes_steps() {
    let Some(base) = crate::support::shared_base() else { return };
    let timer = base.create_and_add(EventSpec::timer(), Some(ms(3_600_000))).unwrap();
    let entered = base.create(EventSpec::user()).unwrap();
    base.activate(entered, What::READ).unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    assert_eq!(base.next(Wait::Never), Err(Error::WrongThread), "no loop was entered");
    let mut fired = vec![];
    std::thread::scope(|scope| {
        let base = &base;
        scope.spawn(move || {
            receiver.recv_timeout(PATIENCE).unwrap();
            std::thread::sleep(ms(30));
            for _ in 0..5 {
                assert_eq!(base.next(Wait::Allowed), Err(Error::WrongThread));
                assert_eq!(base.next(Wait::Never), Err(Error::WrongThread));
                base.leave();
                assert_eq!(base.enter(WAIT), Err(Error::Reentrant), "another thread cannot leave the loop");
            }
            base.activate(timer, What::TIMEOUT).unwrap();
        });
        let result = crate::support::run_watched(base, WAIT, |_, ready| {
            fired.push(ready.id);
            _ = sender.send(());
        });
        assert_eq!(result, LoopResult::Empty);
    });
    assert_eq!(fired, [entered, timer]);
    assert_eq!(crate::support::run(&base, WAIT).0, LoopResult::Empty);
}

#[test]
fn each_step_dispatches_one_event() {
    let bed = Bed::new();
    let timers = [bed.timer(ms(0)), bed.timer(ms(0)), bed.timer(ms(10))];
    assert_eq!(bed.base.next(Wait::Never), Err(Error::WrongThread), "no loop was entered");
    bed.base.enter(WAIT).unwrap();
    for timer in &timers[..2] {
        assert_eq!(next_event(&bed.base, Wait::Never).id, *timer);
        assert_eq!(bed.base.running_event().unwrap(), Some(*timer));
    }
    assert_eq!(bed.base.next(Wait::Never), Ok(Step::Idle));
    assert_eq!(bed.elapsed(), ms(0));
    let ready = next_event(&bed.base, Wait::Allowed);
    assert_eq!((ready.id, bed.elapsed()), (timers[2], ms(10)));
    assert_eq!(bed.base.next(Wait::Allowed), Ok(Step::Done(LoopResult::Empty)));
    bed.base.leave();
}

/// Between two steps of a pass the queue still has events.
#[test]
fn another_thread_takes_no_event_of_the_pass() {
    let Some(base) = crate::support::shared_base() else { return };
    let events = [(); 2].map(|()| base.create(EventSpec::user()).unwrap());
    for event in events {
        base.activate(event, What::READ).unwrap();
    }
    base.enter(WAIT).unwrap();
    assert_eq!(next_event(&base, Wait::Never).id, events[0]);
    std::thread::scope(|scope| {
        let other = scope.spawn(|| base.next(Wait::Never));
        assert_eq!(other.join().unwrap(), Err(Error::WrongThread));
    });
    assert_eq!(base.running_event(), Ok(Some(events[0])));
    assert_eq!(next_event(&base, Wait::Never).id, events[1]);
    base.leave();
}
