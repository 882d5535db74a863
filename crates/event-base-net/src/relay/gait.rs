//! How a direction moves its bytes: copied, or handed over by the kernel.
//!
//! Copying costs two system calls and the copying itself, both ways. `splice` costs two heavier system calls
//! and copies nothing. Which is cheaper depends on how much comes at a time, and that is only known once it
//! has come, so each direction goes by what its last pieces were.

/// A piece of at least this size is one that `splice` would have moved for less.
///
/// Found on loopback by insisting on either way ([`Transfer`]): pieces of half the size cost as much spliced as
/// copied, pieces of twice the size about half as much.
const LARGE: usize = 32 * 1024;
/// So many of them in a row make a stream large.
const LARGE_RUN: u8 = 2;
/// A piece below this size is cheaper copied.
const SMALL: usize = 16 * 1024;
/// So many of them in a row make a stream small again.
const SMALL_RUN: u8 = 4;

/// How a relay moves bytes.
///
/// There is nothing to choose between unless a measurement or a search for a fault asks for it: what arrives
/// is the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Transfer {
    /// Small pieces are copied, and streams that turn out large are spliced, where the system and the
    /// descriptors can.
    #[default]
    Adaptive,
    /// Everything is copied.
    Copy,
    /// Everything is spliced that can be, from the first byte.
    Splice,
}

/// The gait of one direction.
#[derive(Debug)]
pub(super) struct Gait {
    transfer: Transfer,
    splicing: bool,
    /// Pieces in a row that speak for the other way.
    run: u8,
    refused: bool,
}

impl Gait {
    pub(super) fn new(transfer: Transfer) -> Self {
        Gait { transfer, splicing: transfer == Transfer::Splice, run: 0, refused: false }
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

    /// The kernel does not splice from or to these descriptors, and will not change its mind.
    pub(super) fn refuse(&mut self) {
        self.refused = true;
        self.splicing = false;
    }

    pub(super) fn is_refused(&self) -> bool {
        self.refused
    }

    fn count(&mut self, speaks_for_the_other: bool, enough: u8) {
        self.run = if speaks_for_the_other { self.run + 1 } else { 0 };
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
    fn large_pieces_in_a_row_lead_to_splicing_and_small_ones_back() {
        let mut gait = Gait::new(Transfer::Adaptive);
        gait.copied(LARGE);
        gait.copied(LARGE - 1);
        gait.copied(LARGE);
        assert!(!gait.splices(LARGE));
        gait.copied(LARGE);
        assert!(gait.splices(LARGE));
        assert!(!gait.splices(SMALL - 1), "what is allowed is too little to be worth it");
        for _ in 1..SMALL_RUN {
            gait.spliced(SMALL - 1);
        }
        gait.spliced(SMALL);
        for _ in 0..SMALL_RUN {
            assert!(gait.splices(LARGE));
            gait.spliced(1);
        }
        assert!(!gait.splices(LARGE));
    }

    #[test]
    fn a_refusal_is_remembered() {
        for transfer in [Transfer::Adaptive, Transfer::Splice] {
            let mut gait = Gait::new(transfer);
            gait.refuse();
            for _ in 0..10 {
                gait.copied(LARGE);
            }
            assert!(!gait.splices(LARGE));
        }
    }

    #[test]
    fn what_is_forced_does_not_change() {
        let (mut copy, mut splice) = (Gait::new(Transfer::Copy), Gait::new(Transfer::Splice));
        for _ in 0..10 {
            copy.copied(LARGE);
            splice.spliced(1);
        }
        assert!(!copy.splices(LARGE));
        assert!(splice.splices(1));
    }
}
