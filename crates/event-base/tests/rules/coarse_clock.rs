//! The coarse clock, which advances once in a tick and must be requested.

use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

use event_base::{
    Base, Clock, Config, EventSpec, LoopResult, ManualClock, Step, SystemClock, Wait, WatcherCall, What,
};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::support::{Bed, PATIENCE, WAIT, Watchdog, ms};

const TICK: Duration = Duration::from_millis(4);

/// A clock whose time is the last tick of a manual clock.
#[derive(Debug)]
struct Stepping(Arc<ManualClock>);

impl Clock for Stepping {
    fn monotonic(&self) -> u64 {
        let tick = TICK.as_nanos() as u64;
        self.0.monotonic() / tick * tick
    }

    fn wall(&self) -> u64 {
        self.monotonic() + ManualClock::WALL_OFFSET
    }

    fn until(&self, deadline: u64) -> u64 {
        if deadline <= self.monotonic() {
            return 0;
        }
        deadline + TICK.as_nanos() as u64 - self.0.monotonic()
    }
}

/// A bed whose base uses the last tick of the bed's clock.
fn stepping() -> Bed {
    let exact = Arc::new(ManualClock::at(5_000_000_000));
    let script = event_base::Script::new(Arc::clone(&exact));
    let config = Config::new().set_script(script.clone());
    let base = Base::with_config(&config.set_clock(Arc::new(Stepping(Arc::clone(&exact))))).unwrap();
    Bed::around(base, exact, script)
}

/// P6: libevent waits until the deadline by the precise clock, finds that the coarse one has not reached it, and waits
/// again.
#[test]
fn one_wait_is_enough_for_a_clock_that_moves_in_steps() {
    let bed = stepping();
    bed.clock.advance(ms(3));
    let timer = bed.timer(ms(10));
    let line = bed.timeline(ms(100));
    // It counts from the tick of 0 ms, and the tick of 12 ms is the first that has reached 10 ms.
    assert_eq!(line, [(timer, What::TIMEOUT, 14)]);
    assert_eq!(bed.script.take_waits()[0], Some(ms(11)));
    assert_eq!(bed.script.take_waits().len(), 0);
}

#[test]
fn there_is_no_wait_for_a_deadline_that_the_last_tick_has_reached() {
    let bed = stepping();
    let timer = bed.timer(ms(8));
    bed.clock.advance(ms(9));
    assert_eq!(bed.run(WAIT), (LoopResult::Empty, vec![(timer, What::TIMEOUT)]));
    assert_eq!(bed.script.take_waits(), [Some(ms(0))]);
}

#[cfg(linux_kernel)]
mod of_the_kernel {
    use event_base::BaseFlags;

    use super::*;

    fn kernels_coarse_clock() -> Duration {
        let time = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC_COARSE).unwrap();
        Duration::from(time)
    }

    /// Of many readings of the base's time, how many equalled the same tick of the coarse clock before and after.
    fn readings_that_show_a_tick(config: &Config) -> usize {
        let base = Base::with_config(config).unwrap();
        (0..1000)
            .filter(|_| {
                let before = kernels_coarse_clock();
                let now = base.monotonic().unwrap();
                before == now && now == kernels_coarse_clock()
            })
            .count()
    }

    #[test]
    fn the_coarse_clock_is_used_if_the_configuration_requests_it_and_not_the_precise_one() {
        let coarse = Config::new().use_coarse_clock();
        assert!(readings_that_show_a_tick(&coarse) > 500);
        assert!(readings_that_show_a_tick(&Config::new()) < 10);
        let precise = coarse.set_flags(BaseFlags::PRECISE_TIMER);
        assert!(readings_that_show_a_tick(&precise) < 10);
        assert!(readings_that_show_a_tick(&precise.set_flags(BaseFlags::IGNORE_ENV)) < 10);
    }
}

#[test]
fn a_coarse_timer_is_never_early_by_its_own_clock_and_does_not_make_the_loop_spin() {
    let base = Base::with_config(&Config::new().use_coarse_clock()).unwrap();
    let _dog = Watchdog::over(&base);
    base.on_check(0).unwrap();
    let timer = base.create(EventSpec::timer()).unwrap();
    let mut waits = 0;
    for micros in [1, 900, 3_300, 10_000, 1, 4_000, 8_000, 12_345, 2_000, 5_000] {
        let after = Duration::from_micros(micros);
        let start = base.monotonic().unwrap();
        base.add(timer, Some(after)).unwrap();
        let result = base.run_with_watchers(WAIT, |base, step| match step {
            Step::Watcher(WatcherCall::Check { .. }) => waits += 1,
            Step::Event(ready) => {
                assert_eq!((ready.id, ready.what), (timer, What::TIMEOUT));
                assert!(base.monotonic().unwrap() >= start + after);
            }
            other => panic!("{other:?}"),
        });
        assert_eq!(result, Ok(LoopResult::Empty));
    }
    // One for each; a late tick takes a few more, but not hundreds.
    assert!((10..100).contains(&waits), "{waits}");
}

/// Runs the loop as a host does for five coarse deadlines, and calls `wait` for its wait; fails if it spins.
fn host_over_coarse_deadlines(base: &Base, mut wait: impl FnMut()) {
    let timer = base.create(EventSpec::timer()).unwrap();
    base.enter(WAIT).unwrap();
    let mut idle = 0;
    for _ in 0..5 {
        base.add(timer, Some(Duration::from_micros(6_100))).unwrap();
        let ready = loop {
            match base.next(Wait::Never).unwrap() {
                Step::Event(ready) => break ready,
                Step::Idle => wait(),
                other => panic!("{other:?}"),
            }
            idle += 1;
        };
        assert_eq!(ready.id, timer);
    }
    base.leave();
    assert!((5..100).contains(&idle), "{idle}");
}

#[test]
#[expect(unsafe_code, reason = "the base returns its descriptor as a number")]
fn a_host_is_woken_for_a_coarse_deadline() {
    let base = Base::with_config(&Config::new().use_coarse_clock()).unwrap();
    let Some(descriptor) = base.descriptor().unwrap() else { return };
    // SAFETY: the base keeps the descriptor open until the end of the test.
    let descriptor = unsafe { BorrowedFd::borrow_raw(descriptor) };
    host_over_coarse_deadlines(&base, || {
        let mut fds = [PollFd::new(descriptor, PollFlags::POLLIN)];
        let wanted = poll(&mut fds, PollTimeout::try_from(PATIENCE).unwrap());
        assert_eq!(wanted, Ok(1), "the deadline was missed");
    });
}

#[test]
fn a_host_that_makes_the_wait_itself_does_not_spin_on_a_coarse_deadline() {
    let base = Base::with_config(&Config::new().use_coarse_clock()).unwrap();
    host_over_coarse_deadlines(&base, || {
        let mut wait = base.start_wait().unwrap();
        wait.wait().unwrap();
        base.finish_wait(wait).unwrap();
    });
}

#[test]
fn the_wall_time_of_a_coarse_base_is_not_ahead() {
    let base = Base::with_config(&Config::new().use_coarse_clock()).unwrap();
    for _ in 0..100 {
        assert!(base.now().unwrap() <= Duration::from_nanos(SystemClock.wall()));
    }
}
