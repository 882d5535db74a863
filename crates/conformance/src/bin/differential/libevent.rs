//! libevent's side: its calls. Those in which it has to be made to agree are in `adapt`.
#![expect(unsafe_code, reason = "libevent is a C library")]

use std::cell::Cell;
use std::ffi::{c_int, c_short, c_uint, c_void};
use std::os::fd::RawFd;
use std::ptr;

use event_base::{LoopFlags, What};
use event_base_conformance::libevent::raw;

use crate::calls::SignalEvents;
use crate::event_struct::{self, Fields, LIST_FINALIZING, LIST_INSERTED, LIST_QUEUED, LIST_TIMEOUT, Place};
use crate::evmap;
use crate::interpose::{Micros, WALL_OFFSET};
use crate::library::{self, timeval, with_time};
use crate::player::Player;
use crate::program::{COMMON, EVENTS, Kind, SLOTS, Settings};
use crate::rules::{Rule, count};
use crate::side::{Side, State, States, Timeout};
use crate::unnamed::UnnamedEvents;

pub(crate) const TIMEOUT: c_short = What::TIMEOUT.bits() as c_short;
const COUNT_ACTIVE: c_uint = 1;
const COUNT_ADDED: c_uint = 4;

/// libevent.
#[derive(Debug)]
pub(crate) struct Libevent {
    pub(crate) base: *mut raw::EventBase,
    /// As libevent marks them.
    common: [libc::timeval; COMMON.len()],
    pub(crate) events: [Place; EVENTS],
    exists: [Cell<bool>; EVENTS],
    pub(crate) epoll: Cell<c_int>,
    pub(crate) registrations: Cell<u32>,
    /// The events that are registered with epoll for each descriptor.
    pub(crate) registered_events: [Cell<u32>; SLOTS],
    pub(crate) signals: SignalEvents,
    pub(crate) unnamed: UnnamedEvents,
}

thread_local! {
    static PLAYER: Cell<*const Player<Libevent>> = const { Cell::new(ptr::null()) };
}

pub(crate) fn player<'a>() -> Option<&'a Player<Libevent>> {
    // SAFETY: `run` holds the borrow for as long as the pointer is there.
    unsafe { PLAYER.get().as_ref() }
}

pub(crate) unsafe extern "C" fn called(fd: c_int, what: c_short, argument: *mut c_void) {
    if let Some(player) = player() {
        player.called(argument.addr() as u64, fd, What::from_bits_retain(what as u8));
    }
}

unsafe extern "C" fn finalized(event: *mut raw::Event, argument: *mut c_void) {
    if let Some(player) = player() {
        player.called(argument.addr() as u64, Place(event.cast()).read().fd, What::FINALIZE);
    }
}

impl Libevent {
    pub(crate) fn at(&self, event: usize) -> (*mut raw::Event, Fields) {
        (self.events[event].0.cast(), self.events[event].read())
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = Place> {
        (0..EVENTS).filter(|event| self.exists[*event].get()).map(|event| self.events[event])
    }

    fn number_of(&self, what: c_uint) -> usize {
        // SAFETY: the base is alive.
        let count = unsafe { raw::event_base_get_num_events(self.base, what) };
        count as usize
    }
}

impl Side for Libevent {
    const IS_LIBEVENT: bool = true;
    const FIRST_FD: RawFd = 200;

    fn new(settings: &Settings) -> Self {
        let base = library::new_base(settings);
        let common = COMMON.map(|time| {
            // SAFETY: the base is alive.
            let marked =
                with_time(Some(time), |time| unsafe { raw::event_base_init_common_timeout(base, time) });
            assert!(!marked.is_null(), "event_base_init_common_timeout");
            // SAFETY: what it points to lives as long as the base.
            unsafe { marked.read() }
        });
        Libevent {
            base,
            common,
            events: std::array::from_fn(|_| Place(Box::into_raw(Box::new(event_struct::blank())))),
            exists: Default::default(),
            epoll: Cell::new(-1),
            registrations: Cell::new(0),
            registered_events: Default::default(),
            signals: SignalEvents::default(),
            unnamed: UnnamedEvents::default(),
        }
    }

    fn create(&self, player: &Player<Self>, event: usize, kind: &Kind) -> bool {
        self.drop_calls(event);
        let fd = player.number_of(kind);
        let what = c_short::from(kind.what.bits());
        let argument = ptr::without_provenance_mut(event);
        self.events[event].change(|fields| *fields = event_struct::blank());
        let (pointer, _) = self.at(event);
        // SAFETY: the event is in no list.
        let assigned = unsafe { raw::event_assign(pointer, self.base, fd, what, Some(called), argument) };
        self.exists[event].set(assigned == 0);
        if let Some(priority) = kind.priority {
            // SAFETY: the event was just assigned.
            unsafe { raw::event_priority_set(pointer, priority.into()) };
        }
        assigned == 0
    }

    fn free(&self, event: usize) {
        if self.exists[event].replace(false) {
            self.drop_calls(event);
            let (pointer, fields) = self.at(event);
            if fields.flags & LIST_FINALIZING == 0 {
                // SAFETY: the event is assigned.
                unsafe { raw::event_del(pointer) };
            }
        }
    }

    fn add(&self, player: &Player<Self>, event: usize, timeout: Timeout) -> bool {
        let period = match timeout {
            Timeout::Never => None,
            Timeout::After(time) => Some(time),
            Timeout::Common(common) => Some(COMMON[common]),
        };
        let timeout = match timeout {
            Timeout::Never => None,
            Timeout::After(time) => Some(timeval(time)),
            Timeout::Common(common) => Some(self.common[common]),
        };
        let place = self.events[event];
        let fields = place.read();
        if fields.flags & LIST_FINALIZING != 0 {
            return self.register(player, place, timeout);
        }
        let queued = fields.flags & LIST_QUEUED;
        let interest = fields.what().intersects(What::IO | What::SIGNAL) && fields.flags & LIST_INSERTED == 0;
        if interest && queued != 0 {
            count(Rule::AddWhileActive);
            place.change(|fields| fields.flags &= !queued);
            let registered = self.register(player, place, None);
            place.change(|fields| fields.flags |= queued);
            if !registered {
                return false;
            }
        }
        if timeout.is_some() {
            self.set_period(event, period);
            self.move_deadline(place);
        }
        self.register(player, place, timeout)
    }

    fn add_mixed(&self, player: &Player<Self>, event: usize, _timeout: Timeout) -> bool {
        self.tell_again(player, self.events[event].read().fd);
        false
    }

    fn del(&self, event: usize) -> bool {
        self.drop_calls(event);
        let (pointer, fields) = self.at(event);
        // SAFETY: the event is assigned.
        let deleted = unsafe { raw::event_del(pointer) };
        if fields.has_interval() && fields.flags & LIST_FINALIZING == 0 {
            count(Rule::PeriodAfterDelete);
            self.events[event].change(|fields| fields.interval = timeval(0));
        }
        deleted == 0
    }

    fn remove_timer(&self, event: usize) -> bool {
        self.take_timer(event)
    }

    fn activate(&self, event: usize, what: What, put_off: bool) -> bool {
        self.make_active_in_turn(event, c_int::from(what.bits()), put_off);
        true
    }

    fn activate_times(&self, event: usize, what: What, times: u16) -> bool {
        self.activate_calls(event, c_int::from(what.bits()), times as c_short);
        true
    }

    fn activate_by_signal(&self, number: c_int) -> bool {
        // SAFETY: the base is alive.
        unsafe { raw::event_base_active_by_signal(self.base, number) };
        true
    }

    fn activate_later(&self, event: usize, what: What) -> bool {
        let (pointer, fields) = self.at(event);
        if fields.is_signal() && fields.flags & (LIST_QUEUED | LIST_FINALIZING) == 0 {
            // This is no call of libevent's interface, and leaves the number as it was.
            self.events[event].set_calls(1);
        }
        if fields.flags & LIST_FINALIZING == 0 {
            // SAFETY: the event is assigned.
            unsafe { raw::event_active_later_(pointer, c_int::from(what.bits())) };
        }
        true
    }

    fn activate_by_fd(&self, fd: RawFd, what: What) -> bool {
        // SAFETY: the base is alive.
        unsafe { raw::event_base_active_by_fd(self.base, fd, c_short::from(what.bits())) };
        true
    }

    fn set_priority(&self, event: usize, priority: u8) -> bool {
        // SAFETY: the event is assigned.
        unsafe { raw::event_priority_set(self.at(event).0, priority.into()) == 0 }
    }

    fn set_priorities(&self, number: u8) -> bool {
        // SAFETY: the base is alive.
        if unsafe { raw::event_base_priority_init(self.base, number.into()) } != 0 {
            return false;
        }
        for place in self.all().filter(|place| place.read().priority >= number) {
            count(Rule::FewerPriorities);
            place.change(|fields| fields.priority = number - 1);
        }
        true
    }

    fn once(
        &self,
        player: &Player<Self>,
        number: u64,
        fd: RawFd,
        what: What,
        timeout: Option<Micros>,
    ) -> bool {
        self.add_once(player, number, fd, what, timeout)
    }

    fn finalize(&self, event: usize) -> bool {
        self.drop_calls(event);
        // SAFETY: the event is assigned.
        unsafe { raw::event_finalize(0, self.at(event).0, finalized) == 0 }
    }

    fn exit(&self, after: Option<Micros>) -> bool {
        self.add_exit(after, player().is_some())
    }

    fn break_off(&self) -> bool {
        // SAFETY: the base is alive.
        unsafe { raw::event_base_loopbreak(self.base) == 0 }
    }

    fn go_on(&self) -> bool {
        // SAFETY: the base is alive.
        unsafe { raw::event_base_loopcontinue(self.base) == 0 }
    }

    fn run(&self, player: &Player<Self>, flags: LoopFlags) -> i32 {
        let outer = PLAYER.replace(player);
        // SAFETY: the base is alive; a loop in a loop is refused.
        let result = unsafe { raw::event_base_loop(self.base, c_int::from(flags.bits())) };
        PLAYER.set(outer);
        if outer.is_null() {
            // Not a loop in a loop, which was refused.
            self.end_all_continued();
        }
        result
    }

    fn update_time(&self) -> bool {
        // SAFETY: the base is alive.
        unsafe { raw::event_base_update_cache_time(self.base) == 0 }
    }

    fn cached_time(&self) -> Micros {
        let mut time = timeval(0);
        // SAFETY: the base and the value live across the call.
        unsafe { raw::event_base_gettimeofday_cached(self.base, &raw mut time) };
        (time.tv_sec as u64 - WALL_OFFSET) * 1_000_000 + time.tv_usec as u64
    }

    fn got(&self) -> (bool, bool) {
        // SAFETY: the base is alive.
        let exit = unsafe { raw::event_base_got_exit(self.base) };
        // SAFETY: as above.
        let broken = unsafe { raw::event_base_got_break(self.base) };
        (exit != 0, broken != 0)
    }

    fn counts(&self) -> (usize, usize) {
        let (active, added) = self.counts_of_exits();
        (self.number_of(COUNT_ACTIVE) - active, self.number_of(COUNT_ADDED) - added)
    }

    fn states(&self) -> States {
        std::array::from_fn(|event| {
            let fields = self.events[event].read();
            if !self.exists[event].get() {
                return State::default();
            }
            State {
                exists: true,
                inserted: fields.flags & LIST_INSERTED != 0,
                deadline: (fields.flags & LIST_TIMEOUT != 0).then(|| fields.due()),
                active: (fields.flags & LIST_QUEUED != 0).then_some(fields.result as u8),
                priority: fields.priority,
            }
        })
    }

    fn make_active(&self, fd: RawFd, what: c_short) {
        match player().and_then(|player| player.slot(fd)) {
            None => self.read_signals(fd),
            Some(_) => evmap::io_active(self.base, fd, what),
        }
    }

    fn signal_active(&self, number: c_int, times: c_int) {
        Libevent::signal_active(self, number, times);
    }

    fn signal_left(&self, number: c_int) {
        self.forget_signal(number);
    }

    fn begin_pass(&self) {
        self.end_all_continued();
    }

    fn begin_call(&self, event: usize) -> bool {
        self.begin_calls(event)
    }

    fn end_call(&self) {
        self.end_calls();
    }

    fn begin_once(&self, number: u64) {
        self.forget_once(number);
    }

    fn is_registered(&self, number: u64) -> bool {
        self.is_once_registered(number)
    }

    fn settle_exits(&self, now: Micros) {
        Libevent::settle_exits(self, now);
    }

    fn after_wait(&self, player: &Player<Self>) {
        self.settle_timeouts(player);
    }

    fn after_callback(&self, player: &Player<Self>, flags: LoopFlags) {
        if flags.contains(LoopFlags::ONCE) {
            self.leave_later_ones(player);
        }
    }

    fn registered(&self, epoll: c_int, fd: RawFd, event: libc::epoll_event) {
        self.epoll.set(epoll);
        self.registrations.set(self.registrations.get() + 1);
        if let Some(events) =
            usize::try_from(fd - Self::FIRST_FD).ok().and_then(|slot| self.registered_events.get(slot))
        {
            events.set(event.events);
        }
    }
}

impl Drop for Libevent {
    fn drop(&mut self) {
        // SAFETY: this was the only owner.
        unsafe { raw::event_base_free(self.base) };
        for place in self.events {
            // SAFETY: the place came from a box, and the base that pointed to it is gone.
            drop(unsafe { Box::from_raw(place.0) });
        }
    }
}
