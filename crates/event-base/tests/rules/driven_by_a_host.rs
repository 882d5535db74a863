//! A host with a loop of its own watches the base's descriptor.

use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use event_base::{Base, EventSpec, LoopFlags, LoopResult, Turn, Wait, What};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::support::{Bed, POLL, WAIT, drain, fd, ms, pair, run_watched};

/// Whether the base wants a turn within `patience`.
fn wants_a_turn(base: &Base, patience: Duration) -> bool {
    let watched = Watched(base.clone());
    let mut fds = [PollFd::new(watched.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::try_from(patience).unwrap()).unwrap() == 1
}

struct Watched(Base);

impl AsFd for Watched {
    #[expect(unsafe_code, reason = "the base gives its descriptor as a number")]
    fn as_fd(&self) -> BorrowedFd<'_> {
        let descriptor = self.0.descriptor().unwrap().unwrap();
        // SAFETY: the base is kept open by `self` and keeps the descriptor's number as long.
        unsafe { BorrowedFd::borrow_raw(descriptor) }
    }
}

const AT_ONCE: Duration = Duration::ZERO;
const LONG: Duration = crate::support::PATIENCE;

fn idle(base: &Base) {
    assert_eq!(base.turn(Wait::Never), Ok(Turn::Idle));
    assert!(!wants_a_turn(base, AT_ONCE));
}

fn one_ready(base: &Base) -> What {
    assert_eq!(base.turn(Wait::Never), Ok(Turn::Ready));
    let ready = base.next_ready().unwrap();
    assert_eq!(base.next_ready(), None);
    ready.what
}

#[test]
fn the_descriptor_is_readable_when_an_event_is() {
    let base = Base::new().unwrap();
    let (reader, mut writer) = pair();
    base.create_and_add(EventSpec::io(fd(&reader), What::READ | What::PERSIST), None).unwrap();
    base.enter(WAIT).unwrap();
    for _ in 0..2 {
        idle(&base);
        writer.write_all(b"x").unwrap();
        assert!(wants_a_turn(&base, LONG));
        assert_eq!(one_ready(&base), What::READ);
        assert_eq!(drain(&reader), 1);
    }
    base.leave();
}

#[test]
fn the_descriptor_is_readable_when_a_deadline_has_passed() {
    let base = Base::new().unwrap();
    let timer = base.create_and_add(EventSpec::timer().persist(), Some(ms(20))).unwrap();
    base.enter(WAIT).unwrap();
    for _ in 0..3 {
        idle(&base);
        assert!(wants_a_turn(&base, LONG));
        assert_eq!(one_ready(&base), What::TIMEOUT);
    }
    // A deadline that is put off, or taken away, no longer counts.
    base.add(timer, Some(ms(3_600_000))).unwrap();
    idle(&base);
    assert!(!wants_a_turn(&base, ms(40)));
    base.leave();
}

#[test]
fn the_descriptor_is_readable_when_an_exit_is_due() {
    let base = Base::new().unwrap();
    base.retain().unwrap();
    base.loop_exit(Some(ms(10))).unwrap();
    base.enter(WAIT).unwrap();
    idle(&base);
    assert!(wants_a_turn(&base, LONG));
    assert_eq!(base.turn(Wait::Never), Ok(Turn::Done(LoopResult::Stopped)));
    base.leave();
}

#[test]
fn whatever_would_wake_a_sleeping_loop_makes_the_descriptor_readable() {
    let base = Base::new().unwrap();
    let user = base.create(EventSpec::user()).unwrap();
    let far = base.create_and_add(EventSpec::timer(), Some(ms(3_600_000))).unwrap();
    base.enter(WAIT).unwrap();
    idle(&base);
    base.activate(user, What::WRITE).unwrap();
    assert!(wants_a_turn(&base, AT_ONCE), "an activation of the host's own thread counts too");
    assert_eq!(one_ready(&base), What::WRITE);
    idle(&base);
    base.wake().unwrap();
    assert!(wants_a_turn(&base, AT_ONCE));
    idle(&base);
    base.add(user, Some(ms(1))).unwrap();
    assert!(wants_a_turn(&base, AT_ONCE), "the host must learn of the earlier deadline");
    base.del(user).unwrap();
    idle(&base);
    let other = base.clone();
    std::thread::spawn(move || other.del(far).unwrap()).join().unwrap();
    assert!(wants_a_turn(&base, AT_ONCE));
    assert_eq!(base.turn(Wait::Never), Ok(Turn::Done(LoopResult::Empty)));
    base.leave();
}

#[test]
fn a_busy_host_loses_no_wake_up() {
    let base = Base::new().unwrap();
    let user = base.create(EventSpec::user()).unwrap();
    base.retain().unwrap();
    base.enter(WAIT).unwrap();
    for _ in 0..1_000 {
        idle(&base);
        base.activate(user, What::READ).unwrap();
        assert!(wants_a_turn(&base, AT_ONCE));
        assert_eq!(one_ready(&base), What::READ);
    }
    base.leave();
}

#[test]
fn a_wake_is_not_lost_although_the_base_is_awake() {
    let base = Base::new().unwrap();
    base.retain().unwrap();
    base.enter(WAIT).unwrap();
    idle(&base);
    base.activate(base.create(EventSpec::user()).unwrap(), What::READ).unwrap();
    assert_eq!(base.turn(Wait::Never), Ok(Turn::Ready));
    base.wake().unwrap();
    assert!(base.next_ready().is_some());
    assert!(wants_a_turn(&base, AT_ONCE));
    idle(&base);
    base.leave();
}

#[test]
fn the_number_and_the_epoch_stay_while_nothing_is_stuck() {
    let base = Base::new().unwrap();
    let before = (base.descriptor().unwrap(), base.descriptor_epoch().unwrap());
    base.create_and_add(EventSpec::timer(), Some(ms(1))).unwrap();
    run_watched(&base, WAIT, |_, _| {});
    assert_eq!((base.descriptor().unwrap(), base.descriptor_epoch().unwrap()), before);
}

#[test]
fn the_scripted_backend_has_no_descriptor() {
    assert_eq!(Bed::new().base.descriptor().unwrap(), None);
}

#[test]
fn a_blocking_turn_returns_to_a_host_that_has_work() {
    let base = Base::new().unwrap();
    let (host, mut work) = pair();
    base.watch_host(host.as_fd()).unwrap();
    base.watch_host(host.as_fd()).unwrap();
    base.create_and_add(EventSpec::timer(), Some(ms(3_600_000))).unwrap();
    base.enter(WAIT).unwrap();
    for _ in 0..2 {
        work.write_all(b"x").unwrap();
        assert_eq!(base.turn(Wait::Allowed), Ok(Turn::Host));
        assert_eq!(base.next_ready(), None);
    }
    base.leave();
}

#[test]
fn a_host_that_has_work_does_not_wait_for_events_that_never_rest() {
    let base = Base::new().unwrap();
    let (host, mut work) = pair();
    base.watch_host(host.as_fd()).unwrap();
    let busy = base.create_and_add(EventSpec::timer().persist(), Some(ms(0))).unwrap();
    base.enter(WAIT).unwrap();
    for _ in 0..3 {
        assert_eq!(base.turn(Wait::Allowed), Ok(Turn::Ready));
        assert_eq!(base.next_ready().map(|ready| ready.id), Some(busy));
        work.write_all(b"x").unwrap();
        assert_eq!(base.turn(Wait::Allowed), Ok(Turn::Host));
    }
    base.leave();
    // What was due when the host came is not lost.
    base.del(busy).unwrap();
    base.activate(busy, What::READ).unwrap();
    work.write_all(b"x").unwrap();
    base.enter(LoopFlags::NONBLOCK).unwrap();
    assert_eq!(base.turn(Wait::Allowed), Ok(Turn::Host));
    assert_eq!(base.turn(Wait::Allowed), Ok(Turn::Ready));
    assert_eq!(base.next_ready().map(|ready| ready.what), Some(What::READ));
    base.leave();
}

#[test]
fn a_host_that_has_work_does_not_disturb_a_whole_loop() {
    let base = Base::new().unwrap();
    let (host, mut work) = pair();
    base.watch_host(host.as_fd()).unwrap();
    work.write_all(b"x").unwrap();
    let timer = base.create_and_add(EventSpec::timer(), Some(ms(5))).unwrap();
    let mut fired = vec![];
    let result = run_watched(&base, WAIT | LoopFlags::ONCE, |_, ready| fired.push(ready.id));
    assert_eq!((result, fired), (LoopResult::Stopped, vec![timer]));
    assert_eq!(base.run(POLL, |_, _| {}), Ok(LoopResult::Empty));
}
