//! The name of an event: a slot and the slot's generation.

/// Bits of an id that say which slot.
const INDEX_BITS: u32 = 24;
/// Slots a base can have: 16 777 215.
pub(crate) const MAX_SLOTS: u32 = (1 << INDEX_BITS) - 1;
/// A slot that has lived this often is never used again, so that an id is never issued twice.
pub(crate) const MAX_GENERATION: u32 = (1 << 29) - 1;

/// Names one event of one base. An id outlives its event: used later it names nothing, never another event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

impl EventId {
    /// The slot, which the base uses again for another event once this one is gone.
    #[must_use]
    pub fn index(self) -> u32 {
        self.index
    }

    /// The id as one number below 2^53, so that a JavaScript number holds it.
    #[must_use]
    pub fn to_bits(self) -> u64 {
        u64::from(self.generation) << INDEX_BITS | u64::from(self.index)
    }

    /// The id that [`to_bits`](Self::to_bits) gave. Any other number is an id that names nothing.
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        EventId { index: bits as u32 & MAX_SLOTS, generation: (bits >> INDEX_BITS) as u32 & MAX_GENERATION }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_the_way_through_a_number() {
        for (index, generation) in [(0, 1), (MAX_SLOTS - 1, MAX_GENERATION), (77, 1 << 20)] {
            let id = EventId { index, generation };
            assert_eq!(EventId::from_bits(id.to_bits()), id);
            assert!(id.to_bits() < 1 << 53);
        }
    }
}
