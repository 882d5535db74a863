//! The table of the sources of a [`Net`](crate::Net), their keys, and the tags that lead from an engine event to its
//! source.
//!
//! A key contains the generation of its slot. So neither a key that is used after its source has ended, nor an engine
//! event that was returned before its source ended, names the next source in the slot. A slot whose generations are
//! used up is not used again.

use event_base::{Error, SlotId};

use crate::failure::Result;

const ROLE_BITS: u32 = 3;

/// Identifies one source of a [`Net`](crate::Net): a listener, a connect or a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SourceKey(SlotId);

impl SourceKey {
    /// The key as a number of at most 53 bits, which a JavaScript number can hold. Never 0.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        self.0.to_bits()
    }

    /// The key with this number, if the number is a possible one.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Option<Self> {
        match SlotId::from_bits(bits) {
            Some(slot) => Some(SourceKey(slot)),
            None => None,
        }
    }

    /// The slot of the source, a small number, for use as an index. A later source may have the same slot.
    pub(crate) const fn slot(self) -> usize {
        self.0.index as usize
    }

    const fn generation(self) -> u32 {
        self.0.generation
    }
}

/// The event of a source that fired. The ends of a relay are 0 and 1; the descriptor of another source is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Read(usize),
    Write(usize),
    Closed(usize),
    /// The source's deadline.
    Deadline,
    /// The end of a pause.
    Alarm,
}

impl Role {
    /// The `data` of the engine event with this role; never 0.
    pub(crate) fn tag(self, key: SourceKey) -> u64 {
        let role = match self {
            Role::Read(end) => end,
            Role::Write(end) => 2 + end,
            Role::Closed(end) => 4 + end,
            Role::Deadline => 6,
            Role::Alarm => 7,
        };
        key.to_bits() << ROLE_BITS | role as u64
    }

    pub(crate) fn of(tag: u64) -> Option<(SourceKey, Role)> {
        let key = SourceKey::from_bits(tag >> ROLE_BITS)?;
        let role = match (tag & 7) as usize {
            end @ 0..=1 => Role::Read(end),
            end @ 2..=3 => Role::Write(end - 2),
            end @ 4..=5 => Role::Closed(end - 4),
            6 => Role::Deadline,
            _ => Role::Alarm,
        };
        Some((key, role))
    }
}

/// The sources of one [`Net`](crate::Net).
#[derive(Debug)]
pub(crate) struct Sources<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    source: Option<T>,
}

impl<T> Sources<T> {
    pub(crate) const fn new() -> Self {
        Sources { slots: Vec::new(), free: Vec::new() }
    }

    /// Stores the source that `make` returns for its key.
    pub(crate) fn insert(&mut self, make: impl FnOnce(SourceKey) -> Result<T>) -> Result<SourceKey> {
        let key = self.vacant()?;
        self.occupy(key, make(key)?);
        Ok(key)
    }

    /// The key of the next source.
    pub(crate) fn vacant(&self) -> Result<SourceKey> {
        let index = match self.free.last() {
            Some(index) => *index,
            None if self.slots.len() <= SlotId::MAX_INDEX as usize => self.slots.len() as u32,
            None => return Err(Error::OutOfRange("number of sources")),
        };
        let generation = self.slots.get(index as usize).map_or(1, |slot| slot.generation);
        Ok(SourceKey(SlotId { index, generation }))
    }

    /// Stores a source under the key that [`vacant`](Self::vacant) has returned since the last change.
    pub(crate) fn occupy(&mut self, key: SourceKey, source: T) {
        let source = Some(source);
        match self.slots.get_mut(key.slot()) {
            Some(slot) => {
                slot.source = source;
                self.free.pop();
            }
            None => self.slots.push(Slot { generation: key.generation(), source }),
        }
    }

    pub(crate) fn get(&self, key: SourceKey) -> Option<&T> {
        let slot = self.slots.get(key.slot())?;
        if slot.generation == key.generation() { slot.source.as_ref() } else { None }
    }

    pub(crate) fn get_mut(&mut self, key: SourceKey) -> Option<&mut T> {
        let slot = self.slots.get_mut(key.slot())?;
        if slot.generation == key.generation() { slot.source.as_mut() } else { None }
    }

    pub(crate) fn remove(&mut self, key: SourceKey) -> Option<T> {
        let slot = self.slots.get_mut(key.slot())?;
        if slot.generation != key.generation() {
            return None;
        }
        let source = slot.source.take()?;
        self.retire(key.slot());
        Some(source)
    }

    /// Replaces a source by the one that `change` returns. `None` removes it and invalidates its key.
    pub(crate) fn change(&mut self, key: SourceKey, change: impl FnOnce(T) -> Option<T>) {
        let Some(slot) = self.slots.get_mut(key.slot()) else { return };
        if slot.generation != key.generation() {
            return;
        }
        let Some(source) = slot.source.take() else { return };
        slot.source = change(source);
        if slot.source.is_none() {
            self.retire(key.slot());
        }
    }

    fn retire(&mut self, index: usize) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        slot.generation += 1;
        if slot.generation <= SlotId::MAX_GENERATION {
            self.free.push(index as u32);
        }
    }

    pub(crate) fn drain(&mut self) -> impl Iterator<Item = T> {
        self.free.clear();
        self.slots.drain(..).filter_map(|slot| slot.source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_leads_back_to_its_key_and_role_and_is_never_zero() {
        let largest = SlotId { index: SlotId::MAX_INDEX, generation: SlotId::MAX_GENERATION };
        for key in [SlotId { index: 0, generation: 1 }, largest].map(SourceKey) {
            assert!(key.to_bits() < 1 << 53);
            assert_eq!(SourceKey::from_bits(key.to_bits()), Some(key));
            for role in [
                Role::Read(0),
                Role::Read(1),
                Role::Write(0),
                Role::Write(1),
                Role::Closed(0),
                Role::Closed(1),
                Role::Deadline,
                Role::Alarm,
            ] {
                assert_ne!(role.tag(key), 0);
                assert_eq!(Role::of(role.tag(key)), Some((key, role)));
            }
        }
        assert_eq!(Role::of(7), None);
        assert_eq!(SourceKey::from_bits(u64::MAX), None);
    }

    #[test]
    fn a_stale_key_finds_no_source() {
        let mut sources = Sources::new();
        let first = sources.insert(|_| Ok('a')).unwrap();
        assert_eq!(sources.remove(first), Some('a'));
        let second = sources.insert(|_| Ok('b')).unwrap();
        assert_eq!(first.slot(), second.slot());
        assert_eq!(sources.get(first), None);
        assert_eq!(sources.get_mut(first), None);
        assert_eq!(sources.remove(first), None);
        assert_eq!(sources.get(second), Some(&'b'));
    }

    #[test]
    fn a_source_that_could_not_be_created_leaves_its_slot_free() {
        let mut sources = Sources::new();
        let key = sources.insert(|_| Ok(1)).unwrap();
        sources.remove(key);
        assert!(sources.insert(|_| Err(Error::Closed)).is_err());
        let next = sources.insert(|_| Ok(2)).unwrap();
        assert_eq!(next.slot(), key.slot());
    }

    #[test]
    fn a_slot_whose_generations_are_used_up_is_retired() {
        let mut sources = Sources::new();
        let key = sources.insert(|_| Ok(())).unwrap();
        sources.slots[0].generation = SlotId::MAX_GENERATION;
        let last = SourceKey(SlotId { generation: SlotId::MAX_GENERATION, ..key.0 });
        assert_eq!(sources.remove(last), Some(()));
        assert_eq!(sources.insert(|_| Ok(())).unwrap().slot(), 1);
    }
}
