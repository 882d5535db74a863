//! Signals through a descriptor: `BaseFlags::USE_SIGNALFD`.

use std::os::fd::AsRawFd;

use nix::sys::signal::{SigSet, Signal};

use event_base::{Base, BaseFlags, Error, EventSpec, Step, Wait, What};

use crate::support::{POLL, WAIT, base_from, config, next_event, open_descriptors, run, run_watched};
use crate::{USR1, USR2, alone, send, watch, what_it_does};

fn signalfd_base() -> Base {
    let flags = BaseFlags::IGNORE_ENV | BaseFlags::USE_SIGNALFD;
    let base = base_from(&config().set_flags(flags));
    assert_eq!(base.signal_method(), Ok("signalfd_signal"));
    base
}

fn is_held_back(signal: Signal) -> bool {
    SigSet::thread_get_mask().unwrap().contains(signal)
}

#[test]
fn equal_pending_signals_are_merged_and_different_ones_are_not() {
    let _alone = alone();
    let base = signalfd_base();
    let (one, two) = (watch(&base, USR1), watch(&base, USR2));
    send(USR1, 3);
    send(USR2, 1);
    let trace = run(&base, POLL).1;
    assert_eq!(trace, [(one, What::SIGNAL), (two, What::SIGNAL)]);
    send(USR1, 1);
    assert_eq!(run(&base, POLL).1, [(one, What::SIGNAL)]);
}

#[test]
fn a_signal_ends_the_wait() {
    let _alone = alone();
    let base = signalfd_base();
    let event = watch(&base, USR1);
    let me = nix::sys::pthread::pthread_self();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            std::thread::sleep(crate::support::ms(50));
            nix::sys::pthread::pthread_kill(me, Signal::SIGUSR1).unwrap();
        });
        let mut dispatched = Vec::new();
        run_watched(&base, WAIT, |base, ready| {
            dispatched.push(ready.id);
            base.loop_break().unwrap();
        });
        assert_eq!(dispatched, [event]);
    });
}

#[test]
fn one_descriptor_serves_all_signals_and_is_closed_with_the_last() {
    let _alone = alone();
    let base = signalfd_base();
    let before = open_descriptors();
    let events = [watch(&base, USR1), watch(&base, USR2), watch(&base, libc::SIGHUP)];
    assert_eq!(open_descriptors(), before + 1);
    for event in events {
        base.del(event).unwrap();
    }
    assert_eq!(open_descriptors(), before);
}

#[test]
fn the_thread_blocks_the_signal_while_there_are_events_and_the_disposition_stays() {
    let _alone = alone();
    let before = what_it_does(Signal::SIGUSR1);
    let (first, second) = (signalfd_base(), signalfd_base());
    assert!(!is_held_back(Signal::SIGUSR1));
    let events = (watch(&first, USR1), watch(&second, USR1));
    assert!(is_held_back(Signal::SIGUSR1));
    assert_eq!(what_it_does(Signal::SIGUSR1), before);
    first.del(events.0).unwrap();
    assert!(is_held_back(Signal::SIGUSR1));
    second.close().unwrap();
    assert!(!is_held_back(Signal::SIGUSR1));
}

#[test]
fn a_signal_that_was_blocked_before_stays_blocked() {
    let _alone = alone();
    let mut set = SigSet::empty();
    set.add(Signal::SIGUSR2);
    set.thread_block().unwrap();
    let base = signalfd_base();
    let event = watch(&base, USR2);
    base.del(event).unwrap();
    assert!(is_held_back(Signal::SIGUSR2));
    set.thread_unblock().unwrap();
}

/// The default action of SIGUSR1 would end this process.
#[test]
fn deleting_drops_a_pending_signal_and_keeps_others() {
    let _alone = alone();
    let base = signalfd_base();
    let (one, two) = (watch(&base, USR1), watch(&base, USR2));
    send(USR1, 1);
    send(USR2, 1);
    base.del(one).unwrap();
    assert!(!is_held_back(Signal::SIGUSR1));
    assert_eq!(run(&base, POLL).1, [(two, What::SIGNAL)]);
    send(USR2, 1);
    drop(base);
}

#[test]
fn real_time_signals_are_all_dispatched() {
    let _alone = alone();
    let base = signalfd_base();
    let number = libc::SIGRTMIN() + 4;
    watch(&base, number);
    for _ in 0..40 {
        raise_number(number);
    }
    assert_eq!(run(&base, POLL).1.len(), 40);
}

#[expect(unsafe_code, reason = "nix has no real-time signals")]
fn raise_number(number: i32) {
    // SAFETY: the call has no precondition; the process handles the signal.
    assert_eq!(unsafe { libc::raise(number) }, 0);
}

#[test]
fn signals_that_cannot_be_caught_are_refused() {
    let _alone = alone();
    let base = signalfd_base();
    let before = open_descriptors();
    for number in [libc::SIGKILL, libc::SIGSTOP, 32, 33] {
        let Err(Error::System(error)) = base.create_and_add(EventSpec::signal(number), None) else {
            panic!("{number}")
        };
        assert_eq!(error.errno, libc::EINVAL);
    }
    assert_eq!(open_descriptors(), before);
}

#[test]
fn a_read_that_fails_is_an_error_of_the_loop() {
    let _alone = alone();
    let base = signalfd_base();
    watch(&base, USR1);
    let signalfd = signalfd_of_this_process();
    send(USR1, 1);
    base.enter(POLL).unwrap();
    // A pipe without a writer: a read returns 0 bytes, which is not a record.
    let (ended, writer) = std::io::pipe().unwrap();
    drop(writer);
    let kept = crate::support::duplicate_of(&signalfd);
    crate::support::replace(&signalfd, &ended);
    let Err(Error::System(error)) = base.next(Wait::Never) else { panic!() };
    assert_eq!((error.errno, error.syscall), (libc::EIO, "read"));
    crate::support::replace(&signalfd, &kept);
    base.leave();
    drop(base);
}

struct Number(i32);

impl AsRawFd for Number {
    fn as_raw_fd(&self) -> i32 {
        self.0
    }
}

fn signalfd_of_this_process() -> Number {
    let found = std::fs::read_dir("/proc/self/fd").unwrap().flatten().find(|entry| {
        std::fs::read_link(entry.path()).is_ok_and(|path| path.to_string_lossy().contains("signalfd"))
    });
    Number(found.unwrap().file_name().to_str().unwrap().parse().unwrap())
}

#[test]
fn a_signal_makes_the_descriptor_of_a_host_readable() {
    let _alone = alone();
    let base = signalfd_base();
    let event = watch(&base, USR1);
    base.enter(WAIT).unwrap();
    while base.next(Wait::Never).unwrap() != Step::Idle {}
    kill_this_thread();
    assert_eq!(next_event(&base, Wait::Never).id, event);
    base.leave();
}

fn kill_this_thread() {
    nix::sys::pthread::pthread_kill(nix::sys::pthread::pthread_self(), Signal::SIGUSR1).unwrap();
}
