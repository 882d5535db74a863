//! Edge-triggered events.

use std::io::Write;

use event_base::{Error, EventSpec, Features, What};

use crate::support::{ONE_PASS, base, base_with, drain, fd, fill, pair, run};

#[test]
fn c_079_et() {
    for mode in [What::ET, What::empty()] {
        let base = base();
        // A backend without edge triggering reports the event like a level-triggered one.
        let mode_bit = if base.features().unwrap().contains(Features::ET) { mode } else { What::empty() };
        let calls = if mode_bit.is_empty() { 2 } else { 1 };
        let (reader, mut writer) = pair();
        writer.write_all(b"test string").unwrap();
        let spec = EventSpec::io(fd(&reader), What::READ | What::PERSIST | mode);
        let event = base.create_and_add(spec, None).unwrap();
        let seen = [run(&base, ONE_PASS).1, run(&base, ONE_PASS).1].concat();
        assert_eq!(seen, vec![(event, What::READ | mode_bit); calls]);
    }
}

#[test]
fn c_080_et_mix_error() {
    let Some(base) = base_with(Features::ET) else { return };
    let (reader, _writer) = pair();
    for (first, second) in [(What::ET, What::empty()), (What::empty(), What::ET)] {
        let one = base.create_and_add(EventSpec::io(fd(&reader), What::READ | first), None).unwrap();
        let refused = base.create_and_add(EventSpec::io(fd(&reader), What::READ | second), None);
        assert!(matches!(refused, Err(Error::BadFlags(_))));
        assert_eq!(base.pending(one, What::READ).unwrap(), What::READ);
        base.free(one).unwrap();
    }
}

#[test]
fn c_081_et_multiple_events() {
    let Some(base) = base_with(Features::ET) else { return };
    let (socket, mut peer) = pair();
    peer.write_all(b"x").unwrap();
    let edge = What::ET | What::PERSIST;
    let read = base.create_and_add(EventSpec::io(fd(&socket), What::READ | edge), None).unwrap();
    let write = base.create_and_add(EventSpec::io(fd(&socket), What::WRITE | edge), None).unwrap();
    assert_eq!(run(&base, ONE_PASS).1, [(read, What::READ | What::ET), (write, What::WRITE | What::ET)]);
    assert_eq!(run(&base, ONE_PASS).1, []);
    // With one registration for both, as in epoll, the change reports existing readiness once more; kqueue's filters are
    // independent. The mode stays.
    base.del(read).unwrap();
    let again = run(&base, ONE_PASS).1;
    assert!(again.is_empty() || again == [(write, What::WRITE | What::ET)], "{again:?}");
    assert_eq!(run(&base, ONE_PASS).1, []);
    fill(&socket);
    assert_eq!(run(&base, ONE_PASS).1, []);
    drain(&peer);
    assert_eq!(run(&base, ONE_PASS).1, [(write, What::WRITE | What::ET)]);
}
