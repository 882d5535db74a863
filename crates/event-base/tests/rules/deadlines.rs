//! When timers fire: never early, in a defined order, counted from a defined time.

use event_base::{EventSpec, LoopResult, What};

use crate::support::{Bed, ONE_PASS, WAIT, fd, ms, pair, run};

#[test]
fn the_loop_wakes_only_at_deadlines_of_timers() {
    let bed = Bed::new();
    let late = bed.timer(ms(250));
    let early = bed.timer(ms(40));
    let exact = bed
        .base
        .create_and_add(EventSpec::timer(), Some(std::time::Duration::from_nanos(40_000_001)))
        .unwrap();
    let line = bed.timeline(ms(300));
    assert_eq!(line, [(early, What::TIMEOUT, 40), (exact, What::TIMEOUT, 40), (late, What::TIMEOUT, 250)]);
    let waits: Vec<_> = bed.script.take_waits().into_iter().map(|wait| wait.unwrap().as_nanos()).collect();
    assert_eq!(waits, [40_000_000, 1, 209_999_999, 50_000_000]);
}

/// P3: libevent's heap fires ten equal timers in the order a j i h g f e d c b.
#[test]
fn equal_deadlines_fire_in_the_order_of_adding() {
    let bed = Bed::new();
    let timers: Vec<_> = (0..10).map(|_| bed.timer(ms(10))).collect();
    let (result, trace) = bed.run(WAIT);
    assert_eq!(result, LoopResult::Empty);
    assert_eq!(trace.into_iter().map(|(id, _)| id).collect::<Vec<_>>(), timers);
}

/// W1: libevent computes the wait from the time before the callbacks.
#[test]
fn time_that_callbacks_take_does_not_make_timers_late() {
    let bed = Bed::new();
    let slow = bed.timer(ms(10));
    let other = bed.timer(ms(100));
    let mut fired = Vec::new();
    bed.base
        .run(WAIT, |_, ready| {
            fired.push((ready.id, bed.elapsed()));
            if ready.id == slow {
                bed.clock.advance(ms(60));
            }
        })
        .unwrap();
    assert_eq!(fired, [(slow, ms(10)), (other, ms(100))]);
    assert_eq!(bed.script.take_waits(), [Some(ms(10)), Some(ms(30))]);
}

#[test]
fn a_timer_added_in_a_callback_counts_from_the_start_of_the_pass() {
    let bed = Bed::new();
    let first = bed.timer(ms(10));
    let second = bed.user();
    let mut fired = Vec::new();
    bed.base
        .run(WAIT, |base, ready| {
            fired.push((ready.id, bed.elapsed()));
            if ready.id == first {
                bed.clock.advance(ms(30));
                base.add(second, Some(ms(50))).unwrap();
            }
        })
        .unwrap();
    assert_eq!(fired, [(first, ms(10)), (second, ms(60))]);
}

#[test]
fn adding_again_replaces_the_deadline() {
    let bed = Bed::new();
    let sooner = bed.timer(ms(100));
    bed.base.add(sooner, Some(ms(20))).unwrap();
    let later = bed.timer(ms(10));
    bed.base.add(later, Some(ms(50))).unwrap();
    assert_eq!(bed.timeline(ms(200)), [(sooner, What::TIMEOUT, 20), (later, What::TIMEOUT, 50)]);
}

#[test]
fn adding_again_without_a_timeout_keeps_the_deadline() {
    let bed = Bed::new();
    let timer = bed.timer(ms(30));
    bed.clock.advance(ms(10));
    bed.base.add(timer, None).unwrap();
    assert_eq!(bed.timeline(ms(100)), [(timer, What::TIMEOUT, 30)]);
}

#[test]
fn adding_a_timer_without_a_timeout_does_nothing() {
    let bed = Bed::new();
    let timer = bed.user();
    bed.base.add(timer, None).unwrap();
    assert_eq!(bed.base.pending(timer, What::all()).unwrap(), What::empty());
    assert_eq!(bed.run(WAIT), (LoopResult::Empty, vec![]));
}

#[test]
fn a_new_deadline_cancels_a_timeout_that_was_not_dispatched() {
    let bed = Bed::new();
    let first = bed.timer(ms(10));
    let second = bed.timer(ms(10));
    let mut fired = Vec::new();
    bed.base
        .run(WAIT, |base, ready| {
            fired.push((ready.id, ready.what, bed.elapsed()));
            if ready.id == first {
                assert_eq!(base.pending(second, What::TIMEOUT).unwrap(), What::TIMEOUT);
                base.add(second, Some(ms(25))).unwrap();
            }
        })
        .unwrap();
    assert_eq!(fired, [(first, What::TIMEOUT, ms(10)), (second, What::TIMEOUT, ms(35))]);
}

/// libevent cancels the whole result, so that the readiness of an edge-triggered event is lost.
#[test]
fn a_new_deadline_does_not_cancel_readiness() {
    let bed = Bed::new();
    let first = bed.timer(ms(10));
    let reader = bed.io(3, What::READ | What::ET | What::PERSIST);
    bed.base.add(reader, Some(ms(10))).unwrap();
    bed.script.then(ms(10), &[(3, What::READ)]);
    let mut fired = Vec::new();
    bed.base.loop_exit(Some(ms(30))).unwrap();
    bed.base.activate(first, What::TIMEOUT).unwrap();
    bed.base
        .run(WAIT, |base, ready| {
            fired.push((ready.id, ready.what, bed.elapsed()));
            if bed.elapsed() < ms(10) {
                base.add(first, Some(ms(10))).unwrap();
            } else if ready.id == first {
                base.add(reader, Some(ms(500))).unwrap();
            }
        })
        .unwrap();
    let read = What::READ | What::ET;
    // The reader became ready before the timer expired, so it was dispatched before the deadline changes.
    assert_eq!(fired[1], (reader, read | What::TIMEOUT, ms(10)), "{fired:?}");

    // In the other order: the event that changes the deadline is dispatched first.
    let bed = Bed::new();
    let reader = bed.io(3, What::READ | What::ET | What::PERSIST);
    let mover = bed.io(3, What::READ | What::ET | What::PERSIST);
    bed.base.add(mover, None).unwrap();
    bed.base.add(reader, Some(ms(10))).unwrap();
    bed.script.then(ms(10), &[(3, What::READ)]);
    bed.base.loop_exit(Some(ms(30))).unwrap();
    let mut fired = Vec::new();
    bed.base
        .run(WAIT, |base, ready| {
            fired.push((ready.id, ready.what));
            if ready.id == mover {
                base.add(reader, Some(ms(500))).unwrap();
            }
        })
        .unwrap();
    assert_eq!(fired, [(mover, read), (reader, read)]);
}

#[test]
fn a_timeout_of_zero_fires_in_the_next_pass() {
    let bed = Bed::new();
    let timer = bed.timer(ms(0));
    assert_eq!(bed.run(ONE_PASS), (LoopResult::Stopped, vec![(timer, What::TIMEOUT)]));
    assert_eq!(bed.elapsed(), ms(0));
}

#[test]
fn a_timeout_that_is_too_long_never_expires() {
    let bed = Bed::new();
    let timer = bed.timer(std::time::Duration::MAX);
    assert_eq!(bed.timeline(ms(100)), []);
    assert_eq!(bed.base.pending(timer, What::TIMEOUT).unwrap(), What::TIMEOUT);
    bed.base.del(timer).unwrap();
    assert_eq!(bed.run(WAIT).0, LoopResult::Empty);
}

#[test]
fn a_deleted_timer_does_not_fire_even_if_it_has_expired() {
    let bed = Bed::new();
    let first = bed.timer(ms(10));
    let second = bed.timer(ms(10));
    let mut fired = Vec::new();
    bed.base
        .run(WAIT, |base, ready| {
            fired.push(ready.id);
            base.del(second).unwrap();
        })
        .unwrap();
    assert_eq!(fired, [first]);
}

#[test]
fn removing_the_timer_leaves_the_interest() {
    let bed = Bed::new();
    let reader = bed.io(3, What::READ);
    bed.base.add(reader, Some(ms(10))).unwrap();
    bed.base.remove_timer(reader).unwrap();
    bed.base.remove_timer(reader).unwrap();
    assert_eq!(bed.base.pending(reader, What::all()).unwrap(), What::READ);
    bed.script.then(ms(50), &[(3, What::READ)]);
    assert_eq!(bed.run(WAIT), (LoopResult::Empty, vec![(reader, What::READ)]));
}

#[test]
fn removing_the_timer_ends_the_period() {
    let bed = Bed::new();
    let timer = bed.periodic(ms(10));
    let mut count = 0;
    let result = bed.base.run(WAIT, |base, ready| {
        count += 1;
        if count == 3 {
            base.remove_timer(ready.id).unwrap();
        }
    });
    assert_eq!((result, count), (Ok(LoopResult::Empty), 3));
    assert_eq!(bed.base.expires_at(timer).unwrap(), None);
}

/// A one-shot event with a deadline fires for whichever comes first.
#[test]
fn readiness_disarms_the_deadline_of_a_one_shot_event() {
    let bed = Bed::new();
    let reader = bed.io(3, What::READ);
    bed.base.add(reader, Some(ms(20))).unwrap();
    bed.script.then(ms(5), &[(3, What::READ)]);
    assert_eq!(bed.run(WAIT), (LoopResult::Empty, vec![(reader, What::READ)]));
    assert_eq!(bed.elapsed(), ms(5));
}

/// W4: libevent returns 0 and does not watch the descriptor.
#[test]
fn an_expired_event_that_is_added_again_watches_its_descriptor_again() {
    let base = crate::support::base();
    let (reader, writer) = pair();
    let first = base.create_and_add(EventSpec::timer(), Some(ms(1))).unwrap();
    let event = base.create_and_add(EventSpec::io(fd(&reader), What::READ), Some(ms(1))).unwrap();
    std::thread::sleep(ms(5));
    let mut trace = Vec::new();
    base.run(WAIT, |base, ready| {
        trace.push((ready.id, ready.what));
        if ready.id == first {
            base.add(event, Some(ms(5_000))).unwrap();
            assert_eq!(base.pending(event, What::all()).unwrap(), What::READ | What::TIMEOUT);
            std::io::Write::write_all(&mut &writer, b"x").unwrap();
        }
    })
    .unwrap();
    assert_eq!(trace, [(first, What::TIMEOUT), (event, What::READ)]);
}

#[test]
fn an_event_added_while_active_is_pending() {
    let bed = Bed::new();
    let reader = bed.io(3, What::READ | What::PERSIST);
    bed.base.activate(reader, What::READ).unwrap();
    bed.base.add(reader, None).unwrap();
    assert_eq!(run(&bed.base, ONE_PASS).1, [(reader, What::READ)]);
    assert_eq!(bed.base.pending(reader, What::all()).unwrap(), What::READ);
}
