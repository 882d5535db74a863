//! Memory for libevent's events: large zeroed blocks that never move.

use std::ptr::NonNull;

use super::raw;

/// Events in a block; 32 KiB each, so that little is left unused.
const EVENTS: usize = 256;

/// Allocates room for one event after the other, and frees all of it at the end.
#[derive(Debug)]
pub(super) struct Blocks {
    /// Pointers, because C code has pointers into the blocks.
    blocks: Vec<NonNull<[u64]>>,
    /// The words of an event, whose fields need no larger alignment.
    words: usize,
    used: usize,
}

impl Blocks {
    /// Blocks for events of `size` bytes.
    pub(super) fn new(size: usize) -> Self {
        Self { blocks: Vec::new(), words: size.div_ceil(size_of::<u64>()), used: EVENTS }
    }

    /// Zeroed room for one more event, valid until the blocks are dropped.
    pub(super) fn next(&mut self) -> NonNull<raw::Event> {
        let block = match self.blocks.last() {
            Some(&block) if self.used < EVENTS => block,
            _ => {
                let words = vec![0_u64; self.words * EVENTS].into_boxed_slice();
                let block = NonNull::from(Box::leak(words));
                self.blocks.push(block);
                self.used = 0;
                block
            }
        };
        let offset = self.used * self.words;
        self.used += 1;
        // SAFETY: `used` was below EVENTS, so the offset lies in the block.
        unsafe { block.cast::<u64>().add(offset) }.cast()
    }
}

impl Drop for Blocks {
    fn drop(&mut self) {
        for block in self.blocks.drain(..) {
            // SAFETY: the pointer came from a leaked box and is not used again.
            drop(unsafe { Box::from_raw(block.as_ptr()) });
        }
    }
}
