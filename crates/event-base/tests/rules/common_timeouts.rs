//! Common timeouts: queues beside the heap, which differ from it only in cost.

use std::time::Duration;

use event_base::{CountFlags, Error, EventSpec, LoopResult, What};

use crate::support::{Bed, ONE_PASS, WAIT, ms};

fn ids(line: &[(event_base::EventId, What, u64)]) -> Vec<(event_base::EventId, u64)> {
    line.iter().map(|(id, _, at)| (*id, *at)).collect()
}

#[test]
fn one_duration_is_one_common_timeout_of_its_base() {
    let (bed, other) = (Bed::new(), Bed::new());
    let second = bed.base.common_timeout(ms(1_000)).unwrap();
    assert_eq!(bed.base.common_timeout(Duration::from_secs(1)), Ok(second));
    assert_ne!(bed.base.common_timeout(ms(1_001)), Ok(second));
    assert_ne!(other.base.common_timeout(ms(1_000)), Ok(second));
    assert_eq!(second.duration(), ms(1_000));
}

#[test]
fn a_base_has_256_durations() {
    let bed = Bed::new();
    let first = bed.base.common_timeout(ms(0)).unwrap();
    for duration in 1..256 {
        bed.base.common_timeout(ms(duration)).unwrap();
    }
    let error = bed.base.common_timeout(ms(256)).unwrap_err();
    assert!(matches!(error, Error::OutOfRange(_)), "{error:?}");
    assert_eq!(bed.base.common_timeout(ms(0)), Ok(first));
    let last = bed.base.common_timeout(ms(255)).unwrap();
    let timer = bed.base.create_and_add_common(EventSpec::timer(), last).unwrap();
    assert_eq!(ids(&bed.timeline(ms(300))), [(timer, 255)]);
}

#[test]
fn the_common_timeout_of_another_base_is_refused() {
    let (bed, other) = (Bed::new(), Bed::new());
    let mine = bed.base.common_timeout(ms(10)).unwrap();
    let foreign = other.base.common_timeout(ms(10)).unwrap();
    let reader = bed.io(3, What::READ);
    for result in [
        bed.base.add_common(reader, foreign),
        bed.base.create_and_add_common(EventSpec::timer(), foreign).map(drop),
    ] {
        assert!(matches!(result, Err(Error::OutOfRange(_))), "{result:?}");
    }
    assert_eq!(bed.base.is_idle(reader), Ok(true));
    assert_eq!(bed.base.live_events(), Ok(1));
    bed.base.add_common(reader, mine).unwrap();
}

#[test]
fn queues_and_heap_fire_in_the_order_of_deadlines_and_then_of_adding() {
    let bed = Bed::new();
    let [ten, twenty] = [10, 20].map(|after| bed.base.common_timeout(ms(after)).unwrap());
    let common = |timeout| bed.base.create_and_add_common(EventSpec::timer(), timeout).unwrap();
    let (a, b, c, d, e) = (common(twenty), bed.timer(ms(10)), common(ten), bed.timer(ms(20)), common(twenty));
    let f = bed.timer(ms(10));
    let g = bed.timer(ms(15));
    assert_eq!(ids(&bed.timeline(ms(100))), [(b, 10), (c, 10), (f, 10), (g, 15), (a, 20), (d, 20), (e, 20)]);
}

#[test]
fn adding_again_moves_an_event_between_a_timeout_of_its_own_and_common_ones() {
    let bed = Bed::new();
    let [ten, twenty] = [10, 20].map(|after| bed.base.common_timeout(ms(after)).unwrap());
    let events: Vec<_> = (0..4).map(|_| bed.base.create(EventSpec::timer()).unwrap()).collect();
    for event in &events {
        bed.base.add(*event, Some(ms(50))).unwrap();
        bed.base.add_common(*event, ten).unwrap();
    }
    bed.base.add(events[0], Some(ms(5))).unwrap();
    bed.base.add_common(events[1], twenty).unwrap();
    bed.base.add_common(events[2], ten).unwrap();
    assert_eq!(bed.base.count_events(CountFlags::ADDED), Ok(4));
    assert_eq!(
        ids(&bed.timeline(ms(100))),
        [(events[0], 5), (events[3], 10), (events[2], 10), (events[1], 20)]
    );
    assert_eq!(bed.base.count_events(CountFlags::ADDED), Ok(0));
}

#[test]
fn postponing_again_and_again_keeps_a_common_timeout_from_firing() {
    let bed = Bed::new();
    let idle = bed.base.common_timeout(ms(30)).unwrap();
    let reader = bed.base.create_and_add_common(EventSpec::io(3, What::READ).persist(), idle).unwrap();
    for _ in 0..10 {
        bed.clock.advance(ms(29));
        bed.base.add_common(reader, idle).unwrap();
        assert_eq!(bed.run(ONE_PASS), (LoopResult::Stopped, vec![]));
    }
    assert_eq!(ids(&bed.timeline(ms(330))), [(reader, 320)]);
}

#[test]
fn a_persistent_event_stays_in_its_queue_and_keeps_its_phase() {
    let bed = Bed::new();
    let common = bed.base.common_timeout(ms(10)).unwrap();
    let spec = EventSpec::timer().persist();
    let [a, b] = [spec, spec].map(|spec| bed.base.create_and_add_common(spec, common).unwrap());
    bed.clock.advance(ms(3));
    let late = bed.base.create_and_add_common(EventSpec::timer(), common).unwrap();
    let mut line = vec![];
    bed.base.loop_exit(Some(ms(28))).unwrap();
    bed.base
        .run(WAIT, |base, ready| {
            line.push((ready.id, bed.elapsed().as_millis()));
            if ready.id == a && bed.elapsed() == ms(10) {
                // A long callback, and a deadline later than those of the periods that began before it.
                bed.clock.advance(ms(4));
                base.update_cached_time().unwrap();
                base.add_common(late, common).unwrap();
            }
        })
        .unwrap();
    assert_eq!(line, [(a, 10), (b, 14), (a, 20), (b, 20), (late, 24), (a, 30), (b, 30)]);
    assert_eq!(bed.base.count_events(CountFlags::ADDED), Ok(2));
}

#[test]
fn another_duration_takes_the_place_of_the_period() {
    let bed = Bed::new();
    let [ten, four] = [10, 4].map(|after| bed.base.common_timeout(ms(after)).unwrap());
    let timer = bed.periodic(ms(3));
    bed.base.add_common(timer, ten).unwrap();
    assert_eq!(ids(&bed.timeline(ms(25))), [(timer, 10), (timer, 20)]);
    bed.base.add_common(timer, four).unwrap();
    assert_eq!(ids(&bed.timeline(ms(34))), [(timer, 29), (timer, 33)]);
    bed.base.add(timer, Some(ms(8))).unwrap();
    assert_eq!(ids(&bed.timeline(ms(52))), [(timer, 42), (timer, 50)]);
}

#[test]
fn a_common_timeout_of_zero_fires_once_in_every_pass() {
    let bed = Bed::new();
    let now = bed.base.common_timeout(ms(0)).unwrap();
    let timer = bed.base.create_and_add_common(EventSpec::timer().persist(), now).unwrap();
    for _ in 0..3 {
        assert_eq!(bed.run(ONE_PASS), (LoopResult::Stopped, vec![(timer, What::TIMEOUT)]));
    }
}

#[test]
fn deadlines_in_queues_are_reported_like_others() {
    let bed = Bed::new();
    let common = bed.base.common_timeout(ms(10)).unwrap();
    let wall = bed.base.now().unwrap();
    let single = bed.timer(ms(20));
    let reader = bed.base.create_and_add_common(EventSpec::io(3, What::READ), common).unwrap();
    let timer = bed.base.create_and_add_common(EventSpec::timer(), common).unwrap();
    assert_eq!(bed.base.pending(reader, What::all()), Ok(What::READ | What::TIMEOUT));
    assert_eq!(bed.base.expires_at(timer), Ok(Some(wall + ms(10))));
    let listed: Vec<_> =
        bed.base.events().unwrap().iter().map(|event| (event.id, event.expires_at)).collect();
    let at = |after| Some(wall + ms(after));
    assert_eq!(listed, [(reader, at(10)), (timer, at(10)), (single, at(20))]);
    bed.base.activate_by_fd(3, What::TIMEOUT).unwrap();
    assert_eq!(bed.run(ONE_PASS).1, [(reader, What::TIMEOUT)]);
    assert_eq!(bed.base.count_events(CountFlags::ADDED), Ok(2));
    bed.base.remove_timer(timer).unwrap();
    assert_eq!(bed.base.expires_at(timer), Ok(None));
    assert_eq!(bed.base.count_events(CountFlags::ADDED), Ok(1));
}

#[test]
fn an_expired_event_that_is_added_again_waits_for_its_new_deadline() {
    let bed = Bed::new();
    let common = bed.base.common_timeout(ms(10)).unwrap();
    let [a, b] = [(), ()].map(|()| bed.base.create_and_add_common(EventSpec::timer(), common).unwrap());
    let mut line = vec![];
    bed.base
        .run(WAIT, |base, ready| {
            line.push((ready.id, bed.elapsed().as_millis()));
            if line.len() == 1 {
                base.add_common(b, common).unwrap();
            }
        })
        .unwrap();
    assert_eq!(line, [(a, 10), (b, 20)]);
}

#[test]
fn a_base_may_be_closed_with_full_queues() {
    let bed = Bed::new();
    let [ten, twenty] = [10, 20].map(|after| bed.base.common_timeout(ms(after)).unwrap());
    for _ in 0..50 {
        bed.base.create_and_add_common(EventSpec::timer(), ten).unwrap();
        bed.base.create_and_add_common(EventSpec::timer().persist(), twenty).unwrap();
    }
    let timer = bed.base.create(EventSpec::timer()).unwrap();
    bed.base.close().unwrap();
    assert_eq!(bed.base.common_timeout(ms(10)), Err(Error::Closed));
    assert_eq!(bed.base.add_common(timer, ten), Err(Error::Closed));
}

#[test]
fn a_stale_id_cannot_be_added_with_a_common_timeout() {
    let bed = Bed::new();
    let common = bed.base.common_timeout(ms(10)).unwrap();
    let timer = bed.base.create_and_add_common(EventSpec::timer(), common).unwrap();
    bed.base.free(timer).unwrap();
    assert_eq!(bed.base.add_common(timer, common), Err(Error::Closed));
    let successor = bed.timer(ms(5));
    assert_eq!(ids(&bed.timeline(ms(50))), [(successor, 5)]);
}
