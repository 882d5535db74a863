//! The loop in steps: enter, turn, next_ready, leave.

use event_base::{Error, EventSpec, LoopFlags, LoopResult, Next, Turn, Wait, What};

use crate::support::{Bed, PATIENCE, WAIT, ms};

#[test]
fn the_steps_are_the_loop() {
    let bed = Bed::new();
    let timers = [bed.timer(ms(10)), bed.timer(ms(10)), bed.timer(ms(20))];
    bed.base.enter(WAIT).unwrap();
    let mut trace = vec![];
    let result = loop {
        match bed.base.turn(Wait::Allowed).unwrap() {
            Turn::Ready => trace.extend(std::iter::from_fn(|| bed.base.next_ready()).map(|ready| ready.id)),
            Turn::Done(result) => break result,
            other => panic!("{other:?}"),
        }
    };
    bed.base.leave();
    assert_eq!((result, trace), (LoopResult::Empty, timers.to_vec()));
}

#[test]
fn a_turn_that_must_not_wait_is_idle_and_moves_no_clock() {
    let bed = Bed::new();
    bed.timer(ms(10));
    bed.base.enter(WAIT).unwrap();
    assert_eq!(bed.base.turn(Wait::Never), Ok(Turn::Idle));
    assert_eq!(bed.base.turn(Wait::Never), Ok(Turn::Idle));
    assert_eq!(bed.elapsed(), ms(0));
    bed.clock.advance(ms(10));
    assert_eq!(bed.base.turn(Wait::Never), Ok(Turn::Ready));
    assert!(bed.base.next_ready().is_some());
    assert_eq!(bed.base.turn(Wait::Never), Ok(Turn::Done(LoopResult::Empty)));
    bed.base.leave();
}

#[test]
fn loop_flags_hold_for_steps_too() {
    let bed = Bed::new();
    bed.timer(ms(0));
    bed.timer(ms(10));
    bed.base.enter(LoopFlags::ONCE).unwrap();
    assert_eq!(bed.base.turn(Wait::Never), Ok(Turn::Ready));
    assert!(bed.base.next_ready().is_some());
    assert_eq!(bed.base.next_ready(), None);
    assert_eq!(bed.base.turn(Wait::Never), Ok(Turn::Done(LoopResult::Stopped)));
    bed.base.leave();
    bed.base.enter(LoopFlags::NONBLOCK).unwrap();
    assert_eq!(bed.base.turn(Wait::Allowed), Ok(Turn::Done(LoopResult::Stopped)));
    bed.base.leave();
}

#[test]
fn a_pass_that_was_not_taken_to_its_end_goes_on_in_the_next() {
    let bed = Bed::new();
    let timers = [bed.timer(ms(0)), bed.timer(ms(0))];
    bed.base.enter(WAIT).unwrap();
    for timer in timers {
        assert_eq!(bed.base.turn(Wait::Allowed), Ok(Turn::Ready));
        assert_eq!(bed.base.next_ready().map(|ready| ready.id), Some(timer));
    }
    bed.base.leave();
}

#[test]
fn what_is_active_when_the_loop_is_left_is_due_in_the_next() {
    let bed = Bed::new();
    let timers = [bed.timer(ms(0)), bed.timer(ms(0))];
    bed.base.enter(WAIT).unwrap();
    assert_eq!(bed.base.turn(Wait::Allowed), Ok(Turn::Ready));
    assert!(bed.base.next_ready().is_some());
    bed.base.leave();
    assert_eq!(bed.base.next_ready(), None);
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
fn a_turn_belongs_to_the_thread_that_entered_the_loop() {
    let Some(base) = crate::support::shared_base() else { return };
    let timer = base.create_and_add(EventSpec::timer(), Some(ms(3_600_000))).unwrap();
    let entered = base.create(EventSpec::user()).unwrap();
    base.activate(entered, What::READ).unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    assert_eq!(base.turn(Wait::Never), Err(Error::WrongThread), "nobody entered");
    assert_eq!(base.next_ready(), None);
    let mut fired = vec![];
    std::thread::scope(|scope| {
        let base = &base;
        scope.spawn(move || {
            told.recv_timeout(PATIENCE).unwrap();
            std::thread::sleep(ms(30));
            for _ in 0..5 {
                assert_eq!(base.turn(Wait::Allowed), Err(Error::WrongThread));
                assert_eq!(base.turn(Wait::Never), Err(Error::WrongThread));
                base.leave();
                assert_eq!(base.enter(WAIT), Err(Error::Reentrant), "it could not be left from here");
            }
            base.activate(timer, What::TIMEOUT).unwrap();
        });
        let result = crate::support::run_watched(base, WAIT, |_, ready| {
            fired.push(ready.id);
            _ = tell.send(());
        });
        assert_eq!(result, LoopResult::Empty);
    });
    assert_eq!(fired, [entered, timer]);
    assert_eq!(crate::support::run(&base, WAIT).0, LoopResult::Empty);
}

#[test]
fn next_is_turn_and_next_ready_in_one() {
    let bed = Bed::new();
    let timers = [bed.timer(ms(0)), bed.timer(ms(0)), bed.timer(ms(10))];
    assert_eq!(bed.base.next(Wait::Never), Err(Error::WrongThread), "nobody entered");
    bed.base.enter(WAIT).unwrap();
    for timer in &timers[..2] {
        let Ok(Next::Event(ready)) = bed.base.next(Wait::Never) else { panic!() };
        assert_eq!(ready.id, *timer);
        assert_eq!(bed.base.running_event().unwrap(), Some(*timer));
    }
    assert_eq!(bed.base.next(Wait::Never), Ok(Next::Idle));
    assert_eq!(bed.elapsed(), ms(0));
    let Ok(Next::Event(ready)) = bed.base.next(Wait::Allowed) else { panic!() };
    assert_eq!((ready.id, bed.elapsed()), (timers[2], ms(10)));
    assert_eq!(bed.base.next(Wait::Allowed), Ok(Next::Done(LoopResult::Empty)));
    bed.base.leave();
}
