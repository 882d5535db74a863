//! W14 and W15: a pass ends whatever its callbacks do, and then the loop polls descriptors, timers and exits.

use event_base::{EventSpec, LoopFlags, LoopResult, What};

use crate::support::{Bed, ONE_PASS, POLL, WAIT, ms};

/// In libevent the pass does not end.
#[test]
fn an_event_that_activates_itself_runs_once_a_pass() {
    let bed = Bed::new();
    let busy = bed.user();
    let reader = bed.io(3, What::READ | What::PERSIST);
    bed.base.add(reader, None).unwrap();
    bed.base.activate(busy, What::READ).unwrap();
    let mut trace = Vec::new();
    for _ in 0..3 {
        bed.script.then(ms(0), &[(3, What::READ)]);
        let result = bed.base.run(ONE_PASS, |base, ready| {
            trace.push(ready.id);
            if ready.id == busy {
                base.activate(busy, What::READ).unwrap();
            }
        });
        assert_eq!(result, Ok(LoopResult::Stopped));
    }
    assert_eq!(trace, [busy, reader].repeat(3));
}

#[test]
fn two_events_that_activate_each_other_run_once_a_pass() {
    let bed = Bed::new();
    let pair = [bed.user(), bed.user()];
    bed.base.activate(pair[0], What::READ).unwrap();
    let mut runs = 0;
    bed.base
        .run(ONE_PASS, |base, ready| {
            runs += 1;
            let other = if ready.id == pair[0] { pair[1] } else { pair[0] };
            base.activate(other, What::READ).unwrap();
        })
        .unwrap();
    assert_eq!(runs, 2);
}

#[test]
fn a_chain_of_once_is_one_link_a_pass() {
    let bed = Bed::new();
    bed.base.once(-1, What::TIMEOUT, 1, None).unwrap();
    let mut links = 0;
    for pass in 1..=5 {
        bed.base
            .run(ONE_PASS, |base, _| {
                links += 1;
                base.once(-1, What::TIMEOUT, 1, None).unwrap();
            })
            .unwrap();
        assert_eq!(links, pass);
    }
}

#[test]
fn a_chain_of_new_events_is_one_link_a_pass() {
    let bed = Bed::new();
    let first = bed.user();
    bed.base.activate(first, What::READ).unwrap();
    let mut links = 0;
    for pass in 1..=5 {
        bed.base
            .run(ONE_PASS, |base, _| {
                links += 1;
                let next = base.create(EventSpec::user()).unwrap();
                base.activate(next, What::READ).unwrap();
            })
            .unwrap();
        assert_eq!(links, pass);
    }
}

/// An event whose age is older than the pass counts as created before it.
#[test]
fn an_event_older_than_the_pass_joins_it() {
    for (age, passes) in [(0, 2), (1, 2), (2, 1)] {
        let bed = Bed::new();
        let users = [bed.user(), bed.user()];
        for user in users {
            bed.base.activate(user, What::READ).unwrap();
        }
        let mut trace = Vec::new();
        let mut late = None;
        let mut count = 0;
        while trace.len() < 3 {
            count += 1;
            bed.base
                .run(ONE_PASS, |base, ready| {
                    trace.push(ready.id);
                    if trace.len() == 2 {
                        let id = base.create(EventSpec::user().age(age)).unwrap();
                        base.activate(id, What::READ).unwrap();
                        late = Some(id);
                    }
                })
                .unwrap();
        }
        assert_eq!((trace.last().copied(), count), (late, passes));
    }
}

#[test]
fn busy_events_do_not_keep_timers_from_firing() {
    let bed = Bed::new();
    let busy = bed.user();
    let timer = bed.timer(ms(3));
    bed.base.activate(busy, What::READ).unwrap();
    let mut trace = Vec::new();
    bed.base
        .run(WAIT, |base, ready| {
            trace.push(ready.id);
            if ready.id == timer {
                base.loop_break().unwrap();
            }
            bed.clock.advance(ms(1));
            base.activate(busy, What::READ).unwrap();
        })
        .unwrap();
    assert_eq!(trace, [busy, busy, busy, busy, timer]);
}

#[test]
fn busy_events_do_not_keep_the_loop_from_being_left() {
    let bed = Bed::new();
    let busy = bed.user();
    bed.base.activate(busy, What::READ).unwrap();
    let mut runs = 0;
    let result = bed.base.run(WAIT, |base, _| {
        runs += 1;
        base.activate(busy, What::READ).unwrap();
        if runs == 3 {
            base.loop_exit(None).unwrap();
        }
    });
    assert_eq!((result, runs), (Ok(LoopResult::Stopped), 3));

    let mut runs = 0;
    bed.base.loop_exit(Some(ms(5))).unwrap();
    bed.base
        .run(WAIT, |base, _| {
            runs += 1;
            bed.clock.advance(ms(1));
            base.activate(busy, What::READ).unwrap();
        })
        .unwrap();
    assert_eq!(runs, 6);
}

/// W14: libevent polls repeatedly while a descriptor is ready.
#[test]
fn nonblock_polls_once_although_a_descriptor_stays_ready() {
    let bed = Bed::new();
    let writer = bed.io(3, What::WRITE | What::PERSIST);
    bed.base.add(writer, None).unwrap();
    for _ in 0..10 {
        bed.script.then(ms(0), &[(3, What::WRITE)]);
    }
    assert_eq!(bed.run(POLL), (LoopResult::Stopped, vec![(writer, What::WRITE)]));
    assert_eq!(bed.script.take_waits(), [Some(ms(0))]);
}

#[test]
fn nonblock_runs_all_that_is_ready_of_every_priority() {
    let bed = Bed::with(|config| config.set_priorities(3));
    let events: Vec<_> =
        [2, 0, 1].map(|priority| bed.base.create(EventSpec::user().priority(priority)).unwrap()).into();
    for &event in &events {
        bed.base.activate(event, What::READ).unwrap();
    }
    let (result, trace) = bed.run(POLL);
    assert_eq!(result, LoopResult::Empty);
    let order: Vec<_> = trace.iter().map(|(id, _)| *id).collect();
    assert_eq!(order, [events[1], events[2], events[0]]);
}

#[test]
fn nonblock_returns_stopped_while_an_event_is_pending_and_empty_otherwise() {
    let bed = Bed::new();
    assert_eq!(bed.run(POLL), (LoopResult::Empty, vec![]));
    let timer = bed.timer(ms(10));
    assert_eq!(bed.run(POLL), (LoopResult::Stopped, vec![]));
    bed.clock.advance(ms(10));
    assert_eq!(bed.run(POLL), (LoopResult::Empty, vec![(timer, What::TIMEOUT)]));
}

#[test]
fn nonblock_ends_although_events_activate_themselves() {
    let bed = Bed::new();
    let busy = bed.user();
    bed.base.activate(busy, What::READ).unwrap();
    let mut runs = 0;
    let result = bed.base.run(POLL, |base, _| {
        runs += 1;
        base.activate(busy, What::READ).unwrap();
    });
    assert_eq!((result, runs), (Ok(LoopResult::Stopped), 1));
}

#[test]
fn nonblock_ends_although_events_of_two_priorities_activate_each_other() {
    let bed = Bed::with(|config| config.set_priorities(2));
    let pair = [0, 1].map(|priority| bed.base.create(EventSpec::user().priority(priority)).unwrap());
    bed.base.activate(pair[0], What::READ).unwrap();
    let mut runs = 0;
    let result = bed.base.run(POLL, |base, ready| {
        runs += 1;
        if runs == 100 {
            base.loop_break().unwrap();
        }
        let other = if ready.id == pair[0] { pair[1] } else { pair[0] };
        base.activate(other, What::READ).unwrap();
    });
    assert_eq!((result, runs), (Ok(LoopResult::Stopped), 2));
}

#[test]
fn once_waits_for_the_first_active_event_and_runs_it() {
    let bed = Bed::new();
    let first = bed.timer(ms(10));
    bed.timer(ms(20));
    assert_eq!(bed.run(LoopFlags::ONCE), (LoopResult::Stopped, vec![(first, What::TIMEOUT)]));
    assert_eq!(bed.elapsed(), ms(10));
}
