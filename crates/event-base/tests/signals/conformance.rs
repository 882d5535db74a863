//! libevent's own tests of signals. The number in a test's name is that of its row in `docs/conformance.json`.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal};

use event_base::{Error, EventSpec, LoopResult, What};

use crate::support::{LOOP_ONCE, POLL, WAIT, base, ms, not_applicable, pair, run, run_watched};
use crate::{USR1, USR2, alone, disposition, named, send, swap, watch, what_it_does};

static FOREIGN: AtomicUsize = AtomicUsize::new(0);

extern "C" fn foreign(_: i32) {
    FOREIGN.fetch_add(1, Ordering::SeqCst);
}

/// With a handler of the program installed before.
fn with_foreign(signal: Signal, test: impl FnOnce()) {
    let action = SigAction::new(SigHandler::Handler(foreign), SaFlags::SA_RESTART, SigSet::empty());
    let before = swap(signal, &action);
    FOREIGN.store(0, Ordering::SeqCst);
    test();
    let left = swap(signal, &before);
    assert_eq!(named(left.handler()), named(SigHandler::Handler(foreign)));
}

#[test]
fn c_012_signals_that_are_none_are_refused() {
    let _alone = alone();
    let base = base();
    for number in [-1, 0, 65, 1_000, i32::MAX] {
        let made = base.create_and_add(EventSpec::signal(number), None);
        assert_eq!(made, Err(Error::OutOfRange("the signal")), "{number}");
    }
    assert_eq!(base.live_events(), Ok(0));
}

#[test]
fn c_013_a_signal_beside_an_interest_is_refused() {
    let _turn = alone();
    let base = base();
    for interest in [What::READ, What::WRITE, What::CLOSED] {
        let made = base.create(EventSpec::io(1, What::SIGNAL | interest));
        assert!(matches!(made, Err(Error::BadFlags(_))), "{made:?}");
    }
}

#[test]
fn c_062_activation_by_signal_hits_the_events_of_that_signal_only() {
    let _alone = alone();
    let base = base();
    let (reader, _writer) = pair();
    let fd = crate::support::fd(&reader);
    let usr1 = watch(&base, USR1);
    let also_usr1 = watch(&base, USR1);
    let usr2 = watch(&base, USR2);
    let read = base.create_and_add(EventSpec::io(fd, What::READ).persist(), Some(ms(60_000))).unwrap();
    let idle = base.create(EventSpec::signal(USR1)).unwrap();
    base.activate_by_signal(USR1).unwrap();
    base.activate_by_fd(fd, What::READ).unwrap();
    base.activate_by_fd(fd, What::TIMEOUT).unwrap();
    base.activate_by_fd(1000, What::READ).unwrap();
    base.activate_by_fd(-1, What::READ).unwrap();
    for number in [-1, 0, 1000, i32::MAX, i32::MIN, 64] {
        base.activate_by_signal(number).unwrap();
    }
    let (_, trace) = run(&base, POLL);
    let expected = [(usr1, What::SIGNAL), (also_usr1, What::SIGNAL), (read, What::READ | What::TIMEOUT)];
    assert_eq!(trace, expected);
    assert_eq!(base.pending(usr2, What::all()), Ok(What::SIGNAL));
    assert_eq!(base.pending(idle, What::all()), Ok(What::empty()));
}

#[test]
fn c_067_a_signal_is_dispatched_and_the_previous_handler_is_not_called() {
    let _alone = alone();
    with_foreign(Signal::SIGALRM, || {
        let base = base();
        let event = watch(&base, libc::SIGALRM);
        send(libc::SIGALRM, 1);
        let mut dispatched = Vec::new();
        let result = run_watched(&base, WAIT, |base, ready| {
            dispatched.push((ready.id, ready.fd, ready.what));
            base.del(ready.id).unwrap();
        });
        assert_eq!(result, LoopResult::Empty);
        assert_eq!(dispatched, [(event, libc::SIGALRM, What::SIGNAL)]);
        assert_eq!(FOREIGN.load(Ordering::SeqCst), 0);
    });
}

#[test]
fn c_068_a_signal_is_dispatched_after_the_event_was_deleted_and_added_again() {
    let _alone = alone();
    with_foreign(Signal::SIGALRM, || {
        let base = base();
        let event = watch(&base, libc::SIGALRM);
        base.del(event).unwrap();
        base.add(event, None).unwrap();
        send(libc::SIGALRM, 1);
        let (_, trace) = run(&base, POLL);
        assert_eq!(trace, [(event, What::SIGNAL)]);
        assert_eq!(FOREIGN.load(Ordering::SeqCst), 0);
        base.close().unwrap();
    });
}

#[test]
fn c_069_two_events_for_one_signal_are_both_dispatched() {
    let _alone = alone();
    let base = base();
    let (one, two) = (watch(&base, USR1), watch(&base, USR1));
    send(USR1, 1);
    let (_, trace) = run(&base, POLL);
    assert_eq!(trace, [(one, What::SIGNAL), (two, What::SIGNAL)]);
    base.del(one).unwrap();
    send(USR1, 1);
    assert_eq!(run(&base, POLL).1, [(two, What::SIGNAL)]);
}

#[test]
fn c_070_a_signal_that_arrived_before_the_loop_is_dispatched_without_waiting() {
    let _alone = alone();
    let base = base();
    let event = watch(&base, USR1);
    send(USR1, 1);
    assert_eq!(run(&base, POLL), (LoopResult::Stopped, vec![(event, What::SIGNAL)]));
}

#[test]
fn c_071_adding_deleting_and_closing_leaves_nothing() {
    let _alone = alone();
    let before = what_it_does(Signal::SIGUSR1);
    let base = base();
    let event = watch(&base, USR1);
    base.del(event).unwrap();
    base.close().unwrap();
    assert_eq!(what_it_does(Signal::SIGUSR1), before);
}

#[test]
fn c_072_a_signal_event_with_a_timeout_runs_by_it() {
    let _alone = alone();
    let base = base();
    let event = base.create_and_add(EventSpec::signal_once(USR1), Some(Duration::from_micros(10))).unwrap();
    assert_eq!(run(&base, LOOP_ONCE), (LoopResult::Stopped, vec![(event, What::TIMEOUT)]));
}

#[test]
fn c_073_closing_a_second_base_leaves_the_first_one_its_signals() {
    let _alone = alone();
    for second_has_events in [false, true] {
        let (first, second) = (base(), base());
        let event = watch(&first, USR1);
        if second_has_events {
            watch(&second, USR1);
            watch(&second, USR2);
        }
        second.close().unwrap();
        send(USR1, 1);
        assert_eq!(run(&first, POLL).1, [(event, What::SIGNAL)]);
    }
}

#[test]
fn c_074_two_bases_on_one_signal_both_receive_it() {
    let _alone = alone();
    let (first, second) = (base(), base());
    if first.signal_method() == Ok("signalfd_signal") {
        return not_applicable("a signal that is read from a descriptor is received by one base");
    }
    let (one, two) = (watch(&first, USR1), watch(&second, USR1));
    for _ in 0..2 {
        send(USR1, 1);
        assert_eq!(run(&first, POLL).1, [(one, What::SIGNAL)]);
        assert_eq!(run(&second, POLL).1, [(two, What::SIGNAL)]);
    }
}

#[test]
fn c_075_deleting_restores_what_the_process_did_before() {
    let _alone = alone();
    with_foreign(Signal::SIGUSR1, || {
        let base = base();
        let event = watch(&base, USR1);
        let is_replaced =
            named(disposition(Signal::SIGUSR1).handler()) != named(SigHandler::Handler(foreign));
        assert_eq!(is_replaced, base.signal_method() != Ok("signalfd_signal"));
        base.del(event).unwrap();
        assert_eq!(named(disposition(Signal::SIGUSR1).handler()), named(SigHandler::Handler(foreign)));
    });
}

#[test]
fn c_076_after_a_delete_the_previous_handler_gets_the_signal() {
    let _alone = alone();
    with_foreign(Signal::SIGUSR1, || {
        let base = base();
        let event = watch(&base, USR1);
        base.del(event).unwrap();
        send(USR1, 1);
        assert_eq!(FOREIGN.load(Ordering::SeqCst), 1);
        assert_eq!(run(&base, POLL), (LoopResult::Empty, vec![]));
    });
}

#[test]
fn c_077_a_signal_raised_in_its_own_callback_four_times_gives_five_calls() {
    let _alone = alone();
    let base = base();
    let event = watch(&base, USR1);
    let calls = Cell::new(0);
    send(USR1, 1);
    let result = run_watched(&base, WAIT, |base, ready| {
        assert_eq!(ready.id, event);
        calls.set(calls.get() + 1);
        if calls.get() < 5 {
            send(USR1, 1);
        } else {
            base.loop_exit(None).unwrap();
        }
    });
    assert_eq!((result, calls.get()), (LoopResult::Stopped, 5));
    assert_eq!(run(&base, POLL).1, []);
}

#[test]
fn c_078_freeing_the_event_in_its_callback_takes_the_other_calls_with_it() {
    let _alone = alone();
    let base = base();
    let event = watch(&base, USR1);
    send(USR1, 2);
    let mut calls = 0;
    let result = run_watched(&base, WAIT, |base, ready| {
        calls += 1;
        base.free(ready.id).unwrap();
    });
    assert_eq!((result, calls), (LoopResult::Empty, 1));
    assert_eq!(base.pending(event, What::all()), Err(Error::Closed));
}
