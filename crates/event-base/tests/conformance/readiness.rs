//! Readiness of descriptors.

use std::io::{Read, Write};
use std::net::UdpSocket;

use event_base::{Base, BaseFlags, Config, EventSpec, LoopResult, What};

use crate::support::{
    LOOP_ONCE, ONE_PASS, POLL, WAIT, base, duplicate, duplicate_from, fd, fill, pair, run, run_watched, watch,
};

#[test]
fn c_024_simpleread() {
    let base = base();
    let (reader, mut writer) = pair();
    writer.write_all(b"test string").unwrap();
    writer.shutdown(std::net::Shutdown::Write).unwrap();
    let event = watch(&base, fd(&reader), What::READ);
    let mut sizes = vec![];
    let result = run_watched(&base, WAIT, |base, ready| {
        assert_eq!((ready.id, ready.what), (event, What::READ));
        let size = (&reader).read(&mut [0; 256]).unwrap();
        if size > 0 {
            base.add(event, None).unwrap();
        }
        sizes.push(size);
    });
    assert_eq!((result, sizes), (LoopResult::Empty, vec![11, 0]));
}

#[test]
fn c_025_simpleread_multiple() {
    let base = base();
    let (reader, mut writer) = pair();
    writer.write_all(b"test string").unwrap();
    let events = [watch(&base, fd(&reader), What::READ), watch(&base, fd(&reader), What::READ)];
    let expected = events.map(|event| (event, What::READ)).to_vec();
    assert_eq!(run(&base, WAIT), (LoopResult::Empty, expected));
}

#[test]
fn c_026_simplewrite() {
    let base = base();
    let (socket, _peer) = pair();
    let event = watch(&base, fd(&socket), What::WRITE);
    let mut written = 0;
    let result = run_watched(&base, WAIT, |_, ready| {
        assert_eq!((ready.id, ready.what), (event, What::WRITE));
        written = (&socket).write(b"test string").unwrap();
    });
    assert_eq!((result, written), (LoopResult::Empty, 11));
}

#[test]
fn c_027_simpleclose_rw() {
    let base = base();
    let (reader, reader_peer) = pair();
    let (writer, writer_peer) = pair();
    fill(&writer);
    let events = [watch(&base, fd(&reader), What::READ), watch(&base, fd(&writer), What::WRITE)];
    assert_eq!(run(&base, POLL), (LoopResult::Stopped, vec![]));
    drop((reader_peer, writer_peer));
    let (result, mut trace) = run(&base, POLL);
    trace.sort_by_key(|(id, _)| *id);
    assert_eq!(result, LoopResult::Empty);
    assert_eq!(trace, [(events[0], What::READ), (events[1], What::WRITE)]);
}

#[test]
fn c_044_multiple_events_for_same_fd() {
    let base = base();
    let (socket, mut peer) = pair();
    peer.write_all(b"hello").unwrap();
    let read = watch(&base, fd(&socket), What::READ);
    let write = watch(&base, fd(&socket), What::WRITE);
    assert_eq!(run(&base, LOOP_ONCE).1, [(read, What::READ), (write, What::WRITE)]);
}

#[test]
fn c_045_want_only_once() {
    let base = base();
    let (reader, mut writer) = pair();
    writer.write_all(b"lot of data").unwrap();
    let event = watch(&base, fd(&reader), What::READ);
    base.create_and_add(EventSpec::timer(), Some(crate::support::ms(20))).unwrap();
    let mut count = 0;
    run_watched(&base, WAIT, |_, ready| count += u32::from(ready.id == event));
    assert_eq!(count, 1);
}

#[test]
fn c_049_event_closed_fd_poll() {
    let config = Config::new().set_flags(BaseFlags::IGNORE_ENV);
    let base = Base::with_config(&crate::support::only(config, "poll")).unwrap();
    assert_eq!(base.method(), Ok("poll"));
    let (reader, _writer) = pair();
    let closed = duplicate_from(&reader, 830);
    let event = watch(&base, fd(&closed), What::READ | What::PERSIST);
    drop(closed);
    assert_eq!(run(&base, ONE_PASS).1, [(event, What::READ)]);
}

#[test]
fn c_050_dup_fd() {
    dup_fd(&base());
}

#[test]
fn c_050_dup_fd_with_changelist() {
    dup_fd(&Base::with_config(&Config::new().set_flags(BaseFlags::EPOLL_USE_CHANGELIST)).unwrap());
}

fn dup_fd(base: &Base) {
    let (reader, mut writer) = pair();
    let second = duplicate(&reader);
    let event = watch(base, fd(&reader), What::READ | What::PERSIST);
    let other = watch(base, fd(&second), What::READ | What::PERSIST);
    writer.write_all(b"x").unwrap();
    let (_, mut trace) = run(base, ONE_PASS);
    trace.sort_by_key(|(id, _)| *id);
    assert_eq!(trace, [(event, What::READ), (other, What::READ)]);
    // Closed before the event was deleted, and opened again: the other descriptors kept the registration, so that epoll
    // returns EEXIST. No other test uses numbers as high as this.
    let third = duplicate_from(&reader, 800);
    let number = fd(&third);
    let event = watch(base, number, What::READ | What::PERSIST);
    drop(third);
    base.del(event).unwrap();
    let third = duplicate_from(&reader, number);
    assert_eq!(fd(&third), number);
    base.del(other).unwrap();
    base.add(event, None).unwrap();
    assert!(run(base, ONE_PASS).1.contains(&(event, What::READ)));
}

fn udp_sockets() -> Vec<UdpSocket> {
    (0..70)
        .map(|_| {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.set_nonblocking(true).unwrap();
            socket
        })
        .collect()
}

#[test]
fn c_052_many_events() {
    let base = base();
    let sockets = udp_sockets();
    let events: Vec<_> = sockets.iter().map(|socket| watch(&base, fd(socket), What::WRITE)).collect();
    let (result, mut trace) = run(&base, POLL);
    trace.sort_by_key(|(id, _)| *id);
    let expected: Vec<_> = events.into_iter().map(|event| (event, What::WRITE)).collect();
    assert_eq!((result, trace), (LoopResult::Empty, expected));
}

#[test]
fn c_053_many_events_slow_add() {
    let base = base();
    let sockets = udp_sockets();
    let mut counts = vec![0; sockets.len()];
    for (place, socket) in sockets.iter().enumerate() {
        let spec = EventSpec::io(fd(socket), What::WRITE).persist().data(place as u64);
        base.create_and_add(spec, None).unwrap();
        base.run(ONE_PASS, |_, ready| counts[ready.data as usize] += 1).unwrap();
    }
    let expected: Vec<_> = (0..70).map(|place| 70 - place).collect();
    assert_eq!(counts, expected);
}
