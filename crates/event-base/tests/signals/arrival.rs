//! Signals that arrive while the base waits, runs, or is run by a host; and their number.

use std::time::Instant;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use event_base::{Base, BaseFlags, EventSpec, LoopFlags, LoopResult, Ready, Step, Wait, What};

use crate::support::{
    LOOP_ONCE, PATIENCE, POLL, WAIT, base, base_from, config, config_by_handler, ms, next_event, run,
    run_watched,
};
use crate::{USR1, USR2, alone, handler_base, send, watch};

fn later(signal: Signal) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        std::thread::sleep(ms(50));
        kill(Pid::this(), signal).unwrap();
    })
}

#[test]
fn a_signal_ends_the_wait() {
    let _alone = alone();
    let base = handler_base();
    let event = watch(&base, USR1);
    let sender = later(Signal::SIGUSR1);
    let mut dispatched = Vec::new();
    let start = Instant::now();
    run_watched(&base, LOOP_ONCE, |_, ready| dispatched.push((ready.id, ready.what)));
    assert_eq!(dispatched, [(event, What::SIGNAL)]);
    assert!(start.elapsed() < PATIENCE);
    sender.join().unwrap();
}

#[test]
fn a_pending_signal_event_keeps_the_loop_from_being_empty() {
    let _alone = alone();
    let base = base();
    let event = watch(&base, USR1);
    base.loop_exit(Some(ms(1))).unwrap();
    assert_eq!(run(&base, WAIT).0, LoopResult::Stopped);
    base.del(event).unwrap();
    assert_eq!(run(&base, WAIT).0, LoopResult::Empty);
}

/// Runs the loop; returns the number of calls, which must all be for signals.
fn count(base: &Base, flags: LoopFlags) -> usize {
    let mut calls = 0;
    run_watched(base, flags, |_, ready: Ready| {
        assert_eq!(ready.what, What::SIGNAL);
        calls += 1;
    });
    calls
}

#[test]
fn more_signals_than_sixteen_bits_count_are_counted_exactly() {
    let _alone = alone();
    let base = handler_base();
    watch(&base, USR1);
    for times in [1, 65_535, 65_536, 65_537, 100_000] {
        send(USR1, times);
        assert_eq!(count(&base, POLL), times);
    }
    assert_eq!(count(&base, POLL), 0);
}

#[test]
fn signals_of_different_numbers_are_distinguished() {
    let _alone = alone();
    let base = handler_base();
    let (one, two) = (watch(&base, USR1), watch(&base, USR2));
    for (first, second) in [(3, 2), (0, 1), (2, 0)] {
        send(USR1, first);
        send(USR2, second);
        let trace = run(&base, POLL).1;
        let of = |event| trace.iter().filter(|entry| entry.0 == event).count();
        assert_eq!((of(one), of(two), trace.len()), (first, second, first + second));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_real_time_signal_works_like_any_other() {
    let _alone = alone();
    let base = handler_base();
    let number = libc::SIGRTMIN() + 3;
    let event = watch(&base, number);
    raise_number(number);
    raise_number(number);
    assert_eq!(run(&base, POLL).1, [(event, What::SIGNAL), (event, What::SIGNAL)]);
}

#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "nix has no real-time signals")]
fn raise_number(number: i32) {
    // SAFETY: the call has no precondition; the process handles the signal.
    assert_eq!(unsafe { libc::raise(number) }, 0);
}

#[test]
fn a_signal_is_dispatched_after_more_urgent_events_and_before_less_urgent_ones() {
    let _alone = alone();
    let base = base_from(&config().set_priorities(3));
    let signal = watch(&base, USR1);
    let urgent = base.create(EventSpec::user().priority(0)).unwrap();
    let idle = base.create(EventSpec::user().priority(2)).unwrap();
    send(USR1, 1);
    base.activate(idle, What::READ).unwrap();
    base.activate(urgent, What::READ).unwrap();
    let order: Vec<_> = run(&base, POLL).1.iter().map(|entry| entry.0).collect();
    assert_eq!(order, [urgent, signal, idle]);
}

#[test]
fn a_base_without_locks_has_signals_too() {
    let _alone = alone();
    let base = base_from(&config_by_handler().set_flags(BaseFlags::NOLOCK));
    let event = watch(&base, USR1);
    let sender = later(Signal::SIGUSR1);
    // No watchdog: the base belongs to this thread.
    base.loop_exit(Some(PATIENCE)).unwrap();
    let (result, trace) = run(&base, LOOP_ONCE);
    assert_eq!((result, trace), (LoopResult::Stopped, vec![(event, What::SIGNAL)]));
    sender.join().unwrap();
}

#[test]
fn a_signal_makes_the_descriptor_of_a_host_readable() {
    let _alone = alone();
    let base = handler_base();
    let event = watch(&base, USR1);
    let Some(descriptor) = base.descriptor().unwrap() else {
        assert!(!["epoll", "epoll (with changelist)"].contains(&base.method().unwrap()));
        return;
    };
    base.enter(WAIT).unwrap();
    while base.next(Wait::Never).unwrap() != Step::Idle {}
    for _ in 0..3 {
        assert!(!is_readable(descriptor));
        send(USR1, 1);
        assert!(is_readable(descriptor));
        assert_eq!(next_event(&base, Wait::Never).id, event);
        assert_eq!(base.next(Wait::Never).unwrap(), Step::Idle);
    }
    base.leave();
}

#[expect(unsafe_code, reason = "the base returns its descriptor as a number")]
fn is_readable(descriptor: i32) -> bool {
    // SAFETY: the base is open.
    let fd = unsafe { std::os::fd::BorrowedFd::borrow_raw(descriptor) };
    let mut fds = [PollFd::new(fd, PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::ZERO).unwrap() == 1
}
