//! What a base can do after `Base::reinit`.

use std::io::Write;

use event_base::{
    Base, BaseFlags, Config, Error, EventSpec, LoopFlags, LoopResult, Step, Wait, What, supported_methods,
};

use crate::support::{POLL, WAIT, drain, fd, ms, next_event, only, open_descriptors, pair, run, run_watched};
use crate::{Child, in_child, one_at_a_time};

#[test]
fn a_child_may_call_reinit_in_a_callback_and_continue() {
    let _turn = one_at_a_time();
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
                while let Ok(Step::Event(ready)) = base.next(Wait::Allowed) {
                    assert_eq!(ready.id, writable);
                    calls += 1;
                    if calls == 3 {
                        base.del(writable).unwrap();
                    }
                }
                assert_eq!(calls, 3);
                assert_eq!(base.next(Wait::Allowed), Ok(Step::Done(LoopResult::Empty)));
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

#[test]
fn an_exclusive_event_can_be_deleted_and_added_again_in_a_child() {
    let _turn = one_at_a_time();
    for flags in [BaseFlags::empty(), BaseFlags::EPOLL_USE_CHANGELIST] {
        let base = Base::with_config(&Config::new().set_flags(flags)).unwrap();
        let (reader, _writer) = pair();
        let event = base.create(EventSpec::io(fd(&reader), What::WRITE).persist()).unwrap();
        base.add_exclusive(event).unwrap();
        in_child(|| {
            base.reinit().unwrap();
            assert_eq!(run(&base, POLL).1, [(event, What::WRITE)]);
            base.del(event).unwrap();
            assert_eq!(run(&base, POLL).1, []);
            base.add_exclusive(event).unwrap();
            assert_eq!(run(&base, POLL).1, [(event, What::WRITE)]);
        });
        assert_eq!(run(&base, POLL).1, [(event, What::WRITE)]);
    }
}

#[test]
fn reinit_works_on_a_base_without_locks() {
    let _turn = one_at_a_time();
    let base = Base::with_config(&Config::new().set_flags(BaseFlags::NOLOCK)).unwrap();
    let (reader, _writer) = pair();
    let event = base.create_and_add(EventSpec::io(fd(&reader), What::WRITE).persist(), None).unwrap();
    in_child(|| {
        assert_eq!(base.add(event, None), Err(Error::Forked));
        base.reinit().unwrap();
        assert_eq!(run(&base, POLL).1, [(event, What::WRITE)]);
    });
    in_child(|| drop(base.close().unwrap()));
    assert_eq!(run(&base, POLL).1, [(event, What::WRITE)]);
}

#[test]
fn a_descriptor_that_the_child_closed_does_not_make_reinit_fail() {
    let _turn = one_at_a_time();
    let base = Base::new().unwrap();
    let (reader, writer) = pair();
    let events = [&reader, &writer]
        .map(|socket| base.create_and_add(EventSpec::io(fd(socket), What::WRITE).persist(), None).unwrap());
    let mut reader = Some(reader);
    in_child(|| {
        drop(reader.take());
        assert_eq!(base.reinit(), Ok(()));
        // A new descriptor of the base may get the number, and must not be registered for the event.
        assert_eq!(base.pending(events[0], What::WRITE), Ok(What::empty()));
        assert_eq!(run(&base, POLL).1, [(events[1], What::WRITE)]);
    });
    assert_eq!(run(&base, POLL).1.len(), 2);
}

/// Reading, a timer, and a wake-up from another thread, in a child with each kind of base.
#[test]
fn reinit_works_on_every_backend() {
    let _turn = one_at_a_time();
    let with_changelist = |config: Config| config.set_flags(BaseFlags::EPOLL_USE_CHANGELIST);
    let configs = supported_methods().into_iter().map(|name| only(Config::new(), name));
    let configs = configs.chain([with_changelist(Config::new())]);
    for config in configs {
        let base = Base::with_config(&config).unwrap();
        let method = base.method().unwrap();
        let (reader, mut writer) = pair();
        let event = base.create_and_add(EventSpec::io(fd(&reader), What::READ).persist(), None).unwrap();
        // Deferred with a changelist; the child must not submit it for its parent.
        let deleted = base.create_and_add(EventSpec::io(fd(&writer), What::WRITE).persist(), None).unwrap();
        assert_eq!(run(&base, POLL).1, [(deleted, What::WRITE)], "{method}");
        base.enter(WAIT).unwrap();
        base.del(deleted).unwrap();
        in_child(|| base.leave());
        in_child(|| drop(base.close().unwrap()));
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
        // The parent receives the child's byte too, because both have the same socket.
        drain(&reader);
        writer.write_all(b"y").unwrap();
        assert_eq!(run(&base, POLL).1, [(event, What::READ)], "{method}");
    }
}

/// The thread that makes the wait does not exist in the child.
#[test]
fn a_wait_from_before_the_fork_is_refused_and_does_not_stop_the_child() {
    let _turn = one_at_a_time();
    for name in supported_methods() {
        let base = Base::with_config(&only(Config::new(), name)).unwrap();
        let (reader, mut writer) = pair();
        let event = base.create_and_add(EventSpec::io(fd(&reader), What::READ), None).unwrap();
        base.enter(WAIT).unwrap();
        let wait = base.start_wait().unwrap();
        in_child(|| {
            base.reinit().unwrap();
            let own = base.start_wait().unwrap();
            assert_eq!(base.finish_wait(wait), Err(Error::Closed), "{name}");
            assert_eq!(base.start_wait().err(), Some(Error::Reentrant), "{name}: its own wait is still away");
            base.finish_wait(own).unwrap();
            writer.write_all(b"x").unwrap();
            assert_eq!(next_event(&base, Wait::Never).id, event, "{name}");
            base.leave();
        });
        base.close().unwrap();
    }
}

/// The base has one descriptor for each kernel object before and after, and closes no descriptor of another owner.
#[test]
fn reinit_closes_each_descriptor_once() {
    let _turn = one_at_a_time();
    let base = Base::new().unwrap();
    base.descriptor().unwrap();
    let before = open_descriptors();
    in_child(|| {
        for _ in 0..10 {
            base.reinit().unwrap();
            assert_eq!(open_descriptors(), before);
        }
        base.close().unwrap();
        // epoll, eventfd, timerfd; a kqueue needs no others.
        let own = if cfg!(target_os = "linux") { 3 } else { 1 };
        assert_eq!(open_descriptors(), before - own);
    });
    for _ in 0..10 {
        base.reinit().unwrap();
        assert_eq!(open_descriptors(), before);
    }
}

#[test]
fn reinit_works_without_a_fork() {
    let _turn = one_at_a_time();
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
        // Not while a thread waits.
        assert_eq!(base.reinit(), Err(Error::Reentrant));
        base.release().unwrap();
    });
    base.close().unwrap();
    assert_eq!(base.reinit(), Err(Error::Closed));
}
