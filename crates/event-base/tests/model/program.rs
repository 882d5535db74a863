//! Random programs.

use event_base::{LoopFlags, What};
use proptest::prelude::*;

/// The common timeouts of the base, in milliseconds.
pub(crate) const COMMON: [u64; 3] = [0, 4, 9];
pub(crate) const PRIORITIES: u8 = 3;
const EVENTS: usize = 6;
const DESCRIPTORS: i32 = 3;

/// The specification of an event.
#[derive(Clone, Debug)]
pub(crate) struct Kind {
    pub(crate) fd: Option<i32>,
    pub(crate) what: What,
    pub(crate) persist: bool,
    pub(crate) priority: u8,
}

/// One call, for the event of that number.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Add(usize, Option<u64>),
    /// With the common timeout of that number.
    AddCommon(usize, usize),
    Del(usize),
    RemoveTimer(usize),
    Activate(usize, What),
    ActivateLater(usize, What),
    SetPriority(usize, u8),
    Break,
    Continue,
    Exit(Option<u64>),
    /// Time passes.
    Pass(u64),
}

/// Calls, what becomes ready at which time, and then a loop.
#[derive(Clone, Debug)]
pub(crate) struct Round {
    pub(crate) steps: Vec<Step>,
    pub(crate) ready: Vec<(u64, Vec<(i32, What)>)>,
    pub(crate) flags: LoopFlags,
}

#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) kinds: Vec<Kind>,
    pub(crate) rounds: Vec<Round>,
    /// What callbacks do: one of these for each, chosen by the event and the number of callbacks before.
    reactions: Vec<Vec<Step>>,
}

impl Program {
    pub(crate) fn reaction(&self, event: usize, count: usize) -> &[Step] {
        &self.reactions[(event * 7 + count * 3) % self.reactions.len()]
    }
}

fn interest() -> impl Strategy<Value = What> {
    prop_oneof![Just(What::READ), Just(What::WRITE), Just(What::READ | What::WRITE), Just(What::CLOSED),]
}

fn kind() -> impl Strategy<Value = Kind> {
    (prop::option::of(0..DESCRIPTORS), interest(), any::<bool>(), 0..PRIORITIES)
        .prop_map(|(fd, what, persist, priority)| Kind { fd, what, persist, priority })
}

fn step() -> impl Strategy<Value = Step> {
    let result = || prop_oneof![interest(), Just(What::TIMEOUT), Just(What::empty())];
    prop_oneof![
        8 => (0..EVENTS, prop::option::of(0..12_u64)).prop_map(|(event, after)| Step::Add(event, after)),
        4 => (0..EVENTS, 0..COMMON.len()).prop_map(|(event, number)| Step::AddCommon(event, number)),
        3 => (0..EVENTS).prop_map(Step::Del),
        1 => (0..EVENTS).prop_map(Step::RemoveTimer),
        4 => (0..EVENTS, result()).prop_map(|(event, what)| Step::Activate(event, what)),
        2 => (0..EVENTS, result()).prop_map(|(event, what)| Step::ActivateLater(event, what)),
        1 => (0..EVENTS, 0..PRIORITIES).prop_map(|(event, priority)| Step::SetPriority(event, priority)),
        1 => Just(Step::Break),
        1 => Just(Step::Continue),
        1 => prop::option::of(0..10_u64).prop_map(Step::Exit),
        2 => (0..8_u64).prop_map(Step::Pass),
    ]
}

fn round() -> impl Strategy<Value = Round> {
    let descriptors = prop::collection::vec((0..DESCRIPTORS, interest()), 0..3);
    let flags = prop_oneof![
        Just(LoopFlags::NONBLOCK),
        Just(LoopFlags::ONCE),
        Just(LoopFlags::ONCE | LoopFlags::NONBLOCK),
        Just(LoopFlags::empty()),
    ];
    (prop::collection::vec(step(), 0..6), prop::collection::vec((0..6_u64, descriptors), 0..3), flags)
        .prop_map(|(steps, ready, flags)| Round { steps, ready, flags })
}

pub(crate) fn programs() -> impl Strategy<Value = Program> {
    (
        prop::collection::vec(kind(), EVENTS),
        prop::collection::vec(round(), 1..8),
        prop::collection::vec(prop::collection::vec(step(), 0..3), 1..6),
    )
        .prop_map(|(kinds, rounds, reactions)| Program { kinds, rounds, reactions })
}
