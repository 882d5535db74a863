//! A delete that waits until the event's callback has ended on the thread that runs it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use event_base::{Base, Error, EventId, EventSpec, LoopResult, Wait, What};

use crate::support::{LOOP_ONCE, PATIENCE, WAIT, ms, next_event, run, run_watched};

/// Long enough for a delete that does not wait to return and be noticed.
const A_WHILE: Duration = Duration::from_millis(60);

fn active(base: &Base, spec: EventSpec) -> EventId {
    let event = base.create(spec).unwrap();
    base.activate(event, What::READ).unwrap();
    event
}

/// An event whose callback is running, in a loop of this thread.
fn called(base: &Base) -> EventId {
    let event = active(base, EventSpec::user());
    base.enter(WAIT).unwrap();
    next_event(base, Wait::Never);
    event
}

/// Runs the loop; while the event's callback runs, another thread calls `delete`. The callback ends a while after that
/// call started. Returns the result of the call, and whether the callback had ended when it returned.
fn delete_during_the_callback(
    base: &Base,
    delete: impl Fn(&Base) -> Result<(), Error> + Sync,
    callback: impl Fn(&Base),
) -> (Result<(), Error>, bool) {
    let (sender, receiver) = mpsc::channel();
    let (began, ended) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let (began, ended, delete) = (&began, &ended, &delete);
        let deleter = scope.spawn(move || {
            receiver.recv_timeout(PATIENCE).unwrap();
            began.store(true, Ordering::SeqCst);
            let result = delete(base);
            (result, ended.load(Ordering::SeqCst))
        });
        let _ = catch_unwind(AssertUnwindSafe(|| {
            run_watched(base, LOOP_ONCE, |base, _| {
                if sender.send(()).is_ok() && !ended.load(Ordering::SeqCst) {
                    // On a busy machine the other thread may take long to start.
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

/// Runs the loop with a callback that ends only when the delete has returned. Returns the result of the delete, if it
/// returned.
fn delete_that_the_callback_waits_for(
    base: &Base,
    delete: impl Fn(&Base) -> Result<(), Error> + Send,
) -> Option<Result<(), Error>> {
    let (start, started) = mpsc::channel();
    let (sender, receiver) = mpsc::channel();
    let mut seen = None;
    std::thread::scope(|scope| {
        scope.spawn(move || {
            started.recv_timeout(PATIENCE).unwrap();
            sender.send(delete(base)).unwrap();
        });
        base.run(LOOP_ONCE, |_, _| {
            start.send(()).unwrap();
            seen = receiver.recv_timeout(PATIENCE).ok();
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
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| sender.send(base.del_block(event)).unwrap());
        assert!(receiver.recv_timeout(A_WHILE).is_err(), "it did not wait");
        base.close().unwrap();
        assert_eq!(receiver.recv_timeout(PATIENCE), Ok(Err(Error::Closed)));
    });
    base.leave();
}

/// A loop in steps does not report the end of a call.
#[test]
fn a_call_ends_with_the_next_step() {
    let ends: [fn(&Base); 2] = [|base| assert!(base.next(Wait::Never).is_ok()), Base::leave];
    for end in ends {
        let base = Base::new().unwrap();
        let event = called(&base);
        let (sender, receiver) = mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(|| sender.send(base.del_block(event)).unwrap());
            assert!(receiver.recv_timeout(A_WHILE).is_err(), "it did not wait");
            end(&base);
            assert_eq!(receiver.recv_timeout(PATIENCE), Ok(Ok(())));
        });
        base.leave();
    }
}

#[test]
fn every_waiting_thread_is_notified() {
    let base = Base::new().unwrap();
    let event = called(&base);
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let (base, sender) = (&base, sender.clone());
            scope.spawn(move || sender.send(base.del_block(event)).unwrap());
        }
        assert!(receiver.recv_timeout(A_WHILE).is_err(), "it did not wait");
        assert!(base.next(Wait::Never).is_ok());
        for _ in 0..4 {
            assert_eq!(receiver.recv_timeout(PATIENCE), Ok(Ok(())));
        }
    });
    base.leave();
}

/// A thread that waits for one call does not wait for the next call of the same event.
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
