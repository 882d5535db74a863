//! A host with a loop of its own watches the descriptor of the base.

use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use event_base::{Base, Config, EventSpec, LoopFlags, LoopResult, Step, Wait, What, supported_methods};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::support::{
    Bed, PATIENCE, POLL, WAIT, drain, duplicate, fd, ms, next_event, only, pair, replace, run_watched,
};

/// A host, which requests the descriptor once, before it enters the loop.
struct Host(BorrowedFd<'static>);

impl Host {
    #[expect(unsafe_code, reason = "the base returns its descriptor as a number")]
    fn of(base: &Base) -> Self {
        let descriptor = base.descriptor().unwrap().unwrap();
        // SAFETY: the base keeps the descriptor's number until it is closed, and each test keeps its base
        // open for longer than its host.
        Host(unsafe { BorrowedFd::borrow_raw(descriptor) })
    }

    /// Whether the descriptor becomes readable within `patience`.
    fn is_readable(&self, patience: Duration) -> bool {
        let mut fds = [PollFd::new(self.0, PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::try_from(patience).unwrap()).unwrap() == 1
    }

    fn idle(&self, base: &Base) {
        assert_eq!(base.next(Wait::Never), Ok(Step::Idle));
        assert!(!self.is_readable(AT_ONCE));
    }
}

const AT_ONCE: Duration = Duration::ZERO;
const LONG: Duration = PATIENCE;

fn one_ready(base: &Base) -> What {
    next_event(base, Wait::Never).what
}

#[test]
fn the_descriptor_is_readable_when_an_event_is() {
    let base = Base::new().unwrap();
    let (reader, mut writer) = pair();
    base.create_and_add(EventSpec::io(fd(&reader), What::READ | What::PERSIST), None).unwrap();
    let host = Host::of(&base);
    base.enter(WAIT).unwrap();
    for _ in 0..2 {
        host.idle(&base);
        writer.write_all(b"x").unwrap();
        assert!(host.is_readable(LONG));
        assert_eq!(one_ready(&base), What::READ);
        assert_eq!(drain(&reader), 1);
    }
    base.leave();
}

/// The kernel's timer may have 31 bits for the seconds, which are 68 years.
#[test]
fn a_deadline_in_five_centuries_is_accepted() {
    let base = Base::new().unwrap();
    let host = Host::of(&base);
    base.create_and_add(EventSpec::timer(), Some(Duration::from_secs(500 * 365 * 86_400))).unwrap();
    base.enter(WAIT).unwrap();
    host.idle(&base);
    base.leave();
}

#[test]
fn the_descriptor_is_readable_when_a_deadline_has_passed() {
    let base = Base::new().unwrap();
    let timer = base.create_and_add(EventSpec::timer().persist(), Some(ms(20))).unwrap();
    let host = Host::of(&base);
    base.enter(WAIT).unwrap();
    for _ in 0..3 {
        // On a busy machine the next deadline may have passed before the base is idle.
        while base.next(Wait::Never).unwrap() != Step::Idle {}
        assert!(host.is_readable(LONG));
        assert_eq!(one_ready(&base), What::TIMEOUT);
    }
    // A deadline that is postponed or removed has no effect.
    base.add(timer, Some(ms(3_600_000))).unwrap();
    host.idle(&base);
    assert!(!host.is_readable(ms(40)));
    base.leave();
}

#[test]
fn the_descriptor_is_readable_when_an_exit_is_due() {
    // A busy machine may need longer than the first of these to fall asleep.
    let was_idle = [10, 100, 1_000, 10_000].into_iter().any(|time| {
        let base = Base::new().unwrap();
        base.retain().unwrap();
        base.loop_exit(Some(ms(time))).unwrap();
        let host = Host::of(&base);
        base.enter(WAIT).unwrap();
        let idle = base.next(Wait::Never).unwrap() == Step::Idle;
        if idle {
            assert!(host.is_readable(LONG));
            assert_eq!(base.next(Wait::Never), Ok(Step::Done(LoopResult::Stopped)));
        }
        base.leave();
        idle
    });
    assert!(was_idle);
}

#[test]
fn every_wake_up_makes_the_descriptor_readable() {
    let base = Base::new().unwrap();
    let user = base.create(EventSpec::user()).unwrap();
    let far = base.create_and_add(EventSpec::timer(), Some(ms(3_600_000))).unwrap();
    let host = Host::of(&base);
    base.enter(WAIT).unwrap();
    host.idle(&base);
    base.activate(user, What::WRITE).unwrap();
    assert!(host.is_readable(AT_ONCE), "an activation by the host's own thread");
    assert_eq!(one_ready(&base), What::WRITE);
    host.idle(&base);
    base.wake().unwrap();
    assert!(host.is_readable(AT_ONCE));
    host.idle(&base);
    base.add(user, Some(ms(1))).unwrap();
    assert!(host.is_readable(AT_ONCE), "the host must wake for the earlier deadline");
    base.del(user).unwrap();
    host.idle(&base);
    let other = base.clone();
    std::thread::spawn(move || other.del(far).unwrap()).join().unwrap();
    assert!(host.is_readable(AT_ONCE));
    assert_eq!(base.next(Wait::Never), Ok(Step::Done(LoopResult::Empty)));
    base.leave();
}

#[test]
fn a_busy_host_loses_no_wake_up() {
    let base = Base::new().unwrap();
    let user = base.create(EventSpec::user()).unwrap();
    base.retain().unwrap();
    let host = Host::of(&base);
    base.enter(WAIT).unwrap();
    for _ in 0..1_000 {
        host.idle(&base);
        base.activate(user, What::READ).unwrap();
        assert!(host.is_readable(AT_ONCE));
        assert_eq!(one_ready(&base), What::READ);
    }
    base.leave();
}

#[test]
fn a_wake_up_of_an_awake_base_is_not_lost() {
    let base = Base::new().unwrap();
    base.retain().unwrap();
    let host = Host::of(&base);
    base.enter(WAIT).unwrap();
    host.idle(&base);
    base.activate(base.create(EventSpec::user()).unwrap(), What::READ).unwrap();
    next_event(&base, Wait::Never);
    base.wake().unwrap();
    assert!(host.is_readable(AT_ONCE));
    host.idle(&base);
    base.leave();
}

#[test]
fn the_number_and_the_epoch_do_not_change_while_no_registration_is_stuck() {
    let base = Base::new().unwrap();
    let before = (base.descriptor().unwrap(), base.descriptor_epoch().unwrap());
    base.create_and_add(EventSpec::timer(), Some(ms(1))).unwrap();
    run_watched(&base, WAIT, |_, _| {});
    assert_eq!((base.descriptor().unwrap(), base.descriptor_epoch().unwrap()), before);
}

#[test]
fn the_descriptor_may_be_requested_while_the_base_sleeps() {
    let base = Base::new().unwrap();
    let timer = base.create(EventSpec::timer()).unwrap();
    base.enter(WAIT).unwrap();
    // A busy machine may need longer than the first of these to fall asleep.
    let asleep = [20, 100, 500, 2_500, 12_500].into_iter().any(|time| {
        base.add(timer, Some(ms(time))).unwrap();
        base.next(Wait::Never).unwrap() == Step::Idle
    });
    assert!(asleep);
    let host = Host::of(&base);
    assert!(host.is_readable(LONG));
    assert_eq!(one_ready(&base), What::TIMEOUT);
    base.leave();
}

#[test]
fn replacing_the_kernel_object_keeps_the_number_and_changes_the_epoch() {
    let base = Base::new().unwrap();
    let (ours, mut old_peer) = pair();
    let (other, mut new_peer) = pair();
    let _other_name = duplicate(&ours);
    let old = base.create_and_add(EventSpec::io(fd(&ours), What::READ), None).unwrap();
    base.create_and_add(EventSpec::timer(), Some(ms(2_000))).unwrap();
    let host = Host::of(&base);
    let number = base.descriptor().unwrap();
    base.enter(WAIT).unwrap();
    host.idle(&base);
    old_peer.write_all(b"always ready").unwrap();
    replace(&ours, &other);
    base.del(old).unwrap();
    for _ in 0..3 {
        assert_eq!(base.next(Wait::Never), Ok(Step::Idle));
    }
    assert_eq!((base.descriptor_epoch(), base.descriptor()), (Ok(1), Ok(number)));
    // No registration is stuck any more, and a wake-up, a deadline and a descriptor are still reported.
    assert!(!host.is_readable(AT_ONCE));
    base.wake().unwrap();
    assert!(host.is_readable(AT_ONCE));
    host.idle(&base);
    assert!(host.is_readable(LONG));
    assert_eq!(one_ready(&base), What::TIMEOUT);
    base.create_and_add(EventSpec::io(fd(&ours), What::READ), None).unwrap();
    host.idle(&base);
    new_peer.write_all(b"x").unwrap();
    assert!(host.is_readable(LONG));
    assert_eq!(one_ready(&base), What::READ);
    base.leave();
}

#[test]
fn the_scripted_backend_has_no_descriptor() {
    assert_eq!(Bed::new().base.descriptor().unwrap(), None);
}

#[test]
fn a_blocking_step_returns_to_a_host_that_has_work() {
    let base = Base::new().unwrap();
    let (host, mut work) = pair();
    base.watch_host(host.as_fd()).unwrap();
    base.watch_host(host.as_fd()).unwrap();
    base.create_and_add(EventSpec::timer(), Some(ms(3_600_000))).unwrap();
    base.enter(WAIT).unwrap();
    for _ in 0..2 {
        work.write_all(b"x").unwrap();
        assert_eq!(base.next(Wait::Allowed), Ok(Step::Host));
    }
    base.leave();
}

/// poll and select report the descriptor of a host as long as it is readable; the host cannot read it while the loop
/// blocks its thread.
#[test]
fn a_host_that_has_work_is_reported_once_on_every_backend() {
    for name in supported_methods() {
        let base = Base::with_config(&only(Config::new(), name)).unwrap();
        let ((host, mut work), (next_host, mut next_work)) = (pair(), pair());
        base.watch_host(host.as_fd()).unwrap();
        let timer = base.create(EventSpec::timer()).unwrap();
        base.enter(WAIT).unwrap();
        for _ in 0..2 {
            work.write_all(b"x").unwrap();
            base.add(timer, Some(ms(1))).unwrap();
            assert_eq!(base.next(Wait::Allowed), Ok(Step::Host), "{name}");
            assert_eq!(next_event(&base, Wait::Allowed).id, timer, "{name}: reported again");
        }
        // A new watch replaces the one before, and stays after `reinit`.
        base.watch_host(next_host.as_fd()).unwrap();
        base.reinit().unwrap();
        next_work.write_all(b"x").unwrap();
        base.add(timer, Some(ms(20_000))).unwrap();
        assert_eq!(base.next(Wait::Allowed), Ok(Step::Host), "{name}");
        base.unwatch_host().unwrap();
        next_work.write_all(b"x").unwrap();
        base.add(timer, Some(ms(1))).unwrap();
        assert_eq!(next_event(&base, Wait::Allowed).id, timer, "{name}: no longer watched");
        base.leave();
    }
}

/// epoll refuses a set that watches it with ELOOP: `epoll_ctl(2)`.
#[cfg(linux_kernel)]
#[test]
fn a_host_that_is_no_longer_watched_can_watch_the_base() {
    use nix::errno::Errno;
    use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};

    let base = Base::with_config(&only(Config::new(), "epoll")).unwrap();
    let host = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap();
    base.watch_host(host.0.as_fd()).unwrap();
    let Host(descriptor) = Host::of(&base);
    let watch = || host.add(descriptor, EpollEvent::new(EpollFlags::EPOLLIN, 0));
    assert_eq!(watch(), Err(Errno::ELOOP));
    base.unwatch_host().unwrap();
    base.unwatch_host().unwrap();
    assert_eq!(watch(), Ok(()));
}

#[test]
fn a_host_that_has_work_comes_before_active_events() {
    let base = Base::new().unwrap();
    let (host, mut work) = pair();
    base.watch_host(host.as_fd()).unwrap();
    let busy = base.create_and_add(EventSpec::timer().persist(), Some(ms(0))).unwrap();
    base.enter(WAIT).unwrap();
    for _ in 0..3 {
        assert_eq!(next_event(&base, Wait::Allowed).id, busy);
        work.write_all(b"x").unwrap();
        assert_eq!(base.next(Wait::Allowed), Ok(Step::Host));
    }
    base.leave();
    // Events that were active when the host's work was found are not lost.
    base.del(busy).unwrap();
    base.activate(busy, What::READ).unwrap();
    work.write_all(b"x").unwrap();
    base.enter(LoopFlags::NONBLOCK).unwrap();
    assert_eq!(base.next(Wait::Allowed), Ok(Step::Host));
    assert_eq!(next_event(&base, Wait::Allowed).what, What::READ);
    base.leave();
}

#[test]
fn a_host_that_has_work_does_not_end_run() {
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

#[test]
fn an_interrupted_loop_returns_to_its_host_once() {
    let base = Base::new().unwrap();
    base.interrupt().unwrap();
    base.retain().unwrap();
    base.enter(WAIT).unwrap();
    assert_eq!(
        base.next(Wait::Never),
        Ok(Step::Idle),
        "an interrupt from before the loop has no effect on it"
    );
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(ms(20));
            base.interrupt().unwrap();
        });
        assert_eq!(base.next(Wait::Allowed), Ok(Step::Host));
    });
    assert_eq!(base.next(Wait::Never), Ok(Step::Idle));
    base.leave();
}
