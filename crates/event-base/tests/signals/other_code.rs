//! Other code installs a handler over ours, and restores ours later: before or after the last base has stopped watching
//! the signal. Whatever the order, the last one restores what the first one found.

use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use libc::{c_int, c_void, siginfo_t};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal};

use event_base::{Base, What, reassert_signal};

use crate::support::{POLL, base_from, config_by_handler, run};
use crate::{alone, disposition, handler_base, named, send, swap, watch};

/// Ignored by default.
const SIGNAL: Signal = Signal::SIGURG;
const NUMBER: i32 = SIGNAL as i32;

static FIRST: AtomicUsize = AtomicUsize::new(0);
static OTHER: AtomicUsize = AtomicUsize::new(0);
static CHAINS: AtomicBool = AtomicBool::new(false);
/// The handler that `other` calls, if it chains.
static SAVED: AtomicUsize = AtomicUsize::new(0);

/// The handler that was installed before everything else.
extern "C" fn first(_: c_int) {
    FIRST.fetch_add(1, SeqCst);
}

/// The handler of other code.
extern "C" fn other(number: c_int, info: *mut siginfo_t, context: *mut c_void) {
    OTHER.fetch_add(1, SeqCst);
    let saved = SAVED.load(SeqCst);
    if CHAINS.load(SeqCst) && saved > libc::SIG_IGN {
        call(saved, number, info, context);
    }
}

#[expect(unsafe_code, reason = "the kernel returns a handler as a number")]
fn call(address: usize, number: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: `OtherCode` saves handlers of this type only.
    let saved: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) = unsafe { std::mem::transmute(address) };
    saved(number, info, context);
}

/// Other code that saves the disposition when it begins, and restores it when it ends.
struct OtherCode(libc::sigaction);

impl OtherCode {
    fn begin(chains: bool) -> Self {
        CHAINS.store(chains, SeqCst);
        let flags = SaFlags::SA_RESTART;
        let action = SigAction::new(SigHandler::SigAction(other), flags, SigSet::empty());
        let saved = current();
        swap(SIGNAL, &action);
        SAVED.store(saved.sa_sigaction, SeqCst);
        OtherCode(saved)
    }

    #[expect(unsafe_code, reason = "`sigaction` has no safe form")]
    fn end(self) {
        // SAFETY: a disposition that was installed before.
        assert_eq!(unsafe { libc::sigaction(NUMBER, &raw const self.0, ptr::null_mut()) }, 0);
    }
}

#[expect(unsafe_code, reason = "`sigaction` has no safe form")]
fn current() -> libc::sigaction {
    let mut current = MaybeUninit::uninit();
    // SAFETY: the out-pointer is valid, and nothing is changed.
    assert_eq!(unsafe { libc::sigaction(NUMBER, ptr::null(), current.as_mut_ptr()) }, 0);
    // SAFETY: written by the call, which succeeded.
    unsafe { current.assume_init() }
}

fn handler() -> SigAction {
    SigAction::new(SigHandler::Handler(first), SaFlags::SA_RESTART, SigSet::empty())
}

/// Runs `test` with each kind of disposition in effect before, and checks that it is in effect afterwards, once a signal
/// has arrived.
fn with_each(test: impl Fn()) {
    let plain = |handler| SigAction::new(handler, SaFlags::empty(), SigSet::empty());
    let before = disposition(SIGNAL);
    for action in [plain(SigHandler::SigDfl), plain(SigHandler::SigIgn), handler()] {
        swap(SIGNAL, &action);
        test();
        let calls = FIRST.load(SeqCst);
        send(NUMBER, 2);
        let expected = if matches!(action.handler(), SigHandler::Handler(_)) { 2 } else { 0 };
        assert_eq!(FIRST.load(SeqCst) - calls, expected, "{:?}", action.handler());
        assert_eq!(named(disposition(SIGNAL).handler()), named(action.handler()));
    }
    swap(SIGNAL, &before);
}

fn sharing_base() -> Base {
    base_from(&config_by_handler().share_signals(true))
}

/// The base, with an event for the signal.
fn watching(sharing: bool) -> Base {
    let base = if sharing { sharing_base() } else { handler_base() };
    watch(&base, NUMBER);
    base
}

/// The number of times that the event of the base, the other code and the first handler receive one signal.
fn received(base: Option<&Base>) -> [usize; 3] {
    let before = [OTHER.load(SeqCst), FIRST.load(SeqCst)];
    send(NUMBER, 1);
    let events =
        base.map_or(0, |base| run(base, POLL).1.iter().filter(|(_, what)| *what == What::SIGNAL).count());
    [events, OTHER.load(SeqCst) - before[0], FIRST.load(SeqCst) - before[1]]
}

#[test]
fn the_last_one_to_end_restores_the_disposition_that_the_first_one_found() {
    let _alone = alone();
    for (sharing, chains) in [(false, false), (false, true), (true, false), (true, true)] {
        let (ours, theirs) = (|| watching(sharing), || OtherCode::begin(chains));
        with_each(|| {
            let (base, code) = (ours(), theirs());
            base.close().unwrap();
            code.end();
        });
        with_each(|| {
            let (base, code) = (ours(), theirs());
            code.end();
            base.close().unwrap();
        });
        with_each(|| {
            let (code, base) = (theirs(), ours());
            base.close().unwrap();
            code.end();
        });
        with_each(|| {
            let (base, code) = (ours(), theirs());
            base.close().unwrap();
            // Another base begins and ends while the other code holds the handler.
            ours().close().unwrap();
            code.end();
        });
        with_each(|| {
            let (base, code) = (ours(), theirs());
            reassert_signal(NUMBER).unwrap();
            base.close().unwrap();
            code.end();
        });
    }
}

/// The other code is first, ends first, and so restores the disposition over our handler: the base is not notified until
/// [`reassert_signal`], but what it leaves behind is right.
#[test]
fn other_code_that_ends_over_a_later_base_leaves_its_disposition() {
    let _alone = alone();
    with_each(|| {
        let (code, base) = (OtherCode::begin(true), watching(true));
        code.end();
        assert_eq!(received(Some(&base))[0], 0);
        reassert_signal(NUMBER).unwrap();
        assert_eq!(received(Some(&base))[0], 1);
        base.close().unwrap();
    });
}

#[test]
fn each_handler_that_stays_receives_each_signal_once() {
    let _alone = alone();
    swap(SIGNAL, &handler());
    let base = watching(true);
    assert_eq!(received(Some(&base)), [1, 0, 1]);
    let code = OtherCode::begin(true);
    assert_eq!(received(Some(&base)), [1, 1, 1]);
    // Our handler over theirs over ours: a cycle that either handler begins.
    reassert_signal(NUMBER).unwrap();
    assert_eq!(received(Some(&base)), [1, 1, 1]);
    let again = OtherCode::begin(true);
    assert_eq!(received(Some(&base)), [1, 1, 1]);
    again.end();
    assert_eq!(received(Some(&base)), [1, 1, 1]);
    base.close().unwrap();
    assert_eq!(received(None), [0, 1, 1], "the base has left the cycle");
    code.end();
    assert_eq!(received(None), [0, 0, 1]);
    assert_eq!(named(disposition(SIGNAL).handler()), named(handler().handler()));
}

#[test]
fn a_handler_that_is_installed_again_over_ours_and_calls_it_receives_each_signal_once() {
    let _alone = alone();
    with_each(|| {
        let below = OtherCode::begin(true);
        let base = watching(true);
        let above = OtherCode::begin(true);
        assert_eq!(received(Some(&base))[..2], [1, 1]);
        above.end();
        assert_eq!(received(Some(&base))[..2], [1, 1]);
        base.close().unwrap();
        below.end();
    });
}

#[test]
fn what_an_earlier_base_had_replaced_does_not_hide_what_this_one_replaced() {
    let _alone = alone();
    // The other code ends under an earlier base, whose handler it may still have.
    let (code, base) = (OtherCode::begin(true), watching(true));
    code.end();
    reassert_signal(NUMBER).unwrap();
    base.close().unwrap();
    swap(SIGNAL, &handler());
    let (base, code) = (watching(true), OtherCode::begin(true));
    reassert_signal(NUMBER).unwrap();
    assert_eq!(received(Some(&base)), [1, 1, 1]);
    base.close().unwrap();
    code.end();
    assert_eq!(received(None), [0, 0, 1]);
}

#[test]
fn a_handler_for_one_signal_is_called_once_after_ours_was_restored() {
    let _alone = alone();
    let flags = SaFlags::SA_RESETHAND | SaFlags::SA_RESTART;
    swap(SIGNAL, &SigAction::new(SigHandler::Handler(first), flags, SigSet::empty()));
    let (base, code) = (watching(true), OtherCode::begin(false));
    base.close().unwrap();
    code.end();
    assert_eq!(received(None), [0, 0, 1]);
    assert_eq!(received(None), [0, 0, 0]);
    assert_eq!(named(disposition(SIGNAL).handler()), named(SigHandler::SigDfl));
}

#[test]
fn a_base_that_stops_watching_does_not_take_the_signal_back_for_the_others() {
    let _alone = alone();
    with_each(|| {
        let (one, two) = (watching(true), watching(true));
        let code = OtherCode::begin(false);
        one.close().unwrap();
        assert_eq!(received(Some(&two)), [0, 1, 0]);
        code.end();
        assert_eq!(received(Some(&two))[0], 1);
        two.close().unwrap();
    });
}

#[test]
fn bases_of_several_threads_and_other_code_that_restores_our_handler_leave_the_disposition() {
    let _alone = alone();
    with_each(|| {
        let (base, code) = (watching(true), OtherCode::begin(true));
        base.close().unwrap();
        code.end();
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        send(NUMBER, 1);
                        watching(true).close().unwrap();
                    }
                });
            }
        });
    });
}

/// Of a signal that no other code has replaced.
#[test]
fn our_handler_that_was_installed_again_restores_what_it_had_replaced() {
    let _alone = alone();
    let signal = Signal::SIGWINCH;
    let before = disposition(signal);
    let mut masked = SigSet::empty();
    masked.add(Signal::SIGUSR1);
    let plain = |handler| SigAction::new(handler, SaFlags::SA_RESTART, SigSet::empty());
    let actions = [
        (plain(SigHandler::SigIgn), 0),
        (plain(SigHandler::Handler(first)), 1),
        (SigAction::new(SigHandler::Handler(first), SaFlags::SA_RESTART, masked), 1),
    ];
    let watching = || {
        let base = sharing_base();
        watch(&base, signal as i32);
        base
    };
    for (action, calls) in actions {
        swap(signal, &action);
        let before = FIRST.load(SeqCst);
        let called = || FIRST.load(SeqCst) - before;
        let base = watching();
        let ours = disposition(signal);
        base.close().unwrap();
        swap(signal, &ours);
        let next = watching();
        send(signal as i32, 1);
        assert_eq!((run(&next, POLL).1.len(), called()), (1, calls));
        next.close().unwrap();
        swap(signal, &ours);
        send(signal as i32, 2);
        assert_eq!(called(), 3 * calls);
        let restored = disposition(signal);
        assert_eq!(named(restored.handler()), named(action.handler()));
        let blocks = |action: &SigAction| action.mask().contains(Signal::SIGUSR1);
        assert_eq!(blocks(&restored), blocks(&action));
    }
    swap(signal, &before);
}

/// The base took the signal over from the first one, and the second one from the base.
#[test]
fn code_that_a_base_replaced_and_code_that_replaced_the_base_can_both_end_after_it() {
    let _alone = alone();
    with_each(|| {
        let (base, one) = (watching(true), OtherCode::begin(false));
        reassert_signal(NUMBER).unwrap();
        let two = OtherCode::begin(false);
        base.close().unwrap();
        two.end();
        assert_eq!(received(None), [0, 1, 0]);
        one.end();
    });
}

#[test]
fn other_code_that_installs_its_handler_repeatedly_is_replaced_once() {
    let _alone = alone();
    with_each(|| {
        let (base, code) = (watching(true), OtherCode::begin(false));
        let theirs = disposition(SIGNAL);
        reassert_signal(NUMBER).unwrap();
        swap(SIGNAL, &theirs);
        reassert_signal(NUMBER).unwrap();
        assert_eq!(received(Some(&base))[..2], [1, 1]);
        base.close().unwrap();
        assert_eq!(received(None), [0, 1, 0]);
        code.end();
    });
}
