//! Activation for the next pass, and `defer`, which also activates for the next pass once too many events are deferred.

use event_base::{Error, EventId, EventSpec, LoopResult, What};

use crate::support::{Bed, ONE_PASS, WAIT, ms};

#[test]
fn an_event_activated_for_later_runs_in_the_next_pass_after_a_poll() {
    let bed = Bed::new();
    let first = bed.user();
    let later = bed.user();
    let reader = bed.io(3, What::READ);
    bed.base.add(reader, None).unwrap();
    bed.base.activate(first, What::READ).unwrap();
    bed.script.then(ms(0), &[]);
    bed.script.then(ms(0), &[(3, What::READ)]);
    let mut passes = vec![];
    loop {
        let mut pass = vec![];
        let result = bed
            .base
            .run(ONE_PASS, |base, ready| {
                pass.push(ready.id);
                if ready.id == first {
                    base.activate_later(later, What::READ).unwrap();
                }
            })
            .unwrap();
        passes.push(pass);
        if result == LoopResult::Empty || passes.len() == 5 {
            break;
        }
    }
    assert_eq!(passes, [vec![first], vec![later, reader], vec![]]);
}

#[test]
fn an_event_activated_for_later_keeps_the_loop_from_sleeping() {
    let bed = Bed::new();
    bed.timer(ms(100));
    bed.base.activate_later(bed.user(), What::READ).unwrap();
    bed.run(ONE_PASS);
    assert_eq!(bed.script.take_waits(), [Some(ms(0))]);
}

#[test]
fn activation_promotes_an_event_activated_for_later() {
    let bed = Bed::new();
    let first = bed.user();
    let second = bed.user();
    bed.base.activate(first, What::READ).unwrap();
    let (mut trace, mut done) = (vec![], false);
    bed.base
        .run(ONE_PASS, |base, ready| {
            trace.push((ready.id, ready.what));
            if !std::mem::replace(&mut done, true) {
                base.activate_later(second, What::READ).unwrap();
                base.activate(second, What::WRITE).unwrap();
            }
        })
        .unwrap();
    assert_eq!(trace, [(first, What::READ), (second, What::READ | What::WRITE)]);
}

#[test]
fn deferring_an_active_event_again_does_not_count_as_another_deferral() {
    let bed = Bed::new();
    let (first, repeated, last) = (bed.user(), bed.user(), bed.user());
    bed.base.activate(first, What::READ).unwrap();
    let mut trace = vec![];
    bed.base
        .run(ONE_PASS, |base, ready| {
            trace.push(ready.id);
            if ready.id == first {
                for _ in 0..100 {
                    base.defer(repeated, What::READ).unwrap();
                }
                base.defer(last, What::READ).unwrap();
            }
        })
        .unwrap();
    assert_eq!(trace, [first, repeated, last]);
}

#[test]
fn results_add_up_until_the_event_is_dispatched() {
    let bed = Bed::new();
    let event = bed.user();
    bed.base.activate(event, What::READ).unwrap();
    bed.base.activate(event, What::WRITE).unwrap();
    bed.base.activate_later(event, What::CLOSED).unwrap();
    bed.base.defer(event, What::TIMEOUT).unwrap();
    assert_eq!(bed.run(WAIT).1, [(event, What::READ | What::WRITE | What::CLOSED | What::TIMEOUT)]);
    bed.base.activate(event, What::empty()).unwrap();
    assert_eq!(bed.run(WAIT).1, [(event, What::empty())]);
}

#[test]
fn deferred_activations_above_the_limit_wait_for_the_next_pass() {
    let bed = Bed::new();
    let events: Vec<EventId> = (0..50).map(|_| bed.user()).collect();
    for &event in &events {
        bed.base.defer(event, What::READ).unwrap();
        // Deferring an event that is deferred already does not count.
        bed.base.defer(event, What::READ).unwrap();
    }
    let mut sizes = vec![];
    let mut all = vec![];
    let first = bed.user();
    bed.base.activate(first, What::READ).unwrap();
    // The first 33 run in the pass in which they are deferred, the others in the next one.
    for &event in &events {
        bed.base.del(event).unwrap();
    }
    bed.run(ONE_PASS);
    bed.base.activate(first, What::READ).unwrap();
    loop {
        let mut size = 0;
        let result = bed.base.run(ONE_PASS, |base, ready| {
            size += 1;
            if ready.id == first {
                for &event in &events {
                    base.defer(event, What::READ).unwrap();
                }
            } else {
                all.push(ready.id);
            }
        });
        sizes.push(size);
        if result == Ok(LoopResult::Empty) || sizes.len() == 5 {
            break;
        }
    }
    assert_eq!(sizes, [34, 17, 0]);
    assert_eq!(all, events);
}

#[test]
fn deletion_takes_an_event_out_of_either_queue() {
    let bed = Bed::new();
    let events = [bed.user(), bed.user()];
    bed.base.activate(events[0], What::READ).unwrap();
    bed.base.activate_later(events[1], What::READ).unwrap();
    for event in events {
        bed.base.del(event).unwrap();
        assert_eq!(bed.base.pending(event, What::all()).unwrap(), What::empty());
    }
    assert_eq!(bed.run(WAIT), (LoopResult::Empty, vec![]));
}

#[test]
fn a_one_shot_event_activated_by_hand_is_no_longer_pending_afterwards() {
    let bed = Bed::new();
    let reader = bed.io(3, What::READ);
    bed.base.add(reader, Some(ms(100))).unwrap();
    bed.base.activate(reader, What::WRITE).unwrap();
    assert_eq!(bed.run(WAIT), (LoopResult::Empty, vec![(reader, What::WRITE)]));
    assert_eq!(bed.script.take_changes().last().map(|change| change.wanted), Some(What::empty()));
}

#[test]
fn activation_reports_whether_it_queued_the_event() {
    let bed = Bed::new();
    let event = bed.user();
    assert_eq!(bed.base.activate(event, What::READ), Ok(true));
    assert_eq!(bed.base.activate(event, What::WRITE), Ok(false));
    assert_eq!(bed.base.activate_later(event, What::WRITE), Ok(false));
    assert_eq!(bed.base.defer(event, What::WRITE), Ok(false));
    bed.base.del(event).unwrap();
    assert_eq!(bed.base.activate_later(event, What::READ), Ok(true));
    assert_eq!(bed.base.activate_later(event, What::READ), Ok(false));
    assert_eq!(bed.base.activate(event, What::READ), Ok(false), "it was queued for the next pass");
    bed.base.del(event).unwrap();
    assert_eq!(bed.base.defer(event, What::READ), Ok(true));
    bed.base.finalize_keep(event).unwrap();
    assert_eq!(bed.base.activate(event, What::READ), Ok(false), "it is being finalized");
    assert_eq!(bed.base.activate_later(event, What::READ), Ok(false));
    assert_eq!(bed.base.defer(event, What::READ), Ok(false));
}

#[test]
fn activation_in_the_events_own_callback_queues_it_for_the_next_pass() {
    let bed = Bed::new();
    let event = bed.user();
    bed.base.activate(event, What::READ).unwrap();
    let result = bed.base.run(ONE_PASS, |base, _| {
        assert_eq!(base.activate(event, What::READ), Ok(true));
        assert_eq!(base.activate(event, What::READ), Ok(false));
    });
    assert_eq!(result, Ok(LoopResult::Stopped));
}

#[test]
fn a_signal_event_reports_whether_its_calls_queued_it() {
    let bed = Bed::new();
    let event = bed.base.create(EventSpec::signal(libc::SIGUSR1)).unwrap();
    assert_eq!(bed.base.activate_signal(event, What::SIGNAL, 0), Ok(false));
    assert_eq!(bed.base.activate_signal(event, What::SIGNAL, 2), Ok(true));
    assert_eq!(bed.base.activate_signal(event, What::SIGNAL, 2), Ok(false));
}

#[test]
fn creating_and_activating_is_one_call_at_any_priority() {
    let bed = Bed::with(|config| config.set_priorities(3));
    let spec = |priority| EventSpec::user().priority(priority).transient();
    let [last, first] =
        [2, 0].map(|priority| bed.base.create_and_activate(spec(priority), What::WRITE).unwrap());
    let middle = bed.base.create_and_defer(spec(1), What::READ).unwrap();
    assert_eq!(bed.run(WAIT).1, [(first, What::WRITE), (middle, What::READ), (last, What::WRITE)]);
    assert_eq!(bed.base.live_events(), Ok(0));
    let refused = Err(Error::OutOfRange("the priority"));
    assert_eq!(bed.base.create_and_activate(spec(3), What::READ), refused);
    assert_eq!(bed.base.create_and_defer(spec(3), What::READ), refused);
    assert_eq!(bed.base.live_events(), Ok(0));
}

#[test]
fn events_that_are_created_and_deferred_count_towards_the_limit() {
    let bed = Bed::new();
    let starter = bed.user();
    bed.base.activate(starter, What::READ).unwrap();
    let mut dispatched = 0;
    let result = bed.base.run(ONE_PASS, |base, ready| {
        if ready.id == starter {
            // Older than the pass, so that they can join it.
            let spec = EventSpec::user().age(u32::MAX).transient();
            (0..50).for_each(|_| _ = base.create_and_defer(spec, What::READ).unwrap());
        } else {
            dispatched += 1;
        }
    });
    assert_eq!((result, dispatched), (Ok(LoopResult::Stopped), 33));
}
