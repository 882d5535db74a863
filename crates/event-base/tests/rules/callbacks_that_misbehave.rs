//! What callbacks may and may not do to the loop that runs them.

use std::panic::{AssertUnwindSafe, catch_unwind};

use event_base::{Error, EventSpec, LoopResult, What};

use crate::support::{Bed, WAIT, ms, shared_base};

#[test]
fn a_loop_inside_its_own_callback_is_refused() {
    let bed = Bed::new();
    let timers = [bed.timer(ms(1)), bed.timer(ms(2))];
    let mut runs = 0;
    let result = bed.base.run(WAIT, |base, _| {
        runs += 1;
        assert_eq!(base.run(WAIT, |_, _| {}), Err(Error::Reentrant));
        assert_eq!(base.enter(WAIT), Err(Error::Reentrant));
    });
    assert_eq!((result, runs), (Ok(LoopResult::Empty), timers.len()));
}

#[test]
fn a_loop_of_another_thread_is_refused_while_one_runs() {
    if shared_base().is_none() {
        return;
    }
    let bed = Bed::new();
    bed.timer(ms(1));
    bed.base
        .run(WAIT, |base, _| {
            let base = base.clone();
            let other = std::thread::spawn(move || base.run(WAIT, |_, _| {}));
            assert_eq!(other.join().unwrap(), Err(Error::Reentrant));
        })
        .unwrap();
}

#[test]
fn a_loop_of_another_base_runs_inside_a_callback() {
    let outer = Bed::new();
    let inner = crate::support::base();
    let timer = inner.create(EventSpec::timer()).unwrap();
    outer.timer(ms(1));
    let mut runs = 0;
    outer
        .base
        .run(WAIT, |_, _| {
            inner.add(timer, Some(ms(0))).unwrap();
            let result = inner.run(WAIT, |_, ready| {
                assert_eq!(inner.running_event().unwrap(), Some(ready.id));
                runs += 1;
            });
            assert_eq!(result, Ok(LoopResult::Empty));
        })
        .unwrap();
    assert_eq!(runs, 1);
}

#[test]
fn a_panic_leaves_the_base_usable() {
    let bed = Bed::new();
    let timers = [bed.timer(ms(1)), bed.timer(ms(1))];
    let caught = catch_unwind(AssertUnwindSafe(|| bed.base.run(WAIT, |_, _| panic!("on purpose"))));
    assert!(caught.is_err());
    assert_eq!(bed.base.running_event().unwrap(), None);
    assert_eq!(bed.run(WAIT), (LoopResult::Empty, vec![(timers[1], What::TIMEOUT)]));
}

#[test]
fn an_event_may_free_itself_and_other_active_ones() {
    let bed = Bed::new();
    let timers = [bed.periodic(ms(1)), bed.periodic(ms(1)), bed.periodic(ms(1))];
    let mut trace = vec![];
    let result = bed.base.run(WAIT, |base, ready| {
        trace.push(ready.id);
        for timer in timers {
            base.free(timer).unwrap();
        }
        assert_eq!(base.running_event().unwrap(), None);
    });
    assert_eq!((result, trace), (Ok(LoopResult::Empty), vec![timers[0]]));
    assert_eq!(bed.base.live_events().unwrap(), 0);
}

#[test]
fn an_event_added_in_its_own_callback_stays_pending() {
    let bed = Bed::new();
    let reader = bed.io(3, What::READ);
    bed.base.add(reader, None).unwrap();
    bed.script.then(ms(1), &[(3, What::READ)]);
    bed.script.then(ms(1), &[(3, What::READ)]);
    let mut runs = 0;
    let result = bed.base.run(WAIT, |base, _| {
        runs += 1;
        if runs == 1 {
            base.add(reader, None).unwrap();
        }
    });
    assert_eq!((result, runs), (Ok(LoopResult::Empty), 2));
}
