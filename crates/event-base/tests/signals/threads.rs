//! Signals that arrive on other threads than the loop's, and bases that are closed while they do.

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
                    // To this thread, as `kill` may merge equal pending signals.
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
fn loops_of_several_threads_receive_every_signal() {
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

/// Stops the threads that send signals, also if a test fails.
struct StopWhenDropped<'a>(&'a AtomicBool);

impl Drop for StopWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

/// Creates and closes bases while other threads send themselves signals: for at least `time`, and at least `least`
/// times.
fn close_bases_while_signals_arrive(time: Duration, least: usize, after_each: impl Fn()) {
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
        let _stop = StopWhenDropped(&stop);
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

/// If a handler wrote to a descriptor after it was closed, it would write to the pipes that receive its number here.
#[test]
fn handlers_never_write_to_a_descriptor_that_a_closed_base_used() {
    let _alone = alone();
    close_bases_while_signals_arrive(ms(1_500), 50, || {
        // Takes the numbers that are free now.
        let (reader, _writer) = std::io::pipe().unwrap();
        std::thread::yield_now();
        assert_eq!(bytes_in(&reader), 0);
    });
}

#[test]
fn bases_that_are_closed_while_signals_arrive_leak_no_descriptor() {
    let _alone = alone();
    let descriptors = open_descriptors();
    // What a handler was using is released when the next base is closed, at the latest after the last round.
    close_bases_while_signals_arrive(ms(300), 50, || {});
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
fn events_can_be_added_and_deleted_on_another_thread_than_the_loops() {
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
            // Deleting drops the calls that were not dispatched yet.
            while calls.load(SeqCst) < 20 * round && !running.is_finished() {
                std::thread::sleep(ms(1));
            }
            base.free(event).unwrap();
        }
        base.loop_break().unwrap();
    });
    assert_eq!(calls.load(SeqCst), 60);
}
