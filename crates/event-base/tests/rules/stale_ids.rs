//! An id that outlives its event is invalid, and never refers to another event.

use event_base::{Base, Error, EventId, EventSpec, What};

use crate::support::{Bed, WAIT, ms};

fn assert_stale(base: &Base, id: EventId) {
    assert_eq!(base.add(id, None), Err(Error::Closed));
    assert_eq!(base.del(id), Err(Error::Closed));
    assert_eq!(base.free(id), Err(Error::Closed));
    assert_eq!(base.remove_timer(id), Err(Error::Closed));
    assert_eq!(base.activate(id, What::READ), Err(Error::Closed));
    assert_eq!(base.activate_later(id, What::READ), Err(Error::Closed));
    assert_eq!(base.defer(id, What::READ), Err(Error::Closed));
    assert_eq!(base.finalize(id), Err(Error::Closed));
    assert_eq!(base.pending(id, What::all()), Err(Error::Closed));
    assert_eq!(base.expires_at(id), Err(Error::Closed));
    assert_eq!(base.priority(id), Err(Error::Closed));
    assert_eq!(base.set_priority(id, 0), Err(Error::Closed));
}

#[test]
fn the_id_of_a_freed_event_is_invalid() {
    let bed = Bed::new();
    let old = bed.timer(ms(1));
    bed.base.free(old).unwrap();
    assert_stale(&bed.base, old);
    let new = bed.timer(ms(5));
    assert_eq!(new.index(), old.index(), "the slot is reused");
    assert_stale(&bed.base, old);
    assert_eq!(bed.run(WAIT).1, [(new, What::TIMEOUT)]);
    assert_eq!(bed.elapsed(), ms(5));
}

#[test]
fn a_number_that_was_never_an_id_is_invalid() {
    let bed = Bed::new();
    let id = bed.user();
    for bits in [0, 1, u64::MAX, id.to_bits() + 1, id.to_bits() ^ (1 << 24), 1 << 53, (1 << 53) - 1] {
        if bits != id.to_bits() {
            assert_stale(&bed.base, EventId::from_bits(bits));
        }
    }
    assert_eq!(bed.base.priority(EventId::from_bits(id.to_bits())), Ok(0));
}

#[test]
fn an_id_of_another_base_never_accesses_memory_outside_the_table() {
    let (a, b) = (Bed::new(), Bed::new());
    let ids: Vec<_> = (0..3).map(|_| a.user()).collect();
    assert_stale(&b.base, ids[2]);
}

#[test]
fn a_slot_used_a_hundred_thousand_times_never_repeats_an_id() {
    let bed = Bed::new();
    let mut last = bed.user();
    for _ in 0..100_000 {
        bed.base.free(last).unwrap();
        let next = bed.base.create(EventSpec::user()).unwrap();
        assert_eq!(next.index(), last.index());
        assert!(next.to_bits() > last.to_bits());
        last = next;
    }
}
