//! Strict priorities: the most urgent queue that has events is dispatched, the others wait for the next pass.

use event_base::{Config, Error, EventId, EventSpec, LoopResult, MAX_PRIORITIES, What};

use crate::support::{Bed, ONE_PASS, WAIT, ms};

fn bed(priorities: u8) -> Bed {
    Bed::with(|config| config.set_priorities(priorities))
}

fn user(bed: &Bed, priority: u8) -> EventId {
    bed.base.create(EventSpec::user().priority(priority)).unwrap()
}

fn order(bed: &Bed) -> Vec<EventId> {
    bed.run(WAIT).1.into_iter().map(|(id, _)| id).collect()
}

#[test]
fn urgent_events_come_first_and_equal_ones_in_the_order_of_activation() {
    let bed = bed(3);
    let events: Vec<_> = [2, 1, 0, 1, 2, 0].map(|priority| user(&bed, priority)).into();
    for &event in &events {
        bed.base.activate(event, What::READ).unwrap();
    }
    assert_eq!(order(&bed), [events[2], events[5], events[1], events[3], events[0], events[4]]);
}

#[test]
fn each_priority_is_a_pass_that_polls_first() {
    let bed = bed(2);
    let low = user(&bed, 1);
    let high = user(&bed, 0);
    let reader = bed.base.create_and_add(EventSpec::io(3, What::READ).priority(0), None).unwrap();
    bed.base.activate(low, What::READ).unwrap();
    bed.base.activate(high, What::READ).unwrap();
    bed.script.then(ms(0), &[]);
    bed.script.then(ms(0), &[(3, What::READ)]);
    assert_eq!(order(&bed), [high, reader, low]);
}

#[test]
fn an_urgent_event_activated_in_a_callback_comes_next() {
    let bed = bed(2);
    let low = [user(&bed, 1), user(&bed, 1), user(&bed, 1)];
    let high = user(&bed, 0);
    for event in low {
        bed.base.activate(event, What::READ).unwrap();
    }
    let mut trace = Vec::new();
    bed.base
        .run(WAIT, |base, ready| {
            trace.push(ready.id);
            if ready.id == low[0] {
                base.activate(high, What::READ).unwrap();
            }
        })
        .unwrap();
    assert_eq!(trace, [low[0], high, low[1], low[2]]);
}

#[test]
fn an_urgent_event_created_in_a_callback_comes_next() {
    let bed = bed(2);
    let low = [user(&bed, 1), user(&bed, 1)];
    for event in low {
        bed.base.activate(event, What::READ).unwrap();
    }
    let mut trace = Vec::new();
    bed.base
        .run(WAIT, |base, ready| {
            trace.push(ready.data);
            if ready.id == low[0] {
                let high = base.create(EventSpec::user().priority(0).data(9)).unwrap();
                base.activate(high, What::READ).unwrap();
            }
        })
        .unwrap();
    assert_eq!(trace, [0, 9, 0]);
}

#[test]
fn the_default_priority_is_the_middle_one() {
    for (count, middle) in [(1, 0), (2, 1), (3, 1), (MAX_PRIORITIES, 127)] {
        let bed = bed(count);
        assert_eq!(bed.base.priority(bed.user()).unwrap(), middle);
    }
}

#[test]
fn a_priority_changes_while_the_event_is_pending_but_not_while_it_is_active() {
    let bed = bed(3);
    let event = bed.timer(ms(10));
    bed.base.set_priority(event, 0).unwrap();
    assert_eq!(bed.base.priority(event).unwrap(), 0);
    bed.base.activate_later(event, What::READ).unwrap();
    bed.base.set_priority(event, 2).unwrap();
    bed.base.activate(event, What::READ).unwrap();
    assert_eq!(bed.base.set_priority(event, 1), Err(Error::Active));
    assert_eq!(bed.run(WAIT).1, [(event, What::READ)]);
    assert_eq!(bed.base.priority(event).unwrap(), 2);
}

/// W25: libevent's constant is 256, its check refuses 256.
#[test]
fn every_number_of_priorities_up_to_the_constant_works() {
    let bed = bed(MAX_PRIORITIES);
    assert_eq!(bed.base.priorities().unwrap(), 255);
    let last = user(&bed, 254);
    let first = user(&bed, 0);
    bed.base.activate(last, What::READ).unwrap();
    bed.base.activate(first, What::READ).unwrap();
    assert_eq!(order(&bed), [first, last]);
    let refused = bed.base.create(EventSpec::user().priority(255));
    assert_eq!(refused, Err(Error::OutOfRange("the priority")));
}

/// W25: libevent keeps a priority that no longer exists, and fails an assertion when the event becomes active.
#[test]
fn events_of_a_removed_priority_get_the_least_urgent_one() {
    let bed = bed(10);
    let events = [user(&bed, 9), user(&bed, 1), user(&bed, 0)];
    bed.base.set_priorities(2).unwrap();
    assert_eq!(events.map(|event| bed.base.priority(event).unwrap()), [1, 1, 0]);
    for event in events {
        bed.base.activate(event, What::READ).unwrap();
    }
    assert_eq!(order(&bed), [events[2], events[0], events[1]]);
}

#[test]
fn the_number_of_priorities_cannot_change_while_an_event_is_active() {
    let bed = bed(2);
    let event = bed.user();
    for later in [false, true] {
        if later {
            bed.base.activate_later(event, What::READ).unwrap();
        } else {
            bed.base.activate(event, What::READ).unwrap();
        }
        assert_eq!(bed.base.set_priorities(3), Err(Error::Active));
        bed.base.del(event).unwrap();
    }
    bed.base.set_priorities(3).unwrap();
    assert_eq!(bed.base.priorities().unwrap(), 3);
}

#[test]
fn zero_priorities_are_refused() {
    let error = Error::OutOfRange("the number of priorities");
    assert_eq!(Bed::new().base.set_priorities(0), Err(error));
    assert_eq!(event_base::Base::with_config(&Config::new().set_priorities(0)).err(), Some(error));
}

#[test]
fn the_number_of_priorities_may_shrink_in_a_callback() {
    let bed = bed(5);
    let last = user(&bed, 4);
    bed.base.activate(last, What::READ).unwrap();
    let mut runs = 0;
    let result = bed.base.run(WAIT, |base, ready| {
        runs += 1;
        if runs == 1 {
            base.set_priorities(1).unwrap();
            base.add(ready.id, Some(ms(1))).unwrap();
        }
    });
    assert_eq!((result, runs), (Ok(LoopResult::Empty), 2));
}

#[test]
fn the_number_of_priorities_may_grow_in_a_callback() {
    let bed = bed(1);
    bed.timer(ms(1));
    let mut order = Vec::new();
    bed.base
        .run(WAIT, |base, ready| {
            order.push(ready.data);
            if order.len() == 1 {
                base.set_priorities(3).unwrap();
                for priority in [2, 0] {
                    let event =
                        base.create(EventSpec::user().priority(priority).data(10 + u64::from(priority)));
                    base.activate(event.unwrap(), What::READ).unwrap();
                }
            }
        })
        .unwrap();
    assert_eq!(order, [0, 10, 12]);
}

#[test]
fn once_runs_every_priority_that_has_active_events() {
    let bed = bed(2);
    let events = [user(&bed, 1), user(&bed, 0)];
    for event in events {
        bed.base.activate(event, What::READ).unwrap();
    }
    bed.timer(ms(1));
    let trace: Vec<_> = bed.run(ONE_PASS).1.into_iter().map(|(id, _)| id).collect();
    assert_eq!(trace, [events[1], events[0]]);
}
