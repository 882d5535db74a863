//! libevent's own tests of forks. The number in a test's name is that of its row in `docs/conformance.json`.
//!
//! Each row runs in a child with one thread: a signal that is sent to a process with several threads is delivered to
//! any that does not block it, and only the thread of the loop blocks one that is read from a descriptor.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use event_base::{Base, EventId, EventSpec, LoopResult, Step, Wait, What};
use nix::sys::signal::{Signal, raise};

use crate::support::{POLL, WAIT, base, drain, fd, ms, pair, run, run_watched, shared_base};
use crate::{Child, HOURS, in_child, is_readable, one_at_a_time};

fn watch_signal(base: &Base, signal: Signal) -> EventId {
    base.create_and_add(EventSpec::signal(signal as i32), None).unwrap()
}

/// Runs the loop until each of these was dispatched; fails if one was dispatched twice.
fn run_until_dispatched(base: &Base, expected: &[EventId]) {
    let mut dispatched = vec![];
    let result = run_watched(base, WAIT, |base, ready| {
        dispatched.push(ready.id);
        if dispatched.len() == expected.len() {
            base.loop_break().unwrap();
        }
    });
    dispatched.sort();
    let mut expected = expected.to_vec();
    expected.sort();
    assert_eq!((result, dispatched), (LoopResult::Stopped, expected));
}

/// libevent's test forks with pending events on a socket and on signals; the child adds one on another signal.
#[test]
fn c_063_fork() {
    let _turn = one_at_a_time();
    in_child(|| {
        let base = base();
        let (reader, mut writer) = pair();
        let event = base.create_and_add(EventSpec::io(fd(&reader), What::READ).persist(), None).unwrap();
        let ended = watch_signal(&base, Signal::SIGCHLD);
        let before = watch_signal(&base, Signal::SIGUSR1);
        let child = Child::fork(|| {
            assert_eq!(base.reinit(), Ok(()));
            let after = watch_signal(&base, Signal::SIGUSR2);
            raise(Signal::SIGUSR1).unwrap();
            raise(Signal::SIGUSR2).unwrap();
            let read = base.create_and_add(EventSpec::io(fd(&reader), What::READ), None).unwrap();
            base.del(event).unwrap();
            run_until_dispatched(&base, &[before, after, read]);
            for signal in [ended, before, after] {
                base.del(signal).unwrap();
            }
            // And an event that is added again only now.
            base.add(event, Some(HOURS)).unwrap();
            let result = run_watched(&base, WAIT, |base, ready| {
                assert_eq!((ready.id, ready.what), (event, What::READ));
                base.del(event).unwrap();
            });
            assert_eq!(result, LoopResult::Empty);
        });
        writer.write_all(b"for both").unwrap();
        run_until_child_ended(&base, ended, event);
        child.join();
        drain(&reader);
        assert_eq!(run(&base, POLL), (LoopResult::Stopped, vec![]));
        // The parent did not receive the child's signals.
        raise(Signal::SIGUSR1).unwrap();
        run_until_dispatched(&base, &[before]);
    });
}

/// Both are dispatched, the socket in every pass, and no other.
fn run_until_child_ended(base: &Base, ended: EventId, read: EventId) {
    let (mut ends, mut reads) = (0, 0);
    run_watched(base, WAIT, |base, ready| {
        if ready.id == ended {
            ends += 1;
        } else {
            assert_eq!((ready.id, ready.what), (read, What::READ));
            reads += 1;
            // The bytes are not read: the child reads them.
            std::thread::sleep(ms(1));
        }
        if ends > 0 && reads > 0 {
            base.loop_break().unwrap();
        }
    });
    assert_eq!(ends, 1);
}

/// The child runs timers and threads that add them again, as in `c_087_thread_basic`.
#[test]
fn c_088_thread_forking() {
    let _turn = one_at_a_time();
    if shared_base().is_none() {
        return;
    }
    in_child(|| {
        let base = base();
        let ended = watch_signal(&base, Signal::SIGCHLD);
        base.create_and_add(EventSpec::timer(), Some(HOURS)).unwrap();
        base.enter(WAIT).unwrap();
        assert_eq!(base.next(Wait::Never), Ok(Step::Idle));
        let (mut parents, mut childs) = UnixStream::pair().unwrap();
        let base = &base;
        // The child's end raises SIGCHLD in the parent, which ends the loop.
        let child = Child::fork(move || {
            assert_eq!(base.reinit(), Ok(()));
            base.leave();
            add_timers_again_and_again(base);
            childs.write_all(b"done").unwrap();
            childs.read_exact(&mut [0; 4]).unwrap();
        });
        parents.read_exact(&mut [0; 4]).unwrap();
        // None of the child's wake-ups reached the parent.
        assert_no_wake_up(base);
        assert_eq!(base.next(Wait::Never), Ok(Step::Idle));
        base.leave();
        parents.write_all(b"exit").unwrap();
        run_until_dispatched(base, &[ended]);
        child.join();
    });
}

fn add_timers_again_and_again(base: &Base) {
    let fired: Vec<AtomicU32> = (0..20).map(|_| AtomicU32::new(0)).collect();
    let mut total = 0;
    std::thread::scope(|scope| {
        for (data, mine) in (0..).zip(&fired) {
            scope.spawn(move || {
                let timer = base.create(EventSpec::timer().data(data)).unwrap();
                for round in 0..50 {
                    base.add(timer, Some(Duration::from_micros(10))).unwrap();
                    while mine.load(Ordering::Acquire) == round {
                        std::thread::sleep(Duration::from_micros(100));
                    }
                }
            });
        }
        let result = run_watched(base, WAIT, |base, ready| {
            total += 1;
            fired[ready.data as usize].fetch_add(1, Ordering::Release);
            if total == 1_000 {
                base.loop_break().unwrap();
            }
        });
        assert_eq!(result, LoopResult::Stopped);
    });
}

/// Checks the descriptor that a host would watch, and the value of every eventfd of this process in `/proc`.
fn assert_no_wake_up(base: &Base) {
    if base.descriptor().unwrap().is_some() {
        assert!(!is_readable(base));
    }
    #[cfg(target_os = "linux")]
    {
        let infos = std::fs::read_dir("/proc/self/fdinfo").unwrap().flatten();
        // The descriptor of the folder itself is closed when its line is read.
        let texts = infos.filter_map(|info| std::fs::read_to_string(info.path()).ok());
        let counts: Vec<String> = texts
            .flat_map(|text| {
                let lines = text.lines().filter_map(|line| line.strip_prefix("eventfd-count:"));
                lines.map(|count| count.trim().to_owned()).collect::<Vec<_>>()
            })
            .collect();
        assert!(!counts.is_empty() && counts.iter().all(|count| count == "0"), "{counts:?}");
    }
}
