//! The rules about signals that make libevent do what the engine does.
//!
//! libevent calls a signal event as often as its signal arrived, in a loop of its own. Here it makes one call, and the event
//! moves to the front of its queue again, so that the pass can end between two calls.
#![expect(unsafe_code, reason = "libevent is a C library")]

use std::cell::Cell;
use std::ffi::{c_int, c_short, c_void};
use std::mem;
use std::os::fd::RawFd;
use std::ptr;

use event_base::What;
use event_base_conformance::libevent::raw;

use crate::event_struct::{Calls, Fields, LIST_INSERTED, LIST_INTERNAL, LIST_QUEUED, Place};
use crate::evmap;
use crate::interpose::Micros;
use crate::libevent::{Libevent, TIMEOUT};
use crate::library::timeval;
use crate::player::Player;
use crate::program::EVENTS;
use crate::rules::{Rule, count};
use crate::side::Side;
use crate::signals;

/// The state of libevent's signal events.
#[derive(Debug)]
pub(crate) struct SignalEvents {
    /// The event that is being called, the number of its remaining calls, and their result.
    under_way: Cell<Option<(usize, c_short, c_short)>>,
    /// Events queued for their next call in the same pass. They are marked persistent meanwhile, so that libevent does
    /// not delete them again.
    continued: [Cell<bool>; EVENTS],
    /// Those of them that are not persistent.
    pretends: Cell<u32>,
    /// Periods of persistent ones, which libevent does not have.
    periods: [Cell<Option<Micros>>; EVENTS],
    /// The event that reads libevent's pipe.
    reader: Cell<Place>,
}

impl Default for SignalEvents {
    fn default() -> Self {
        SignalEvents {
            under_way: Cell::new(None),
            continued: Default::default(),
            pretends: Cell::new(0),
            periods: Default::default(),
            reader: Cell::new(Place(ptr::null_mut())),
        }
    }
}

unsafe extern "C" fn find_reader(
    _base: *const raw::EventBase,
    event: *const raw::Event,
    found: *mut c_void,
) -> c_int {
    let place = Place(event.cast_mut().cast());
    let fields = place.read();
    if fields.flags & LIST_INTERNAL == 0 || !fields.what().contains(What::READ) {
        return 0;
    }
    // SAFETY: it is the place that `reader` passes for the result.
    unsafe { found.cast::<Place>().write(place) };
    1
}

const PERSIST: c_short = What::PERSIST.bits() as c_short;

impl Libevent {
    fn reader(&self) -> Place {
        let mut found = self.signals.reader.get();
        if found.0.is_null() {
            // SAFETY: the base is alive, and the place lives across the call.
            unsafe { raw::event_base_foreach_event(self.base, find_reader, (&raw mut found).cast()) };
            assert!(!found.0.is_null(), "libevent has no event for its pipe of signals");
            self.signals.reader.set(found);
        }
        found
    }

    /// The pipe of signals is readable: reads it immediately, without waiting for libevent's event for it.
    pub(crate) fn read_signals(&self, fd: RawFd) {
        let Fields { callback, argument, fd: of_reader, .. } = self.reader().read();
        assert_eq!(fd, of_reader, "an unknown descriptor");
        count(Rule::SignalsAtOnce);
        // SAFETY: it is a callback; on this side no lock is held.
        let callback = unsafe { mem::transmute::<*mut c_void, raw::Callback>(callback) };
        // SAFETY: called as the loop would.
        unsafe { callback(fd, What::READ.bits().into(), argument) };
    }

    /// A signal arrived a number of times.
    pub(crate) fn signal_active(&self, number: c_int, times: c_int) {
        let is_on = |place: &Place| {
            let fields = place.read();
            fields.is_signal() && fields.fd == number && fields.flags & LIST_INSERTED != 0
        };
        let queued: Vec<_> = self.all().filter(is_on).filter(|place| place.is(LIST_QUEUED)).collect();
        let before: Vec<_> = queued.iter().map(|place| place.calls().count).collect();
        evmap::signal_active(self.base, number, times);
        for (place, before) in queued.into_iter().zip(before) {
            count(Rule::CallsAddUp);
            place.set_calls(before + times as c_short);
        }
    }

    /// An event for a signal was deleted. Its arrivals are not for the next event of the signal.
    pub(crate) fn forget_signal(&self, number: c_int) {
        if !signals::is_unhandled(number) {
            return;
        }
        let mut bytes = [0_u8; 1024];
        let fd = self.reader().read().fd;
        // SAFETY: there is room for as many.
        let length = unsafe { libc::read(fd, bytes.as_mut_ptr().cast(), bytes.len()) };
        for other in bytes.iter().take(usize::try_from(length).unwrap_or_default()).copied().map(c_int::from)
        {
            if other == number {
                count(Rule::ForgottenSignals);
            } else {
                signals::send(other, 1, false);
            }
        }
    }

    /// Makes an event active with a number of calls.
    pub(crate) fn activate_calls(&self, event: usize, result: c_int, times: c_short) {
        let place = self.events[event];
        let fields = place.read();
        if fields.is_signal() && times == 0 {
            count(Rule::NoCalls);
            return;
        }
        let before = place.calls().count;
        // SAFETY: the event is assigned.
        unsafe { raw::event_active(place.0.cast(), result, times) };
        if fields.is_signal() && fields.flags & LIST_QUEUED != 0 {
            count(Rule::CallsAddUp);
            place.set_calls(before + times);
        }
    }

    /// A callback starts: libevent must make only this call. Returns whether it is the first of several.
    pub(crate) fn begin_calls(&self, event: usize) -> bool {
        let place = self.events[event];
        let fields = place.read();
        if !fields.is_signal() {
            return true;
        }
        let Calls { count: left, pointer } = place.calls();
        if !pointer.is_null() {
            // SAFETY: libevent's own variable, of the function that has called.
            unsafe { pointer.write(0) };
        }
        place.set_calls(0);
        self.signals.under_way.set(Some((event, left, fields.result)));
        let is_first = !self.end_continued(event);
        if is_first {
            self.begin_period(event);
        }
        is_first
    }

    /// The callback has ended: queues the event for its next call.
    pub(crate) fn end_calls(&self) {
        let Some((event, left, result)) = self.signals.under_way.take().filter(|(_, left, _)| *left > 0)
        else {
            return;
        };
        count(Rule::OneCallAtATime);
        let place = self.events[event];
        // SAFETY: the event is assigned.
        unsafe { raw::event_active(place.0.cast(), result.into(), 1) };
        place.set_calls(left);
        place.move_to_front();
        self.signals.continued[event].set(true);
        if place.read().events & PERSIST == 0 {
            place.change(|fields| fields.events |= PERSIST);
            self.signals.pretends.set(self.signals.pretends.get() | 1 << event);
        }
    }

    /// Removes the event from those queued for their next call. Returns whether it was one.
    fn end_continued(&self, event: usize) -> bool {
        if self.signals.pretends.get() & 1 << event != 0 {
            self.signals.pretends.set(self.signals.pretends.get() & !(1 << event));
            self.events[event].change(|fields| fields.events &= !PERSIST);
        }
        self.signals.continued[event].replace(false)
    }

    /// A new pass: queued events are dispatched like all others.
    pub(crate) fn end_all_continued(&self) {
        (0..EVENTS).for_each(|event| _ = self.end_continued(event));
    }

    /// The event is deleted with its remaining calls.
    pub(crate) fn drop_calls(&self, event: usize) {
        self.end_continued(event);
        self.signals.periods[event].set(None);
        if self.signals.under_way.get().is_some_and(|(under_way, ..)| under_way == event) {
            self.signals.under_way.set(None);
        }
    }

    /// A persistent event was added with a timeout, or its timer removed.
    pub(crate) fn set_period(&self, event: usize, timeout: Option<Micros>) {
        let fields = self.events[event].read();
        if fields.is_signal() && fields.what().contains(What::PERSIST) {
            self.signals.periods[event].set(timeout);
        }
    }

    /// Starts a period, as `event_persist_closure` does for other events.
    fn begin_period(&self, event: usize) {
        let Some(period) = self.signals.periods[event].get() else { return };
        count(Rule::SignalPeriod);
        let place = self.events[event];
        let (fields, now) = (place.read(), self.cached_time());
        let fired = fields.result & TIMEOUT != 0 && fields.due() <= now;
        let from = if fired { fields.due() } else { now };
        let next = if from + period < now { now + period } else { from + period };
        let mut deadline = timeval(next);
        deadline.tv_usec |= fields.mark();
        // SAFETY: the event is assigned, and the deadline lives across the call.
        unsafe { raw::event_add_nolock_(place.0.cast(), &raw const deadline, 1) };
    }
}

/// Whether an operation on an event in its own callback is omitted because calls may remain.
pub(crate) fn may_be_called_again<S: Side>(player: &Player<S>, event: usize) -> bool {
    let known = player.known.borrow()[event];
    known.kind.is_some_and(|kind| kind.signal.is_some()) && player.had_its_turn(known.pass)
}
