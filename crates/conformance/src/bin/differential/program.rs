//! A program: operations for both loops, which can be printed.

use std::ffi::CStr;
use std::fmt;

use event_base::{LoopFlags, What};

/// The maximum number of events of a program.
pub(crate) const EVENTS: usize = 8;
/// The common timeouts, in microseconds.
pub(crate) const COMMON: [u64; 3] = [700, 5_000, 1_200_000];
/// The maximum number of descriptors of a program.
pub(crate) const SLOTS: usize = 5;

/// How an event is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    /// The descriptor; none for timers and user events.
    pub(crate) slot: Option<usize>,
    /// The signal, in place of a descriptor.
    pub(crate) signal: Option<usize>,
    /// Interests, SIGNAL, ET and PERSIST.
    pub(crate) what: What,
    /// The priority; without one, the middle one.
    pub(crate) priority: Option<u8>,
}

/// The kind of a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Socket {
    /// One of a pair of UNIX stream sockets.
    Unix,
    /// One end of a TCP connection over the loopback device.
    Tcp,
    /// The end of a pipe that is read.
    PipeReader,
    /// The end of a pipe that is written.
    PipeWriter,
    /// A file that epoll refuses.
    File,
}

/// A call, or a change of a descriptor or of the time. Times are in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    New(usize, Kind),
    Free(usize),
    Add(usize, Option<u64>),
    /// With one of the common timeouts.
    AddCommon(usize, usize),
    Del(usize),
    RemoveTimer(usize),
    Activate(usize, What),
    /// With this number of calls, if it is for a signal.
    ActivateTimes(usize, What, u16),
    ActivateBySignal(usize),
    /// Sends a signal this number of times, to the process or to the thread.
    Send(usize, u16, bool),
    ActivateLater(usize, What),
    ActivateByFd(usize, What),
    SetPriority(usize, u8),
    SetPriorities(u8),
    Once(Option<usize>, What, Option<u64>),
    Finalize(usize),
    Exit(Option<u64>),
    Break,
    Continue,
    Loop(LoopFlags),
    Advance(u64),
    UpdateTime,
    Open(usize, Socket),
    Close(usize),
    Duplicate(usize, usize),
    Write(usize, usize),
    Read(usize, usize),
    Fill(usize),
    Drain(usize),
    ShutPeer(usize),
    ShutOwn(usize, bool),
    ClosePeer(usize),
    Reset(usize),
}

/// How a base waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Epoll,
    Poll,
    Select,
}

impl Method {
    const ALL: [Method; 3] = [Method::Epoll, Method::Poll, Method::Select];

    /// Its name in libevent, without the suffix in brackets, and in the engine.
    pub(crate) fn name(self) -> &'static CStr {
        match self {
            Method::Epoll => c"epoll",
            Method::Poll => c"poll",
            Method::Select => c"select",
        }
    }

    /// The backends to avoid so that a base gets this one.
    pub(crate) fn others(self) -> impl Iterator<Item = &'static CStr> {
        Method::ALL.into_iter().filter(move |method| *method != self).map(Method::name)
    }
}

/// How both bases are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) method: Method,
    /// The number of priorities at the beginning.
    pub(crate) priorities: u8,
    /// Whether time does not advance during callbacks.
    pub(crate) cached_time: bool,
    /// The engine is driven in steps by a host that waits, as in `run()`, instead of waiting itself.
    pub(crate) hosted: bool,
    /// The engine has locks, and so a notifier.
    pub(crate) locks: bool,
    /// The most callbacks in a pass.
    pub(crate) most_callbacks: Option<u32>,
    /// The longest pass.
    pub(crate) longest_pass: Option<u64>,
    /// The first priority that the limits apply to.
    pub(crate) limited_from: u8,
    /// Whether the engine defers changes until it waits.
    pub(crate) changelist: bool,
    /// Whether libevent does.
    pub(crate) both_changelists: bool,
    /// Signals are used.
    pub(crate) signals: bool,
    /// Common timeouts are used.
    pub(crate) common: bool,
    /// Whether exits are requested.
    pub(crate) exits: bool,
    /// Whether `once` makes events without a name.
    pub(crate) unnamed: bool,
}

/// A program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Program {
    pub(crate) seed: u64,
    pub(crate) settings: Settings,
    pub(crate) operations: Vec<Operation>,
    /// The operations of callbacks.
    pub(crate) reactions: Vec<Vec<Operation>>,
}

impl Program {
    /// The operations of a callback, selected by the event and the number of callbacks before.
    pub(crate) fn reaction(&self, number: u64, count: u64) -> &[Operation] {
        match self.reactions.len() as u64 {
            0 => &[],
            length => &self.reactions[((number * 7 + count * 3) % length) as usize],
        }
    }
}

/// A readable form of a time in microseconds.
struct Time(Option<u64>);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(time) => write!(f, "{}.{:03} ms", time / 1000, time % 1000),
            None => f.write_str("no time"),
        }
    }
}

/// A readable form of flags.
pub(crate) struct Flags(pub(crate) What);

impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { f.write_str("nothing") } else { bitflags::parser::to_writer(&self.0, f) }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Operation::New(event, Kind { slot, signal, what, priority }) => {
                write!(f, "new event {event}: {}", Flags(what))?;
                if let Some(slot) = slot {
                    write!(f, " on descriptor {slot}")?;
                }
                if let Some(signal) = signal {
                    write!(f, " for signal {signal}")?;
                }
                priority.map_or(Ok(()), |priority| write!(f, ", priority {priority}"))
            }
            Operation::Free(event) => write!(f, "free event {event}"),
            Operation::Add(event, timeout) => write!(f, "add event {event}, {}", Time(timeout)),
            Operation::AddCommon(event, common) => {
                write!(f, "add event {event}, {} in common", Time(Some(COMMON[common])))
            }
            Operation::Del(event) => write!(f, "del event {event}"),
            Operation::RemoveTimer(event) => write!(f, "remove the timer of event {event}"),
            Operation::Activate(event, what) => write!(f, "activate event {event}: {}", Flags(what)),
            Operation::ActivateTimes(event, what, times) => {
                write!(f, "activate event {event} {times} times: {}", Flags(what))
            }
            Operation::ActivateBySignal(signal) => write!(f, "activate by signal {signal}"),
            Operation::Send(signal, times, true) => {
                write!(f, "send signal {signal} {times} times to the process")
            }
            Operation::Send(signal, times, false) => write!(f, "send signal {signal} {times} times"),
            Operation::ActivateLater(event, what) => {
                write!(f, "activate event {event} later: {}", Flags(what))
            }
            Operation::ActivateByFd(slot, what) => {
                write!(f, "activate by descriptor {slot}: {}", Flags(what))
            }
            Operation::SetPriority(event, priority) => write!(f, "priority of event {event}: {priority}"),
            Operation::SetPriorities(count) => write!(f, "priorities: {count}"),
            Operation::Once(Some(slot), what, timeout) => {
                write!(f, "once on descriptor {slot}: {}, {}", Flags(what), Time(timeout))
            }
            Operation::Once(None, what, timeout) => write!(f, "once: {}, {}", Flags(what), Time(timeout)),
            Operation::Finalize(event) => write!(f, "finalize event {event}"),
            Operation::Exit(after) => write!(f, "exit after {}", Time(after)),
            Operation::Break => f.write_str("break"),
            Operation::Continue => f.write_str("continue"),
            Operation::Loop(flags) if flags.is_empty() => f.write_str("loop"),
            Operation::Loop(flags) => {
                f.write_str("loop: ")?;
                bitflags::parser::to_writer(&flags, f)
            }
            Operation::Advance(time) => write!(f, "{} pass", Time(Some(time))),
            Operation::UpdateTime => f.write_str("update the cached time"),
            Operation::Open(slot, socket) => write!(f, "open descriptor {slot}: {socket:?}"),
            Operation::Close(slot) => write!(f, "close descriptor {slot}"),
            Operation::Duplicate(from, to) => write!(f, "duplicate descriptor {from} as {to}"),
            Operation::Write(slot, count) => write!(f, "peer of {slot} writes {count} bytes"),
            Operation::Read(slot, count) => write!(f, "read at most {count} bytes from {slot}"),
            Operation::Fill(slot) => write!(f, "write to {slot} until it is full"),
            Operation::Drain(slot) => write!(f, "peer of {slot} reads everything"),
            Operation::ShutPeer(slot) => write!(f, "peer of {slot} shuts down writing"),
            Operation::ShutOwn(slot, true) => write!(f, "shut down reading of {slot}"),
            Operation::ShutOwn(slot, false) => write!(f, "shut down writing of {slot}"),
            Operation::ClosePeer(slot) => write!(f, "close the peer of {slot}"),
            Operation::Reset(slot) => write!(f, "peer of {slot} resets"),
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}, {:?}", self.seed, self.settings)?;
        for operation in &self.operations {
            writeln!(f, "  {operation}")?;
        }
        writeln!(f, "callback number c of event e does list (7 e + 3 c) mod {}:", self.reactions.len())?;
        for (number, reaction) in self.reactions.iter().enumerate().filter(|(_, list)| !list.is_empty()) {
            let list: Vec<_> = reaction.iter().map(ToString::to_string).collect();
            writeln!(f, "  {number}: {}", list.join("; "))?;
        }
        Ok(())
    }
}
