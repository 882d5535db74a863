//! Timers and time. Where libevent's tests sleep, these use virtual time and compare exactly.

use std::time::Duration;

use event_base::{Base, BaseFlags, Clock, Config, EventSpec, LoopResult, SystemClock, What};

use crate::support::{Bed, ONE_PASS, WAIT, base, config, ms, run_watched};

fn times(line: &[(event_base::EventId, What, u64)]) -> Vec<(What, u64)> {
    line.iter().map(|(_, what, at)| (*what, *at)).collect()
}

#[test]
fn c_016_event_remove_timeout() {
    let bed = Bed::new();
    let reader = bed.io(3, What::READ | What::PERSIST);
    let timer = bed.timer(ms(25));
    bed.base.add(reader, Some(ms(30))).unwrap();
    bed.base.remove_timer(reader).unwrap();
    bed.base.remove_timer(timer).unwrap();
    bed.script.then(ms(10), &[(3, What::READ)]);
    assert_eq!(bed.timeline(ms(100)), [(reader, What::READ, 10)]);
    assert_eq!(bed.base.pending(reader, What::TIMEOUT).unwrap(), What::empty());
}

#[test]
fn c_017_event_timeout_lost() {
    let bed = Bed::new();
    let reader = bed.io(3, What::READ);
    bed.base.add(reader, Some(ms(10))).unwrap();
    bed.script.then(ms(0), &[(3, What::READ)]);
    bed.clock.advance(ms(10));
    assert_eq!(bed.run(WAIT), (LoopResult::Empty, vec![(reader, What::READ | What::TIMEOUT)]));
}

#[test]
fn c_018_persistent_timeout() {
    let bed = Bed::new();
    bed.periodic(ms(10));
    let expected: Vec<_> = (1..=8).map(|tick| (What::TIMEOUT, tick * 10)).collect();
    assert_eq!(times(&bed.timeline(ms(85))), expected);
}

#[test]
fn c_019_persistent_timeout_jump() {
    let bed = Bed::new();
    bed.periodic(ms(100));
    bed.clock.advance(ms(300));
    assert_eq!(times(&bed.timeline(ms(350))), [(What::TIMEOUT, 300)]);
}

#[test]
fn c_020_persistent_active_timeout() {
    let bed = Bed::new();
    let event = bed.periodic(ms(200));
    let starter = bed.timer(ms(100));
    let mut line = vec![];
    bed.base.loop_exit(Some(ms(550))).unwrap();
    bed.base
        .run(WAIT, |base, ready| {
            if ready.id == starter {
                base.activate(event, What::READ).unwrap();
            } else {
                line.push((ready.what, bed.elapsed().as_millis()));
            }
        })
        .unwrap();
    assert_eq!(line, [(What::READ, 100), (What::TIMEOUT, 300), (What::TIMEOUT, 500)]);
}

/// libevent's test checks bits of its `timeval`; here a common timeout has a type of its own.
#[test]
fn c_023_common_timeout() {
    let bed = Bed::new();
    let common = |millis| bed.base.common_timeout(ms(millis)).unwrap();
    let [a, b] = [common(400), common(800)];
    assert_ne!(a, b);
    assert_eq!(common(400), a);
    assert_eq!(bed.base.common_timeout(Duration::from_micros(5_000_000)).unwrap(), common(5_000));
    let events: Vec<_> = (0..100).map(|_| bed.base.create(EventSpec::timer().persist()).unwrap()).collect();
    for (number, event) in events.iter().enumerate() {
        bed.base.add_common(*event, if number % 2 == 0 { a } else { b }).unwrap();
    }
    // From the heap to a queue, and from a queue to another.
    bed.base.add(events[0], Some(ms(300))).unwrap();
    bed.base.add_common(events[0], b).unwrap();
    bed.base.add_common(events[0], a).unwrap();
    let mut fired = vec![vec![]; events.len()];
    bed.base
        .run(WAIT, |base, ready| {
            let number = events.iter().position(|event| *event == ready.id).unwrap();
            fired[number].push(bed.elapsed().as_millis());
            if fired[number].len() == 4 {
                base.del(ready.id).unwrap();
            }
        })
        .unwrap();
    for (number, fired) in fired.iter().enumerate() {
        let period = if number % 2 == 0 { 400 } else { 800 };
        assert_eq!(fired, &[1, 2, 3, 4].map(|tick| tick * period), "{number}");
    }
    let pending = bed.base.create_and_add_common(EventSpec::timer(), a).unwrap();
    assert_eq!(bed.base.pending(pending, What::TIMEOUT), Ok(What::TIMEOUT));
    bed.base.close().unwrap();
}

#[test]
fn c_039_simpletimeout() {
    let bed = Bed::new();
    let timer = bed.timer(ms(200));
    assert_eq!(bed.run(WAIT), (LoopResult::Empty, vec![(timer, What::TIMEOUT)]));
    assert_eq!(bed.elapsed(), ms(200));

    let base = base();
    let timer = base.create_and_add(EventSpec::timer(), Some(ms(200))).unwrap();
    let start = base.monotonic().unwrap();
    run_watched(&base, WAIT, |_, ready| assert_eq!(ready.id, timer));
    assert!(base.monotonic().unwrap() - start >= ms(200));
}

#[test]
fn c_040_loopbreak() {
    let bed = Bed::new();
    let timers = [bed.timer(ms(0)), bed.timer(ms(0))];
    let mut fired = vec![];
    let result = bed.base.run(WAIT, |base, ready| {
        fired.push(ready.id);
        base.loop_break().unwrap();
    });
    assert_eq!((result, fired), (Ok(LoopResult::Stopped), vec![timers[0]]));
    assert!(bed.base.got_break().unwrap());
    assert!(!bed.base.got_exit().unwrap());
}

#[test]
fn c_041_loopexit() {
    let bed = Bed::new();
    bed.timer(Duration::from_secs(86_400));
    bed.base.loop_exit(Some(ms(300))).unwrap();
    assert_eq!(bed.run(WAIT), (LoopResult::Stopped, vec![]));
    assert_eq!(bed.elapsed(), ms(300));
    assert!(bed.base.got_exit().unwrap());
    assert!(!bed.base.got_break().unwrap());
}

#[test]
fn c_042_loopexit_multiple() {
    let bed = Bed::new();
    bed.base.loop_exit(Some(ms(200))).unwrap();
    bed.base.loop_exit(Some(ms(3_000))).unwrap();
    assert_eq!(bed.run(WAIT), (LoopResult::Stopped, vec![]));
    assert_eq!(bed.elapsed(), ms(200));
    assert!(bed.base.got_exit().unwrap());
}

/// The time that each of three callbacks of one pass sees.
fn cached_times(bed: &Bed, sleep: Duration, update: bool) -> Vec<Duration> {
    for _ in 0..3 {
        bed.base.activate(bed.user(), What::TIMEOUT).unwrap();
    }
    let mut times = vec![];
    bed.base
        .run(ONE_PASS, |base, _| {
            if update {
                base.update_cached_time().unwrap();
            }
            times.push(base.now().unwrap());
            bed.clock.advance(sleep);
        })
        .unwrap();
    times
}

#[test]
fn c_057_gettimeofday_cached() {
    let base = base();
    let wall = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    assert!(base.now().unwrap().abs_diff(wall) < Duration::from_secs(5));
    let bed = Bed::new();
    let times = cached_times(&bed, ms(0), false);
    assert_eq!(times, [times[0]; 3]);
}

#[test]
fn c_058_gettimeofday_cached_sleep() {
    let bed = Bed::new();
    let times = cached_times(&bed, ms(30), false);
    assert_eq!(times, [times[0]; 3]);
}

#[test]
fn c_059_gettimeofday_cached_reset() {
    let bed = Bed::new();
    let times = cached_times(&bed, ms(30), true);
    assert_eq!(times, [times[0], times[0] + ms(30), times[0] + ms(60)]);
}

#[test]
fn c_060_gettimeofday_cached_disabled() {
    let bed = Bed::with(|config| config.set_flags(BaseFlags::NO_CACHE_TIME));
    let times = cached_times(&bed, ms(30), false);
    assert_eq!(times, [times[0], times[0] + ms(30), times[0] + ms(60)]);
}

#[test]
fn c_061_gettimeofday_cached_disabled_nosleep() {
    let bed = Bed::with(|config| config.set_flags(BaseFlags::NO_CACHE_TIME));
    let times = cached_times(&bed, ms(0), false);
    assert_eq!(times, [times[0]; 3]);
}

fn expiry_is_never_later_than_now_plus_the_duration(config: &Config) {
    let base = Base::with_config(config).unwrap();
    let timer = base.create(EventSpec::timer()).unwrap();
    let duration = Duration::from_micros(100);
    for _ in 0..1000 {
        base.add(timer, Some(duration)).unwrap();
        let at = base.expires_at(timer).unwrap().unwrap();
        let now = Duration::from_nanos(SystemClock.wall());
        assert!(at <= now + duration, "{at:?}, {now:?}");
        base.del(timer).unwrap();
    }
}

#[test]
fn c_097_default_clock() {
    expiry_is_never_later_than_now_plus_the_duration(&config());
    // libevent's default.
    expiry_is_never_later_than_now_plus_the_duration(&config().use_coarse_clock());
}

#[test]
fn c_098_precise_clock() {
    let config = config().use_coarse_clock().set_flags(BaseFlags::PRECISE_TIMER);
    expiry_is_never_later_than_now_plus_the_duration(&config);
}

#[test]
fn c_100_monotonic_res() {
    let mut last = Duration::from_nanos(SystemClock.monotonic());
    for _ in 0..5 {
        std::thread::sleep(ms(10));
        let now = Duration::from_nanos(SystemClock.monotonic());
        assert!(now >= last + ms(10), "{:?} after a sleep of 10 ms", now - last);
        last = now;
    }
}

/// libevent compares with the length of its sleep, which is longer on a busy machine; here the time is also read before
/// and after each sleep.
#[test]
fn c_101_monotonic_res_precise() {
    let base = Base::with_config(&config().set_flags(BaseFlags::PRECISE_TIMER)).unwrap();
    let read = || (std::time::Instant::now(), base.monotonic().unwrap(), std::time::Instant::now());
    for _ in 0..20 {
        let before = read();
        std::thread::sleep(ms(1));
        let after = read();
        let slept = after.1 - before.1;
        let (least, most) = (after.0 - before.2, after.2 - before.0);
        assert!(least <= slept && slept <= most, "{least:?} {slept:?} {most:?}");
    }
}

/// The smallest step observed: on a busy machine single steps can be arbitrarily long.
fn smallest_step() -> Duration {
    let step = || {
        let start = SystemClock.monotonic();
        loop {
            let now = SystemClock.monotonic();
            if now != start {
                return Duration::from_nanos(now.checked_sub(start).unwrap());
            }
        }
    };
    (0..1000).map(|_| step()).min().unwrap()
}

#[test]
fn c_103_monotonic_prc() {
    assert!(smallest_step() < ms(25));
}

#[test]
fn c_104_monotonic_prc_precise() {
    assert!(smallest_step() < Duration::from_micros(500));
}
