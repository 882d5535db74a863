//! A descriptor that is closed before its events are deleted, and whose number then refers to another file.
//!
//! `dup2` closes and opens atomically, so that parallel tests cannot take the number in between.

use std::io::Write;
use std::os::unix::net::UnixStream;

use event_base::{Error, EventSpec, Features, LoopResult, Step, Wait, What};
use nix::errno::Errno;

use crate::support::{
    CountingClock, ONE_PASS, WAIT, base_with, base_without, duplicate, fd, ms, not_applicable, pair, replace,
    run, run_quietly_with, run_watched, shared_base, watch,
};

/// Makes `target` a descriptor that epoll refuses.
fn replace_by_file(target: &UnixStream) {
    let file = std::fs::File::open(std::env::current_exe().unwrap()).unwrap();
    replace(target, &file);
}

#[test]
fn only_the_event_on_the_new_file_fires() {
    let base = crate::support::base();
    let (ours, mut old_peer) = pair();
    let (other, mut new_peer) = pair();
    let old = watch(&base, fd(&ours), What::READ | What::PERSIST);
    replace(&ours, &other);
    let new = watch(&base, fd(&ours), What::READ | What::PERSIST);
    _ = old_peer.write_all(b"unread");
    new_peer.write_all(b"x").unwrap();
    assert_eq!(run(&base, ONE_PASS).1, [(new, What::READ)]);
    assert_eq!(base.pending(old, What::all()).unwrap(), What::empty());
    base.del(old).unwrap();
    assert_eq!(run(&base, ONE_PASS).1, [(new, What::READ)]);
}

#[test]
fn every_event_of_the_closed_descriptor_is_deleted_and_can_be_added_again() {
    let base = crate::support::base();
    let (ours, _old_peer) = pair();
    let (other, mut new_peer) = pair();
    let reader = watch(&base, fd(&ours), What::READ | What::PERSIST);
    let writer =
        base.create_and_add(EventSpec::io(fd(&ours), What::WRITE | What::PERSIST), Some(ms(1_000))).unwrap();
    let closer = watch(&base, fd(&ours), What::CLOSED);
    base.activate(writer, What::WRITE | What::TIMEOUT).unwrap();
    replace(&ours, &other);
    let new = watch(&base, fd(&ours), What::READ);
    assert_eq!(base.pending(reader, What::all()).unwrap(), What::empty());
    assert_eq!(base.pending(writer, What::all()).unwrap(), What::TIMEOUT, "the deadline is kept");
    assert_eq!(base.pending(closer, What::all()).unwrap(), What::empty());
    new_peer.write_all(b"x").unwrap();
    base.add(reader, None).unwrap();
    assert_eq!(run(&base, ONE_PASS).1, [(writer, What::TIMEOUT), (new, What::READ), (reader, What::READ)]);
}

#[test]
fn readiness_reported_for_the_closed_descriptor_is_cancelled() {
    let base = crate::support::base();
    let (ours, mut old_peer) = pair();
    let (other, _new_peer) = pair();
    old_peer.write_all(b"x").unwrap();
    let first = base.create(EventSpec::user()).unwrap();
    let old = watch(&base, fd(&ours), What::READ);
    base.add(first, Some(ms(0))).unwrap();
    base.activate(first, What::READ).unwrap();
    let mut trace = vec![];
    base.run(ONE_PASS, |base, ready| {
        trace.push(ready.id);
        if ready.id == first {
            assert_eq!(base.pending(old, What::READ).unwrap(), What::READ);
            replace(&ours, &other);
            watch(base, fd(&ours), What::READ);
        }
    })
    .unwrap();
    assert_eq!(trace, [first]);
}

#[test]
fn deleting_an_event_of_the_closed_descriptor_does_not_affect_the_new_file() {
    let base = crate::support::base();
    let (ours, _old_peer) = pair();
    let (other, mut new_peer) = pair();
    let old = watch(&base, fd(&ours), What::READ);
    replace(&ours, &other);
    base.del(old).unwrap();
    let new = watch(&base, fd(&ours), What::READ);
    base.free(old).unwrap();
    new_peer.write_all(b"x").unwrap();
    assert_eq!(run(&base, WAIT), (LoopResult::Empty, vec![(new, What::READ)]));
}

#[test]
fn deleting_one_of_two_events_of_the_closed_descriptor_affects_neither_file() {
    let base = crate::support::base();
    let (ours, _old_peer) = pair();
    let (other, mut new_peer) = pair();
    let reader = watch(&base, fd(&ours), What::READ);
    let writer = watch(&base, fd(&ours), What::WRITE);
    replace(&ours, &other);
    base.del(writer).unwrap();
    // With the list of changes this is found out later.
    if !base.method().unwrap().contains("changelist") {
        assert_eq!(base.pending(reader, What::all()).unwrap(), What::empty());
    }
    base.add(reader, None).unwrap();
    new_peer.write_all(b"x").unwrap();
    assert_eq!(run(&base, WAIT), (LoopResult::Empty, vec![(reader, What::READ)]));
}

#[test]
fn a_level_triggered_registration_of_the_closed_file_allows_an_edge_triggered_event() {
    let Some(base) = base_with(Features::ET) else { return };
    for (old_mode, new_mode) in [(What::empty(), What::ET), (What::ET, What::empty())] {
        let (ours, _old_peer) = pair();
        let (other, mut new_peer) = pair();
        let old = watch(&base, fd(&ours), What::READ | old_mode);
        replace(&ours, &other);
        let new = watch(&base, fd(&ours), What::READ | new_mode);
        new_peer.write_all(b"x").unwrap();
        assert_eq!(run(&base, WAIT), (LoopResult::Empty, vec![(new, What::READ | new_mode)]));
        assert_eq!(base.pending(old, What::all()).unwrap(), What::empty());
    }
}

#[test]
fn a_descriptor_that_became_a_regular_file_is_refused_and_its_old_events_are_deleted() {
    let Some(base) = base_without(Features::FDS) else { return };
    let (ours, _old_peer) = pair();
    let old = watch(&base, fd(&ours), What::READ);
    replace_by_file(&ours);
    let new = base.create(EventSpec::io(fd(&ours), What::READ)).unwrap();
    assert!(matches!(base.add(new, None), Err(Error::System(error)) if error.errno == Errno::EPERM as i32));
    assert_eq!(base.pending(old, What::all()).unwrap(), What::empty());
    assert_eq!(run(&base, WAIT), (LoopResult::Empty, vec![]));
}

#[test]
fn the_same_file_under_the_same_number_stays_registered() {
    let base = crate::support::base();
    let (ours, mut peer) = pair();
    let kept = duplicate(&ours);
    let old = watch(&base, fd(&ours), What::READ | What::PERSIST);
    // Closed and opened again: the duplicate keeps the registration.
    replace(&ours, &kept);
    let new = watch(&base, fd(&ours), What::READ);
    peer.write_all(b"x").unwrap();
    assert_eq!(run(&base, ONE_PASS).1, [(old, What::READ), (new, What::READ)]);
}

/// The kernel still reports a file that has no descriptor any more.
#[test]
fn a_duplicate_that_keeps_the_old_file_alive_does_not_make_the_loop_spin() {
    let (base, clock) = CountingClock::base();
    let (ours, mut old_peer) = pair();
    let (other, mut new_peer) = pair();
    let other_name = duplicate(&ours);
    let old = watch(&base, fd(&ours), What::READ | What::PERSIST);
    old_peer.write_all(b"always ready").unwrap();
    replace(&ours, &other);
    let new = watch(&base, fd(&ours), What::READ);
    let mut trace = vec![];
    run_quietly_with(&base, &clock, |id, _| trace.push(id));
    assert_eq!(trace, []);
    new_peer.write_all(b"x").unwrap();
    run_quietly_with(&base, &clock, |id, _| trace.push(id));
    assert_eq!(trace, [new]);
    assert_eq!(base.pending(old, What::all()).unwrap(), What::empty());
    drop(other_name);
}

#[test]
fn deleting_after_the_close_does_not_make_the_loop_spin() {
    let (base, clock) = CountingClock::base();
    let (ours, mut old_peer) = pair();
    let (other, _new_peer) = pair();
    let _other_name = duplicate(&ours);
    let old = watch(&base, fd(&ours), What::READ | What::PERSIST);
    old_peer.write_all(b"always ready").unwrap();
    replace(&ours, &other);
    base.del(old).unwrap();
    run_quietly_with(&base, &clock, |id, _| panic!("{id:?}"));
}

#[test]
fn an_event_added_after_the_delete_gets_no_readiness_of_the_old_file() {
    let (base, clock) = CountingClock::base();
    let (ours, mut old_peer) = pair();
    let (other, mut new_peer) = pair();
    let _other_name = duplicate(&ours);
    let old = watch(&base, fd(&ours), What::READ);
    old_peer.write_all(b"always ready").unwrap();
    replace(&ours, &other);
    base.del(old).unwrap();
    let new = watch(&base, fd(&ours), What::READ);
    run_quietly_with(&base, &clock, |id, _| panic!("{id:?}"));
    new_peer.write_all(b"x").unwrap();
    assert_eq!(run(&base, WAIT), (LoopResult::Empty, vec![(new, What::READ)]));
}

/// An event that is deleted after the kernel has reported it is no registration that is stuck, however often that
/// happens: only consecutive passes are counted.
#[test]
fn single_passes_with_readiness_of_a_deleted_event_do_not_replace_the_kernel_object() {
    let base = crate::support::base();
    let (reader, mut writer) = pair();
    base.create_and_add(EventSpec::timer(), Some(ms(3_600_000))).unwrap();
    writer.write_all(b"x").unwrap();
    base.enter(WAIT).unwrap();
    for _ in 0..5 {
        let event = watch(&base, fd(&reader), What::READ);
        let mut wait = base.start_wait().unwrap();
        wait.wait().unwrap();
        base.del(event).unwrap();
        base.finish_wait(wait).unwrap();
        for _ in 0..2 {
            assert_eq!(base.next(Wait::Never), Ok(Step::Idle));
        }
    }
    assert_eq!(base.descriptor_epoch(), Ok(0));
    base.leave();
}

#[test]
fn replacing_the_kernel_object_keeps_the_other_registrations_and_the_wake_up() {
    if shared_base().is_none() {
        return;
    }
    let (base, clock) = CountingClock::base();
    let (ours, mut old_peer) = pair();
    let (other, _new_peer) = pair();
    let (reader, mut writer) = pair();
    let _other_name = duplicate(&ours);
    let old = watch(&base, fd(&ours), What::READ);
    let kept = watch(&base, fd(&reader), What::READ | What::PERSIST);
    let user = base.create(EventSpec::user()).unwrap();
    old_peer.write_all(b"always ready").unwrap();
    replace(&ours, &other);
    base.del(old).unwrap();
    run_quietly_with(&base, &clock, |id, _| panic!("{id:?}"));
    let waker = base.clone();
    let thread = std::thread::spawn(move || {
        std::thread::sleep(ms(30));
        waker.activate(user, What::READ).unwrap();
        writer.write_all(b"x").unwrap();
        writer
    });
    let mut trace = vec![];
    run_watched(&base, WAIT, |base, ready| {
        trace.push(ready.id);
        if ready.id == kept {
            base.del(kept).unwrap();
        }
    });
    thread.join().unwrap();
    assert_eq!(trace, [user, kept]);
}

#[test]
fn replacing_the_kernel_object_tolerates_another_closed_descriptor() {
    if base_without(Features::FDS).is_none() {
        return;
    }
    let (base, clock) = CountingClock::base();
    if base.features().unwrap().contains(Features::FDS) {
        return not_applicable("a descriptor that became a regular file is not refused, but ready");
    }
    let (ours, mut old_peer) = pair();
    let (other, _new_peer) = pair();
    let (file, _peer) = pair();
    let _other_name = duplicate(&ours);
    let old = watch(&base, fd(&ours), What::READ);
    let closed = watch(&base, fd(&file), What::READ);
    replace_by_file(&file);
    old_peer.write_all(b"always ready").unwrap();
    replace(&ours, &other);
    base.del(old).unwrap();
    run_quietly_with(&base, &clock, |id, _| panic!("{id:?}"));
    assert_eq!(base.pending(closed, What::all()).unwrap(), What::empty());
}
