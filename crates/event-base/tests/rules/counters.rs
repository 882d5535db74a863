//! The counters, their maxima, and `retain`.

use event_base::{CountFlags, LoopResult, What};

use crate::support::{Bed, ONE_PASS, WAIT, ms};

const ACTIVE: CountFlags = CountFlags::ACTIVE;
const VIRTUAL: CountFlags = CountFlags::VIRTUAL;
const ADDED: CountFlags = CountFlags::ADDED;

fn counts(bed: &Bed) -> [usize; 3] {
    [ACTIVE, VIRTUAL, ADDED].map(|flag| bed.base.count_events(flag).unwrap())
}

#[test]
fn each_list_membership_counts() {
    let bed = Bed::new();
    let event = bed.io(3, What::READ);
    assert_eq!(counts(&bed), [0, 0, 0]);
    bed.base.add(event, Some(ms(10))).unwrap();
    bed.base.add(event, Some(ms(20))).unwrap();
    assert_eq!(counts(&bed), [0, 0, 2]);
    bed.base.activate(event, What::READ).unwrap();
    bed.base.activate(event, What::READ).unwrap();
    assert_eq!(counts(&bed), [1, 0, 3]);
    bed.base.activate_later(bed.user(), What::READ).unwrap();
    assert_eq!(counts(&bed), [2, 0, 4]);
    bed.base.retain().unwrap();
    assert_eq!(counts(&bed), [2, 1, 4]);
    assert_eq!(bed.base.count_events(CountFlags::all()).unwrap(), 7);
    assert_eq!(bed.base.count_events(CountFlags::empty()).unwrap(), 0);
    bed.base.release().unwrap();
    bed.run(WAIT);
    assert_eq!(counts(&bed), [0, 0, 0]);
}

#[test]
fn maxima_are_kept_until_cleared() {
    let bed = Bed::new();
    let most = |flags, clear| bed.base.max_events(flags, clear).unwrap();
    for _ in 0..3 {
        let timer = bed.timer(ms(1));
        bed.base.activate(timer, What::READ).unwrap();
    }
    bed.base.retain().unwrap();
    bed.base.release().unwrap();
    bed.run(WAIT);
    assert_eq!((most(ACTIVE, false), most(VIRTUAL, false), most(ADDED, false)), (3, 1, 6));
    assert_eq!(most(ACTIVE | ADDED, true), 9);
    assert_eq!((most(ACTIVE, false), most(VIRTUAL, false), most(ADDED, false)), (0, 1, 0));
    bed.timer(ms(1));
    assert_eq!(most(ADDED, false), 1);
}

#[test]
fn moving_from_later_to_now_does_not_count_twice() {
    let bed = Bed::new();
    bed.base.activate_later(bed.user(), What::READ).unwrap();
    bed.run(WAIT);
    assert_eq!(bed.base.max_events(ACTIVE, false).unwrap(), 1);
}

#[test]
fn retain_keeps_the_loop_from_being_empty() {
    let bed = Bed::new();
    bed.base.retain().unwrap();
    bed.base.retain().unwrap();
    bed.base.release().unwrap();
    assert_eq!(bed.run(ONE_PASS).0, LoopResult::Stopped);
    bed.base.release().unwrap();
    assert_eq!(bed.run(WAIT).0, LoopResult::Empty);
}

#[test]
fn a_release_without_a_retain_has_no_effect() {
    let bed = Bed::new();
    bed.base.release().unwrap();
    bed.base.retain().unwrap();
    assert_eq!(counts(&bed), [0, 1, 0]);
}
