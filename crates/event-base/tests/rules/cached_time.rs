//! The time of a base, and when it is cached.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use event_base::{Base, BaseFlags, Clock, EventSpec, LoopResult, ManualClock, SystemClock, What};

use crate::support::{Bed, ONE_PASS, WAIT, config, ms, shared_base};

fn wall(bed: &Bed) -> Duration {
    Duration::from_nanos(bed.clock.wall())
}

#[test]
fn all_callbacks_of_a_pass_see_the_same_time() {
    let bed = Bed::new();
    let events: Vec<_> = (0..3).map(|_| bed.timer(ms(10))).collect();
    let mut seen = Vec::new();
    bed.base
        .run(WAIT, |base, _| {
            seen.push(base.now().unwrap());
            bed.clock.advance(ms(30));
        })
        .unwrap();
    assert_eq!(seen.len(), events.len());
    assert_eq!(seen, [seen[0]; 3]);
    assert_eq!(bed.base.now().unwrap(), wall(&bed));
}

#[test]
fn updating_the_cached_time_reads_the_clock() {
    let bed = Bed::new();
    bed.timer(ms(10));
    bed.base
        .run(WAIT, |base, _| {
            let before = base.now().unwrap();
            bed.clock.advance(ms(30));
            base.update_cached_time().unwrap();
            assert_eq!(base.now().unwrap(), before + ms(30));
        })
        .unwrap();
}

#[test]
fn without_a_cache_every_call_reads_the_clock() {
    let bed = Bed::with(|config| config.set_flags(BaseFlags::NO_CACHE_TIME));
    bed.timer(ms(10));
    bed.base
        .run(WAIT, |base, _| {
            bed.clock.advance(ms(30));
            assert_eq!(base.now().unwrap(), wall(&bed));
            base.update_cached_time().unwrap();
        })
        .unwrap();
}

/// W28: libevent never caches a time of less than one second.
#[test]
fn the_time_is_cached_in_the_first_second_of_the_clock_too() {
    for start in [ms(0), ms(1), ms(999)] {
        let bed = Bed::starting_at(start, |config| config);
        let timers = [bed.timer(ms(0)), bed.timer(ms(0))];
        let mut seen = Vec::new();
        bed.base
            .run(ONE_PASS, |base, _| {
                seen.push(base.now().unwrap());
                bed.clock.advance(ms(1));
            })
            .unwrap();
        assert_eq!(seen.len(), timers.len());
        assert_eq!(seen[0], seen[1]);
        assert_eq!(seen[0].as_nanos(), start.as_nanos() + u128::from(ManualClock::WALL_OFFSET));
    }
}

#[test]
fn a_deadline_is_reported_as_wall_time() {
    let bed = Bed::new();
    let timer = bed.timer(ms(500));
    assert_eq!(bed.base.expires_at(timer).unwrap(), Some(wall(&bed) + ms(500)));
    bed.base.del(timer).unwrap();
    assert_eq!(bed.base.expires_at(timer).unwrap(), None);
}

#[test]
fn the_monotonic_time_is_fresh_even_in_a_callback() {
    let bed = Bed::new();
    bed.timer(ms(0));
    bed.base
        .run(WAIT, |base, _| {
            let before = base.monotonic().unwrap();
            bed.clock.advance(ms(5));
            assert_eq!(base.monotonic().unwrap(), before + ms(5));
        })
        .unwrap();
}

/// P6 and P7: neither the coarse clock nor milliseconds.
#[test]
fn a_real_timer_is_never_early() {
    let base = crate::support::base();
    for micros in [1, 150, 900, 1_100, 3_300] {
        let after = Duration::from_micros(micros);
        let start = Duration::from_nanos(SystemClock.monotonic());
        let timer = base.create_and_add(EventSpec::timer(), Some(after)).unwrap();
        let result = base.run(WAIT, |_, ready| assert_eq!((ready.id, ready.what), (timer, What::TIMEOUT)));
        assert_eq!(result, Ok(LoopResult::Empty));
        let took = Duration::from_nanos(SystemClock.monotonic()) - start;
        assert!(took >= after, "{took:?} of {after:?}");
    }
}

#[test]
fn a_timer_added_by_another_thread_counts_from_the_current_time() {
    if shared_base().is_none() {
        return;
    }
    let bed = Bed::new();
    bed.timer(ms(10));
    let late = bed.base.create(EventSpec::timer()).unwrap();
    let own = bed.base.create(EventSpec::timer()).unwrap();
    bed.base.run(ONE_PASS, |_, _| unreachable!("no timer has expired")).unwrap();
    bed.clock.advance(ms(10));
    let started = wall(&bed);
    bed.base
        .run(ONE_PASS, |base, _| {
            bed.clock.advance(ms(30));
            base.add(own, Some(ms(5))).unwrap();
            std::thread::scope(|scope| {
                scope.spawn(|| base.add(late, Some(ms(5))).unwrap());
            });
        })
        .unwrap();
    assert_eq!(bed.base.expires_at(own).unwrap(), Some(started + ms(5)));
    assert_eq!(bed.base.expires_at(late).unwrap(), Some(started + ms(35)));
}

#[test]
fn an_exit_requested_by_another_thread_counts_from_the_current_time() {
    if shared_base().is_none() {
        return;
    }
    let bed = Bed::new();
    bed.timer(ms(10));
    bed.base.retain().unwrap();
    let result = bed.base.run(WAIT, |base, _| {
        bed.clock.advance(ms(30));
        std::thread::scope(|scope| {
            scope.spawn(|| base.loop_exit(Some(ms(5))).unwrap());
        });
    });
    assert_eq!((result, bed.elapsed()), (Ok(LoopResult::Stopped), ms(45)));
}

/// Counts the readings of the wall clock.
#[derive(Debug, Default)]
struct Calendar {
    reads: AtomicU64,
}

impl Clock for Calendar {
    fn monotonic(&self) -> u64 {
        SystemClock.monotonic()
    }

    fn wall(&self) -> u64 {
        self.reads.fetch_add(1, Ordering::Relaxed);
        SystemClock.wall()
    }
}

/// P8: libevent 2.2 reads it in every iteration.
#[test]
fn passes_read_the_wall_clock_only_when_it_is_needed() {
    let clock = Arc::new(Calendar::default());
    let base = Base::with_config(&config().set_clock(Arc::clone(&clock) as Arc<dyn Clock>)).unwrap();
    let timer = base.create_and_add(EventSpec::timer().persist(), Some(ms(0))).unwrap();
    let mut passes = 0;
    base.run(WAIT, |base, _| {
        passes += 1;
        if passes == 100 {
            base.now().unwrap();
            base.now().unwrap();
            base.del(timer).unwrap();
        }
    })
    .unwrap();
    assert_eq!((passes, clock.reads.load(Ordering::Relaxed)), (100, 1));
}
