//! The statistics of a base, in virtual time.

use std::time::Duration;

use event_base::{Base, EventSpec, Histogram, Stats, Timing, Wait, What};

use crate::support::{Bed, LOOP_ONCE, ONE_PASS, WAIT, ms, next_event, run_watched};

fn timed() -> Bed {
    Bed::with(|config| config.set_timing(true))
}

fn timing(bed: &Bed) -> Timing {
    bed.base.stats().unwrap().timing.unwrap()
}

/// The buckets that are not empty: the least duration of each, and its count.
fn filled(histogram: &Histogram) -> Vec<(Duration, u64)> {
    let counts = histogram.buckets.iter().enumerate().filter(|(_, count)| **count > 0);
    counts.map(|(bucket, count)| (Histogram::least(bucket), *count)).collect()
}

fn counts(stats: &Stats) -> [u64; 5] {
    let events = stats.events;
    [events.io, events.timer, events.signal, events.user, events.finalizer]
}

#[test]
fn each_event_is_counted_once_by_its_result() {
    let bed = Bed::new();
    let results = [
        What::READ,
        What::WRITE | What::TIMEOUT,
        What::CLOSED | What::SIGNAL,
        What::SIGNAL | What::TIMEOUT,
        What::TIMEOUT,
        What::empty(),
    ];
    for what in results {
        bed.base.activate(bed.user(), what).unwrap();
    }
    bed.base.finalize(bed.user()).unwrap();
    assert_eq!(bed.run(WAIT).1.len(), 7);
    assert_eq!(counts(&bed.base.stats().unwrap()), [3, 1, 1, 1, 1]);
}

#[test]
fn passes_and_waits_are_counted() {
    let bed = Bed::new();
    bed.timer(ms(10));
    bed.timer(ms(20));
    bed.run(WAIT);
    let stats = bed.base.stats().unwrap();
    assert_eq!((stats.passes, stats.waits, stats.timing), (2, 2, None));
}

#[test]
fn resetting_returns_the_statistics_and_sets_them_to_zero() {
    for bed in [Bed::new(), timed()] {
        bed.timer(ms(10));
        bed.run(WAIT);
        let before = bed.base.stats().unwrap();
        assert_eq!(before.events.timer, 1);
        assert_eq!(bed.base.reset_stats().unwrap(), before);
        let after = bed.base.stats().unwrap();
        assert_eq!((after.passes, after.waits, counts(&after)), (0, 0, [0; 5]));
        assert_eq!(after.timing, before.timing.map(|_| Timing::default()));
    }
}

#[test]
fn a_callback_lasts_until_the_next_step() {
    let bed = timed();
    let [quick, slow, last] = [bed.timer(ms(1)), bed.timer(ms(1)), bed.timer(ms(1))];
    bed.base
        .run(WAIT, |_, ready| {
            bed.clock.advance(if ready.id == slow { ms(9) } else { Duration::from_micros(1) });
        })
        .unwrap();
    let Timing { callbacks, slowest, .. } = timing(&bed);
    assert_eq!((callbacks.count, callbacks.max), (3, ms(9)));
    assert_eq!(callbacks.total, ms(9) + Duration::from_micros(2));
    assert_eq!(filled(&callbacks), [(Duration::from_micros(1), 2), (Duration::from_micros(8192), 1)]);
    assert_eq!(slowest, Some((slow, ms(9))));
    assert!(quick != last);
}

/// A pass ends by a break, a continue, a limit, or because the loop is left.
#[test]
fn a_callback_that_ends_its_pass_is_measured_too() {
    let bed = timed();
    bed.timer(ms(0));
    bed.base
        .run(WAIT, |base, _| {
            bed.clock.advance(ms(3));
            base.loop_break().unwrap();
        })
        .unwrap();
    assert_eq!(timing(&bed).callbacks.total, ms(3));
    bed.timer(ms(0));
    bed.base
        .run(WAIT, |base, _| {
            bed.clock.advance(ms(4));
            base.loop_continue().unwrap();
        })
        .unwrap();
    assert_eq!(timing(&bed).callbacks.total, ms(7));
    bed.timer(ms(0));
    bed.base.enter(WAIT).unwrap();
    next_event(&bed.base, Wait::Allowed);
    bed.clock.advance(ms(5));
    bed.base.leave();
    assert_eq!(timing(&bed).callbacks.total, ms(12));
    let limited = Bed::with(|config| config.set_timing(true).set_max_dispatch_interval(None, Some(1), 0));
    (0..3).for_each(|_| _ = limited.timer(ms(0)));
    limited.base.run(WAIT, |_, _| limited.clock.advance(ms(2))).unwrap();
    assert_eq!(timing(&limited).callbacks.total, ms(6));
    assert_eq!(timing(&limited).callbacks.count, 3);
}

#[test]
fn time_between_two_events_is_not_measured_if_the_end_of_the_callback_is_reported() {
    let bed = timed();
    let [first, second] = [bed.timer(ms(0)), bed.timer(ms(0))];
    bed.base.enter(WAIT).unwrap();
    for (event, spent) in [(first, ms(1)), (second, ms(2))] {
        assert_eq!(next_event(&bed.base, Wait::Never).id, event);
        bed.clock.advance(spent);
        bed.base.callback_ended().unwrap();
        bed.base.callback_ended().unwrap();
        bed.clock.advance(ms(100));
    }
    bed.base.leave();
    let callbacks = timing(&bed).callbacks;
    assert_eq!((callbacks.count, callbacks.total), (2, ms(3)));
}

#[test]
fn waits_are_measured_including_the_sleep() {
    let bed = timed();
    bed.timer(ms(40));
    bed.base.run(WAIT, |_, _| bed.clock.advance(ms(500))).unwrap();
    let polling = timing(&bed).polling;
    assert_eq!((polling.count, polling.total, polling.max), (1, ms(40), ms(40)));
}

#[test]
fn the_lag_of_a_timer_is_the_time_from_its_deadline_to_the_loop_finding_it() {
    let bed = timed();
    bed.timer(ms(10));
    bed.timer(ms(15));
    bed.base.run(WAIT, |_, _| bed.clock.advance(ms(25))).unwrap();
    let lag = timing(&bed).timer_lag;
    assert_eq!((lag.count, lag.total, lag.max), (2, ms(20), ms(20)));
    assert_eq!(filled(&lag)[0], (Duration::ZERO, 1));
}

/// With timing the clock is read after every callback, but the time that callbacks see stays cached.
#[test]
fn timing_does_not_change_the_time_that_callbacks_see() {
    let bed = timed();
    (0..3).for_each(|_| _ = bed.timer(ms(1)));
    let mut seen = vec![];
    bed.base
        .run(WAIT, |base, _| {
            bed.clock.advance(ms(7));
            seen.push(base.now().unwrap());
        })
        .unwrap();
    assert_eq!(seen, [seen[0]; 3]);
}

#[test]
fn wake_ups_are_counted_when_they_are_sent_and_when_they_are_received() {
    let base = Base::new().unwrap();
    let event = base.create(EventSpec::user()).unwrap();
    base.retain().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Only a sleeping loop is woken, so this waits until the loop sleeps.
            while base.stats().unwrap().passes == 0 {
                std::thread::yield_now();
            }
            while base.stats().unwrap().wakeups_sent == 0 {
                base.activate(event, What::READ).unwrap();
                std::thread::sleep(ms(1));
            }
        });
        run_watched(&base, LOOP_ONCE, |_, _| {});
        // The other thread may have found the loop awake; it repeats until a wake-up was needed.
        while base.stats().unwrap().wakeups_sent == 0 {
            run_watched(&base, LOOP_ONCE, |_, _| {});
        }
    });
    _ = base.run(ONE_PASS, |_, _| {}).unwrap();
    let stats = base.stats().unwrap();
    assert!(stats.wakeups_sent >= 1, "{stats:?}");
    assert!((1..=stats.wakeups_sent).contains(&stats.wakeups_received), "{stats:?}");
}

#[test]
fn a_base_without_locks_sends_no_wake_ups() {
    let config = event_base::Config::new().set_flags(event_base::BaseFlags::NOLOCK);
    let base = Base::with_config(&config).unwrap();
    base.wake().unwrap();
    assert_eq!(base.stats().unwrap().wakeups_sent, 0);
}
