//! NOLOCK: the base belongs to the first thread that uses it.

use event_base::{Base, BaseFlags, Config, Error, EventSpec, LoopResult, Turn, Wait, What};

use crate::support::{WAIT, fd, ms, pair, run};

fn base() -> Base {
    Base::with_config(&Config::new().set_flags(BaseFlags::NOLOCK)).unwrap()
}

#[test]
fn it_works_as_any_other_on_its_thread() {
    let base = base();
    let timer = base.create_and_add(EventSpec::timer(), Some(ms(1))).unwrap();
    let (socket, _peer) = pair();
    let writer = base.create_and_add(EventSpec::io(fd(&socket), What::WRITE), None).unwrap();
    let (result, trace) = run(&base, WAIT);
    assert_eq!((result, trace), (LoopResult::Empty, vec![(writer, What::WRITE), (timer, What::TIMEOUT)]));
}

#[test]
fn a_second_thread_is_refused_whatever_it_asks() {
    let base = base();
    let id = base.create_and_add(EventSpec::timer(), Some(ms(1))).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let refused = Err(Error::WrongThread);
            assert_eq!(base.activate(id, What::READ), refused);
            assert_eq!(base.add(id, None), refused);
            assert_eq!(base.loop_break(), refused);
            assert_eq!(base.wake(), refused);
            assert_eq!(base.close(), refused);
            assert_eq!(base.run(WAIT, |_, _| {}).map(|_| ()), refused);
            assert_eq!(base.turn(Wait::Never).map(|_| ()), refused);
            assert_eq!(base.next_ready(), None);
            assert!(base.is_closed());
            base.leave();
        });
    });
    assert!(!base.is_closed());
    assert_eq!(run(&base, WAIT), (LoopResult::Empty, vec![(id, What::TIMEOUT)]));
}

#[test]
fn it_may_be_made_on_one_thread_and_used_on_another() {
    let base = base();
    std::thread::spawn(move || {
        let timer = base.create_and_add(EventSpec::timer(), Some(ms(1))).unwrap();
        assert_eq!(run(&base, WAIT).1, [(timer, What::TIMEOUT)]);
    })
    .join()
    .unwrap();
}

#[test]
fn a_clone_may_be_dropped_on_another_thread() {
    let base = base();
    base.create(EventSpec::user()).unwrap();
    let clone = base.clone();
    std::thread::spawn(move || drop(clone)).join().unwrap();
    assert_eq!(base.live_events().unwrap(), 1);
}

#[test]
fn a_host_can_drive_it() {
    let base = base();
    let timer = base.create_and_add(EventSpec::timer(), Some(ms(0))).unwrap();
    assert!(base.descriptor().unwrap().is_some());
    assert_eq!(base.descriptor(), base.descriptor());
    base.enter(WAIT).unwrap();
    assert_eq!(base.turn(Wait::Never), Ok(Turn::Ready));
    assert_eq!(base.next_ready().map(|ready| ready.id), Some(timer));
    assert_eq!(base.next_ready(), None);
    assert_eq!(base.turn(Wait::Never), Ok(Turn::Done(LoopResult::Empty)));
    base.leave();
}
