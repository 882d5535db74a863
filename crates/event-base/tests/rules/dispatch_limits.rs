//! Limits on the number of callbacks, or on their time, before the loop polls again.

use event_base::{EventId, EventSpec, What};

use crate::support::{Bed, ONE_PASS, WAIT, ms};

/// Five active events of `priority`, and an urgent descriptor that is ready from the second poll on.
fn crowd(bed: &Bed, priority: u8) -> (Vec<EventId>, EventId) {
    let reader = bed.base.create_and_add(EventSpec::io(3, What::READ).priority(0), None).unwrap();
    let crowd: Vec<_> = (0..5)
        .map(|_| {
            let event = bed.base.create(EventSpec::user().priority(priority)).unwrap();
            bed.base.activate(event, What::READ).unwrap();
            event
        })
        .collect();
    bed.script.then(ms(0), &[]);
    bed.script.then(ms(0), &[(3, What::READ)]);
    (crowd, reader)
}

fn place_of(bed: &Bed, event: EventId, each: impl Fn()) -> usize {
    let mut trace = Vec::new();
    bed.base
        .run(WAIT, |_, ready| {
            trace.push(ready.id);
            each();
        })
        .unwrap();
    assert_eq!(trace.len(), 6);
    trace.iter().position(|id| *id == event).unwrap()
}

#[test]
fn without_a_limit_a_queue_runs_to_its_end() {
    let bed = Bed::with(|config| config.set_priorities(2));
    let (_, reader) = crowd(&bed, 1);
    assert_eq!(place_of(&bed, reader, || {}), 5);
}

#[test]
fn a_number_of_callbacks_ends_the_pass() {
    for (limit, place) in [(0, 1), (1, 1), (2, 2), (4, 4), (5, 5), (100, 5)] {
        let bed =
            Bed::with(|config| config.set_priorities(2).set_max_dispatch_interval(None, Some(limit), 0));
        let (_, reader) = crowd(&bed, 1);
        assert_eq!(place_of(&bed, reader, || {}), place, "limit {limit}");
    }
}

#[test]
fn an_interval_ends_the_pass() {
    let bed = Bed::with(|config| config.set_priorities(2).set_max_dispatch_interval(Some(ms(10)), None, 0));
    let (_, reader) = crowd(&bed, 1);
    assert_eq!(place_of(&bed, reader, || bed.clock.advance(ms(4))), 3);
}

#[test]
fn the_cached_time_is_refreshed_between_callbacks_under_an_interval() {
    let bed = Bed::with(|config| config.set_max_dispatch_interval(Some(ms(100)), None, 0));
    let events = [bed.user(), bed.user()];
    for event in events {
        bed.base.activate(event, What::READ).unwrap();
    }
    let mut seen = Vec::new();
    bed.base
        .run(ONE_PASS, |base, _| {
            seen.push(base.now().unwrap());
            bed.clock.advance(ms(7));
        })
        .unwrap();
    assert_eq!(seen[1] - seen[0], ms(7));
}

#[test]
fn priorities_more_urgent_than_the_least_limited_one_have_no_limit() {
    for (min_priority, place) in [(0, 2), (1, 2), (2, 5)] {
        let bed = Bed::with(|config| {
            config.set_priorities(3).set_max_dispatch_interval(None, Some(2), min_priority)
        });
        let (_, reader) = crowd(&bed, 1);
        assert_eq!(place_of(&bed, reader, || {}), place, "from priority {min_priority}");
    }
}
