//! Events on real descriptors: what is reported to which event, in which order, and what is refused.

use std::io::Write;
use std::os::fd::{AsRawFd, RawFd};

use event_base::{Base, Error, EventSpec, Features, LoopResult, What};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};

use crate::support::{
    Bed, CountingClock, ONE_PASS, POLL, WAIT, base_with, base_without, fd, fill, ms, pair, run, run_watched,
    tcp_pair, watch,
};

fn errno(result: Result<(), Error>) -> i32 {
    match result {
        Err(Error::System(error)) => error.errno,
        other => panic!("{other:?}"),
    }
}

/// libevent iterates over its heap, in an order that is not defined.
#[test]
fn timers_activated_by_their_descriptor_run_in_the_order_of_creation() {
    let bed = Bed::new();
    let timers: Vec<_> = [30, 10, 50, 20, 40].map(|after| (bed.io(3, What::READ), ms(after))).into();
    for (timer, after) in &timers {
        bed.base.add(*timer, Some(*after)).unwrap();
    }
    bed.base.activate_by_fd(3, What::TIMEOUT).unwrap();
    let expected: Vec<_> = timers.iter().map(|(timer, _)| (*timer, What::TIMEOUT)).collect();
    assert_eq!(bed.run(ONE_PASS).1, expected);
}

/// P12: libevent runs them in the reverse order of adding.
#[test]
fn events_of_one_descriptor_run_in_the_order_of_adding() {
    let base = crate::support::base();
    let (reader, mut writer) = pair();
    let events: Vec<_> = (0..5).map(|_| watch(&base, fd(&reader), What::READ)).collect();
    base.del(events[1]).unwrap();
    base.add(events[1], None).unwrap();
    writer.write_all(b"x").unwrap();
    let order: Vec<_> = run(&base, WAIT).1.into_iter().map(|(id, _)| id).collect();
    assert_eq!(order, [events[0], events[2], events[3], events[4], events[1]]);
}

#[test]
fn each_event_gets_readiness_of_its_own_interest_only() {
    let base = crate::support::base();
    let (reader, mut writer) = pair();
    writer.write_all(b"x").unwrap();
    let read = watch(&base, fd(&reader), What::READ);
    let write = watch(&base, fd(&reader), What::WRITE);
    let both = watch(&base, fd(&reader), What::READ | What::WRITE);
    let closed = watch(&base, fd(&reader), What::CLOSED);
    let (result, trace) = run(&base, POLL);
    assert_eq!(result, LoopResult::Stopped);
    assert_eq!(trace, [(read, What::READ), (write, What::WRITE), (both, What::READ | What::WRITE)]);
    assert_eq!(base.pending(closed, What::all()).unwrap(), What::CLOSED);
}

/// W11: libevent reports the error to readers and writers only, and spins.
#[test]
fn a_reset_is_reported_to_an_event_with_closed_alone() {
    if base_with(Features::EARLY_CLOSE).is_none() {
        return;
    }
    let (base, clock) = CountingClock::base();
    let (ours, theirs) = tcp_pair();
    let event = watch(&base, fd(&ours), What::CLOSED);
    // Closing a socket with unread data resets the connection.
    (&ours).write_all(b"unread").unwrap();
    drop(theirs);
    let mut trace = vec![];
    let result = run_watched(&base, WAIT, |_, ready| trace.push((ready.id, ready.what)));
    assert_eq!((result, trace), (LoopResult::Empty, vec![(event, What::CLOSED)]));
    assert!(clock.reads() < 50, "{} readings of the clock", clock.reads());
}

#[test]
fn an_error_is_reported_to_every_interest() {
    let Some(base) = base_with(Features::EARLY_CLOSE) else { return };
    let (ours, theirs) = tcp_pair();
    fill(&ours);
    let events = [What::READ, What::WRITE, What::CLOSED].map(|what| watch(&base, fd(&ours), what));
    // The unread data makes the close a reset.
    drop(theirs);
    let mut trace = vec![];
    run_watched(&base, WAIT, |_, ready| trace.push((ready.id, ready.what)));
    assert_eq!(trace, [(events[0], What::READ), (events[1], What::WRITE), (events[2], What::CLOSED)]);
}

#[test]
fn the_reader_of_a_pipe_gets_read_when_the_writer_is_closed() {
    let Some(base) = base_with(Features::EARLY_CLOSE) else { return };
    for what in [What::READ, What::CLOSED] {
        let (reader, writer) = std::io::pipe().unwrap();
        fcntl(&reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        let event = watch(&base, reader.as_raw_fd(), what);
        drop(writer);
        assert_eq!(run(&base, POLL), (LoopResult::Empty, vec![(event, what)]));
    }
}

/// W13: in libevent the event added last decides for all.
#[test]
fn edge_and_level_triggered_events_cannot_share_a_descriptor() {
    let Some(base) = base_with(Features::ET) else { return };
    let (reader, mut writer) = pair();
    for (first, second) in [(What::ET, What::empty()), (What::empty(), What::ET)] {
        let one = watch(&base, fd(&reader), What::READ | What::PERSIST | first);
        let other = base.create(EventSpec::io(fd(&reader), What::WRITE | second)).unwrap();
        assert!(matches!(base.add(other, Some(ms(1))), Err(Error::BadFlags(_))));
        assert_eq!(base.pending(other, What::all()).unwrap(), What::empty());
        // The first keeps its mode.
        writer.write_all(b"x").unwrap();
        assert_eq!(run(&base, ONE_PASS).1, [(one, What::READ | first)]);
        let again = if first.is_empty() { vec![(one, What::READ)] } else { vec![] };
        assert_eq!(run(&base, ONE_PASS).1, again);
        base.del(one).unwrap();
        // Alone, the second is accepted.
        base.add(other, None).unwrap();
        assert_eq!(run(&base, ONE_PASS).1, [(other, What::WRITE | second)]);
        base.free(one).unwrap();
        base.free(other).unwrap();
    }
}

/// W22: in libevent such an event is pending for ever and keeps the loop alive.
/// libevent does not change the registration, so that existing readiness is not reported to the second event.
#[test]
fn adding_an_edge_triggered_event_reports_existing_readiness_to_every_event() {
    let base = Base::new().unwrap();
    let (reader, mut writer) = pair();
    let edge = What::READ | What::PERSIST | What::ET;
    let first = watch(&base, fd(&reader), edge);
    writer.write_all(b"x").unwrap();
    let result = What::READ | What::ET;
    assert_eq!(run(&base, ONE_PASS).1, [(first, result)]);
    assert_eq!(run(&base, ONE_PASS).1, []);
    let second = watch(&base, fd(&reader), edge);
    assert_eq!(run(&base, ONE_PASS).1, [(first, result), (second, result)]);
    assert_eq!(run(&base, ONE_PASS).1, []);
}

#[test]
fn an_interest_in_a_negative_descriptor_is_refused() {
    let base = crate::support::base();
    for number in [-1, -2, RawFd::MIN] {
        for what in [What::READ, What::WRITE, What::CLOSED, What::READ | What::PERSIST] {
            let error = Error::OutOfRange("the descriptor");
            assert_eq!(base.create(EventSpec::io(number, what)), Err(error));
            assert_eq!(base.once(number, what - What::PERSIST, 1, None), Err(error));
        }
    }
    assert_eq!(base.live_events().unwrap(), 0);
}

#[test]
fn contradictory_flags_are_refused() {
    let base = crate::support::base();
    for what in [What::SIGNAL | What::READ, What::SIGNAL | What::ET, What::ET, What::ET | What::PERSIST] {
        assert!(matches!(base.create(EventSpec::io(3, what)), Err(Error::BadFlags(_))), "{what:?}");
    }
}

#[test]
fn a_regular_file_is_refused_and_no_deadline_is_set() {
    let Some(base) = base_without(Features::FDS) else { return };
    let file = std::fs::File::open(std::env::current_exe().unwrap()).unwrap();
    let event = base.create(EventSpec::io(fd(&file), What::READ)).unwrap();
    assert_eq!(errno(base.add(event, Some(ms(1)))), Errno::EPERM as i32);
    assert_eq!(base.pending(event, What::all()).unwrap(), What::empty());
    assert_eq!(run(&base, WAIT), (LoopResult::Empty, vec![]));
    let refused = base.create_and_add(EventSpec::io(fd(&file), What::READ), None).map(|_| ());
    assert_eq!(errno(refused), Errno::EPERM as i32);
    assert_eq!(base.live_events().unwrap(), 1);
}

#[test]
fn a_number_that_is_not_a_descriptor_is_refused_and_takes_no_memory() {
    let base = crate::support::base();
    for number in [RawFd::MAX, RawFd::MAX / 2, 1 << 24] {
        let event = base.create(EventSpec::io(number, What::READ)).unwrap();
        assert_eq!(errno(base.add(event, None)), Errno::EBADF as i32);
    }
}

#[test]
fn a_refusal_of_the_backend_changes_nothing() {
    let bed = Bed::new();
    let reader = bed.io(3, What::READ | What::PERSIST);
    let writer = bed.io(3, What::WRITE);
    bed.base.add(reader, None).unwrap();
    bed.script.fail_next_change(Errno::ENOSPC as i32);
    assert_eq!(errno(bed.base.add(writer, Some(ms(1)))), Errno::ENOSPC as i32);
    assert_eq!(bed.base.pending(writer, What::all()).unwrap(), What::empty());
    bed.script.then(ms(5), &[(3, What::READ | What::WRITE)]);
    bed.base.loop_exit(Some(ms(10))).unwrap();
    assert_eq!(bed.run(WAIT).1, [(reader, What::READ)]);
    bed.base.add(writer, None).unwrap();
    bed.script.then(ms(0), &[(3, What::WRITE)]);
    assert_eq!(bed.run(ONE_PASS).1, [(writer, What::WRITE)]);
}

#[test]
fn the_backend_is_called_only_when_the_set_of_interests_changes() {
    let bed = Bed::new();
    let first = bed.io(3, What::READ | What::PERSIST);
    let second = bed.io(3, What::WRITE | What::PERSIST);
    let wanted = || bed.script.take_changes().into_iter().map(|change| change.wanted).collect::<Vec<_>>();
    bed.base.add(first, None).unwrap();
    bed.base.add(first, None).unwrap();
    bed.base.add(second, None).unwrap();
    assert_eq!(wanted(), [What::READ, What::READ | What::WRITE]);
    bed.base.del(first).unwrap();
    bed.base.del(first).unwrap();
    bed.base.del(second).unwrap();
    assert_eq!(wanted(), [What::WRITE, What::empty()]);
}

#[test]
fn more_ready_descriptors_than_fit_one_wait_all_fire_in_one_pass() {
    let base = crate::support::base();
    let pairs: Vec<_> = (0..300).map(|_| pair()).collect();
    let events: Vec<_> = pairs.iter().map(|(a, _)| watch(&base, fd(a), What::WRITE)).collect();
    let (result, mut trace) = run(&base, ONE_PASS);
    trace.sort_unstable_by_key(|(id, _)| *id);
    assert_eq!(result, LoopResult::Stopped);
    assert_eq!(trace.len(), events.len());
}

#[test]
fn closing_the_base_leaves_the_users_descriptors_open() {
    let (reader, mut writer) = pair();
    let base = crate::support::base();
    watch(&base, fd(&reader), What::READ);
    base.close().unwrap();
    writer.write_all(b"x").unwrap();
    assert_eq!(crate::support::drain(&reader), 1);
}
