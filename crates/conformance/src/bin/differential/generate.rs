//! Random programs. Each draws the weights of its operations first, so that some consist mostly of one kind.

use event_base::{LoopFlags, What};
use event_base_conformance::Random;

use crate::program::{COMMON, EVENTS, Kind, Method, Operation, Program, SLOTS, Settings, Socket};
use crate::signals::SIGNALS;

/// Kinds of programs.
struct Habits {
    settings: Settings,
    edge: [bool; SLOTS],
    tcp: bool,
    closing: bool,
    weights: Vec<(u64, Choice)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Choice {
    New,
    Free,
    Add,
    AddCommon,
    Del,
    RemoveTimer,
    Activate,
    ActivateLater,
    ActivateByFd,
    ActivateTimes,
    ActivateBySignal,
    Send,
    SetPriority,
    SetPriorities,
    Once,
    Finalize,
    Exit,
    Break,
    Continue,
    Loop,
    Advance,
    UpdateTime,
    Traffic,
    Hangup,
    Close,
}

/// The usual weights.
const WEIGHTS: [(u64, Choice); 25] = [
    (6, Choice::New),
    (1, Choice::Free),
    (16, Choice::Add),
    (12, Choice::AddCommon),
    (5, Choice::Del),
    (2, Choice::RemoveTimer),
    (8, Choice::Activate),
    (2, Choice::ActivateLater),
    (2, Choice::ActivateByFd),
    (3, Choice::ActivateTimes),
    (2, Choice::ActivateBySignal),
    (12, Choice::Send),
    (2, Choice::SetPriority),
    (1, Choice::SetPriorities),
    (3, Choice::Once),
    (1, Choice::Finalize),
    (1, Choice::Exit),
    (1, Choice::Break),
    (1, Choice::Continue),
    (10, Choice::Loop),
    (4, Choice::Advance),
    (2, Choice::UpdateTime),
    (16, Choice::Traffic),
    (1, Choice::Hangup),
    (1, Choice::Close),
];

/// The program of a seed with a number of operations.
pub(crate) fn program(seed: u64, length: usize) -> Program {
    let mut random = Random::new(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ 0x6a09_e667_f3bc_c909);
    let habits = Habits::draw(&mut random);
    let mut operations = Vec::with_capacity(length);
    for slot in 0..SLOTS {
        operations.push(Operation::Open(slot, habits.socket(&mut random)));
    }
    for event in 0..EVENTS {
        operations.push(habits.new_event(&mut random, event));
    }
    while operations.len() < length {
        operations.push(habits.operation(&mut random));
        if random.once_in(15) {
            habits.burst(&mut random, &mut operations);
        }
    }
    let lists = 3 + random.below(12);
    let longest = 1 + random.below(4);
    let reactions = (0..lists)
        .map(|_| {
            let count = random.below(longest + 1);
            (0..count).map(|_| habits.operation(&mut random)).collect()
        })
        .collect();
    Program { seed, settings: habits.settings, operations, reactions }
}

impl Habits {
    fn draw(random: &mut Random) -> Self {
        let common = random.once_in(4);
        let exits = random.once_in(3);
        let limits = !common && random.once_in(5);
        let priorities = 1 + random.below(4) as u8;
        let method = random.pick(&[Method::Epoll, Method::Epoll, Method::Poll, Method::Select]);
        let changelist = method == Method::Epoll && random.once_in(2);
        let both_changelists = changelist && random.once_in(2);
        let settings = Settings {
            method,
            priorities,
            cached_time: common || !random.once_in(5),
            hosted: random.once_in(2),
            locks: random.once_in(3),
            most_callbacks: (limits && random.once_in(2)).then(|| random.below(4) as u32),
            longest_pass: (limits && random.once_in(3)).then(|| random.below(4000)),
            limited_from: random.below(u64::from(priorities)) as u8,
            changelist,
            both_changelists,
            signals: random.once_in(2),
            common,
            exits,
            unnamed: random.once_in(3),
        };
        let mut weights = WEIGHTS.to_vec();
        for (weight, choice) in &mut weights {
            // Loops and new events are needed by all the others.
            if !matches!(choice, Choice::Loop | Choice::New) {
                *weight *= random.pick(&[0, 1, 1, 1, 2, 6]);
            }
            // Operations that additional polls affect.
            if limits && matches!(choice, Choice::Advance | Choice::Traffic) {
                *weight = 4 * (*weight).max(4);
            }
        }
        weights.retain(|(_, choice)| match choice {
            Choice::AddCommon => common,
            Choice::Exit => exits,
            Choice::Once => settings.unnamed,
            Choice::Send | Choice::ActivateTimes | Choice::ActivateBySignal => settings.signals,
            _ => true,
        });
        // With its own list, libevent makes fewer calls than the engine, which changes the edges, and does not report
        // that a file is refused.
        let edges = if both_changelists { 0 } else { random.below(3) };
        let edge = std::array::from_fn(|_| edges > 0 && random.once_in(4 / edges));
        Habits { settings, edge, tcp: random.once_in(6), closing: random.once_in(2), weights }
    }

    fn socket(&self, random: &mut Random) -> Socket {
        match random.below(16) {
            0..3 if self.tcp => Socket::Tcp,
            3..5 => Socket::PipeReader,
            5..7 => Socket::PipeWriter,
            7 if !self.settings.both_changelists => Socket::File,
            _ => Socket::Unix,
        }
    }

    fn interest(&self, random: &mut Random) -> What {
        let all = [
            What::READ,
            What::READ,
            What::READ,
            What::WRITE,
            What::READ | What::WRITE,
            What::CLOSED,
            What::READ | What::CLOSED,
            What::IO,
        ];
        let mut what = random.pick(&all);
        if self.settings.method != Method::Epoll {
            // libevent 2.1 supports it on epoll only.
            what -= What::CLOSED;
        }
        if what.is_empty() { What::READ } else { what }
    }

    fn result(&self, random: &mut Random) -> What {
        if random.once_in(3) {
            random.pick(&[What::TIMEOUT, What::empty(), What::READ | What::TIMEOUT])
        } else {
            self.interest(random)
        }
    }

    fn new_event(&self, random: &mut Random, event: usize) -> Operation {
        if self.settings.signals && random.once_in(3) {
            let mut what = What::SIGNAL;
            what.set(What::PERSIST, random.once_in(2));
            let priority = random.once_in(2).then(|| random.below(4) as u8);
            let signal = Some(random.below(SIGNALS as u64) as usize);
            return Operation::New(event, Kind { slot: None, signal, what, priority });
        }
        let slot = (!random.once_in(3)).then(|| random.below(SLOTS as u64) as usize);
        let mut what = What::empty();
        if let Some(slot) = slot {
            what = self.interest(random);
            // Sometimes one whose mode differs from the others.
            what.set(What::ET, self.edge[slot] != (random.once_in(40) && !self.settings.both_changelists));
        }
        what.set(What::PERSIST, random.once_in(2));
        let priority = random.once_in(2).then(|| random.below(4) as u8);
        Operation::New(event, Kind { slot, signal: None, what, priority })
    }

    fn time(random: &mut Random) -> u64 {
        match random.below(8) {
            0 => 0,
            1 => 1 + random.below(20),
            2..5 => random.below(4000),
            5..7 => random.below(30_000),
            _ => 1000 * random.below(8),
        }
    }

    fn timeout(random: &mut Random) -> Option<u64> {
        (!random.once_in(3)).then(|| Self::time(random))
    }

    fn flags(random: &mut Random) -> LoopFlags {
        let flags = match random.below(8) {
            0..2 => LoopFlags::empty(),
            2..4 => LoopFlags::ONCE,
            4..6 => LoopFlags::NONBLOCK,
            _ => LoopFlags::ONCE | LoopFlags::NONBLOCK,
        };
        if random.once_in(12) { flags | LoopFlags::NO_EXIT_ON_EMPTY } else { flags }
    }

    /// Makes several events active for one pass.
    fn burst(&self, random: &mut Random, operations: &mut Vec<Operation>) {
        for _ in 0..2 + random.below(5) {
            let event = random.below(EVENTS as u64) as usize;
            operations.push(match random.below(3) {
                0 if self.settings.signals => {
                    Operation::Send(random.below(SIGNALS as u64) as usize, 1 + random.below(4) as u16, false)
                }
                1 if self.settings.signals => {
                    Operation::ActivateTimes(event, What::SIGNAL, 1 + random.below(4) as u16)
                }
                _ => Operation::Activate(event, self.result(random)),
            });
        }
        operations.push(Operation::Loop(Self::flags(random)));
    }

    fn operation(&self, random: &mut Random) -> Operation {
        let event = random.below(EVENTS as u64) as usize;
        let slot = random.below(SLOTS as u64) as usize;
        let sum = self.weights.iter().map(|(weight, _)| weight).sum();
        let mut place = random.below(sum);
        let choice = self.weights.iter().find(|(weight, _)| {
            let found = place < *weight;
            place = place.saturating_sub(*weight);
            found
        });
        match choice.map_or(Choice::Loop, |(_, choice)| *choice) {
            Choice::New => self.new_event(random, event),
            Choice::Free => Operation::Free(event),
            Choice::Add => Operation::Add(event, Self::timeout(random)),
            Choice::AddCommon => Operation::AddCommon(event, random.below(COMMON.len() as u64) as usize),
            Choice::Del => Operation::Del(event),
            Choice::RemoveTimer => Operation::RemoveTimer(event),
            Choice::Activate => Operation::Activate(event, self.result(random)),
            Choice::ActivateLater => Operation::ActivateLater(event, self.result(random)),
            Choice::ActivateByFd => Operation::ActivateByFd(
                slot,
                random.pick(&[What::READ, What::WRITE, What::IO, What::TIMEOUT]),
            ),
            Choice::ActivateTimes => Operation::ActivateTimes(
                event,
                if random.once_in(2) { What::SIGNAL } else { self.result(random) },
                random.below(4) as u16,
            ),
            Choice::ActivateBySignal => Operation::ActivateBySignal(random.below(SIGNALS as u64) as usize),
            Choice::Send => {
                let signal = random.below(SIGNALS as u64) as usize;
                let times = random.pick(&[1, 1, 1, 2, 3, 20]);
                Operation::Send(signal, times, random.once_in(3))
            }
            Choice::SetPriority => Operation::SetPriority(event, random.below(5) as u8),
            Choice::SetPriorities => Operation::SetPriorities(random.below(6) as u8),
            Choice::Once if random.once_in(2) => Operation::Once(None, What::TIMEOUT, Self::timeout(random)),
            Choice::Once => Operation::Once(Some(slot), self.interest(random), Self::timeout(random)),
            Choice::Finalize => Operation::Finalize(event),
            Choice::Exit => Operation::Exit(Self::timeout(random)),
            Choice::Break => Operation::Break,
            Choice::Continue => Operation::Continue,
            Choice::Loop => Operation::Loop(Self::flags(random)),
            Choice::Advance => Operation::Advance(Self::time(random)),
            Choice::UpdateTime => Operation::UpdateTime,
            Choice::Traffic => match random.below(8) {
                0..3 => Operation::Write(slot, 1 + random.below(30) as usize),
                3..6 => Operation::Read(slot, 1 + random.below(60) as usize),
                6 => Operation::Fill(slot),
                _ => Operation::Drain(slot),
            },
            Choice::Hangup => match random.below(5) {
                0 => Operation::ShutPeer(slot),
                1 => Operation::ShutOwn(slot, random.once_in(2)),
                2 => Operation::ClosePeer(slot),
                3 => Operation::Reset(slot),
                _ => Operation::Open(slot, self.socket(random)),
            },
            Choice::Close if self.closing => match random.below(3) {
                0 => Operation::Close(slot),
                1 => Operation::Open(slot, self.socket(random)),
                _ => Operation::Duplicate(slot, random.below(SLOTS as u64) as usize),
            },
            Choice::Close => Operation::Open(slot, self.socket(random)),
        }
    }
}
