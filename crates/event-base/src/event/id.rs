//! Ids of events: a slot and the slot's generation.

/// Bits of an id that hold the slot.
const INDEX_BITS: u32 = 24;
/// Slots a base can have: 16 777 215.
pub(crate) const MAX_SLOTS: u32 = (1 << INDEX_BITS) - 1;
/// A slot that was used this often is never used again, so that no id is issued twice.
pub(crate) const MAX_GENERATION: u32 = (1 << 29) - 1;

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
        u64::from(self.generation) << INDEX_BITS | u64::from(self.index)
    }

    /// The id that [`to_bits`](Self::to_bits) returned. Any other number results in an id that refers to no event.
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        EventId { index: bits as u32 & MAX_SLOTS, generation: (bits >> INDEX_BITS) as u32 & MAX_GENERATION }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_can_be_converted_to_a_number_and_back() {
        for (index, generation) in [(0, 1), (MAX_SLOTS - 1, MAX_GENERATION), (77, 1 << 20)] {
            let id = EventId { index, generation };
            assert_eq!(EventId::from_bits(id.to_bits()), id);
            assert!(id.to_bits() < 1 << 53);
        }
    }
}
