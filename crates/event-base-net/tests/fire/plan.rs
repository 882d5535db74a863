//! The plan of one connection, which depends only on the seed and the number of the connection.

use std::time::Duration;

/// A generator of random numbers (SplitMix64 by Steele, Lea and Flood).
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Random(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 for a bound of 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        if bound == 0 { 0 } else { (self.next() % bound as u64) as usize }
    }

    /// `true` with a probability of `percent`.
    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

/// How the relays of a lane work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Terms {
    Plain,
    /// With a limit that large streams reach.
    Limited,
    /// With an idle timeout, and peers that stop sending.
    Idle,
}

impl Terms {
    pub(crate) fn of_lane(lane: usize) -> Self {
        match lane % 8 {
            5 | 6 => Terms::Limited,
            7 => Terms::Idle,
            _ => Terms::Plain,
        }
    }
}

/// Whether the socket buffers of a lane are so small that sinks are often full.
pub(crate) fn is_tight(lane: usize) -> bool {
    lane % 2 == 1
}

/// The size of the socket buffers of a tight lane. With less, TCP would wait for its own timers.
pub(crate) const TIGHT: usize = 32 << 10;

/// How a peer ends its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leave {
    /// It ends its direction after its last byte, and reads until the end of the other.
    InOrder,
    /// As above, but it sends its last byte only after the other direction has ended.
    AfterTheOther,
    /// It closes after this many bytes were sent or received, with bytes still in transit.
    Close(Trigger),
    /// It resets the connection at that point.
    Reset(Trigger),
    /// It sends this many bytes, and nothing more, until the connection ends.
    FallSilent(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trigger {
    Sent(usize),
    Received(usize),
}

/// The plan of one peer.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    /// The number of bytes that it sends.
    pub(crate) size: usize,
    /// The position of these bytes in the pool.
    pub(crate) offset: usize,
    /// The most bytes it writes, and reads, at a time.
    pub(crate) piece: usize,
    /// It does nothing for a time, once, after this many bytes were sent and received.
    pub(crate) stall: Option<(usize, Duration)>,
    pub(crate) leave: Leave,
}

impl Part {
    pub(crate) fn is_in_order(&self) -> bool {
        matches!(self.leave, Leave::InOrder | Leave::AfterTheOther)
    }
}

/// The plan of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) client: Part,
    pub(crate) server: Part,
}

/// The longest stream.
pub(crate) const LARGEST: usize = 4 << 20;
/// The longest stream with a limit or an idle timeout, so that a plan takes tenths of a second.
const LARGEST_SLOW: usize = 192 << 10;
/// The number of bytes in the pool.
pub(crate) const POOL: usize = 2 * LARGEST;

fn size(random: &mut Random) -> usize {
    match random.below(1000) {
        0..=199 => 0,
        200..=699 => random.below(4 << 10),
        700..=949 => random.below(64 << 10),
        950..=994 => random.below(1 << 20),
        _ => random.below(LARGEST),
    }
}

impl Plan {
    pub(crate) fn new(seed: u64, number: usize, terms: Terms) -> Self {
        let mut random = Random::new(seed ^ (number as u64).wrapping_mul(0xd134_2543_de82_ef95));
        let sizes = [size(&mut random), size(&mut random)].map(|size| match terms {
            Terms::Plain => size,
            Terms::Limited | Terms::Idle => size.min(LARGEST_SLOW),
        });
        let [client, server] = [0, 1].map(|index| part(&mut random, sizes[index], sizes[1 - index], terms));
        let mut plan = Plan { client, server };
        // If each peer waited for the end of the other, neither would end.
        if plan.client.leave == Leave::AfterTheOther && plan.server.leave == Leave::AfterTheOther {
            plan.server.leave = Leave::InOrder;
        }
        // Only an idle timeout ends a silent connection, also for a peer that waits for the end of the other.
        if terms == Terms::Idle && random.chance(30) {
            plan.client.leave = Leave::FallSilent(random.below(plan.client.size + 1));
            plan.server.leave = Leave::FallSilent(random.below(plan.server.size + 1));
        }
        plan
    }
}

fn part(random: &mut Random, size: usize, other: usize, terms: Terms) -> Part {
    let piece = [1 + random.below(100), 1000 + random.below(20_000), 65_536][random.below(3)];
    // A long stream in tiny pieces would take too long.
    let piece = piece.max(size / 200).max(other / 200).min(65_536);
    let stall = random.chance(15).then(|| {
        let longest = if terms == Terms::Idle { 60 } else { 20 };
        (random.below(size + other + 1), Duration::from_millis(1 + random.below(longest) as u64))
    });
    let trigger = if random.chance(50) {
        Trigger::Sent(random.below(size + 1))
    } else {
        Trigger::Received(random.below(other + 1))
    };
    let leave = match random.below(100) {
        0..=59 => Leave::InOrder,
        60..=74 => Leave::AfterTheOther,
        75..=86 => Leave::Close(trigger),
        _ => Leave::Reset(trigger),
    };
    Part { size, offset: random.below(POOL - size), piece, stall, leave }
}
