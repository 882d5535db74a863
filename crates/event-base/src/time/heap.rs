//! A 4-ary min-heap of deadlines with the keys inside it.
//!
//! Rules:
//! - An entry is one 128-bit number, deadline above order above slot, so one comparison without a branch orders
//!   entries by deadline and, for equal deadlines, by arming.
//! - Four entries are one cache line. The root is the last entry of the first line, which puts the four
//!   children of any entry into one line of their own: a level costs one cache miss.
//! - Nothing outside refers to a position in the heap, so entries move freely. Whether an entry is still valid is
//!   decided by [`TimerQueue`](super::timers::TimerQueue) when the entry reaches the top.

/// The position of the root; the three before it are never used.
const ROOT: usize = 3;
/// Lines that are kept although they are empty, 64 KiB, so that only very large loops allocate again.
const KEPT_LINES: usize = 1024;

/// One deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry(u128);

impl Entry {
    pub(super) fn new(deadline: u64, order: u32, slot: u32) -> Self {
        Entry(u128::from(deadline) << 64 | u128::from(order) << 32 | u128::from(slot))
    }

    pub(super) fn deadline(self) -> u64 {
        (self.0 >> 64) as u64
    }

    pub(super) fn order(self) -> u32 {
        (self.0 >> 32) as u32
    }

    pub(super) fn slot(self) -> u32 {
        self.0 as u32
    }
}

/// Positions after the last entry hold this, so that the smallest of four is found without bounds.
const VACANT: Entry = Entry(u128::MAX);

#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Line([Entry; 4]);

/// The heap. Its length includes entries that are no longer valid.
#[derive(Debug, Default)]
pub(super) struct Heap {
    lines: Vec<Line>,
    len: usize,
}

impl Heap {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Entries that fit without allocating.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        (self.lines.capacity() * 4).saturating_sub(ROOT)
    }

    pub(super) fn top(&self) -> Option<Entry> {
        (self.len > 0).then(|| self.at(ROOT))
    }

    /// The entry at the end of the array, which can be dropped without moving others. Not the latest deadline.
    pub(super) fn last(&self) -> Option<Entry> {
        (self.len > 0).then(|| self.at(self.end() - 1))
    }

    /// Whether no entry is earlier than its parent.
    pub(super) fn is_ordered(&self) -> bool {
        (ROOT + 1..self.end()).all(|place| self.at(parent(place)) <= self.at(place))
    }

    /// Every entry, in the order of the array.
    pub(super) fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        (ROOT..self.end()).map(|place| self.at(place))
    }

    pub(super) fn push(&mut self, entry: Entry) {
        let place = self.end();
        if place / 4 == self.lines.len() {
            self.lines.push(Line([VACANT; 4]));
        }
        self.len += 1;
        self.rise(place, entry);
    }

    /// Drops the entry at the end of the array.
    pub(super) fn pop_last(&mut self) {
        if self.len > 0 {
            let place = self.end() - 1;
            self.put(place, VACANT);
            self.len -= 1;
            self.trim();
        }
    }

    pub(super) fn pop(&mut self) {
        if self.len > 0 {
            let place = self.end() - 1;
            let moved = self.at(place);
            self.put(place, VACANT);
            self.len -= 1;
            if self.len > 0 {
                self.sink(ROOT, moved);
            }
            self.trim();
        }
    }

    /// Replaces the top by an entry that is not smaller.
    pub(super) fn replace_top(&mut self, entry: Entry) {
        if self.len > 0 {
            self.sink(ROOT, entry);
        }
    }

    /// Replaces each entry by what `keep` returns for it, or drops it, and restores the order.
    pub(super) fn rebuild(&mut self, mut keep: impl FnMut(Entry) -> Option<Entry>) {
        let end = self.end();
        let mut kept = ROOT;
        for place in ROOT..end {
            if let Some(entry) = keep(self.at(place)) {
                self.put(kept, entry);
                kept += 1;
            }
        }
        for place in kept..end {
            self.put(place, VACANT);
        }
        self.len = kept - ROOT;
        if self.len > 1 {
            for place in (ROOT..=parent(kept - 1)).rev() {
                let entry = self.at(place);
                self.sink(place, entry);
            }
        }
        self.trim();
    }

    fn end(&self) -> usize {
        ROOT + self.len
    }

    fn at(&self, place: usize) -> Entry {
        self.lines[place / 4].0[place % 4]
    }

    fn put(&mut self, place: usize, entry: Entry) {
        self.lines[place / 4].0[place % 4] = entry;
    }

    fn rise(&mut self, mut place: usize, entry: Entry) {
        while place > ROOT {
            let above = parent(place);
            let other = self.at(above);
            if other <= entry {
                break;
            }
            self.put(place, other);
            place = above;
        }
        self.put(place, entry);
    }

    /// Moves the hole at `place` down to a leaf, then lets `entry` rise from there: the last entry of a heap is
    /// nearly always a late one, so this saves a comparison for each level.
    fn sink(&mut self, place: usize, entry: Entry) {
        let top = place;
        let mut hole = place;
        let end = self.end();
        loop {
            let first = 4 * (hole - 2);
            if first >= end {
                break;
            }
            let line = self.lines[first / 4].0;
            let left = if line[1] < line[0] { 1 } else { 0 };
            let right = if line[3] < line[2] { 3 } else { 2 };
            let least = if line[right] < line[left] { right } else { left };
            self.put(hole, line[least]);
            hole = first + least;
        }
        while hole > top {
            let above = parent(hole);
            let other = self.at(above);
            if other <= entry {
                break;
            }
            self.put(hole, other);
            hole = above;
        }
        self.put(hole, entry);
    }

    /// Releases memory once seven eighths of it are unused.
    fn trim(&mut self) {
        let used = self.end().div_ceil(4);
        if self.lines.capacity() > KEPT_LINES && used * 8 < self.lines.capacity() {
            self.lines.truncate(used);
            self.lines.shrink_to((used * 2).max(KEPT_LINES));
        }
    }
}

fn parent(place: usize) -> usize {
    place / 4 + 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_of_one_entry_share_a_line() {
        for place in ROOT..200 {
            let first = 4 * (place - 2);
            assert_eq!(first % 4, 0);
            for child in first..first + 4 {
                assert_eq!(parent(child), place);
            }
        }
    }

    #[test]
    fn c_086_heap_randomized_pops_are_sorted() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let mut heap = Heap::default();
        for slot in 0..1024 {
            heap.push(Entry::new(next() % 500, slot, slot));
            assert_heap(&heap);
        }
        for _ in 0..512 {
            heap.rebuild(|entry| (entry.slot() % 2 == 0).then_some(entry));
        }
        assert_eq!(heap.len(), 512);
        assert_heap(&heap);
        let mut before = Entry(0);
        while let Some(entry) = heap.top() {
            assert!(before < entry);
            before = entry;
            heap.pop();
            assert_heap(&heap);
        }
    }

    #[test]
    fn memory_is_released_after_a_peak() {
        let mut heap = Heap::default();
        for slot in 0..500_000 {
            heap.push(Entry::new(u64::from(slot), slot, slot));
        }
        let peak = heap.capacity();
        while heap.len() > 10 {
            heap.pop();
        }
        assert!(heap.capacity() * 100 < peak, "{} of {peak}", heap.capacity());
    }

    fn assert_heap(heap: &Heap) {
        assert!(heap.is_ordered());
    }
}
