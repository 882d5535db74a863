//! A child that did not call `reinit`.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use event_base::{Base, Clock, Config, CountFlags, Error, EventSpec, LoopResult, SystemClock, Wait, What};

use crate::support::{POLL, WAIT, fd, ms, pair, run, run_watched};
use crate::{Child, in_child, one_at_a_time};

#[test]
fn every_call_that_does_not_delete_fails_in_a_child_before_reinit() {
    let _turn = one_at_a_time();
    let base = Base::new().unwrap();
    let (reader, _writer) = pair();
    let event = base.create_and_add(EventSpec::io(fd(&reader), What::WRITE).persist(), None).unwrap();
    in_child(|| {
        let forked = Err(Error::Forked);
        let calls: [(&str, Result<(), Error>); 28] = [
            ("add", base.add(event, None)),
            ("add_exclusive", base.add_exclusive(event).map(drop)),
            ("create", base.create(EventSpec::timer()).map(drop)),
            ("create_and_add", base.create_and_add(EventSpec::timer(), Some(ms(1))).map(drop)),
            ("once", base.once(-1, What::TIMEOUT, 0, None).map(drop)),
            ("keep", base.keep(event)),
            ("activate", base.activate(event, What::READ).map(drop)),
            ("activate_later", base.activate_later(event, What::READ).map(drop)),
            ("activate_by_fd", base.activate_by_fd(fd(&reader), What::READ)),
            ("defer", base.defer(event, What::READ).map(drop)),
            ("set_priority", base.set_priority(event, 0)),
            ("set_priorities", base.set_priorities(2)),
            ("run", base.run(POLL, |_, _| {}).map(drop)),
            ("enter", base.enter(WAIT)),
            ("next", base.next(Wait::Never).map(drop)),
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
        assert!(!base.is_closed());
        base.close().unwrap();
        assert!(base.is_closed());
        assert_eq!(base.add(event, None), Err(Error::Closed));
        assert_eq!(base.reinit(), Err(Error::Closed));
    });
    assert_eq!(run(&base, POLL).1, [(event, What::WRITE)]);
}

#[test]
fn a_loop_that_a_child_returns_into_fails() {
    let _turn = one_at_a_time();
    let base = Base::new().unwrap();
    let (reader, _writer) = pair();
    // Not persistent: dispatching it would remove it from the parent's set.
    let events =
        [(); 2].map(|()| base.create_and_add(EventSpec::io(fd(&reader), What::WRITE), None).unwrap());
    let mut handled = vec![];
    let mut child = None;
    let result = run_watched(&base, WAIT, |base, ready| {
        handled.push(ready.id);
        if child.is_none() {
            child = Some(Child::fork(|| {
                assert_eq!(base.next(Wait::Allowed).map(drop), Err(Error::Forked));
                base.leave();
                assert_eq!(base.run(WAIT, |_, _| {}), Err(Error::Forked));
            }));
        }
    });
    child.unwrap().join();
    assert_eq!((result, handled), (LoopResult::Empty, events.to_vec()));
}

/// A clock that blocks a thread which reads it under the lock of the base.
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
fn a_base_whose_lock_was_held_at_the_fork_fails_and_does_not_hang() {
    let _turn = one_at_a_time();
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
            assert_eq!(base.free(timer), Err(Error::Forked));
            assert_eq!(base.reinit(), Err(Error::Forked));
            assert_eq!(base.close(), Err(Error::Forked));
            drop(base.clone());
        });
        clock.hold.store(false, Ordering::SeqCst);
    });
    assert_eq!(run(&base, WAIT).1, [(timer, What::TIMEOUT)]);
}

#[test]
fn a_grandchild_must_call_reinit_too() {
    let _turn = one_at_a_time();
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
