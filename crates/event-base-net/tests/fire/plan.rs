//! What one connection is to go through, decided by the seed and its number alone.

use std::time::Duration;

/// A generator of numbers (Steele, Lea and Flood's SplitMix64): small, and good enough for plans.
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

    /// True in `percent` of all cases.
    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

/// How the relays of a lane work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Terms {
    Plain,
    /// With a limit that large streams run into.
    Limited,
    /// With an idle timeout, and peers that fall silent.
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

/// Whether the sockets of a lane hold so little that its relays meet full sinks all the time.
pub(crate) fn is_tight(lane: usize) -> bool {
    lane % 2 == 1
}

/// What the sockets of a tight lane are told to hold. Less would have TCP wait for timers of its own.
pub(crate) const TIGHT: usize = 32 << 10;

/// How a peer leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leave {
    /// Ends its direction behind its last byte, and reads until the end of the other.
    InOrder,
    /// The same, but its last byte is sent only once the other direction has ended.
    AfterTheOther,
    /// Closes once so many bytes went out, or came in, whatever is on its way.
    Close(Trigger),
    /// Resets the connection then.
    Reset(Trigger),
    /// Sends so much, and nothing more, until the connection ends.
    FallSilent(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trigger {
    Sent(usize),
    Received(usize),
}

/// What one of the two peers does.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    /// How many bytes it has to send.
    pub(crate) size: usize,
    /// Where in the pool of bytes they begin.
    pub(crate) offset: usize,
    /// The most it writes, and reads, at a time.
    pub(crate) piece: usize,
    /// Does nothing for a time, once, after so many bytes sent and received.
    pub(crate) stall: Option<(usize, Duration)>,
    pub(crate) leave: Leave,
}

impl Part {
    pub(crate) fn is_in_order(&self) -> bool {
        matches!(self.leave, Leave::InOrder | Leave::AfterTheOther)
    }
}

/// What a connection goes through.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) client: Part,
    pub(crate) server: Part,
}

/// The longest stream.
pub(crate) const LARGEST: usize = 4 << 20;
/// The longest stream where bytes are limited or an idle timeout runs, so that a plan is over in tenths of seconds.
const LARGEST_SLOW: usize = 192 << 10;
/// How many bytes the pool has.
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
        // Should both wait for the other's end, neither would come.
        if plan.client.leave == Leave::AfterTheOther && plan.server.leave == Leave::AfterTheOther {
            plan.server.leave = Leave::InOrder;
        }
        // Silence is heard of only where an idle timeout runs; a peer that waits for the other's end then waits too.
        if terms == Terms::Idle && random.chance(30) {
            plan.client.leave = Leave::FallSilent(random.below(plan.client.size + 1));
            plan.server.leave = Leave::FallSilent(random.below(plan.server.size + 1));
        }
        plan
    }
}

fn part(random: &mut Random, size: usize, other: usize, terms: Terms) -> Part {
    let piece = [1 + random.below(100), 1000 + random.below(20_000), 65_536][random.below(3)];
    // Tiny pieces of a long stream would take for ever.
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
