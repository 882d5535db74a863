//! epoll with a changelist: which changes are deferred, and that none is lost.

use std::io::Write;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;

use event_base::{Base, BaseFlags, Clock, Config, Error, EventSpec, LoopResult, Step, Wait, What};
use nix::errno::Errno;

use crate::support::{
    CountingClock, ONE_PASS, WAIT, duplicate, duplicate_from, fd, ms, next_event, pair, replace, run,
    run_quietly, run_watched, watch,
};

fn changelist() -> (Base, Arc<CountingClock>) {
    let clock = Arc::new(CountingClock::default());
    let flags = BaseFlags::IGNORE_ENV | BaseFlags::EPOLL_USE_CHANGELIST;
    let config = Config::new().set_flags(flags).set_clock(Arc::clone(&clock) as Arc<dyn Clock>);
    let base = Base::with_config(&config).unwrap();
    assert_eq!(base.method(), Ok("epoll (with changelist)"));
    (base, clock)
}

fn errno<T: std::fmt::Debug>(result: Result<T, Error>) -> i32 {
    match result {
        Err(Error::System(error)) => error.errno,
        other => panic!("{other:?}"),
    }
}

/// The interests that are registered for `number`, as epoll's bits; `None` if it is not registered.
fn registered(base: &Base, number: RawFd) -> Option<u32> {
    let epoll = base.descriptor().unwrap().unwrap();
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{epoll}")).unwrap();
    info.lines().find_map(|line| {
        let mut words = line.strip_prefix("tfd:")?.split_whitespace();
        (words.next()?.parse() == Ok(number))
            .then(|| u32::from_str_radix(words.nth(1).unwrap(), 16).unwrap() & 0xffff)
    })
}

const IN: u32 = 0x1;
const OUT: u32 = 0x4;
/// The two bits that the kernel always reports.
const ALWAYS: u32 = 0x18;

#[test]
fn a_removed_interest_is_submitted_before_the_next_wait() {
    let (base, _) = changelist();
    let (socket, _peer) = pair();
    let number = fd(&socket);
    let reader = watch(&base, number, What::READ | What::PERSIST);
    let writer = watch(&base, number, What::WRITE | What::PERSIST);
    assert_eq!(registered(&base, number), Some(IN | OUT | ALWAYS), "new interests are submitted immediately");
    base.del(writer).unwrap();
    assert_eq!(registered(&base, number), Some(IN | OUT | ALWAYS));
    assert_eq!(run(&base, ONE_PASS).1, []);
    assert_eq!(registered(&base, number), Some(IN | ALWAYS));
    base.del(reader).unwrap();
    assert_eq!(registered(&base, number), Some(IN | ALWAYS));
    base.add(writer, None).unwrap();
    assert_eq!(registered(&base, number), Some(IN | ALWAYS));
    assert_eq!(run(&base, ONE_PASS).1, [(writer, What::WRITE)]);
    assert_eq!(registered(&base, number), Some(OUT | ALWAYS));
    base.del(writer).unwrap();
    assert_eq!(run(&base, WAIT).0, LoopResult::Empty);
    assert_eq!(registered(&base, number), None, "leaving the loop submits the rest");
}

#[test]
fn add_fails_if_the_kernel_refuses_the_descriptor() {
    let (base, _) = changelist();
    let file = std::fs::File::open("/proc/self/exe").unwrap();
    let event = base.create(EventSpec::io(fd(&file), What::READ)).unwrap();
    for _ in 0..2 {
        assert_eq!(errno(base.add(event, Some(ms(1)))), Errno::EPERM as i32);
        assert_eq!(base.pending(event, What::all()), Ok(What::empty()));
    }
    let closed = EventSpec::io(RawFd::MAX, What::READ);
    assert_eq!(errno(base.create_and_add(closed, None)), Errno::EBADF as i32);
    assert_eq!(run(&base, WAIT), (LoopResult::Empty, vec![]));
}

#[test]
fn closed_and_opened_as_another_socket_between_deleting_and_adding() {
    let (base, clock) = changelist();
    let (ours, mut old_peer) = pair();
    let (other, mut new_peer) = pair();
    let event = watch(&base, fd(&ours), What::READ | What::PERSIST);
    base.del(event).unwrap();
    replace(&ours, &other);
    base.add(event, None).unwrap();
    _ = old_peer.write_all(b"unread");
    assert_eq!(run_quietly(&base, &clock), []);
    new_peer.write_all(b"x").unwrap();
    assert_eq!(run(&base, ONE_PASS).1, [(event, What::READ)]);
}

#[test]
fn closed_and_opened_as_another_socket_while_a_duplicate_keeps_the_old_one() {
    let (base, clock) = changelist();
    let (ours, mut old_peer) = pair();
    let (other, mut new_peer) = pair();
    let _kept = duplicate(&ours);
    let event = watch(&base, fd(&ours), What::READ | What::PERSIST);
    base.del(event).unwrap();
    replace(&ours, &other);
    old_peer.write_all(b"always ready").unwrap();
    base.add(event, None).unwrap();
    assert_eq!(run_quietly(&base, &clock), []);
    new_peer.write_all(b"x").unwrap();
    assert_eq!(run(&base, ONE_PASS).1, [(event, What::READ)]);
}

#[test]
fn closed_while_a_duplicate_keeps_it_and_never_added_again() {
    let (base, clock) = changelist();
    let (ours, mut old_peer) = pair();
    let (other, _new_peer) = pair();
    let _kept = duplicate(&ours);
    let event = watch(&base, fd(&ours), What::READ | What::PERSIST);
    base.del(event).unwrap();
    replace(&ours, &other);
    old_peer.write_all(b"always ready").unwrap();
    assert_eq!(run_quietly(&base, &clock), []);
}

#[test]
fn opened_again_as_the_same_file() {
    let (base, _) = changelist();
    let (ours, mut peer) = pair();
    let kept = duplicate(&ours);
    let event = watch(&base, fd(&ours), What::READ | What::PERSIST);
    base.del(event).unwrap();
    replace(&ours, &kept);
    base.add(event, None).unwrap();
    peer.write_all(b"x").unwrap();
    assert_eq!(run(&base, ONE_PASS).1, [(event, What::READ)]);
}

/// In libevent the event is added, and never fires.
#[test]
fn a_late_refusal_makes_the_event_active() {
    let (base, clock) = changelist();
    let file = std::fs::File::open("/proc/self/exe").unwrap();
    let (ours, _peer) = pair();
    let (socket, _other) = pair();
    let late = duplicate_from(&socket, 880);
    // One becomes a regular file, the other is closed.
    let numbers = [fd(&ours), late.as_raw_fd()];
    let what = What::READ | What::WRITE | What::PERSIST;
    let events = numbers.map(|number| watch(&base, number, what));
    let joined = events.map(|event| {
        base.del(event).unwrap();
        event
    });
    replace(&ours, &file);
    drop(late);
    for event in joined {
        base.add(event, None).unwrap();
    }
    let mut trace = run_quietly(&base, &clock);
    trace.sort_unstable_by_key(|(event, _)| *event);
    assert_eq!(trace, joined.map(|event| (event, What::READ | What::WRITE)));
    for event in joined {
        assert_eq!(base.pending(event, What::all()), Ok(What::empty()));
    }
    let errnos = joined.map(|event| errno(base.add(event, None)));
    assert_eq!(errnos, [Errno::EPERM as i32, Errno::EBADF as i32]);
}

#[test]
fn edge_triggering_survives_deleting_and_adding() {
    let (base, _) = changelist();
    let (socket, _peer) = pair();
    let edge = watch(&base, fd(&socket), What::WRITE | What::ET | What::PERSIST);
    let level = base.create(EventSpec::io(fd(&socket), What::WRITE | What::PERSIST)).unwrap();
    assert_eq!(run(&base, ONE_PASS).1, [(edge, What::WRITE | What::ET)]);
    base.del(edge).unwrap();
    base.add(level, None).unwrap();
    for _ in 0..2 {
        assert_eq!(run(&base, ONE_PASS).1, [(level, What::WRITE)]);
    }
    base.del(level).unwrap();
    base.add(edge, None).unwrap();
    assert_eq!(run(&base, ONE_PASS).1, [(edge, What::WRITE | What::ET)]);
    assert_eq!(run(&base, ONE_PASS).1, []);
}

#[test]
fn a_change_of_another_thread_during_the_sleep_is_submitted_immediately() {
    let (base, _) = changelist();
    let (socket, _peer) = pair();
    let timer = base.create_and_add(EventSpec::timer(), Some(ms(3_600_000))).unwrap();
    let event = watch(&base, fd(&socket), What::READ | What::PERSIST);
    let writer = base.create(EventSpec::io(fd(&socket), What::WRITE)).unwrap();
    let number = fd(&socket);
    base.descriptor().unwrap();
    base.enter(WAIT).unwrap();
    assert_eq!(base.next(Wait::Never), Ok(Step::Idle));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            base.del(event).unwrap();
            assert_eq!(registered(&base, number), None);
            base.add(writer, None).unwrap();
            assert_eq!(registered(&base, number), Some(OUT | ALWAYS));
        });
    });
    assert_eq!(next_event(&base, Wait::Never).id, writer);
    base.leave();
    base.free(timer).unwrap();
}

#[test]
fn a_one_shot_that_is_added_again_in_its_callback_fires_again() {
    let (base, _) = changelist();
    let (socket, _peer) = pair();
    let event = watch(&base, fd(&socket), What::WRITE);
    let mut runs = 0;
    run_watched(&base, WAIT, |base, ready| {
        runs += 1;
        if runs < 5 {
            base.add(ready.id, None).unwrap();
        }
    });
    assert_eq!(runs, 5);
    assert_eq!(base.pending(event, What::all()), Ok(What::empty()));
}
