//! Closing a base in every state.

use event_base::{CountFlags, Error, EventSpec, LoopResult, Step, Wait, What};

use crate::support::{Bed, POLL, WAIT, fd, ms, next_event, pair};

#[test]
fn every_call_on_a_closed_base_fails() {
    let base = crate::support::base();
    let id = base.create_and_add(EventSpec::timer(), Some(ms(1))).unwrap();
    base.close().unwrap();
    base.close().unwrap();
    assert!(base.is_closed());
    assert_eq!(base.create(EventSpec::timer()), Err(Error::Closed));
    assert_eq!(base.add(id, None), Err(Error::Closed));
    assert_eq!(base.free(id), Err(Error::Closed));
    assert_eq!(base.once(-1, What::TIMEOUT, 1, None), Err(Error::Closed));
    assert_eq!(base.activate_by_fd(0, What::READ), Err(Error::Closed));
    assert_eq!(base.run(WAIT, |_, _| {}), Err(Error::Closed));
    assert_eq!(base.enter(WAIT), Err(Error::Closed));
    assert_eq!(base.next(Wait::Never), Err(Error::Closed));
    assert_eq!(base.loop_exit(None), Err(Error::Closed));
    assert_eq!(base.loop_break(), Err(Error::Closed));
    assert_eq!(base.loop_continue(), Err(Error::Closed));
    assert_eq!(base.got_break(), Err(Error::Closed));
    assert_eq!(base.now(), Err(Error::Closed));
    assert_eq!(base.count_events(CountFlags::all()), Err(Error::Closed));
    assert_eq!(base.events(), Err(Error::Closed));
    assert_eq!(base.running_event(), Err(Error::Closed));
    assert_eq!(base.method(), Err(Error::Closed));
    assert_eq!(base.priorities(), Err(Error::Closed));
    assert_eq!(base.set_priorities(2), Err(Error::Closed));
    assert_eq!(base.descriptor(), Err(Error::Closed));
    assert_eq!(base.retain(), Err(Error::Closed));
    assert_eq!(base.wake(), Err(Error::Closed));
    base.leave();
}

#[test]
fn closing_in_a_callback_ends_the_loop_and_dispatches_no_more_events() {
    let bed = Bed::new();
    for _ in 0..3 {
        bed.periodic(ms(1));
    }
    let mut runs = 0;
    let result = bed.base.run(WAIT, |base, _| {
        runs += 1;
        base.close().unwrap();
        assert_eq!(base.running_event(), Err(Error::Closed));
    });
    assert_eq!((result, runs), (Ok(LoopResult::Stopped), 1));
}

#[test]
fn a_base_with_pending_and_active_events_can_be_closed() {
    let base = crate::support::base();
    let (socket, _peer) = pair();
    for what in [What::READ, What::WRITE, What::CLOSED | What::PERSIST] {
        let event = base.create_and_add(EventSpec::io(fd(&socket), what), Some(ms(5))).unwrap();
        base.activate(event, What::READ).unwrap();
    }
    let later = base.create(EventSpec::user()).unwrap();
    base.activate_later(later, What::READ).unwrap();
    let finalizing = base.create(EventSpec::user()).unwrap();
    base.finalize(finalizing).unwrap();
    base.once(-1, What::TIMEOUT, 1, None).unwrap();
    base.loop_exit(Some(ms(10))).unwrap();
    base.close().unwrap();
}

#[test]
fn a_base_closed_between_steps_ends_the_steps() {
    let bed = Bed::new();
    bed.timer(ms(0));
    bed.timer(ms(0));
    bed.base.enter(WAIT).unwrap();
    next_event(&bed.base, Wait::Never);
    bed.base.close().unwrap();
    assert_eq!(bed.base.next(Wait::Never), Ok(Step::Done(LoopResult::Stopped)));
    bed.base.leave();
}

#[test]
fn a_clone_is_the_same_base() {
    let base = crate::support::base();
    let clone = base.clone();
    let timer = base.create(EventSpec::timer()).unwrap();
    assert_eq!(clone.priority(timer), Ok(0));
    drop(base);
    assert!(!clone.is_closed());
    clone.close().unwrap();
}

#[test]
fn closing_returns_the_finalizers_that_were_not_dispatched_in_their_order() {
    let bed = Bed::with(|config| config.set_priorities(2));
    let create = |data, priority| bed.base.create(EventSpec::user().data(data).priority(priority)).unwrap();
    let [less_urgent, urgent, kept, active, done] =
        [(1, 1), (2, 0), (3, 0), (4, 0), (5, 0)].map(|(data, priority)| create(data, priority));
    bed.base.finalize(done).unwrap();
    bed.run(POLL);
    bed.base.finalize(less_urgent).unwrap();
    bed.base.finalize(urgent).unwrap();
    bed.base.finalize_keep(kept).unwrap();
    bed.base.activate(active, What::READ).unwrap();
    let finalizers = bed.base.close().unwrap();
    let expected = [(urgent, 2), (kept, 3), (less_urgent, 1)];
    assert_eq!(finalizers.iter().map(|ready| (ready.id, ready.data)).collect::<Vec<_>>(), expected);
    assert!(finalizers.iter().all(|ready| ready.what == What::FINALIZE && ready.released));
    assert_eq!(bed.base.close(), Ok(vec![]));
}

#[test]
fn closing_in_a_finalizer_returns_those_that_are_left() {
    let bed = Bed::new();
    let events = [(); 3].map(|()| bed.user());
    for event in events {
        bed.base.finalize(event).unwrap();
    }
    let mut left = vec![];
    bed.base.run(WAIT, |base, _| left = base.close().unwrap()).unwrap();
    assert_eq!(left.iter().map(|ready| ready.id).collect::<Vec<_>>(), events[1..]);
}
