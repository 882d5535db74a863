//! The events of a base as text.

use event_base::{EventId, EventSpec, What};

use crate::support::{Bed, ms};

/// The wall time, in seconds, at which the bed's clock starts.
const START: u64 = 1_000_000_005;

fn priorities() -> Bed {
    Bed::with(|config| config.set_priorities(3))
}

fn hex(id: EventId) -> String {
    format!("{:#x}", id.to_bits())
}

#[test]
fn c_114_test_dumpevents() {
    let bed = priorities();
    let added = |spec: EventSpec, timeout: Option<u64>| {
        let id = bed.base.create(spec).unwrap();
        bed.base.add(id, timeout.map(ms)).unwrap();
        id
    };
    let every_interest = What::READ | What::WRITE | What::CLOSED | What::ET | What::PERSIST;
    let edge = added(EventSpec::io(5, every_interest), None);
    let closed = added(EventSpec::io(7, What::CLOSED), None);
    let read_timeout = added(EventSpec::io(7, What::READ), Some(5_500));
    let read = added(EventSpec::io(3, What::READ), None);
    let write = added(EventSpec::io(3, What::WRITE | What::PERSIST), None);
    let slow = added(EventSpec::timer(), Some(10_000));
    let periodic = added(EventSpec::timer().persist(), Some(250));
    let timer = added(EventSpec::timer(), Some(2_000));
    let write_active = added(EventSpec::io(9, What::WRITE).priority(1), None);
    let timer_active = added(EventSpec::timer().priority(2), Some(3_000));
    let read_later = added(EventSpec::io(11, What::READ), None);
    let user = bed.base.create(EventSpec::user().priority(0)).unwrap();
    let user_later = bed.user();
    let activate = |id, what| bed.base.activate(id, what).unwrap();
    activate(timer_active, What::READ | What::TIMEOUT);
    activate(write_active, What::WRITE);
    activate(user, What::empty());
    bed.base.activate_later(read_later, What::READ).unwrap();
    bed.base.activate_later(user_later, What::SIGNAL | What::CLOSED).unwrap();
    let at =
        |milliseconds: u64| format!("Timeout={}.{:03}000", START + milliseconds / 1000, milliseconds % 1000);
    let expected = [
        "Inserted events:".to_owned(),
        format!("  {} [fd  3] Read", hex(read)),
        format!("  {} [fd  3] Write Persist", hex(write)),
        format!("  {} [fd  5] Read Write EOF Persist ET", hex(edge)),
        format!("  {} [fd  7] EOF", hex(closed)),
        format!("  {} [fd  7] Read {}", hex(read_timeout), at(5_500)),
        format!("  {} [fd  9] Write", hex(write_active)),
        format!("  {} [fd  11] Read", hex(read_later)),
        // Timers are in the order of the heap's array: the earliest first, then as they were added.
        format!("  {} [fd  -1] Persist {}", hex(periodic), at(250)),
        format!("  {} [fd  -1] {}", hex(slow), at(10_000)),
        format!("  {} [fd  -1] {}", hex(timer), at(2_000)),
        format!("  {} [fd  -1] {}", hex(timer_active), at(3_000)),
        "Active events:".to_owned(),
        format!("  {} [fd  9, priority=1] Write active", hex(write_active)),
        format!("  {} [fd  11, priority=1] Read active [NextTime]", hex(read_later)),
        format!("  {} [fd  -1, priority=2] Read Timeout active", hex(timer_active)),
        format!("  {} [fd  -1, priority=0] active", hex(user)),
        format!("  {} [fd  -1, priority=1] EOF Signal active [NextTime]", hex(user_later)),
    ];
    let text = bed.base.dump().unwrap();
    assert_eq!(text.lines().collect::<Vec<_>>(), expected);
    assert!(text.ends_with("[NextTime]\n"));
}

#[test]
fn a_base_without_events_shows_two_headings() {
    let bed = Bed::new();
    let idle = bed.user();
    let deleted = bed.timer(ms(1));
    bed.base.del(deleted).unwrap();
    assert_eq!(bed.base.dump().unwrap(), "Inserted events:\nActive events:\n");
    bed.base.free(idle).unwrap();
    bed.base.close().unwrap();
    assert_eq!(bed.base.dump(), Err(event_base::Error::Closed));
}
