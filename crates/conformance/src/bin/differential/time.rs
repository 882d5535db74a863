//! The time of one side, which only the program or a wait advances.

use std::cell::Cell;
use std::ffi::{c_int, c_short};
use std::os::fd::RawFd;

use event_base::LoopFlags;

use crate::interpose::{Machine, Micros, Timer};
use crate::player::{Entry, Player};
use crate::program::Method;
use crate::rules::Rule;
use crate::side::Side;

/// The time at the start of programs.
const BEGINNING: Micros = 1_000_000_000;
/// The maximum duration of a loop.
const LONGEST_LOOP: Micros = 2_000_000;
/// The maximum number of waits of a loop before it sleeps without a deadline.
const MOST_WAITS: u64 = 1000;
/// The maximum number of waits of a loop, including polls.
const MOST_LOOKS: u64 = 3000;

/// The clock and the timer of one side.
#[derive(Debug)]
pub(crate) struct Time {
    now: Cell<Micros>,
    /// The time at the end of the last wait.
    of_pass: Cell<Micros>,
    /// The last time that the base read.
    reading: Cell<Micros>,
    timer: Cell<Option<Micros>>,
    /// Whether a wait has ended and the clock has not been read since.
    waited: Cell<bool>,
    pass: Cell<u64>,
    asked_in: Cell<u64>,
}

impl Default for Time {
    fn default() -> Self {
        Time {
            now: Cell::new(BEGINNING),
            of_pass: Cell::new(BEGINNING),
            reading: Cell::new(BEGINNING),
            timer: Cell::new(None),
            waited: Cell::new(false),
            pass: Cell::new(1),
            asked_in: Cell::new(0),
        }
    }
}

impl Time {
    pub(crate) fn now(&self) -> Micros {
        self.now.get()
    }

    /// The base's time in callbacks of this pass, unless they update it.
    pub(crate) fn of_pass(&self) -> Micros {
        self.of_pass.get()
    }

    /// Counts passes, from 1.
    pub(crate) fn pass(&self) -> u64 {
        self.pass.get()
    }

    /// Returns whether the time was read in this pass, and marks it as read.
    pub(crate) fn was_asked(&self) -> bool {
        self.asked_in.replace(self.pass()) == self.pass()
    }

    pub(crate) fn advance(&self, by: Micros) {
        self.now.set(self.now.get() + by);
    }

    fn read(&self) -> Micros {
        self.reading.set(self.now.get());
        self.now.get()
    }

    fn set_timer(&self, timer: Timer) {
        self.timer.set(match timer {
            Timer::Off => None,
            // libevent computes the difference to the last time it read.
            Timer::After(time) => Some(self.reading.get() + time),
            Timer::At(time) => Some(time),
        });
    }

    fn end_wait(&self) {
        self.of_pass.set(self.now.get());
        self.waited.set(true);
    }
}

/// The machine while a base is made.
impl Machine for Time {
    fn read_clock(&self) -> Micros {
        self.read()
    }

    fn is_blind(&self) -> bool {
        false
    }

    fn found(&self, _events: &mut [libc::epoll_event]) {}

    fn found_level(&self, _ready: &[(usize, RawFd)], _count: usize) {}

    fn is_reported(&self, _fd: RawFd, _what: c_short) -> bool {
        false
    }

    fn signal_active(&self, _number: c_int, _times: c_int) {}

    fn signal_left(&self, _number: c_int) {}

    fn pass_time(&self, _timeout: Option<Micros>) {}

    fn set_timer(&self, timer: Timer) {
        self.set_timer(timer);
    }

    fn registered(&self, _epoll: i32, _fd: RawFd, _event: libc::epoll_event) {}
}

impl<S: Side> Player<S> {
    /// Sleeps until the timer, or for `timeout`; breaks a loop that would not end.
    pub(crate) fn sleep(&self, timeout: Option<Micros>) {
        let (now, run) = (self.time.now(), self.run.get());
        let mut until = timeout.map(|timeout| now + timeout).or(self.time.timer.get());
        let settings = &self.program.settings;
        if S::IS_LIBEVENT && (settings.common || settings.method != Method::Epoll) {
            // The timer of a common timeout without events would end the wait, and poll's time is in milliseconds.
            let next = self.deadlines().into_iter().min();
            if next != until {
                self.count(if settings.common { Rule::CommonTimeouts } else { Rule::PollRounds });
            }
            until = next;
        }
        match until {
            Some(until) if until <= run.since + LONGEST_LOOP && run.waits < MOST_WAITS => {
                if S::IS_LIBEVENT && now > self.time.reading.get() {
                    self.count(Rule::LateTimers);
                }
                self.time.now.set(now.max(until));
            }
            _ => {
                self.note(Entry::Broken);
                self.side.break_off();
            }
        }
        self.end_wait();
    }

    fn end_wait(&self) {
        self.time.end_wait();
        self.side.settle_exits(self.time.now());
    }

    fn begin_pass(&self) {
        self.side.begin_pass();
        self.change_run(|run| run.waits += 1);
        if self.run.get().waits == MOST_LOOKS {
            self.note(Entry::Broken);
            self.side.break_off();
        }
        self.time.pass.set(self.time.pass.get() + 1);
        self.end_wait();
    }

    /// Reports an error to libevent as the engine handles it.
    fn show_errors(&self, event: &mut libc::epoll_event) {
        let fd = event.u64 as u32 as RawFd;
        let hung_up = event.events & (libc::EPOLLHUP | libc::EPOLLRDHUP) as u32 == libc::EPOLLHUP as u32;
        if event.events & libc::EPOLLERR as u32 != 0 || hung_up {
            if self.slot(fd).is_some_and(|slot| self.has_closer(slot)) {
                self.count(Rule::ErrorsReachAll);
            }
            event.events = (libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP) as u32;
        }
    }
}

impl<S: Side> Machine for Player<S> {
    fn read_clock(&self) -> Micros {
        let now = self.time.read();
        if self.time.waited.take() {
            self.side.after_wait(self);
        }
        now
    }

    fn is_blind(&self) -> bool {
        let run = self.run.get();
        let blind = S::IS_LIBEVENT && run.waits > 0 && run.flags.contains(LoopFlags::NONBLOCK);
        if blind {
            self.count(Rule::NonblockPolls);
            self.side.begin_pass();
        }
        blind
    }

    fn found(&self, events: &mut [libc::epoll_event]) {
        self.begin_pass();
        let place = |event: &libc::epoll_event| (event.u64 >> 63, event.u64 as u32);
        if self.program.settings.changelist && !events.is_sorted_by_key(place) {
            self.count(Rule::OrderWithChangelist);
            events.sort_by_key(place);
        }
        if S::IS_LIBEVENT {
            // Signals are reported last.
            events.sort_by_key(|event| self.slot(event.u64 as u32 as RawFd).is_none());
            events.iter_mut().for_each(|event| self.show_errors(event));
        }
    }

    fn found_level(&self, ready: &[(usize, RawFd)], count: usize) {
        self.begin_pass();
        self.note_found(ready, count);
    }

    fn is_reported(&self, fd: RawFd, what: c_short) -> bool {
        self.note_told(fd, what)
    }

    fn signal_active(&self, number: c_int, times: c_int) {
        self.side.signal_active(number, times);
    }

    fn signal_left(&self, number: c_int) {
        self.side.signal_left(number);
    }

    fn pass_time(&self, timeout: Option<Micros>) {
        self.sleep(timeout);
    }

    fn set_timer(&self, timer: Timer) {
        self.time.set_timer(timer);
    }

    fn registered(&self, epoll: i32, fd: RawFd, event: libc::epoll_event) {
        self.side.registered(epoll, fd, event);
    }
}
