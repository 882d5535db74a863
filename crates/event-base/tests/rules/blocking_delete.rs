//! A delete that waits for the event's callback to end in the thread that runs it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use event_base::{Base, Error, EventId, EventSpec, LoopResult, Wait, What};

use crate::support::{LOOP_ONCE, PATIENCE, WAIT, ms, next_event, run, run_watched};

/// Long enough for a delete that does not wait to return, and to be seen.
const A_WHILE: Duration = Duration::from_millis(60);

fn active(base: &Base, spec: EventSpec) -> EventId {
    let event = base.create(spec).unwrap();
    base.activate(event, What::READ).unwrap();
    event
}

/// An event whose callback is under way, in a loop that this thread runs.
fn called(base: &Base) -> EventId {
    let event = active(base, EventSpec::user());
    base.enter(WAIT).unwrap();
    next_event(base, Wait::Never);
    event
}

/// Runs the loop; while the event's callback runs, another thread makes `delete` of it. The callback ends a
/// while after that began. What the delete came to, and whether the callback had ended by then.
fn delete_during_the_callback(
    base: &Base,
    delete: impl Fn(&Base) -> Result<(), Error> + Sync,
    callback: impl Fn(&Base),
) -> (Result<(), Error>, bool) {
    let (tell, told) = mpsc::channel();
    let (began, ended) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let (began, ended, delete) = (&began, &ended, &delete);
        let deleter = scope.spawn(move || {
            told.recv_timeout(PATIENCE).unwrap();
            began.store(true, Ordering::SeqCst);
            let result = delete(base);
            (result, ended.load(Ordering::SeqCst))
        });
        let _ = catch_unwind(AssertUnwindSafe(|| {
            run_watched(base, LOOP_ONCE, |base, _| {
                if tell.send(()).is_ok() && !ended.load(Ordering::SeqCst) {
                    // On a machine that has much to do, the other thread may take long to begin.
                    let end = Instant::now() + PATIENCE;
                    while !began.load(Ordering::SeqCst) && Instant::now() < end {
                        std::thread::yield_now();
                    }
                    std::thread::sleep(A_WHILE);
                    ended.store(true, Ordering::SeqCst);
                    callback(base);
                }
            })
        }));
        deleter.join().unwrap()
    })
}

/// The same with a callback that ends only when the delete has returned: what that came to, if it did.
fn delete_that_the_callback_waits_for(
    base: &Base,
    delete: impl Fn(&Base) -> Result<(), Error> + Send,
) -> Option<Result<(), Error>> {
    let (begin, begun) = mpsc::channel();
    let (tell, told) = mpsc::channel();
    let mut seen = None;
    std::thread::scope(|scope| {
        scope.spawn(move || {
            begun.recv_timeout(PATIENCE).unwrap();
            tell.send(delete(base)).unwrap();
        });
        base.run(LOOP_ONCE, |_, _| {
            begin.send(()).unwrap();
            seen = told.recv_timeout(PATIENCE).ok();
        })
        .unwrap();
    });
    seen
}

#[test]
fn it_returns_when_the_callback_has_ended() {
    let base = Base::new().unwrap();
    let event = active(&base, EventSpec::user());
    let seen = delete_during_the_callback(&base, |base| base.del_block(event), |_| {});
    assert_eq!(seen, (Ok(()), true));
    assert_eq!(base.is_idle(event), Ok(true));
}

#[test]
fn an_event_is_freed_when_its_callback_has_ended() {
    let base = Base::new().unwrap();
    let event = active(&base, EventSpec::timer().persist());
    let seen = delete_during_the_callback(&base, |base| base.free_block(event), |_| {});
    assert_eq!(seen, (Ok(()), true));
    assert_eq!(base.is_idle(event), Err(Error::Closed));
    assert_eq!(base.free_block(event), Err(Error::Closed));
}

#[test]
fn the_plain_delete_does_not_wait() {
    let base = Base::new().unwrap();
    let event = active(&base, EventSpec::user());
    assert_eq!(delete_that_the_callback_waits_for(&base, |base| base.del(event)), Some(Ok(())));
}

#[test]
fn the_delete_comes_before_the_wait() {
    let base = Base::new().unwrap();
    let event = base.create_and_add(EventSpec::timer().persist(), Some(ms(1))).unwrap();
    let seen = delete_during_the_callback(
        &base,
        |base| base.del_block(event),
        |base| assert_eq!(base.is_idle(event), Ok(true)),
    );
    assert_eq!(seen, (Ok(()), true));
}

#[test]
fn what_the_callback_adds_again_is_pending() {
    let base = Base::new().unwrap();
    let event = active(&base, EventSpec::timer());
    let seen = delete_during_the_callback(
        &base,
        |base| base.del_block(event),
        |base| base.add(event, Some(ms(1))).unwrap(),
    );
    assert_eq!(seen, (Ok(()), true));
    assert_eq!(base.pending(event, What::TIMEOUT), Ok(What::TIMEOUT));
}

#[test]
fn another_event_is_deleted_without_waiting() {
    let base = Base::new().unwrap();
    active(&base, EventSpec::user());
    let other = base.create_and_add(EventSpec::timer(), Some(ms(3_600_000))).unwrap();
    assert_eq!(delete_that_the_callback_waits_for(&base, |base| base.del_block(other)), Some(Ok(())));
}

#[test]
fn it_waits_for_the_last_call_of_an_event_that_no_longer_exists() {
    let base = Base::new().unwrap();
    let event = base.once(-1, What::TIMEOUT, 0, None).unwrap();
    let seen = delete_during_the_callback(&base, |base| base.del_block(event), |_| {});
    assert_eq!(seen, (Ok(()), true));
    assert_eq!(base.del_block(event), Err(Error::Closed));
}

#[test]
fn it_waits_for_a_finalizer() {
    let base = Base::new().unwrap();
    let event = base.create(EventSpec::user()).unwrap();
    base.finalize(event).unwrap();
    assert_eq!(delete_during_the_callback(&base, |base| base.del_block(event), |_| {}), (Ok(()), true));
}

#[test]
fn an_event_that_is_being_finalized_is_not_deleted() {
    let base = Base::new().unwrap();
    let event = base.create(EventSpec::user()).unwrap();
    base.finalize(event).unwrap();
    assert_eq!(base.del_block(event), Ok(()));
    assert_eq!(run(&base, WAIT), (LoopResult::Empty, vec![(event, What::FINALIZE)]));
}

#[test]
fn a_callback_that_deletes_its_own_event_does_not_wait_for_itself() {
    let base = Base::new().unwrap();
    let event = base.create_and_add(EventSpec::timer().persist(), Some(ms(1))).unwrap();
    let mut calls = 0;
    let result = run_watched(&base, WAIT, |base, ready| {
        calls += 1;
        base.del_block(ready.id).unwrap();
    });
    assert_eq!((result, calls), (LoopResult::Empty, 1));
    base.activate(event, What::READ).unwrap();
    run_watched(&base, WAIT, |base, ready| base.free_block(ready.id).unwrap());
    assert_eq!(base.live_events(), Ok(0));
}

#[test]
fn it_returns_when_the_callback_panics() {
    let base = Base::new().unwrap();
    let event = active(&base, EventSpec::user());
    let seen = delete_during_the_callback(
        &base,
        |base| base.del_block(event),
        |_| std::panic::resume_unwind(Box::new("a callback")),
    );
    assert_eq!(seen, (Ok(()), true));
}

#[test]
fn it_returns_when_the_base_is_closed() {
    let base = Base::new().unwrap();
    let event = called(&base);
    let (tell, told) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| tell.send(base.del_block(event)).unwrap());
        assert!(told.recv_timeout(A_WHILE).is_err(), "it did not wait");
        base.close().unwrap();
        assert_eq!(told.recv_timeout(PATIENCE), Ok(Err(Error::Closed)));
    });
    base.leave();
}

/// In steps a call has no end of its own.
#[test]
fn a_call_ends_with_the_next_step() {
    let ends: [fn(&Base); 2] = [|base| assert!(base.next(Wait::Never).is_ok()), Base::leave];
    for end in ends {
        let base = Base::new().unwrap();
        let event = called(&base);
        let (tell, told) = mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(|| tell.send(base.del_block(event)).unwrap());
            assert!(told.recv_timeout(A_WHILE).is_err(), "it did not wait");
            end(&base);
            assert_eq!(told.recv_timeout(PATIENCE), Ok(Ok(())));
        });
        base.leave();
    }
}

#[test]
fn every_waiting_thread_is_notified() {
    let base = Base::new().unwrap();
    let event = called(&base);
    let (tell, told) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let (base, tell) = (&base, tell.clone());
            scope.spawn(move || tell.send(base.del_block(event)).unwrap());
        }
        assert!(told.recv_timeout(A_WHILE).is_err(), "it did not wait");
        assert!(base.next(Wait::Never).is_ok());
        for _ in 0..4 {
            assert_eq!(told.recv_timeout(PATIENCE), Ok(Ok(())));
        }
    });
    base.leave();
}

/// Who waits for one call is not kept by the next one of the same event.
#[test]
fn it_returns_for_an_event_that_is_dispatched_again_and_again() {
    let base = Base::new().unwrap();
    let event = active(&base, EventSpec::user());
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..200 {
                base.del_block(event).unwrap();
                base.activate(event, What::READ).unwrap();
            }
            stop.store(true, Ordering::SeqCst);
            base.activate(event, What::READ).unwrap();
        });
        base.retain().unwrap();
        let result = run_watched(&base, WAIT, |base, ready| {
            if stop.load(Ordering::SeqCst) {
                base.loop_break().unwrap();
            } else {
                base.activate(ready.id, What::READ).unwrap();
            }
        });
        assert_eq!(result, LoopResult::Stopped);
    });
}
