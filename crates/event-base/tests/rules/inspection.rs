//! Reading the state of events, and which one runs.

use event_base::{CountFlags, EventSpec, LoopResult, Step, Wait, What};

use crate::support::{Bed, WAIT, ms, next_event, shared_base};

#[test]
fn every_pending_or_active_event_is_listed_once_and_no_other() {
    let bed = Bed::new();
    let idle = bed.user();
    let late = bed.timer(ms(50));
    let early = bed.timer(ms(10));
    let active = bed.user();
    bed.base.activate(active, What::WRITE).unwrap();
    let later = bed.user();
    bed.base.activate_later(later, What::READ).unwrap();
    let second = bed.io(9, What::READ | What::PERSIST);
    let first = bed.base.create(EventSpec::io(4, What::WRITE).data(77)).unwrap();
    bed.base.add(second, Some(ms(1))).unwrap();
    bed.base.add(first, None).unwrap();
    bed.base.activate(first, What::WRITE).unwrap();
    let events = bed.base.events().unwrap();
    let ids: Vec<_> = events.iter().map(|info| info.id).collect();
    assert_eq!(ids, [first, second, early, late, active, later]);
    assert!(!ids.contains(&idle));
    let seen = |id| events.iter().find(|info| info.id == id).unwrap();
    let info = seen(first);
    assert_eq!((info.fd, info.what, info.pending, info.active), (4, What::WRITE, What::WRITE, What::WRITE));
    assert_eq!((info.is_active, info.priority, info.expires_at, info.data), (true, 0, None, 77));
    let info = seen(second);
    assert_eq!((info.pending, info.is_active), (What::READ | What::TIMEOUT, false));
    assert!(info.expires_at.is_some());
    assert!(seen(later).is_active);
}

/// Only the result it would be dispatched with, not the one of an earlier dispatch.
#[test]
fn an_event_that_is_no_longer_active_is_listed_without_a_result() {
    let bed = Bed::new();
    let timer = bed.user();
    bed.base.activate(timer, What::READ).unwrap();
    bed.base.del(timer).unwrap();
    bed.base.add(timer, Some(ms(5))).unwrap();
    let events = bed.base.events().unwrap();
    assert_eq!((events.len(), events[0].is_active, events[0].active), (1, false, What::empty()));
}

/// W6: libevent dereferences a null pointer outside callbacks.
#[test]
fn the_running_event_is_known_only_in_its_callback() {
    if shared_base().is_none() {
        return;
    }
    let bed = Bed::new();
    let timer = bed.periodic(ms(1));
    assert_eq!(bed.base.running_event().unwrap(), None);
    bed.base
        .run(WAIT, |base, ready| {
            assert_eq!(base.running_event().unwrap(), Some(timer));
            std::thread::scope(|scope| {
                let other = scope.spawn(|| base.running_event().unwrap());
                assert_eq!(other.join().unwrap(), None);
            });
            base.free(ready.id).unwrap();
            assert_eq!(base.running_event().unwrap(), None);
        })
        .unwrap();
    assert_eq!(bed.base.running_event().unwrap(), None);
}

#[test]
fn the_running_event_is_unknown_between_passes() {
    let bed = Bed::new();
    bed.timer(ms(0));
    bed.base.enter(WAIT).unwrap();
    let ready = next_event(&bed.base, Wait::Never);
    assert_eq!(bed.base.running_event().unwrap(), Some(ready.id));
    assert_eq!(bed.base.next(Wait::Never), Ok(Step::Done(LoopResult::Empty)));
    assert_eq!(bed.base.running_event().unwrap(), None);
    bed.base.leave();
}

/// libevent runs the callback under the lock, so that it must not use the base.
#[test]
fn the_base_may_be_used_during_an_iteration_over_its_events() {
    let bed = Bed::new();
    (0..10).for_each(|_| _ = bed.timer(ms(1)));
    for info in bed.base.events().unwrap() {
        bed.base.free(info.id).unwrap();
    }
    assert_eq!(bed.base.count_events(CountFlags::ADDED).unwrap(), 0);
}

#[test]
fn pending_returns_only_bits_of_the_mask() {
    let bed = Bed::new();
    let event = bed.io(3, What::READ | What::CLOSED | What::PERSIST | What::ET);
    bed.base.add(event, Some(ms(1))).unwrap();
    bed.base.activate(event, What::WRITE).unwrap();
    let pending = |mask| bed.base.pending(event, mask).unwrap();
    assert_eq!(pending(What::all()), What::READ | What::CLOSED | What::WRITE | What::TIMEOUT);
    assert_eq!(pending(What::READ | What::TIMEOUT), What::READ | What::TIMEOUT);
    assert_eq!(pending(What::empty()), What::empty());
}

#[test]
fn a_base_and_its_events_can_be_printed() {
    let bed = Bed::new();
    let event = bed.timer(ms(1));
    assert!(format!("{:?}", bed.base).contains("Base"));
    assert!(format!("{:?}", bed.base.events().unwrap()).contains(&format!("{event:?}")));
}
