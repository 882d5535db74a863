//! Creating, adding, activating and dispatching events.

use event_base::{CountFlags, Error, EventSpec, LoopResult, What};

use crate::support::{Bed, LOOP_ONCE, ONE_PASS, POLL, WAIT, base, fd, ms, pair, run, run_watched};

#[test]
fn c_007_manipulate_active_events() {
    let bed = Bed::new();
    let event = bed.user();
    bed.base.activate(event, What::TIMEOUT).unwrap();
    let mask = What::READ | What::TIMEOUT;
    assert_eq!(bed.base.pending(event, mask).unwrap(), What::TIMEOUT);
    bed.base.activate(event, What::READ).unwrap();
    assert_eq!(bed.base.pending(event, mask).unwrap(), What::TIMEOUT | What::READ);
    assert_eq!(bed.run(WAIT), (LoopResult::Empty, vec![(event, What::TIMEOUT | What::READ)]));
}

#[test]
fn c_008_event_new_selfarg() {
    let bed = Bed::new();
    let event = bed.base.create(EventSpec::user().data(0x5e1f)).unwrap();
    bed.base.activate(event, What::READ).unwrap();
    let mut runs = 0;
    bed.base
        .run(WAIT, |base, ready| {
            runs += 1;
            assert_eq!((ready.id, ready.data), (event, 0x5e1f));
            assert_eq!(base.running_event().unwrap(), Some(event));
        })
        .unwrap();
    assert_eq!(runs, 1);
}

#[test]
fn c_012_evmap_invalid_slots() {
    let base = base();
    for number in [i32::MAX, i32::MAX / 2] {
        let event = base.create(EventSpec::io(number, What::READ)).unwrap();
        assert!(matches!(base.add(event, None), Err(Error::System(_))));
        assert_eq!(base.pending(event, What::READ).unwrap(), What::empty());
    }
    assert_eq!(base.count_events(CountFlags::ADDED).unwrap(), 0);
}

#[test]
fn c_013_bad_assign() {
    let base = base();
    for io in [What::READ, What::WRITE, What::CLOSED] {
        assert!(matches!(base.create(EventSpec::io(0, What::SIGNAL | io)), Err(Error::BadFlags(_))));
    }
}

#[test]
fn c_014_bad_reentrant() {
    let bed = Bed::new();
    let event = bed.user();
    bed.base.activate(event, What::READ).unwrap();
    let mut nested = None;
    let result = bed.base.run(WAIT, |base, _| nested = Some(base.run(WAIT, |_, _| {})));
    assert_eq!((result, nested), (Ok(LoopResult::Empty), Some(Err(Error::Reentrant))));
}

/// libevent runs it for 100 ms of real time, this test for 200 passes.
#[test]
fn c_015_active_later() {
    let bed = Bed::new();
    let events = [bed.user(), bed.user()];
    let writer = bed.io(3, What::WRITE | What::PERSIST);
    bed.base.add(writer, None).unwrap();
    bed.base.activate_later(events[0], What::READ).unwrap();
    let mut runs = [0, 0, 0];
    for pass in 1..=200 {
        bed.script.then(ms(0), &[(3, What::WRITE)]);
        let result = bed.base.run(ONE_PASS, |base, ready| match ready.id {
            id if id == events[0] => {
                runs[0] += 1;
                base.activate_later(events[1], What::READ).unwrap();
            }
            id if id == events[1] => {
                runs[1] += 1;
                base.activate_later(events[0], What::READ).unwrap();
            }
            _ => runs[2] += 1,
        });
        assert_eq!(result, Ok(LoopResult::Stopped));
        assert_eq!([runs[0] + runs[1], runs[2]], [pass, pass]);
    }
    assert_eq!(runs, [100, 100, 200]);
    // One is still queued: it can be promoted, and the base can be closed.
    bed.base.activate_later(events[1], What::READ).unwrap();
    bed.base.activate(events[1], What::READ).unwrap();
    bed.base.close().unwrap();
}

#[test]
fn c_022_priority_active_inversion() {
    let bed = Bed::with(|config| config.set_priorities(8));
    let events: Vec<_> = [4, 4, 0]
        .map(|priority| bed.base.create(EventSpec::user().priority(priority).data(priority.into())).unwrap())
        .into();
    bed.base.activate(events[0], What::READ).unwrap();
    bed.base.activate(events[1], What::READ).unwrap();
    let mut order = vec![];
    bed.base
        .run(WAIT, |base, ready| {
            order.push(ready.id);
            if ready.id == events[0] {
                base.activate(events[2], What::READ).unwrap();
            }
        })
        .unwrap();
    assert_eq!(order, [events[0], events[2], events[1]]);
}

#[test]
fn c_043_nonpersist_readd() {
    let base = base();
    let (a, b) = pair();
    for socket in [&a, &b] {
        std::io::Write::write_all(&mut &*socket, b"x").unwrap();
    }
    let events =
        [&a, &b].map(|socket| base.create_and_add(EventSpec::io(fd(socket), What::READ), None).unwrap());
    let mut order = vec![];
    let result = run_watched(&base, LOOP_ONCE, |base, ready| {
        order.push(ready.id);
        let other = if ready.id == events[0] { events[1] } else { events[0] };
        base.add(other, None).unwrap();
    });
    assert_eq!((result, order.len()), (LoopResult::Stopped, 2));
    // It was dispatched after the other had added it again, which deleted it.
    assert_eq!(base.pending(order[1], What::READ).unwrap(), What::empty());
    assert_eq!(base.pending(order[0], What::READ).unwrap(), What::READ);
}

#[test]
fn c_046_event_once() {
    let base = base();
    let (reader, writer) = pair();
    std::io::Write::write_all(&mut &writer, b"x").unwrap();
    base.once(fd(&reader), What::READ, 1, None).unwrap();
    base.once(-1, What::TIMEOUT, 2, Some(ms(50))).unwrap();
    base.once(-1, What::TIMEOUT, 3, None).unwrap();
    base.once(-1, What::TIMEOUT, 4, Some(ms(0))).unwrap();
    assert!(base.once(-1, What::empty(), 5, None).is_err());
    let mut fired = vec![];
    let result = run_watched(&base, WAIT, |_, ready| fired.push((ready.data, ready.what)));
    assert_eq!(result, LoopResult::Empty);
    assert_eq!(fired, [(3, What::TIMEOUT), (4, What::TIMEOUT), (1, What::READ), (2, What::TIMEOUT)]);
}

#[test]
fn c_047_event_once_never() {
    let base = base();
    base.once(-1, What::TIMEOUT, 1, Some(ms(1_000_000))).unwrap();
    assert_eq!(run(&base, POLL), (LoopResult::Stopped, vec![]));
    assert_eq!(base.live_events().unwrap(), 1);
    base.close().unwrap();
}

#[test]
fn c_048_event_pending() {
    let base = base();
    let (socket, _peer) = pair();
    let read = base.create_and_add(EventSpec::io(fd(&socket), What::READ), None).unwrap();
    let write = base.create_and_add(EventSpec::io(fd(&socket), What::WRITE), None).unwrap();
    let timer = base.create(EventSpec::timer()).unwrap();
    let before = base.now().unwrap();
    base.add(timer, Some(ms(500_000))).unwrap();
    let after = base.now().unwrap();
    let mask = What::TIMEOUT | What::READ | What::WRITE;
    assert_eq!(base.pending(read, mask).unwrap(), What::READ);
    assert_eq!(base.pending(write, mask).unwrap(), What::WRITE);
    assert_eq!(base.pending(timer, mask).unwrap(), What::TIMEOUT);
    assert_eq!(base.pending(timer, What::READ).unwrap(), What::empty());
    let at = base.expires_at(timer).unwrap().unwrap();
    let tolerance = ms(2_000);
    let timeout = ms(500_000);
    assert!(at + tolerance >= before + timeout && at <= after + timeout + tolerance, "{at:?}");
    assert_eq!(base.expires_at(read).unwrap(), None);
}

#[test]
fn c_055_get_assignment() {
    let bed = Bed::with(|config| config.set_priorities(5));
    let what = What::READ | What::PERSIST;
    let event = bed.base.create(EventSpec::io(7, what).priority(3).data(99)).unwrap();
    bed.base.add(event, None).unwrap();
    let info = bed.base.events().unwrap()[0];
    assert_eq!((info.id, info.fd, info.what, info.priority, info.data), (event, 7, what, 3, 99));
    bed.script.then(ms(0), &[(7, What::READ)]);
    bed.base.run(ONE_PASS, |_, ready| assert_eq!((ready.id, ready.fd, ready.data), (event, 7, 99))).unwrap();
}

#[test]
fn active_by_fd() {
    let bed = Bed::new();
    let read = bed.io(3, What::READ | What::PERSIST);
    let write = bed.io(3, What::WRITE | What::PERSIST);
    let timed = bed.io(3, What::READ | What::PERSIST);
    let other = bed.io(4, What::READ);
    let idle = bed.io(3, What::READ);
    bed.base.add(read, None).unwrap();
    bed.base.add(write, None).unwrap();
    bed.base.add(timed, Some(ms(10_000))).unwrap();
    bed.base.add(other, Some(ms(10_000))).unwrap();
    bed.base.activate_by_fd(3, What::READ).unwrap();
    assert_eq!(bed.run(ONE_PASS).1, [(read, What::READ), (timed, What::READ)]);
    bed.base.activate_by_fd(3, What::WRITE).unwrap();
    assert_eq!(bed.run(ONE_PASS).1, [(write, What::WRITE)]);
    bed.base.activate_by_fd(3, What::READ).unwrap();
    bed.base.activate_by_fd(3, What::TIMEOUT).unwrap();
    assert_eq!(bed.run(ONE_PASS).1, [(read, What::READ), (timed, What::READ | What::TIMEOUT)]);
    for fd in [1000, -1, i32::MAX, i32::MIN] {
        for what in [What::READ, What::WRITE | What::CLOSED, What::TIMEOUT] {
            bed.base.activate_by_fd(fd, what).unwrap();
        }
    }
    assert_eq!(bed.run(ONE_PASS).1, []);
    assert_eq!(bed.base.pending(idle, What::all()).unwrap(), What::empty());
    let timer = bed.timer(ms(10_000));
    bed.base.activate_by_fd(-1, What::TIMEOUT).unwrap();
    assert_eq!(bed.run(ONE_PASS).1, [(timer, What::TIMEOUT)]);
}
