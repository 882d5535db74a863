//! A host makes the wait of a base on another thread.

use std::io::Write;
use std::time::{Duration, Instant};

use event_base::{
    Base, BaseFlags, Config, Error, EventSpec, Features, LoopResult, Step, Wait, What, supported_methods,
};
#[cfg(target_os = "linux")]
use nix::errno::Errno;

use crate::support::{PATIENCE, WAIT, drain, fd, ms, next_event, only, pair, run};

const FOREVER: Duration = Duration::from_secs(3_600);

/// Calls `test` with a base of each backend, with locks and without.
fn each(mut test: impl FnMut(Base)) {
    for name in supported_methods() {
        for flags in [BaseFlags::empty(), BaseFlags::NOLOCK] {
            let config = Config::new().set_flags(flags | BaseFlags::IGNORE_ENV);
            test(Base::with_config(&only(config, name)).unwrap());
        }
    }
}

/// Makes the wait on another thread while this one calls `meanwhile`; fails if the wait does not end.
fn wait_while(base: &Base, meanwhile: impl FnOnce()) {
    let mut wait = base.start_wait().unwrap();
    let start = Instant::now();
    let wait = std::thread::scope(|scope| {
        let thread = scope.spawn(move || {
            wait.wait().unwrap();
            wait
        });
        std::thread::sleep(ms(20));
        meanwhile();
        thread.join().unwrap()
    });
    assert!(start.elapsed() < PATIENCE, "the wait did not end");
    base.finish_wait(wait).unwrap();
}

fn fired(base: &Base) -> Vec<What> {
    let mut all = vec![];
    while let Ok(Step::Event(ready)) = base.next(Wait::Never) {
        all.push(ready.what);
    }
    all
}

#[test]
fn the_wait_ends_when_something_is_ready() {
    each(|base| {
        let (reader, mut writer) = pair();
        base.create_and_add(EventSpec::io(fd(&reader), What::READ).persist(), None).unwrap();
        base.enter(WAIT).unwrap();
        for _ in 0..3 {
            assert_eq!(base.next(Wait::Never), Ok(Step::Idle));
            wait_while(&base, || writer.write_all(b"x").unwrap());
            assert_eq!(next_event(&base, Wait::Never).what, What::READ);
            drain(&reader);
        }
        base.leave();
    });
}

#[test]
fn an_edge_that_the_wait_found_is_reported() {
    each(|base| {
        let (reader, mut writer) = pair();
        base.create_and_add(EventSpec::io(fd(&reader), What::READ | What::ET), None).unwrap();
        base.enter(WAIT).unwrap();
        assert_eq!(base.next(Wait::Never), Ok(Step::Idle));
        wait_while(&base, || writer.write_all(b"x").unwrap());
        assert!(fired(&base)[0].contains(What::READ));
        base.leave();
    });
}

#[test]
fn the_wait_ends_at_the_first_deadline() {
    each(|base| {
        base.create_and_add(EventSpec::timer(), Some(ms(30))).unwrap();
        base.enter(WAIT).unwrap();
        assert_eq!(base.next(Wait::Never), Ok(Step::Idle));
        wait_while(&base, || {});
        assert_eq!(fired(&base), [What::TIMEOUT]);
        assert_eq!(base.next(Wait::Never), Ok(Step::Done(LoopResult::Empty)));
        base.leave();
    });
}

#[test]
fn changes_made_during_the_wait_apply_to_it() {
    each(|base| {
        let (socket, _peer) = pair();
        let long = base.create_and_add(EventSpec::timer(), Some(FOREVER)).unwrap();
        let user = base.create(EventSpec::user()).unwrap();
        base.enter(WAIT).unwrap();
        let changes: [&dyn Fn(); 4] = [
            &|| _ = base.create_and_add(EventSpec::io(fd(&socket), What::WRITE), None).unwrap(),
            &|| _ = base.create_and_add(EventSpec::timer(), Some(ms(1))).unwrap(),
            &|| assert!(base.activate(user, What::READ).unwrap()),
            &|| base.del(long).unwrap(),
        ];
        let expected = [vec![What::WRITE], vec![What::TIMEOUT], vec![What::READ], vec![]];
        for (change, expected) in changes.into_iter().zip(expected) {
            assert_eq!(base.next(Wait::Never), Ok(Step::Idle));
            wait_while(&base, change);
            let mut seen = fired(&base);
            while seen.len() < expected.len() {
                // The wait ended for the change itself, before it had an effect.
                wait_while(&base, || {});
                seen.extend(fired(&base));
            }
            assert_eq!(seen, expected);
        }
        assert_eq!(base.next(Wait::Never), Ok(Step::Done(LoopResult::Empty)));
        base.leave();
    });
}

#[test]
fn no_step_is_taken_while_the_wait_is_away() {
    each(|base| {
        base.create_and_add(EventSpec::timer(), Some(FOREVER)).unwrap();
        base.enter(WAIT).unwrap();
        assert_eq!(base.next(Wait::Never), Ok(Step::Idle));
        let wait = base.start_wait().unwrap();
        assert_eq!(base.next(Wait::Never), Err(Error::Reentrant));
        assert_eq!(base.start_wait().err(), Some(Error::Reentrant));
        base.finish_wait(wait).unwrap();
        assert_eq!(base.next(Wait::Never), Ok(Step::Idle));
        base.leave();
    });
}

#[test]
fn the_wait_does_not_sleep_while_an_event_is_active() {
    each(|base| {
        let user = base.create(EventSpec::user()).unwrap();
        base.retain().unwrap();
        base.enter(WAIT).unwrap();
        base.activate(user, What::READ).unwrap();
        wait_while(&base, || {});
        assert_eq!(fired(&base), [What::READ]);
        base.release().unwrap();
        base.leave();
    });
}

#[test]
fn the_wait_can_be_ended_by_another_thread_and_outlives_its_base() {
    each(|base| {
        base.create_and_add(EventSpec::timer(), Some(FOREVER)).unwrap();
        base.enter(WAIT).unwrap();
        assert_eq!(base.next(Wait::Never), Ok(Step::Idle));
        let mut wait = base.start_wait().unwrap();
        let ender = wait.ender();
        let thread = std::thread::spawn(move || {
            wait.wait().unwrap();
            wait
        });
        base.close().unwrap();
        base.leave();
        ender.end();
        let wait = thread.join().unwrap();
        assert_eq!(base.finish_wait(wait), Err(Error::Closed));
    });
}

/// The wait is on the objects from before, and what it found is discarded.
#[test]
fn a_wait_that_is_returned_after_reinit_does_not_replace_the_registrations() {
    each(|base| {
        let ((reader, mut writer), (other, mut other_writer)) = (pair(), pair());
        base.create_and_add(EventSpec::io(fd(&reader), What::READ).persist(), None).unwrap();
        base.enter(WAIT).unwrap();
        assert_eq!(base.next(Wait::Never), Ok(Step::Idle));
        let mut wait = base.start_wait().unwrap();
        writer.write_all(b"x").unwrap();
        wait.wait().unwrap();
        base.reinit().unwrap();
        assert_eq!(drain(&reader), 1);
        base.create_and_add(EventSpec::io(fd(&other), What::READ).persist(), None).unwrap();
        base.finish_wait(wait).unwrap();
        assert_eq!(fired(&base), []);
        for (writer, reader) in [(&mut writer, &reader), (&mut other_writer, &other)] {
            wait_while(&base, || writer.write_all(b"x").unwrap());
            assert_eq!(next_event(&base, Wait::Never).what, What::READ);
            assert_eq!(drain(reader), 1);
        }
        base.leave();
    });
}

/// Whether or not a loop was entered, and on which thread.
#[test]
fn reinit_is_allowed_while_the_wait_is_away_and_ends_it() {
    for is_entered in [true, false] {
        each(|base| {
            base.create_and_add(EventSpec::timer(), Some(FOREVER)).unwrap();
            if is_entered {
                base.enter(WAIT).unwrap();
                assert_eq!(base.next(Wait::Never), Ok(Step::Idle));
            }
            let mut results = vec![];
            wait_while(&base, || {
                results.push(base.reinit());
                if base.has_lock() {
                    let other = base.clone();
                    results.push(std::thread::spawn(move || other.reinit()).join().unwrap());
                }
                if results.iter().any(Result::is_err) {
                    // The wait would not end.
                    base.wake().unwrap();
                }
            });
            assert!(results.iter().all(Result::is_ok), "{:?}: {results:?}", base.method());
            base.leave();
        });
    }
}

#[test]
fn the_base_can_be_run_afterwards() {
    each(|base| {
        let (reader, mut writer) = pair();
        let event = base.create_and_add(EventSpec::io(fd(&reader), What::READ), None).unwrap();
        base.enter(WAIT).unwrap();
        assert_eq!(base.next(Wait::Never), Ok(Step::Idle));
        let wait = base.start_wait().unwrap();
        base.finish_wait(wait).unwrap();
        base.leave();
        writer.write_all(b"x").unwrap();
        assert_eq!(run(&base, WAIT), (LoopResult::Empty, vec![(event, What::READ)]));
    });
}

#[test]
fn a_wait_of_another_base_is_refused() {
    each(|base| {
        let other = Base::new().unwrap();
        let wait = base.start_wait().unwrap();
        let foreign = other.start_wait().unwrap();
        assert_eq!(base.finish_wait(foreign), Err(Error::Closed));
        assert_eq!(base.start_wait().err(), Some(Error::Reentrant), "the own wait is still away");
        base.finish_wait(wait).unwrap();
    });
}

#[test]
fn a_wait_that_is_made_twice_keeps_what_it_found_first() {
    each(|base| {
        let edge = if base.features().unwrap().contains(Features::ET) { What::ET } else { What::empty() };
        let (reader, mut writer) = pair();
        let what = What::READ | What::PERSIST | edge;
        let event = base.create_and_add(EventSpec::io(fd(&reader), what), None).unwrap();
        // Ends a second wait that does not keep what the first one found.
        base.create_and_add(EventSpec::timer(), Some(ms(200))).unwrap();
        base.enter(WAIT).unwrap();
        writer.write_all(b"x").unwrap();
        let mut wait = base.start_wait().unwrap();
        for _ in 0..2 {
            wait.wait().unwrap();
        }
        base.finish_wait(wait).unwrap();
        let step = base.next(Wait::Never);
        let Ok(Step::Event(ready)) = step else { panic!("{step:?}") };
        assert_eq!((ready.id, ready.what), (event, What::READ | edge));
        base.leave();
    });
}

#[test]
fn a_base_can_be_reinitialized_while_the_wait_is_away() {
    each(|base| {
        let (reader, mut writer) = pair();
        let what = What::READ | What::PERSIST;
        let event = base.create_and_add(EventSpec::io(fd(&reader), what), None).unwrap();
        base.enter(WAIT).unwrap();
        for _ in 0..2 {
            assert_eq!(base.next(Wait::Never), Ok(Step::Idle));
            wait_while(&base, || assert_eq!(base.reinit(), Ok(())));
            assert_eq!(base.next(Wait::Never), Ok(Step::Idle));
            wait_while(&base, || writer.write_all(b"x").unwrap());
            assert_eq!(next_event(&base, Wait::Never).id, event);
            drain(&reader);
        }
        base.leave();
    });
}

/// The open descriptors of a kind, such as `eventfd`, for which a base refuses an event. It accepts those that belong to
/// other tests.
#[cfg(target_os = "linux")]
fn refused_by(base: &Base, kind: &str) -> usize {
    let is_one = |number: &i32| {
        let file = std::fs::read_link(format!("/proc/self/fd/{number}"));
        file.is_ok_and(|file| file.to_string_lossy() == format!("anon_inode:[{kind}]"))
    };
    let refuses =
        |number: &i32| match base.create_and_add(EventSpec::io(*number, What::WRITE).persist(), None) {
            Ok(event) => {
                base.free(event).unwrap();
                false
            }
            Err(Error::System(error)) => error.errno == Errno::EBADF as i32,
            Err(error) => panic!("{error}"),
        };
    (0..1024).filter(is_one).filter(refuses).count()
}

/// A program that has closed a descriptor may use its number, which the notifier or the timer has by now.
#[cfg(target_os = "linux")]
#[test]
fn an_event_cannot_have_the_number_of_a_descriptor_of_the_base() {
    each(|base| {
        // Its notifier has no descriptor.
        if base.method() == Ok("kqueue") {
            return;
        }
        base.descriptor().unwrap();
        let method = base.method().unwrap();
        assert!(refused_by(&base, "eventfd") > 0, "{method}");
        assert!(method != "epoll" || refused_by(&base, "timerfd") > 0);
        wait_while(&base, || base.wake().unwrap());
    });
}
