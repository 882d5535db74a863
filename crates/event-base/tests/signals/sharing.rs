//! A base in a program that has handlers of its own: both are called.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal};

use event_base::{Base, What, reassert_signal};

use crate::support::{POLL, base_from, config_by_handler, run};
use crate::{USR1, USR2, alone, disposition, handler_base, named, send, swap, watch, what_it_does};

static PLAIN: AtomicUsize = AtomicUsize::new(0);
static INFORMED: AtomicUsize = AtomicUsize::new(0);

extern "C" fn plain(number: i32) {
    assert_eq!(number, USR1);
    PLAIN.fetch_add(1, SeqCst);
}

extern "C" fn informed(number: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    assert!(number == USR1 && !info.is_null() && !context.is_null());
    INFORMED.fetch_add(1, SeqCst);
}

fn action(handler: SigHandler, flags: SaFlags) -> SigAction {
    SigAction::new(handler, flags, SigSet::all())
}

fn shared_base() -> Base {
    base_from(&config_by_handler().share_signals(true))
}

/// Runs `test` with `action` as the disposition, and restores the one before.
fn with(action: &SigAction, test: impl FnOnce()) {
    PLAIN.store(0, SeqCst);
    INFORMED.store(0, SeqCst);
    let before = swap(Signal::SIGUSR1, action);
    test();
    swap(Signal::SIGUSR1, &before);
}

fn default_action() -> SigAction {
    action(SigHandler::SigDfl, SaFlags::empty())
}

#[test]
fn an_earlier_handler_of_either_form_is_called_too_and_restored() {
    let _alone = alone();
    let forms = [(SigHandler::Handler(plain), &PLAIN), (SigHandler::SigAction(informed), &INFORMED)];
    for (handler, calls) in forms {
        with(&action(handler, SaFlags::SA_RESTART), || {
            let base = shared_base();
            let event = watch(&base, USR1);
            send(USR1, 3);
            assert_eq!(run(&base, POLL).1, [(event, What::SIGNAL); 3]);
            assert_eq!(calls.load(SeqCst), 3);
            base.close().unwrap();
            assert_eq!(named(disposition(Signal::SIGUSR1).handler()), named(handler));
            send(USR1, 1);
            assert_eq!(calls.load(SeqCst), 4);
        });
    }
}

#[test]
fn a_handler_that_interrupts_or_resets_itself_is_not_called() {
    let _alone = alone();
    for flags in [SaFlags::empty(), SaFlags::SA_RESTART | SaFlags::SA_RESETHAND] {
        with(&action(SigHandler::Handler(plain), flags), || {
            let base = shared_base();
            let event = watch(&base, USR1);
            send(USR1, 2);
            assert_eq!(run(&base, POLL).1, [(event, What::SIGNAL); 2]);
            assert_eq!(PLAIN.load(SeqCst), 0);
        });
    }
}

#[test]
fn a_base_that_does_not_share_is_unaffected_by_one_that_does() {
    let _alone = alone();
    with(&action(SigHandler::Handler(plain), SaFlags::SA_RESTART), || {
        let (alone, sharing) = (handler_base(), shared_base());
        watch(&alone, USR1);
        send(USR1, 1);
        assert_eq!(PLAIN.load(SeqCst), 0);
        let event = watch(&sharing, USR1);
        send(USR1, 1);
        assert_eq!(PLAIN.load(SeqCst), 1);
        sharing.del(event).unwrap();
        send(USR1, 1);
        assert_eq!(PLAIN.load(SeqCst), 1);
        alone.close().unwrap();
    });
}

#[test]
fn reasserting_joins_a_handler_that_replaced_ours_and_keeps_it_afterwards() {
    let _alone = alone();
    with(&default_action(), || {
        let base = shared_base();
        let event = watch(&base, USR1);
        let theirs = action(SigHandler::Handler(plain), SaFlags::SA_RESTART);
        swap(Signal::SIGUSR1, &theirs);
        send(USR1, 1);
        assert_eq!(run(&base, POLL).1, []);
        for _ in 0..2 {
            reassert_signal(USR1).unwrap();
        }
        send(USR1, 1);
        assert_eq!(run(&base, POLL).1, [(event, What::SIGNAL)]);
        assert_eq!(PLAIN.load(SeqCst), 2);
        base.close().unwrap();
        assert_eq!(named(disposition(Signal::SIGUSR1).handler()), named(theirs.handler()));
    });
}

#[test]
fn a_handler_that_was_removed_is_not_called_any_more() {
    let _alone = alone();
    with(&action(SigHandler::Handler(plain), SaFlags::SA_RESTART), || {
        let base = shared_base();
        let event = watch(&base, USR1);
        swap(Signal::SIGUSR1, &default_action());
        reassert_signal(USR1).unwrap();
        send(USR1, 1);
        assert_eq!(run(&base, POLL).1, [(event, What::SIGNAL)]);
        assert_eq!(PLAIN.load(SeqCst), 0);
        base.close().unwrap();
        assert_eq!(named(disposition(Signal::SIGUSR1).handler()), named(SigHandler::SigDfl));
    });
}

#[test]
fn a_handler_that_was_installed_over_ours_is_not_removed() {
    let _alone = alone();
    with(&default_action(), || {
        let base = handler_base();
        watch(&base, USR1);
        let theirs = action(SigHandler::Handler(plain), SaFlags::SA_RESTART);
        swap(Signal::SIGUSR1, &theirs);
        base.close().unwrap();
        assert_eq!(named(disposition(Signal::SIGUSR1).handler()), named(theirs.handler()));
    });
}

#[test]
fn reasserting_a_signal_without_events_changes_nothing() {
    let _alone = alone();
    let before = what_it_does(Signal::SIGUSR2);
    for number in [USR2, 0, -1, 65, i32::MAX, libc::SIGKILL] {
        reassert_signal(number).unwrap();
    }
    assert_eq!(what_it_does(Signal::SIGUSR2), before);
}

static OURS: std::sync::Mutex<Option<extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void)>> =
    std::sync::Mutex::new(None);

/// The handler of another copy of this library. Both copies took the other's handler as the previous one, so it calls
/// this library's handler, which calls it.
extern "C" fn circle(number: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    INFORMED.fetch_add(1, SeqCst);
    // No other thread holds the lock: the test itself raises the signal.
    if let Ok(ours) = OURS.try_lock()
        && let Some(ours) = *ours
    {
        ours(number, info, context);
    }
}

#[test]
fn a_cycle_of_handlers_ends_and_counts_once() {
    let _alone = alone();
    with(&default_action(), || {
        let base = shared_base();
        let event = watch(&base, USR1);
        let SigHandler::SigAction(ours) = disposition(Signal::SIGUSR1).handler() else { panic!() };
        *OURS.lock().unwrap() = Some(ours);
        swap(Signal::SIGUSR1, &action(SigHandler::SigAction(circle), SaFlags::SA_RESTART));
        reassert_signal(USR1).unwrap();
        send(USR1, 2);
        assert_eq!(INFORMED.load(SeqCst), 2);
        assert_eq!(run(&base, POLL).1, [(event, What::SIGNAL); 2]);
        base.close().unwrap();
    });
}
