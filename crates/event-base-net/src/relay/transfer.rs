//! Whether a direction copies its bytes or splices them.
//!
//! Copying costs two system calls and the copying itself, into memory and out of it. `splice` costs two more
//! expensive system calls and copies nothing. Which of them is cheaper depends on the size of the pieces, which
//! is known only after they arrived, so each direction decides by its last pieces.

/// A piece of at least this size is cheaper spliced.
///
/// Measured on loopback with either method fixed ([`Transfer`]): pieces of half this size cost the same with both
/// methods, pieces of twice this size cost about half as much spliced.
const LARGE: usize = 32 * 1024;
/// This many of them in a row make a direction splice.
const LARGE_RUN: u8 = 2;
/// A piece below this size is cheaper copied.
const SMALL: usize = 16 * 1024;
/// This many of them in a row make a direction copy again.
const SMALL_RUN: u8 = 4;

/// How a relay moves bytes.
///
/// The bytes that arrive are the same. The fixed methods are for measurements and for finding faults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Transfer {
    /// Small pieces are copied. A stream of large pieces is spliced where the system and the descriptors support
    /// it.
    #[default]
    Adaptive,
    /// Everything is copied.
    Copy,
    /// Everything that can be spliced is, from the first byte.
    Splice,
}

/// The method of one direction.
#[derive(Debug)]
pub(super) struct Mode {
    transfer: Transfer,
    splicing: bool,
    /// Pieces in a row for which the other method is cheaper.
    run: u8,
    refused: bool,
}

impl Mode {
    pub(super) fn new(transfer: Transfer) -> Self {
        Mode { transfer, splicing: transfer == Transfer::Splice, run: 0, refused: false }
    }

    /// Whether a piece of up to `want` bytes is to be spliced.
    pub(super) fn splices(&self, want: usize) -> bool {
        self.splicing && (want >= SMALL || self.transfer == Transfer::Splice)
    }

    /// A piece was copied.
    pub(super) fn copied(&mut self, count: usize) {
        if self.transfer == Transfer::Adaptive && !self.splicing && !self.refused {
            self.count(count >= LARGE, LARGE_RUN);
        }
    }

    /// A piece was spliced.
    pub(super) fn spliced(&mut self, count: usize) {
        if self.transfer == Transfer::Adaptive {
            self.count(count < SMALL, SMALL_RUN);
        }
    }

    /// The kernel does not support `splice` for these descriptors. The direction copies from now on.
    pub(super) fn refuse(&mut self) {
        self.refused = true;
        self.splicing = false;
    }

    pub(super) fn is_refused(&self) -> bool {
        self.refused
    }

    fn count(&mut self, favors_the_other: bool, enough: u8) {
        self.run = if favors_the_other { self.run + 1 } else { 0 };
        if self.run == enough {
            self.splicing = !self.splicing;
            self.run = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_pieces_in_a_row_start_splicing_and_small_ones_end_it() {
        let mut mode = Mode::new(Transfer::Adaptive);
        mode.copied(LARGE);
        mode.copied(LARGE - 1);
        mode.copied(LARGE);
        assert!(!mode.splices(LARGE));
        mode.copied(LARGE);
        assert!(mode.splices(LARGE));
        assert!(!mode.splices(SMALL - 1), "a piece this small is cheaper copied");
        for _ in 1..SMALL_RUN {
            mode.spliced(SMALL - 1);
        }
        mode.spliced(SMALL);
        for _ in 0..SMALL_RUN {
            assert!(mode.splices(LARGE));
            mode.spliced(1);
        }
        assert!(!mode.splices(LARGE));
    }

    #[test]
    fn a_direction_copies_for_good_after_a_refusal() {
        for transfer in [Transfer::Adaptive, Transfer::Splice] {
            let mut mode = Mode::new(transfer);
            mode.refuse();
            for _ in 0..10 {
                mode.copied(LARGE);
            }
            assert!(!mode.splices(LARGE));
        }
    }

    #[test]
    fn a_fixed_method_does_not_change() {
        let (mut copy, mut splice) = (Mode::new(Transfer::Copy), Mode::new(Transfer::Splice));
        for _ in 0..10 {
            copy.copied(LARGE);
            splice.spliced(1);
        }
        assert!(!copy.splices(LARGE));
        assert!(splice.splices(1));
    }
}
