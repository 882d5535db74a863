//! Finalizers: the event is dispatched with FINALIZE and then freed.

use event_base::{Error, EventSpec, LoopResult, What};

use crate::support::{Bed, WAIT, ms};

#[test]
fn c_082_finalize_cb_invoked() {
    let bed = Bed::new();
    let idle = bed.user();
    let active = bed.user();
    let pending = bed.io(3, What::READ | What::PERSIST);
    bed.base.activate(active, What::READ).unwrap();
    bed.base.add(pending, Some(ms(10))).unwrap();
    for event in [idle, active, pending] {
        bed.base.finalize(event).unwrap();
        assert_eq!(bed.base.add(event, Some(ms(1))), Err(Error::Finalizing));
        bed.base.activate(event, What::WRITE).unwrap();
        bed.base.del(event).unwrap();
    }
    let (result, trace) = bed.run(WAIT);
    assert_eq!(result, LoopResult::Empty);
    assert_eq!(trace, [(idle, What::FINALIZE), (active, What::FINALIZE), (pending, What::FINALIZE)]);
}

#[test]
fn c_083_finalize_free_finalize() {
    let bed = Bed::new();
    let event = bed.timer(ms(10));
    bed.base.finalize(event).unwrap();
    assert_eq!(bed.base.live_events().unwrap(), 1);
    let mut released = vec![];
    bed.base.run(WAIT, |_, ready| released.push(ready.released)).unwrap();
    assert_eq!(released, [true]);
    assert_eq!(bed.base.live_events().unwrap(), 0);
    assert_eq!(bed.base.finalize(event), Err(Error::Closed));
}

#[test]
fn c_084_finalize_within_cb() {
    for persistent in [false, true] {
        let bed = Bed::new();
        let events = if persistent {
            [bed.periodic(ms(1)), bed.periodic(ms(1))]
        } else {
            [bed.timer(ms(1)), bed.timer(ms(1))]
        };
        let mut trace = vec![];
        let result = bed.base.run(WAIT, |base, ready| {
            trace.push((ready.id, ready.what));
            if ready.what == What::TIMEOUT {
                for event in events {
                    base.finalize(event).unwrap();
                }
            } else {
                assert_eq!(base.free(ready.id), Err(Error::Closed));
            }
        });
        assert_eq!(result, Ok(LoopResult::Empty));
        assert_eq!(trace[0], (events[0], What::TIMEOUT));
        let mut finalized = trace[1..].to_vec();
        finalized.sort_by_key(|(id, _)| *id);
        assert_eq!(finalized, events.map(|event| (event, What::FINALIZE)));
    }
}

#[test]
fn c_083_event_finalize_does_not_free() {
    let bed = Bed::new();
    let event = bed.timer(ms(10));
    bed.base.finalize_keep(event).unwrap();
    assert_eq!(bed.base.add(event, Some(ms(1))), Err(Error::Finalizing));
    let mut seen = vec![];
    bed.base.run(WAIT, |_, ready| seen.push((ready.what, ready.released))).unwrap();
    assert_eq!(seen, [(What::FINALIZE, false)]);
    assert_eq!(bed.base.live_events().unwrap(), 1);
    bed.base.free(event).unwrap();
}

/// An event is assigned again in its finalizer, added, and finalized again; in debug mode, as in libevent's test.
#[test]
fn c_085_finalize_debug_use_after_free() {
    let bed = Bed::with(|config| config.set_debug(true));
    let event = bed.io(3, What::READ);
    bed.base.add(event, Some(ms(10))).unwrap();
    bed.base.finalize_keep(event).unwrap();
    let mut seen = vec![];
    let result = bed.base.run(WAIT, |base, ready| {
        assert_eq!(ready.id, event);
        seen.push((ready.what, ready.data, bed.elapsed()));
        match seen.len() {
            1 => {
                base.assign(event, EventSpec::timer().data(7)).unwrap();
                base.add(event, Some(ms(20))).unwrap();
            }
            2 => base.finalize_keep(event).unwrap(),
            3 => {
                base.add(event, Some(ms(5))).unwrap();
                base.finalize(event).unwrap();
            }
            _ => assert!(ready.released),
        }
    });
    assert_eq!(result, Ok(LoopResult::Empty));
    let expected = [
        (What::FINALIZE, 0, ms(0)),
        (What::TIMEOUT, 7, ms(20)),
        (What::FINALIZE, 7, ms(20)),
        (What::FINALIZE, 7, ms(20)),
    ];
    assert_eq!(seen, expected);
    assert_eq!(bed.base.live_events().unwrap(), 0);
}
