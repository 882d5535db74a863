//! The disposition of a signal before, while and after a base watches it.

use nix::sys::signal::{SaFlags, SigHandler, Signal};

use event_base::{Error, EventSpec, What};

use crate::support::{POLL, base, open_descriptors, run};
use crate::{USR1, alone, disposition, handler_base, send, watch, what_it_does};

#[test]
fn signals_that_cannot_be_caught_are_refused_by_the_kernel() {
    let _alone = alone();
    let base = base();
    let not_to_be_had = [
        libc::SIGKILL,
        libc::SIGSTOP,
        // Reserved by the C library.
        #[cfg(target_os = "linux")]
        32,
        #[cfg(target_os = "linux")]
        33,
    ];
    for number in not_to_be_had {
        let event = base.create(EventSpec::signal(number)).unwrap();
        let Err(Error::System(error)) = base.add(event, None) else { panic!("{number}") };
        assert_eq!((error.errno, error.syscall), (libc::EINVAL, "sigaction"));
        assert_eq!(base.pending(event, What::all()), Ok(What::empty()));
    }
    let working = watch(&base, USR1);
    send(USR1, 1);
    assert_eq!(run(&base, POLL).1, [(working, What::SIGNAL)]);
}

#[test]
fn deleting_the_last_event_of_the_last_base_restores_the_disposition() {
    let _alone = alone();
    let before = what_it_does(Signal::SIGUSR1);
    let (first, second) = (handler_base(), handler_base());
    let events = [watch(&first, USR1), watch(&first, USR1)];
    let other = watch(&second, USR1);
    first.del(events[0]).unwrap();
    second.free(other).unwrap();
    assert_ne!(what_it_does(Signal::SIGUSR1), before);
    first.del(events[1]).unwrap();
    assert_eq!(what_it_does(Signal::SIGUSR1), before);
}

#[test]
fn a_base_that_is_dropped_without_being_closed_restores_all_dispositions() {
    let _alone = alone();
    let before = (what_it_does(Signal::SIGUSR1), what_it_does(Signal::SIGUSR2));
    let descriptors = open_descriptors();
    for _ in 0..3 {
        let base = handler_base();
        watch(&base, USR1);
        watch(&base, crate::USR2);
        drop(base);
        assert_eq!((what_it_does(Signal::SIGUSR1), what_it_does(Signal::SIGUSR2)), before);
        assert_eq!(open_descriptors(), descriptors);
    }
}

#[test]
fn a_one_shot_event_restores_the_disposition_before_it_is_dispatched() {
    let _alone = alone();
    let before = what_it_does(Signal::SIGUSR1);
    let base = base();
    base.create_and_add(EventSpec::signal_once(USR1), None).unwrap();
    send(USR1, 1);
    let mut during = Vec::new();
    base.run(POLL, |_, _| during.push(what_it_does(Signal::SIGUSR1))).unwrap();
    assert_eq!(during, [before]);
}

#[test]
fn the_handler_restarts_system_calls_and_runs_on_the_alternate_stack() {
    let _alone = alone();
    let base = handler_base();
    if base.signal_method() != Ok("signal") {
        return;
    }
    watch(&base, USR1);
    let action = disposition(Signal::SIGUSR1);
    assert!(action.flags().contains(SaFlags::SA_RESTART | SaFlags::SA_ONSTACK));
    assert!(Signal::iterator().all(|signal| {
        matches!(signal, Signal::SIGKILL | Signal::SIGSTOP) || action.mask().contains(signal)
    }));
    assert!(!matches!(action.handler(), SigHandler::SigDfl | SigHandler::SigIgn));
}

#[test]
fn signals_of_a_deleted_event_are_not_dispatched_to_the_next_one() {
    let _alone = alone();
    let base = handler_base();
    let first = watch(&base, USR1);
    send(USR1, 3);
    base.del(first).unwrap();
    let second = watch(&base, USR1);
    assert_eq!(run(&base, POLL).1, []);
    send(USR1, 1);
    assert_eq!(run(&base, POLL).1, [(second, What::SIGNAL)]);
}
