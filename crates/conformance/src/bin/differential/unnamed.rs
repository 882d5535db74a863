//! libevent's events without a handle: those of `event_base_once` and of `event_base_loopexit`.
//!
//! Both are records of libevent: an event, the caller's callback and its argument. They are found by iterating over all
//! events of the base.
#![expect(unsafe_code, reason = "libevent is a C library")]

use std::cell::RefCell;
use std::ffi::{c_int, c_short, c_void};
use std::os::fd::RawFd;
use std::ptr;

use event_base::What;
use event_base_conformance::libevent::raw;

use crate::event_struct::{LIST_ACTIVE, LIST_INSERTED, LIST_INTERNAL, Place};
use crate::interpose::Micros;
use crate::libevent::{Libevent, TIMEOUT, called};
use crate::library::with_time;
use crate::player::Player;
use crate::rules::{Rule, count};

/// The known events.
#[derive(Debug, Default)]
pub(crate) struct UnnamedEvents {
    /// With the numbers of their callbacks.
    pub(crate) once: RefCell<Vec<(u64, Place)>>,
    exits: RefCell<Vec<Place>>,
}

/// The fields after the event in `struct event_once`.
#[repr(C)]
#[derive(Clone, Copy)]
struct OnceEnd {
    callback: *mut c_void,
    argument: *mut c_void,
}

impl Place {
    /// For an event of such a record.
    fn end(self) -> OnceEnd {
        let end: *mut OnceEnd = self.0.wrapping_add(1).cast();
        // SAFETY: the record continues after the event.
        unsafe { end.read() }
    }
}

unsafe extern "C" fn collect(
    _base: *const raw::EventBase,
    event: *const raw::Event,
    found: *mut c_void,
) -> c_int {
    let place = Place(event.cast_mut().cast());
    if !place.is(LIST_INTERNAL) {
        // SAFETY: the list of `find_new`.
        unsafe { &mut *found.cast::<Vec<Place>>() }.push(place);
    }
    0
}

impl Libevent {
    /// The event that was just made.
    fn find_new(&self) -> Option<Place> {
        let mut all: Vec<Place> = Vec::new();
        // SAFETY: the base is alive, and the list lives across the call.
        unsafe { raw::event_base_foreach_event(self.base, collect, (&raw mut all).cast()) };
        let (once, exits) = (self.unnamed.once.borrow(), self.unnamed.exits.borrow());
        all.into_iter().find(|place| {
            let is_known = exits.contains(place) || once.iter().any(|(_, other)| other == place);
            !is_known && !self.events.contains(place)
        })
    }

    /// Whether the event of `event_base_once` that has this number waits for its descriptor.
    pub(crate) fn is_once_registered(&self, number: u64) -> bool {
        let once = self.unnamed.once.borrow();
        once.iter().any(|(other, place)| *other == number && place.is(LIST_INSERTED))
    }

    /// Events of `event_base_once` that have not been called.
    pub(crate) fn all_once(&self) -> Vec<Place> {
        self.unnamed.once.borrow().iter().map(|(_, place)| *place).collect()
    }

    /// `event_base_once`.
    pub(crate) fn add_once(
        &self,
        player: &Player<Self>,
        number: u64,
        fd: RawFd,
        what: What,
        timeout: Option<Micros>,
    ) -> bool {
        let before = self.registrations.get();
        let argument = ptr::without_provenance_mut(number as usize);
        let added = with_time(timeout, |time| {
            // SAFETY: the base is alive.
            unsafe {
                raw::event_base_once(self.base, fd, c_short::from(what.bits()), called, argument, time) == 0
            }
        });
        if added {
            let Some(place) = self.find_new() else { panic!("an event of event_base_once is nowhere") };
            self.unnamed.once.borrow_mut().push((number, place));
            if place.is(LIST_INSERTED) {
                self.joined(player, place, before);
            }
        }
        added
    }

    /// An event of `event_base_once` is called and then freed.
    pub(crate) fn forget_once(&self, number: u64) {
        self.unnamed.once.borrow_mut().retain(|(other, _)| *other != number);
    }

    /// `event_base_loopexit`; in a loop and without a time, its effect.
    pub(crate) fn add_exit(&self, after: Option<Micros>, is_running: bool) -> bool {
        let at_once = is_running && after.is_none();
        // Its event would be active immediately and could end the pass.
        let after = if at_once { Some(1) } else { after };
        // SAFETY: the base is alive.
        let added = with_time(after, |time| unsafe { raw::event_base_loopexit(self.base, time) }) == 0;
        if added {
            let Some(place) = self.find_new() else { panic!("an event of event_base_loopexit is nowhere") };
            if at_once {
                Self::take_effect(place);
            } else {
                self.unnamed.exits.borrow_mut().push(place);
            }
        }
        added
    }

    /// Makes exits that have expired take effect, before their events run.
    pub(crate) fn settle_exits(&self, now: Micros) {
        let is_due = |place: &Place| place.is(LIST_ACTIVE) || place.read().due() <= now;
        let due: Vec<Place> = self.unnamed.exits.borrow_mut().extract_if(.., |place| is_due(place)).collect();
        due.into_iter().for_each(Self::take_effect);
    }

    fn take_effect(place: Place) {
        count(Rule::ExitIsAnEvent);
        // SAFETY: the event is pending or active; libevent frees its record together with the base.
        unsafe { raw::event_del(place.0.cast()) };
        let OnceEnd { callback, argument } = place.end();
        // SAFETY: it is libevent's callback for exits.
        let exit = unsafe { std::mem::transmute::<*mut c_void, raw::Callback>(callback) };
        // SAFETY: called as the loop would.
        unsafe { exit(-1, TIMEOUT, argument) };
    }

    /// The number of the base's active events and memberships that belong to exits, which the engine does not count.
    pub(crate) fn counts_of_exits(&self) -> (usize, usize) {
        let exits = self.unnamed.exits.borrow();
        (exits.iter().filter(|place| place.is(LIST_ACTIVE)).count(), exits.len())
    }
}
