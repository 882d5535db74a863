//! Signals that arrive on other threads than the loop's, and bases that go while they do.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use nix::sys::pthread::{pthread_kill, pthread_self};
use nix::sys::signal::Signal;

use event_base::What;

use crate::support::{POLL, WAIT, ms, open_descriptors, run, run_watched};
use crate::{USR1, USR2, alone, handler_base, send, shared_handler_base, watch};

const SENDERS: usize = 4;

#[test]
fn every_signal_of_every_thread_is_counted_while_the_loop_runs() {
    const EACH: usize = 5_000;
    let _alone = alone();
    let Some(base) = shared_handler_base() else { return };
    watch(&base, USR1);
    let mut calls = 0;
    std::thread::scope(|scope| {
        for _ in 0..SENDERS {
            scope.spawn(|| {
                for _ in 0..EACH {
                    // To this very thread, as kill may merge equal signals that wait.
                    pthread_kill(pthread_self(), Signal::SIGUSR1).unwrap();
                }
            });
        }
        run_watched(&base, WAIT, |base, ready| {
            assert_eq!(ready.what, What::SIGNAL);
            calls += 1;
            if calls == SENDERS * EACH {
                base.loop_break().unwrap();
            }
        });
    });
    assert_eq!(run(&base, POLL).1, []);
    assert_eq!(calls, SENDERS * EACH);
}

#[test]
fn loops_of_several_threads_hear_every_signal() {
    const TIMES: usize = 1_000;
    let _alone = alone();
    let Some(bases) = (0..3).map(|_| shared_handler_base()).collect::<Option<Vec<_>>>() else { return };
    for base in &bases {
        watch(base, USR1);
    }
    std::thread::scope(|scope| {
        let loops: Vec<_> = bases
            .iter()
            .map(|base| {
                scope.spawn(move || {
                    let mut calls = 0;
                    run_watched(base, WAIT, |base, _| {
                        calls += 1;
                        if calls == TIMES {
                            base.loop_break().unwrap();
                        }
                    });
                    calls
                })
            })
            .collect();
        send(USR1, TIMES);
        for handle in loops {
            assert_eq!(handle.join().unwrap(), TIMES);
        }
    });
}

/// Stops the storm, also where a test fails in it.
struct Calm<'a>(&'a AtomicBool);

impl Drop for Calm<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

/// Bases come and go for that long, and as often as that, while other threads are hit by their signals.
fn storm(time: Duration, least: usize, after_each: impl Fn()) {
    let keeper = handler_base();
    watch(&keeper, USR1);
    watch(&keeper, USR2);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for signal in [Signal::SIGUSR1, Signal::SIGUSR2, Signal::SIGUSR1] {
            let stop = &stop;
            scope.spawn(move || {
                while !stop.load(SeqCst) {
                    pthread_kill(pthread_self(), signal).unwrap();
                }
            });
        }
        let _calm = Calm(&stop);
        let end = Instant::now() + time;
        let mut rounds = 0;
        while Instant::now() < end || rounds < least {
            let base = handler_base();
            watch(&base, USR1);
            watch(&base, USR2);
            drop(base);
            after_each();
            rounds += 1;
        }
    });
}

/// A descriptor that a handler writes to after it was closed would be somebody else's by then: these are the
/// somebodies.
#[test]
fn bases_that_come_and_go_under_a_storm_of_signals_leave_other_descriptors_alone() {
    let _alone = alone();
    storm(ms(1_500), 50, || {
        // Takes the numbers that are free now. Whoever still writes to them writes into a pipe.
        let (reader, _writer) = std::io::pipe().unwrap();
        std::thread::yield_now();
        assert_eq!(bytes_in(&reader), 0);
    });
}

#[test]
fn of_bases_that_went_in_a_storm_of_signals_no_descriptor_stays_open() {
    let _alone = alone();
    let descriptors = open_descriptors();
    // What a handler was using at the time is let go of by the next base to go, at the latest when all is calm.
    storm(ms(300), 50, || {});
    assert_eq!(open_descriptors(), descriptors);
}

#[expect(unsafe_code, reason = "nix has no safe form of FIONREAD")]
fn bytes_in(reader: &std::io::PipeReader) -> i32 {
    let mut count = 0;
    // SAFETY: the descriptor is open and the out-pointer valid.
    let result = unsafe { libc::ioctl(crate::support::fd(reader), libc::FIONREAD, &raw mut count) };
    assert_eq!(result, 0);
    count
}

#[test]
fn adding_and_deleting_on_another_thread_than_the_loops_works() {
    let _alone = alone();
    let Some(base) = shared_handler_base() else { return };
    base.retain().unwrap();
    let calls = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let running = scope.spawn(|| {
            run_watched(&base, WAIT, |_, _| {
                calls.fetch_add(1, SeqCst);
            });
        });
        for round in 1..=3 {
            let event = watch(&base, USR1);
            send(USR1, 20);
            // Deleting takes what was not handed out yet along.
            while calls.load(SeqCst) < 20 * round && !running.is_finished() {
                std::thread::sleep(ms(1));
            }
            base.free(event).unwrap();
        }
        base.loop_break().unwrap();
    });
    assert_eq!(calls.load(SeqCst), 60);
}
