//! What a child does to its base does not affect the parent.

use std::io::Write;

use event_base::{Base, Error, EventSpec, LoopResult, Step, Wait, What};

use crate::support::{WAIT, drain, fd, ms, next_event, pair, run, run_watched};
use crate::{HOURS, in_child, is_readable, one_at_a_time};

/// Closing, deleting and arming, which would change the parent's epoll set, eventfd and timerfd.
#[test]
fn a_child_does_not_affect_the_parent() {
    let _turn = one_at_a_time();
    let base = Base::new().unwrap();
    let (reader, mut writer) = pair();
    let event = base.create_and_add(EventSpec::io(fd(&reader), What::READ).persist(), None).unwrap();
    let timer = base.create_and_add(EventSpec::timer(), Some(HOURS)).unwrap();
    base.descriptor().unwrap();
    base.enter(WAIT).unwrap();
    assert_eq!(base.next(Wait::Never), Ok(Step::Idle));
    in_child(|| drop(base.close().unwrap()));
    in_child(|| drop(base.clone()));
    in_child(|| {
        base.reinit().unwrap();
        base.add(timer, Some(ms(0))).unwrap();
        assert!(is_readable(&base));
        assert_eq!(next_event(&base, Wait::Never).id, timer);
        base.activate(timer, What::READ).unwrap();
        base.wake().unwrap();
        base.free(event).unwrap();
        base.leave();
        base.close().unwrap();
    });
    in_child(|| {
        base.reinit().unwrap();
        base.del(event).unwrap();
        base.add(timer, Some(ms(300))).unwrap();
        assert_eq!(base.next(Wait::Never), Ok(Step::Idle));
        std::thread::sleep(ms(310));
        assert!(is_readable(&base));
    });
    std::thread::sleep(ms(10));
    assert!(!is_readable(&base));
    writer.write_all(b"x").unwrap();
    assert!(is_readable(&base));
    assert_eq!(next_event(&base, Wait::Never).id, event);
    drain(&reader);
    base.add(timer, Some(ms(1))).unwrap();
    assert_eq!(next_event(&base, Wait::Allowed).id, timer);
    base.leave();
}

/// The parent has written to its notifier and has not been woken yet. The child has a notifier of its own, which is
/// written once it is renewed.
#[test]
fn a_wake_up_that_is_pending_at_the_fork_wakes_parent_and_child_once() {
    let _turn = one_at_a_time();
    let base = Base::new().unwrap();
    let user = base.create(EventSpec::user()).unwrap();
    base.create_and_add(EventSpec::timer(), Some(HOURS)).unwrap();
    base.descriptor().unwrap();
    base.enter(WAIT).unwrap();
    assert_eq!(base.next(Wait::Never), Ok(Step::Idle));
    base.activate(user, What::READ).unwrap();
    assert!(is_readable(&base));
    let wakes_once = || {
        assert!(is_readable(&base));
        assert_eq!(next_event(&base, Wait::Never).id, user);
        assert_eq!(base.next(Wait::Never), Ok(Step::Idle));
        assert!(!is_readable(&base));
        // And a later wake-up is not taken for the pending one.
        base.activate(user, What::READ).unwrap();
        assert!(is_readable(&base));
        assert_eq!(next_event(&base, Wait::Never).id, user);
        assert_eq!(base.next(Wait::Never), Ok(Step::Idle));
        assert!(!is_readable(&base));
    };
    in_child(|| {
        base.reinit().unwrap();
        wakes_once();
    });
    wakes_once();
    base.leave();
}

#[test]
fn the_descriptor_keeps_its_number_in_the_child() {
    let _turn = one_at_a_time();
    let base = Base::new().unwrap();
    let timer = base.create_and_add(EventSpec::timer(), Some(HOURS)).unwrap();
    let number = base.descriptor().unwrap();
    let epoch = base.descriptor_epoch().unwrap();
    base.enter(WAIT).unwrap();
    assert_eq!(base.next(Wait::Never), Ok(Step::Idle));
    in_child(|| {
        base.reinit().unwrap();
        assert_eq!(base.descriptor().unwrap(), number);
        assert_ne!(base.descriptor_epoch().unwrap(), epoch);
        // The host waited, and is woken.
        assert!(is_readable(&base));
        assert_eq!(base.next(Wait::Never), Ok(Step::Idle));
        assert!(!is_readable(&base));
        base.add(timer, Some(ms(1))).unwrap();
        assert!(is_readable(&base));
    });
    base.leave();
}

#[test]
fn a_loop_of_another_thread_has_ended_in_the_child() {
    let _turn = one_at_a_time();
    let base = Base::new().unwrap();
    let timer = base.create_and_add(EventSpec::timer(), Some(HOURS)).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| run_watched(&base, WAIT, |_, _| {}));
        // Until it waits or is about to; the test passes in either case.
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
        // Closed without `reinit`: the parent's loop is not woken, and continues.
        in_child(|| drop(base.close().unwrap()));
        assert_eq!(base.enter(WAIT), Err(Error::Reentrant));
        base.del(timer).unwrap();
    });
}
