//! Ids of events: a slot and the slot's generation.

/// A slot of a table and the slot's generation, packed into one number below 2^53, which a JavaScript number represents
/// exactly. The ids of events and the keys of `event-base-net` have this form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SlotId {
    /// The slot, at most [`MAX_INDEX`](Self::MAX_INDEX).
    pub index: u32,
    /// The number of uses of the slot, from 1 to [`MAX_GENERATION`](Self::MAX_GENERATION).
    pub generation: u32,
}

impl SlotId {
    const INDEX_BITS: u32 = 24;
    /// The highest slot: 16 777 215.
    pub const MAX_INDEX: u32 = (1 << Self::INDEX_BITS) - 1;
    /// The last generation of a slot: 536 870 911. A table does not use the slot again after it, so that no id is
    /// issued twice.
    pub const MAX_GENERATION: u32 = (1 << 29) - 1;

    /// The id as a number below 2^53. Never 0.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        (self.generation as u64) << Self::INDEX_BITS | self.index as u64
    }

    /// The id that [`to_bits`](Self::to_bits) returned; `None` for a number that it cannot return.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Option<Self> {
        let generation = bits >> Self::INDEX_BITS;
        if generation == 0 || generation > Self::MAX_GENERATION as u64 {
            return None;
        }
        Some(SlotId { index: bits as u32 & Self::MAX_INDEX, generation: generation as u32 })
    }
}

/// Slots a base can have: the highest one is left out, as the wire marks step codes with it.
pub(crate) const MAX_SLOTS: u32 = SlotId::MAX_INDEX;

/// Identifies one event of one base. An id that outlives its event refers to no event, never to another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

impl EventId {
    /// The slot. The base uses it for another event once this one was freed.
    #[must_use]
    pub fn index(self) -> u32 {
        self.index
    }

    /// The id as a number below 2^53, which a JavaScript number represents exactly.
    #[must_use]
    pub fn to_bits(self) -> u64 {
        SlotId { index: self.index, generation: self.generation }.to_bits()
    }

    /// The id that [`to_bits`](Self::to_bits) returned. Any other number results in an id that refers to no event.
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        // No slot has the generation 0.
        let slot = SlotId::from_bits(bits).unwrap_or(SlotId { index: 0, generation: 0 });
        EventId { index: slot.index, generation: slot.generation }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_can_be_converted_to_a_number_and_back() {
        for (index, generation) in [(0, 1), (MAX_SLOTS - 1, SlotId::MAX_GENERATION), (77, 1 << 20)] {
            let id = EventId { index, generation };
            assert_eq!(EventId::from_bits(id.to_bits()), id);
            assert!(id.to_bits() < 1 << 53);
        }
    }

    #[test]
    fn a_number_above_the_bits_of_an_id_is_no_other_id() {
        let id = EventId { index: 77, generation: 3 };
        assert_ne!(EventId::from_bits(id.to_bits() | 1 << 53), id);
        assert_eq!(SlotId::from_bits(u64::MAX), None);
        assert_eq!(SlotId::from_bits(77), None);
    }
}
