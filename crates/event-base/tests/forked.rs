//! A base on both sides of a fork.
//!
//! The tests run one after the other: a child has only the thread that forked, and what the others held at that
//! moment stays held in it.

mod support;

use std::io::Write;
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use event_base::{
    Base, BaseFlags, Clock, Config, CountFlags, Error, EventSpec, LoopFlags, LoopResult, SystemClock, Turn,
    Wait, What, supported_methods,
};
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid};

use support::{POLL, WAIT, drain, fd, ms, pair, run, run_watched};

const HOURS: Duration = Duration::from_secs(10_000);

/// The tests' turns; a test that failed does not end the others'.
fn my_turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A forked child that runs `body`, and is to be waited for.
struct Child(Pid);

impl Child {
    #[expect(unsafe_code, reason = "a fork copies one thread of several")]
    fn fork(body: impl FnOnce()) -> Self {
        // SAFETY: the child uses what this thread owns, and the allocator, which the C library repairs.
        match unsafe { nix::unistd::fork() }.unwrap() {
            ForkResult::Parent { child } => Child(child),
            ForkResult::Child => {
                // What a child prints would be captured and lost with it.
                std::panic::set_hook(Box::new(|panic| {
                    _ = nix::unistd::write(std::io::stderr(), format!("in the child: {panic}\n").as_bytes());
                }));
                // A child that hangs is ended by the kernel, which its parent hears of.
                nix::unistd::alarm::set(30);
                let failed = catch_unwind(AssertUnwindSafe(body)).is_err();
                // SAFETY: nothing of the parent's is to be cleaned up here.
                unsafe { libc::_exit(i32::from(failed)) }
            }
        }
    }

    fn join(self) {
        assert_eq!(waitpid(self.0, None).unwrap(), WaitStatus::Exited(self.0, 0));
    }
}

fn in_child(body: impl FnOnce()) {
    Child::fork(body).join();
}

/// Whether the descriptor a host would watch is readable.
fn wants_a_turn(base: &Base) -> bool {
    let number = base.descriptor().unwrap().unwrap();
    let mut found = false;
    with_descriptor(number, |descriptor| {
        let mut fds = [PollFd::new(descriptor, PollFlags::POLLIN)];
        found = poll(&mut fds, PollTimeout::ZERO).unwrap() == 1;
    });
    found
}

#[expect(unsafe_code, reason = "the engine tells its descriptor as a number")]
fn with_descriptor(number: i32, call: impl FnOnce(std::os::fd::BorrowedFd<'_>)) {
    // SAFETY: the base, which owns it, is open.
    call(unsafe { std::os::fd::BorrowedFd::borrow_raw(number) });
}

/// libevent's test forks with an event on a socket pending, which both processes then see.
#[test]
fn c_063_fork() {
    let _turn = my_turn();
    let base = Base::new().unwrap();
    let (reader, mut writer) = pair();
    let event = base.create_and_add(EventSpec::io(fd(&reader), What::READ).persist(), None).unwrap();
    let child = Child::fork(|| {
        assert_eq!(base.reinit(), Ok(()));
        let result = run_watched(&base, WAIT, |base, ready| {
            assert_eq!((ready.id, ready.what), (event, What::READ));
            base.del(event).unwrap();
        });
        assert_eq!(result, LoopResult::Empty);
        // And what is added only now.
        let later = base.create_and_add(EventSpec::io(fd(&reader), What::READ), Some(HOURS)).unwrap();
        assert_eq!(run(&base, WAIT), (LoopResult::Empty, vec![(later, What::READ)]));
    });
    writer.write_all(b"for both").unwrap();
    child.join();
    let (result, trace) = run(&base, POLL);
    assert_eq!((result, trace), (LoopResult::Stopped, vec![(event, What::READ)]));
    drain(&reader);
    assert_eq!(run(&base, POLL), (LoopResult::Stopped, vec![]));
}

/// In the child a hundred timers and threads that add them again, as in `c_087_thread_basic`.
#[test]
fn c_088_thread_forking() {
    let _turn = my_turn();
    let base = Base::new().unwrap();
    base.create_and_add(EventSpec::timer(), Some(HOURS)).unwrap();
    base.enter(WAIT).unwrap();
    assert_eq!(base.turn(Wait::Never), Ok(Turn::Idle));
    assert!(!wants_a_turn(&base));
    in_child(|| {
        assert_eq!(base.reinit(), Ok(()));
        base.leave();
        let fired: Vec<AtomicU32> = (0..20).map(|_| AtomicU32::new(0)).collect();
        let mut total = 0;
        std::thread::scope(|scope| {
            for (data, mine) in (0..).zip(&fired) {
                let base = &base;
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
            let result = run_watched(&base, WAIT, |base, ready| {
                total += 1;
                fired[ready.data as usize].fetch_add(1, Ordering::Release);
                if total == 1_000 {
                    base.loop_break().unwrap();
                }
            });
            assert_eq!(result, LoopResult::Stopped);
        });
    });
    // None of the child's wake-ups came here.
    assert!(!wants_a_turn(&base));
    assert_eq!(base.turn(Wait::Never), Ok(Turn::Idle));
    base.leave();
}

#[test]
fn a_child_that_does_nothing_about_it_is_refused_whatever_it_asks() {
    let _turn = my_turn();
    let base = Base::new().unwrap();
    let (reader, _writer) = pair();
    let event = base.create_and_add(EventSpec::io(fd(&reader), What::WRITE).persist(), None).unwrap();
    in_child(|| {
        let forked = Err(Error::Forked);
        let calls: [(&str, Result<(), Error>); 32] = [
            ("add", base.add(event, None)),
            ("create", base.create(EventSpec::timer()).map(drop)),
            ("create_and_add", base.create_and_add(EventSpec::timer(), Some(ms(1))).map(drop)),
            ("once", base.once(-1, What::TIMEOUT, 0, None).map(drop)),
            ("del", base.del(event)),
            ("del_block", base.del_block(event)),
            ("free", base.free(event)),
            ("free_block", base.free_block(event)),
            ("keep", base.keep(event)),
            ("remove_timer", base.remove_timer(event)),
            ("finalize", base.finalize(event)),
            ("activate", base.activate(event, What::READ)),
            ("activate_later", base.activate_later(event, What::READ)),
            ("activate_by_fd", base.activate_by_fd(fd(&reader), What::READ)),
            ("defer", base.defer(event, What::READ)),
            ("set_priority", base.set_priority(event, 0)),
            ("set_priorities", base.set_priorities(2)),
            ("run", base.run(POLL, |_, _| {}).map(drop)),
            ("enter", base.enter(WAIT)),
            ("loop_exit", base.loop_exit(None)),
            ("loop_break", base.loop_break()),
            ("loop_continue", base.loop_continue()),
            ("wake", base.wake()),
            ("descriptor", base.descriptor().map(drop)),
            ("descriptor_epoch", base.descriptor_epoch().map(drop)),
            ("watch_host", base.watch_host(reader.as_fd())),
            ("unwatch_host", base.unwatch_host()),
            ("retain", base.retain()),
            ("release", base.release()),
            ("pending", base.pending(event, What::all()).map(drop)),
            ("events", base.events().map(drop)),
            ("count_events", base.count_events(CountFlags::ADDED).map(drop)),
        ];
        for (name, result) in calls {
            assert_eq!(result, forked, "{name}");
        }
        assert!(base.next_ready().is_none());
        assert!(!base.is_closed());
        base.close().unwrap();
        assert!(base.is_closed());
        assert_eq!(base.add(event, None), Err(Error::Closed));
        assert_eq!(base.reinit(), Err(Error::Closed));
    });
    assert_eq!(run(&base, POLL).1, [(event, What::WRITE)]);
}

#[test]
fn a_loop_that_a_child_comes_back_into_ends_there() {
    let _turn = my_turn();
    let base = Base::new().unwrap();
    let (reader, _writer) = pair();
    // Not persistent: handing it out would take it out of the parent's set.
    let events =
        [(); 2].map(|()| base.create_and_add(EventSpec::io(fd(&reader), What::WRITE), None).unwrap());
    let mut handled = vec![];
    let mut child = None;
    let result = run_watched(&base, WAIT, |base, ready| {
        handled.push(ready.id);
        if child.is_none() {
            child = Some(Child::fork(|| {
                assert_eq!(base.next(Wait::Allowed).map(drop), Err(Error::Forked));
                assert_eq!(base.turn(Wait::Allowed), Err(Error::Forked));
                base.leave();
                assert_eq!(base.run(WAIT, |_, _| {}), Err(Error::Forked));
            }));
        }
    });
    child.unwrap().join();
    assert_eq!((result, handled), (LoopResult::Empty, events.to_vec()));
}

#[test]
fn a_child_may_make_the_base_anew_in_a_callback_and_go_on() {
    let _turn = my_turn();
    let base = Base::new().unwrap();
    let (reader, _writer) = pair();
    let writable = base.create_and_add(EventSpec::io(fd(&reader), What::WRITE).persist(), None).unwrap();
    base.activate(writable, What::WRITE).unwrap();
    let mut child = None;
    let mut calls = 0;
    let result = run_watched(&base, WAIT, |base, _| {
        calls += 1;
        if child.is_none() {
            child = Some(Child::fork(|| {
                base.reinit().unwrap();
                let mut calls = 0;
                while let Ok(event_base::Next::Event(ready)) = base.next(Wait::Allowed) {
                    assert_eq!(ready.id, writable);
                    calls += 1;
                    if calls == 3 {
                        base.del(writable).unwrap();
                    }
                }
                assert_eq!(calls, 3);
                assert_eq!(base.turn(Wait::Allowed), Ok(Turn::Done(LoopResult::Empty)));
                base.leave();
            }));
        }
        if calls == 5 {
            base.del(writable).unwrap();
        }
    });
    child.unwrap().join();
    assert_eq!((result, calls), (LoopResult::Empty, 5));
}

/// Closing, deleting, arming: all that a child could do to an epoll set, an eventfd and a timerfd.
#[test]
fn what_a_child_does_the_parent_does_not_feel() {
    let _turn = my_turn();
    let base = Base::new().unwrap();
    let (reader, mut writer) = pair();
    let event = base.create_and_add(EventSpec::io(fd(&reader), What::READ).persist(), None).unwrap();
    let timer = base.create_and_add(EventSpec::timer(), Some(HOURS)).unwrap();
    base.descriptor().unwrap();
    base.enter(WAIT).unwrap();
    assert_eq!(base.turn(Wait::Never), Ok(Turn::Idle));
    in_child(|| base.close().unwrap());
    in_child(|| drop(base.clone()));
    in_child(|| {
        base.reinit().unwrap();
        base.add(timer, Some(ms(0))).unwrap();
        assert!(wants_a_turn(&base));
        assert_eq!(base.turn(Wait::Never), Ok(Turn::Ready));
        assert_eq!(base.next_ready().map(|ready| ready.id), Some(timer));
        base.activate(timer, What::READ).unwrap();
        base.wake().unwrap();
        base.free(event).unwrap();
        base.leave();
        base.close().unwrap();
    });
    in_child(|| {
        base.reinit().unwrap();
        base.del(event).unwrap();
        base.add(timer, Some(ms(1))).unwrap();
        assert_eq!(base.turn(Wait::Never), Ok(Turn::Idle));
        std::thread::sleep(ms(5));
        assert!(wants_a_turn(&base));
    });
    std::thread::sleep(ms(10));
    assert!(!wants_a_turn(&base));
    writer.write_all(b"x").unwrap();
    assert!(wants_a_turn(&base));
    assert_eq!(base.turn(Wait::Never), Ok(Turn::Ready));
    assert_eq!(base.next_ready().map(|ready| ready.id), Some(event));
    assert_eq!(base.next_ready(), None);
    base.add(timer, Some(ms(1))).unwrap();
    assert_eq!(base.turn(Wait::Allowed), Ok(Turn::Ready));
    base.leave();
}

#[test]
fn a_host_finds_the_descriptor_under_its_number() {
    let _turn = my_turn();
    let base = Base::new().unwrap();
    let timer = base.create_and_add(EventSpec::timer(), Some(HOURS)).unwrap();
    let number = base.descriptor().unwrap();
    let epoch = base.descriptor_epoch().unwrap();
    base.enter(WAIT).unwrap();
    assert_eq!(base.turn(Wait::Never), Ok(Turn::Idle));
    in_child(|| {
        base.reinit().unwrap();
        assert_eq!(base.descriptor().unwrap(), number);
        assert_ne!(base.descriptor_epoch().unwrap(), epoch);
        // The host waited; it is to have a look.
        assert!(wants_a_turn(&base));
        assert_eq!(base.turn(Wait::Never), Ok(Turn::Idle));
        assert!(!wants_a_turn(&base));
        base.add(timer, Some(ms(1))).unwrap();
        assert!(wants_a_turn(&base));
    });
    base.leave();
}

#[test]
fn a_loop_that_another_thread_waited_in_is_over_in_the_child() {
    let _turn = my_turn();
    let base = Base::new().unwrap();
    let timer = base.create_and_add(EventSpec::timer(), Some(HOURS)).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| run_watched(&base, WAIT, |_, _| {}));
        // Until it waits, or nearly so: a child is right either way.
        std::thread::sleep(ms(30));
        in_child(|| {
            base.reinit().unwrap();
            base.add(timer, Some(ms(1))).unwrap();
            assert_eq!(run(&base, WAIT), (LoopResult::Empty, vec![(timer, What::TIMEOUT)]));
            // A wake-up reaches the loop of the child.
            base.retain().unwrap();
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    std::thread::sleep(ms(30));
                    base.release().unwrap();
                });
                assert_eq!(run_watched(&base, WAIT, |_, _| {}), LoopResult::Empty);
            });
        });
        // Closed without having been made anew: the parent's loop is not woken, and goes on.
        in_child(|| base.close().unwrap());
        assert_eq!(base.enter(WAIT), Err(Error::Reentrant));
        base.del(timer).unwrap();
    });
}

/// A clock that another thread can be held up in, under the lock of the base.
#[derive(Debug, Default)]
struct HeldUp {
    hold: AtomicBool,
    inside: AtomicBool,
}

impl Clock for HeldUp {
    fn monotonic(&self) -> u64 {
        while self.hold.load(Ordering::SeqCst) {
            self.inside.store(true, Ordering::SeqCst);
            std::thread::sleep(ms(1));
        }
        SystemClock.monotonic()
    }

    fn wall(&self) -> u64 {
        SystemClock.wall()
    }
}

#[test]
fn a_base_whose_lock_was_taken_at_the_fork_is_refused_and_does_not_hang() {
    let _turn = my_turn();
    let clock = Arc::new(HeldUp::default());
    let base = Base::with_config(&Config::new().set_clock(Arc::clone(&clock) as Arc<dyn Clock>)).unwrap();
    let timer = base.create(EventSpec::timer()).unwrap();
    clock.hold.store(true, Ordering::SeqCst);
    std::thread::scope(|scope| {
        scope.spawn(|| base.add(timer, Some(ms(1))).unwrap());
        while !clock.inside.load(Ordering::SeqCst) {
            std::thread::sleep(ms(1));
        }
        in_child(|| {
            assert_eq!(base.del(timer), Err(Error::Forked));
            assert_eq!(base.reinit(), Err(Error::Forked));
            assert_eq!(base.close(), Err(Error::Forked));
            drop(base.clone());
        });
        clock.hold.store(false, Ordering::SeqCst);
    });
    assert_eq!(run(&base, WAIT).1, [(timer, What::TIMEOUT)]);
}

#[test]
fn a_grandchild_has_to_make_it_anew_again() {
    let _turn = my_turn();
    let base = Base::new().unwrap();
    let (reader, _writer) = pair();
    let event = base.create_and_add(EventSpec::io(fd(&reader), What::WRITE).persist(), None).unwrap();
    in_child(|| {
        base.reinit().unwrap();
        in_child(|| {
            assert_eq!(base.add(event, None), Err(Error::Forked));
            base.reinit().unwrap();
            base.free(event).unwrap();
            assert_eq!(run(&base, WAIT), (LoopResult::Empty, vec![]));
        });
        assert_eq!(run(&base, POLL).1, [(event, What::WRITE)]);
        let own = Base::new().unwrap();
        own.create_and_add(EventSpec::timer(), Some(ms(0))).unwrap();
        assert_eq!(run(&own, WAIT).1.len(), 1);
    });
    assert_eq!(run(&base, POLL).1, [(event, What::WRITE)]);
}

#[test]
fn a_base_without_locks_can_be_made_anew() {
    let _turn = my_turn();
    let base = Base::with_config(&Config::new().set_flags(BaseFlags::NOLOCK)).unwrap();
    let (reader, _writer) = pair();
    let event = base.create_and_add(EventSpec::io(fd(&reader), What::WRITE).persist(), None).unwrap();
    in_child(|| {
        assert_eq!(base.add(event, None), Err(Error::Forked));
        base.reinit().unwrap();
        assert_eq!(run(&base, POLL).1, [(event, What::WRITE)]);
    });
    in_child(|| base.close().unwrap());
    assert_eq!(run(&base, POLL).1, [(event, What::WRITE)]);
}

#[test]
fn a_descriptor_that_the_child_closed_is_no_refusal() {
    let _turn = my_turn();
    let base = Base::new().unwrap();
    let (reader, writer) = pair();
    let events = [&reader, &writer]
        .map(|socket| base.create_and_add(EventSpec::io(fd(socket), What::WRITE).persist(), None).unwrap());
    let mut reader = Some(reader);
    in_child(|| {
        drop(reader.take());
        assert_eq!(base.reinit(), Ok(()));
        // The number is free for the base's own descriptors, and must not pass for the user's.
        assert_eq!(base.pending(events[0], What::WRITE), Ok(What::empty()));
        assert_eq!(run(&base, POLL).1, [(events[1], What::WRITE)]);
    });
    assert_eq!(run(&base, POLL).1.len(), 2);
}

/// Reading, a timer, and a wake-up from another thread, in a child of each kind of base.
#[test]
fn every_backend_can_be_made_anew() {
    let _turn = my_turn();
    let with_changelist = |config: Config| config.set_flags(BaseFlags::EPOLL_USE_CHANGELIST);
    let without = |kept: &str| {
        let others = supported_methods().into_iter().filter(|name| *name != kept);
        others.fold(Config::new(), |config, name| config.avoid_method(name))
    };
    let configs = supported_methods().into_iter().map(without).chain([with_changelist(Config::new())]);
    for config in configs {
        let base = Base::with_config(&config).unwrap();
        let method = base.method().unwrap();
        let (reader, mut writer) = pair();
        let event = base.create_and_add(EventSpec::io(fd(&reader), What::READ).persist(), None).unwrap();
        // Put off where changes are; the child must not make it for its parent.
        let deleted = base.create_and_add(EventSpec::io(fd(&writer), What::WRITE).persist(), None).unwrap();
        assert_eq!(run(&base, POLL).1, [(deleted, What::WRITE)], "{method}");
        base.enter(WAIT).unwrap();
        base.del(deleted).unwrap();
        in_child(|| base.leave());
        in_child(|| base.close().unwrap());
        in_child(|| {
            base.leave();
            base.reinit().unwrap();
            writer.write_all(b"x").unwrap();
            let timer = base.create_and_add(EventSpec::timer(), Some(ms(1))).unwrap();
            let mut seen = vec![];
            std::thread::scope(|scope| {
                let result = run_watched(&base, WAIT, |base, ready| {
                    seen.push(ready.id);
                    if ready.id == event {
                        drain(&reader);
                    }
                    if seen.len() == 2 {
                        let base = base.clone();
                        scope.spawn(move || {
                            std::thread::sleep(ms(20));
                            base.del(event).unwrap();
                        });
                    }
                });
                assert_eq!(result, LoopResult::Empty, "{method}");
            });
            seen.sort();
            assert_eq!(seen, [event, timer], "{method}");
        });
        base.leave();
        // The child's byte came here too, as it is one socket.
        drain(&reader);
        writer.write_all(b"y").unwrap();
        assert_eq!(run(&base, POLL).1, [(event, What::READ)], "{method}");
    }
}

/// One descriptor for each kernel object before and after, and none closed that is somebody else's.
#[test]
fn nothing_is_closed_twice_and_nothing_left_open() {
    let _turn = my_turn();
    let base = Base::new().unwrap();
    base.descriptor().unwrap();
    let before = support::open_descriptors();
    in_child(|| {
        for _ in 0..10 {
            base.reinit().unwrap();
            assert_eq!(support::open_descriptors(), before);
        }
        base.close().unwrap();
        // epoll, eventfd, timerfd; a kqueue does all by itself.
        let own = if cfg!(target_os = "linux") { 3 } else { 1 };
        assert_eq!(support::open_descriptors(), before - own);
    });
    for _ in 0..10 {
        base.reinit().unwrap();
        assert_eq!(support::open_descriptors(), before);
    }
}

#[test]
fn a_base_can_be_made_anew_without_a_fork() {
    let _turn = my_turn();
    let base = Base::new().unwrap();
    let (reader, mut writer) = pair();
    let event = base.create_and_add(EventSpec::io(fd(&reader), What::READ).persist(), None).unwrap();
    let timer = base.create_and_add(EventSpec::timer(), Some(ms(1))).unwrap();
    base.reinit().unwrap();
    writer.write_all(b"x").unwrap();
    let mut trace = vec![];
    let result = run_watched(&base, WAIT, |base, ready| {
        trace.push(ready.id);
        base.reinit().unwrap();
        if trace.contains(&event) {
            base.del(event).unwrap();
        }
    });
    assert_eq!((result, trace), (LoopResult::Empty, vec![event, timer]));
    std::thread::scope(|scope| {
        base.retain().unwrap();
        scope.spawn(|| run_watched(&base, LoopFlags::empty(), |_, _| {}));
        std::thread::sleep(ms(50));
        // Not with a thread in the wait.
        assert_eq!(base.reinit(), Err(Error::Reentrant));
        base.release().unwrap();
    });
    base.close().unwrap();
    assert_eq!(base.reinit(), Err(Error::Closed));
}
