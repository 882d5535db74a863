//! `once`: an event whose id is not kept.

use event_base::{CountFlags, Error, LoopResult, What};

use crate::support::{Bed, WAIT, fd, ms, pair, shared_base};

fn fired(bed: &Bed) -> Vec<(u64, What, bool)> {
    let mut fired = vec![];
    bed.base.run(WAIT, |_, ready| fired.push((ready.data, ready.what, ready.released))).unwrap();
    fired
}

#[test]
fn it_fires_once_and_is_reported_as_released() {
    let bed = Bed::new();
    bed.base.once(-1, What::TIMEOUT, 1, Some(ms(20))).unwrap();
    bed.base.once(3, What::READ | What::WRITE, 2, None).unwrap();
    bed.base.once(-1, What::TIMEOUT, 3, None).unwrap();
    bed.base.once(-1, What::TIMEOUT, 4, Some(ms(0))).unwrap();
    bed.base.once(4, What::READ, 5, Some(ms(30))).unwrap();
    bed.script.then(ms(10), &[(3, What::WRITE)]);
    assert_eq!(
        fired(&bed),
        [
            (3, What::TIMEOUT, true),
            (4, What::TIMEOUT, true),
            (2, What::WRITE, true),
            (1, What::TIMEOUT, true),
            (5, What::TIMEOUT, true)
        ]
    );
    assert_eq!(bed.base.live_events().unwrap(), 0);
    assert_eq!(bed.base.count_events(CountFlags::all()).unwrap(), 0);
}

#[test]
fn it_must_wait_for_something_and_is_neither_persistent_nor_a_signal() {
    let bed = Bed::new();
    for what in [What::empty(), What::READ | What::PERSIST, What::SIGNAL, What::SIGNAL | What::READ, What::ET]
    {
        assert!(matches!(bed.base.once(3, what, 1, None), Err(Error::BadFlags(_))), "{what:?}");
    }
    assert_eq!(bed.base.live_events().unwrap(), 0);
}

/// W3: libevent does not release the base's lock, so that every other thread blocks for ever.
#[test]
fn one_that_fails_leaves_nothing_behind() {
    let Some(base) = shared_base() else { return };
    let closed = {
        let (a, _b) = pair();
        // A number far above those that parallel tests open.
        nix::fcntl::fcntl(&a, nix::fcntl::FcntlArg::F_DUPFD_CLOEXEC(900))
            .map(|fd| nix::unistd::close(fd).map(|()| fd))
    };
    let closed = closed.unwrap().unwrap();
    let Err(Error::System(error)) = base.once(closed, What::READ, 1, Some(ms(1))) else { panic!() };
    assert_eq!((error.errno, error.fd), (nix::errno::Errno::EBADF as i32, Some(closed)));
    assert_eq!(base.live_events().unwrap(), 0);
    let other = base.clone();
    let (reader, writer) = pair();
    std::io::Write::write_all(&mut &writer, b"x").unwrap();
    let id = std::thread::spawn(move || other.once(fd(&reader), What::READ, 1, None).map(|id| (id, reader)));
    let (id, _reader) = id.join().unwrap().unwrap();
    let mut fired = vec![];
    assert_eq!(base.run(WAIT, |_, ready| fired.push(ready.id)), Ok(LoopResult::Empty));
    assert_eq!(fired, [id]);
}

#[test]
fn it_can_be_deleted_by_its_id() {
    let bed = Bed::new();
    let id = bed.base.once(3, What::READ, 1, None).unwrap();
    bed.base.free(id).unwrap();
    assert_eq!(bed.run(WAIT), (LoopResult::Empty, vec![]));
    assert_eq!(bed.base.free(id), Err(Error::Closed));
}
