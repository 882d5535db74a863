//! The operations of a loop, named after libevent's calls. One side is libevent, the other the engine.

use std::ffi::{c_int, c_short};
use std::os::fd::RawFd;

use event_base::{LoopFlags, What};

use crate::interpose::Micros;
use crate::player::Player;
use crate::program::{EVENTS, Kind, Settings};

/// The timeout of an added event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timeout {
    Never,
    After(Micros),
    /// After one of the common timeouts.
    Common(usize),
}

/// Numbers from here on are those of unnamed events, made by `once`.
pub(crate) const UNNAMED: u64 = 1000;

/// The state of an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) exists: bool,
    pub(crate) inserted: bool,
    pub(crate) deadline: Option<Micros>,
    /// The result of an event that is active.
    pub(crate) active: Option<u8>,
    pub(crate) priority: u8,
}

pub(crate) type States = [State; EVENTS];

/// A loop with its events. Calls return whether they were accepted.
pub(crate) trait Side: Sized {
    /// Whether this is the side on which rules that change libevent apply, and on which all rules are counted.
    const IS_LIBEVENT: bool;

    /// The number of the first descriptor.
    const FIRST_FD: RawFd;

    fn new(settings: &Settings) -> Self;
    /// Makes an event with a number that is free.
    fn create(&self, player: &Player<Self>, event: usize, kind: &Kind) -> bool;
    fn free(&self, event: usize);
    fn add(&self, player: &Player<Self>, event: usize, timeout: Timeout) -> bool;
    /// The same if the descriptor's other events differ in edge-triggering.
    fn add_mixed(&self, player: &Player<Self>, event: usize, timeout: Timeout) -> bool;
    fn del(&self, event: usize) -> bool;
    fn remove_timer(&self, event: usize) -> bool;
    /// With `put_off`, activates the event for the next pass, because it has run in this one.
    fn activate(&self, event: usize, what: What, put_off: bool) -> bool;
    /// With a number of calls; once for events that are not for a signal.
    fn activate_times(&self, event: usize, what: What, times: u16) -> bool;
    fn activate_by_signal(&self, number: c_int) -> bool;
    fn activate_later(&self, event: usize, what: What) -> bool;
    fn activate_by_fd(&self, fd: RawFd, what: What) -> bool;
    fn set_priority(&self, event: usize, priority: u8) -> bool;
    fn set_priorities(&self, count: u8) -> bool;
    fn once(
        &self,
        player: &Player<Self>,
        number: u64,
        fd: RawFd,
        what: What,
        timeout: Option<Micros>,
    ) -> bool;
    fn finalize(&self, event: usize) -> bool;
    fn exit(&self, after: Option<Micros>) -> bool;
    fn break_off(&self) -> bool;
    fn go_on(&self) -> bool;
    /// Runs the loop. Returns 0 and 1 as in libevent, -1 if it fails.
    fn run(&self, player: &Player<Self>, flags: LoopFlags) -> i32;
    fn update_time(&self) -> bool;
    /// The base's wall time, as monotonic time.
    fn cached_time(&self) -> Micros;
    fn got(&self) -> (bool, bool);
    /// Active events, and memberships.
    fn counts(&self) -> (usize, usize);
    fn states(&self) -> States;

    /// Whether the event of `once` that has this number waits for its descriptor.
    fn is_registered(&self, number: u64) -> bool;
    /// Makes the events of a descriptor active that wait for it.
    fn make_active(&self, _fd: RawFd, _what: c_short) {}
    /// Makes the events of a signal active.
    fn signal_active(&self, _number: c_int, _times: c_int) {}
    /// An event for a signal was deleted.
    fn signal_left(&self, _number: c_int) {}
    /// A pass begins.
    fn begin_pass(&self) {}
    /// A callback of a named event, not its finalizer, starts. Returns whether it is the first of several calls.
    fn begin_call(&self, _event: usize) -> bool {
        true
    }
    /// An event of `once` is called.
    fn begin_once(&self, _number: u64) {}
    /// Makes exits that have expired take effect immediately.
    fn settle_exits(&self, _now: Micros) {}
    /// The callback has ended, with any outcome.
    fn end_call(&self) {}
    /// The wait has ended, and timers are not processed yet.
    fn after_wait(&self, _player: &Player<Self>) {}
    /// A callback has ended.
    fn after_callback(&self, _player: &Player<Self>, _flags: LoopFlags) {}
    /// A change of a registration was accepted.
    fn registered(&self, _epoll: i32, _fd: RawFd, _event: libc::epoll_event) {}
}
