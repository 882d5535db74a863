//! A child deletes events of its parent before it calls `reinit`: these are not registered again, and the parent keeps
//! them.

use std::io::Write;
use std::time::Duration;

use event_base::{
    Base, BaseFlags, Config, Error, EventId, EventSpec, LoopResult, Step, Wait, What, supported_methods,
};
use nix::sys::signal::{SigHandler, Signal, raise};

use crate::support::{POLL, WAIT, drain, fd, ms, only, pair, run, run_watched};
use crate::{Child, HOURS, disposition_of, in_child, is_readable, one_at_a_time};

/// Calls `test` with a configuration for each backend, and with each of the flags that change how events are registered.
fn each_config(mut test: impl FnMut(&Config)) {
    let flags = [BaseFlags::empty(), BaseFlags::EPOLL_USE_CHANGELIST, BaseFlags::USE_SIGNALFD];
    for name in supported_methods() {
        for flags in flags {
            test(&only(Config::new().set_flags(flags | BaseFlags::IGNORE_ENV), name));
        }
    }
}

/// The same with a base.
fn each(mut test: impl FnMut(Base)) {
    each_config(|config| test(Base::with_config(config).unwrap()));
}

/// The same in a child with one thread: signals of a descriptor are blocked for the thread of the loop only.
fn each_in_child(test: impl Fn(&Base)) {
    each_config(|config| in_child(|| test(&Base::with_config(config).unwrap())));
}

/// What a poll dispatches, by event: the backend chooses the order of descriptors.
fn sorted(base: &Base) -> Vec<(EventId, What)> {
    let (_, mut trace) = run(base, POLL);
    trace.sort_by_key(|(event, _)| *event);
    trace
}

type Delete = fn(&Base, EventId) -> Result<(), Error>;

const DELETES: [(&str, Delete); 4] = [
    ("del", Base::del),
    ("del_block", Base::del_block),
    ("free", Base::free),
    ("free_block", Base::free_block),
];

#[test]
fn an_event_that_a_child_deleted_is_not_registered_by_reinit() {
    let _turn = one_at_a_time();
    each(|base| {
        let method = base.method().unwrap();
        let ((one, _peer), (other, _other_peer)) = (pair(), pair());
        let add =
            |socket, what| base.create_and_add(EventSpec::io(fd(socket), what).persist(), None).unwrap();
        // The last event of a descriptor, and one of two with different interests.
        let (alone, first) = (add(&one, What::WRITE), add(&other, What::WRITE));
        let second = add(&other, What::READ | What::WRITE);
        let all = vec![(alone, What::WRITE), (first, What::WRITE), (second, What::WRITE)];
        assert_eq!(sorted(&base), all, "{method}");
        for (name, delete) in DELETES {
            in_child(|| {
                assert_eq!(delete(&base, alone), Ok(()), "{method} {name}");
                assert_eq!(delete(&base, second), Ok(()), "{method} {name}");
                base.reinit().unwrap();
                assert_eq!(sorted(&base), [(first, What::WRITE)], "{method} {name}");
                if name.starts_with("del") {
                    // And it can be added again.
                    base.add(alone, None).unwrap();
                    assert_eq!(sorted(&base), [(alone, What::WRITE), (first, What::WRITE)], "{method}");
                }
            });
            // The child changed no registration of the parent.
            assert_eq!(sorted(&base), all, "{method} {name}");
        }
    });
}

#[test]
fn timers_and_active_events_that_a_child_deleted_do_not_fire_in_it() {
    let _turn = one_at_a_time();
    each(|base| {
        let timer = |after| base.create_and_add(EventSpec::timer(), Some(after)).unwrap();
        let (deleted, kept, disarmed) = (timer(ms(0)), timer(ms(0)), timer(ms(0)));
        let active = base.create(EventSpec::user()).unwrap();
        base.activate(active, What::READ).unwrap();
        in_child(|| {
            base.del(deleted).unwrap();
            base.remove_timer(disarmed).unwrap();
            base.free(active).unwrap();
            assert_eq!(base.free(active), Err(Error::Closed));
            base.reinit().unwrap();
            assert_eq!(run(&base, WAIT), (LoopResult::Empty, vec![(kept, What::TIMEOUT)]));
        });
        assert_eq!(run(&base, WAIT).1.len(), 4);
    });
}

#[test]
fn a_finalizer_of_a_child_runs_after_reinit() {
    let _turn = one_at_a_time();
    each(|base| {
        let (socket, _peer) = pair();
        let spec = EventSpec::io(fd(&socket), What::WRITE).persist();
        let events = [(); 2].map(|()| base.create_and_add(spec, None).unwrap());
        in_child(|| {
            base.finalize(events[0]).unwrap();
            base.finalize_keep(events[1]).unwrap();
            base.reinit().unwrap();
            let expected = events.map(|event| (event, What::FINALIZE));
            assert_eq!(run(&base, WAIT), (LoopResult::Empty, expected.to_vec()));
        });
        assert_eq!(run(&base, POLL).1, events.map(|event| (event, What::WRITE)));
    });
}

/// tmux deletes the handlers of its server in each child that it forks.
#[test]
fn a_signal_event_that_a_child_deleted_has_no_handler_in_it() {
    let _turn = one_at_a_time();
    each_in_child(|base| {
        let method = base.method().unwrap();
        let watch = |signal| base.create_and_add(EventSpec::signal(signal as i32), None).unwrap();
        let (deleted, kept) = (watch(Signal::SIGURG), watch(Signal::SIGCHLD));
        in_child(|| {
            base.del(deleted).unwrap();
            assert!(matches!(disposition_of(Signal::SIGURG), SigHandler::SigDfl), "{method}");
            raise(Signal::SIGURG).unwrap();
            base.reinit().unwrap();
            raise(Signal::SIGURG).unwrap();
            raise(Signal::SIGCHLD).unwrap();
            assert_eq!(run(base, POLL).1, [(kept, What::SIGNAL)], "{method}");
        });
        let mut seen = Vec::new();
        base.enter(WAIT).unwrap();
        // The end of the child arrives as SIGCHLD.
        raise(Signal::SIGURG).unwrap();
        while seen.len() < 2 {
            if let Step::Event(ready) = base.next(Wait::Allowed).unwrap() {
                seen.push(ready.id);
            }
        }
        base.leave();
        seen.sort();
        assert_eq!(seen, [deleted, kept], "{method}");
    });
}

#[test]
fn a_child_that_closes_its_base_or_deletes_its_last_signal_event_does_not_affect_the_parent() {
    let _turn = one_at_a_time();
    each_in_child(|base| {
        let method = base.method().unwrap();
        let event = base.create_and_add(EventSpec::signal(Signal::SIGURG as i32), None).unwrap();
        in_child(|| {
            let other_handle = base.clone();
            base.close().unwrap();
            assert!(matches!(disposition_of(Signal::SIGURG), SigHandler::SigDfl), "{method}");
            drop(other_handle);
        });
        in_child(|| base.del(event).unwrap());
        raise(Signal::SIGURG).unwrap();
        assert_eq!(run(base, POLL).1, [(event, What::SIGNAL)], "{method}");
    });
}

#[test]
fn a_signal_that_arrives_in_a_child_before_reinit_does_not_wake_the_parent() {
    let _turn = one_at_a_time();
    in_child(|| {
        let base = Base::with_config(&Config::new().set_flags(BaseFlags::IGNORE_ENV)).unwrap();
        base.create_and_add(EventSpec::signal(Signal::SIGURG as i32), None).unwrap();
        base.enter(WAIT).unwrap();
        assert_eq!(base.next(Wait::Never), Ok(Step::Idle));
        if base.descriptor().unwrap().is_none() {
            return;
        }
        assert!(!is_readable(&base));
        in_child(|| raise(Signal::SIGURG).unwrap());
        assert!(!is_readable(&base));
        raise(Signal::SIGURG).unwrap();
        assert!(is_readable(&base));
    });
}

/// The parent's loop sleeps at the fork, and has nothing left to wait for once the event is deleted.
#[test]
fn a_deletion_in_a_child_does_not_wake_the_parent() {
    let _turn = one_at_a_time();
    let base = Base::new().unwrap();
    let timer = base.create_and_add(EventSpec::timer(), Some(HOURS)).unwrap();
    base.enter(WAIT).unwrap();
    assert_eq!(base.next(Wait::Never), Ok(Step::Idle));
    base.descriptor().unwrap();
    for delete in [Base::del, Base::finalize] {
        in_child(|| {
            delete(&base, timer).unwrap();
            base.close().unwrap();
        });
        assert!(!is_readable(&base));
    }
    in_child(|| {
        base.del(timer).unwrap();
        base.reinit().unwrap();
        assert!(is_readable(&base));
        assert_eq!(base.next(Wait::Never), Ok(Step::Done(LoopResult::Empty)));
    });
    assert!(!is_readable(&base));
    base.leave();
}

/// The thread that runs the callback does not exist in the child, so that no call could end.
#[test]
fn a_blocking_delete_in_a_child_does_not_wait_for_a_callback_of_another_thread() {
    let _turn = one_at_a_time();
    let base = Base::new().unwrap();
    let user = base.create(EventSpec::user()).unwrap();
    base.activate(user, What::READ).unwrap();
    let (started, running) = std::sync::mpsc::channel();
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let other = base.clone();
    let thread = std::thread::spawn(move || {
        run_watched(&other, WAIT, |_, _| {
            started.send(()).unwrap();
            ended.recv_timeout(Duration::from_secs(60)).unwrap();
        })
    });
    running.recv().unwrap();
    in_child(|| {
        base.del_block(user).unwrap();
        base.free_block(user).unwrap();
        base.reinit().unwrap();
        assert_eq!(run(&base, WAIT), (LoopResult::Empty, vec![]));
    });
    end.send(()).unwrap();
    assert_eq!(thread.join().unwrap(), LoopResult::Empty);
}

/// A descriptor of the child's own has the number that the deleted event had.
#[test]
fn a_deleted_event_is_not_confused_with_a_file_that_the_child_opened() {
    let _turn = one_at_a_time();
    each(|base| {
        let (reader, mut writer) = pair();
        let event = base.create_and_add(EventSpec::io(fd(&reader), What::READ).persist(), None).unwrap();
        let mut reader = Some(reader);
        Child::fork(|| {
            let number = fd(reader.as_ref().unwrap());
            base.free(event).unwrap();
            drop(reader.take());
            let (own, mut peer) = pair();
            assert_eq!(fd(&own), number);
            peer.write_all(b"x").unwrap();
            base.reinit().unwrap();
            assert_eq!(run(&base, WAIT), (LoopResult::Empty, vec![]));
            let new = base.create_and_add(EventSpec::io(fd(&own), What::READ), None).unwrap();
            assert_eq!(run(&base, WAIT), (LoopResult::Empty, vec![(new, What::READ)]));
        })
        .join();
        writer.write_all(b"x").unwrap();
        assert_eq!(run(&base, POLL).1, [(event, What::READ)]);
        drain(reader.as_ref().unwrap());
    });
}
