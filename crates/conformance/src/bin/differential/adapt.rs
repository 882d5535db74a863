//! The rules that make libevent do what the engine does.
#![expect(unsafe_code, reason = "libevent is a C library")]

use std::ffi::c_int;
use std::os::fd::RawFd;
use std::ptr;

use event_base::What;
use event_base_conformance::libevent::raw;

use crate::event_struct::{
    Fields, LIST_ACTIVE, LIST_ACTIVE_LATER, LIST_FINALIZING, LIST_INSERTED, LIST_QUEUED, LIST_TIMEOUT, Place,
};
use crate::libevent::{Libevent, TIMEOUT, player};
use crate::library::timeval;
use crate::player::Player;
use crate::rules::{Rule, count};
use crate::side::Side;

impl Libevent {
    /// Calls `event_add`, or a part of it, and puts the event at the engine's position.
    pub(crate) fn register(
        &self,
        player: &Player<Self>,
        place: Place,
        timeout: Option<libc::timeval>,
    ) -> bool {
        let before = self.registrations.get();
        let inserted = place.is(LIST_INSERTED);
        let time = timeout.as_ref().map_or(ptr::null(), ptr::from_ref);
        // SAFETY: the event is assigned.
        if unsafe { raw::event_add(place.0.cast(), time) } != 0 {
            return false;
        }
        if !inserted && place.is(LIST_INSERTED) {
            self.joined(player, place, before);
        }
        true
    }

    /// An event was added to those of its descriptor.
    pub(crate) fn joined(&self, player: &Player<Self>, place: Place, before: u32) {
        if place.move_to_end() {
            count(Rule::OrderOnDescriptor);
        }
        if self.registrations.get() == before {
            self.tell_again(player, place.read().fd);
        }
    }

    /// Modifies the registration without a change, as the engine does to check that it still exists.
    pub(crate) fn tell_again(&self, player: &Player<Self>, fd: RawFd) {
        let Some(slot) = player.slot(fd) else { return };
        let events = self.registered_events[slot].get();
        if events & libc::EPOLLET as u32 != 0 {
            count(Rule::EdgeAskedAgain);
            let mut event = libc::epoll_event { events, u64: fd as u64 };
            // SAFETY: the record lives across the call.
            unsafe { libc::epoll_ctl(self.epoll.get(), libc::EPOLL_CTL_MOD, fd, &raw mut event) };
        }
    }

    /// `event_active`, for the next pass if the event has run in this one.
    pub(crate) fn make_active_in_turn(&self, event: usize, result: c_int, put_off: bool) {
        let (pointer, fields) = self.at(event);
        if !put_off || fields.flags & LIST_FINALIZING != 0 {
            // SAFETY: the event is assigned.
            unsafe { raw::event_active(pointer, result, 1) };
            return;
        }
        count(Rule::FinitePasses);
        if fields.flags & LIST_QUEUED == 0
            && player().is_some_and(|player| player.is_more_urgent(fields.priority))
        {
            self.go_on();
        }
        // SAFETY: as above.
        unsafe { raw::event_active_later_(pointer, result) };
    }

    /// `event_remove_timer`.
    pub(crate) fn take_timer(&self, event: usize) -> bool {
        let (pointer, fields) = self.at(event);
        if fields.has_interval() && fields.flags & LIST_TIMEOUT == 0 {
            count(Rule::PeriodAfterRemove);
            self.events[event].change(|fields| fields.interval = timeval(0));
        }
        self.set_period(event, None);
        let calls = self.events[event].calls().count;
        // SAFETY: the event is assigned.
        let removed = unsafe { raw::event_remove_timer(pointer) == 0 };
        if fields.is_signal() && self.events[event].calls().count != calls {
            count(Rule::CallsAfterRemove);
            self.events[event].set_calls(calls);
        }
        removed
    }

    /// The part of `event_add` that sets the deadline, if the event is active with TIMEOUT.
    pub(crate) fn move_deadline(&self, place: Place) {
        let fields = place.read();
        if fields.flags & LIST_QUEUED == 0 || fields.result & TIMEOUT == 0 {
            return;
        }
        if fields.result & !TIMEOUT != 0 {
            count(Rule::MovedDeadline);
            place.change(|fields| fields.result &= !TIMEOUT);
        } else if fields.flags & LIST_ACTIVE_LATER != 0 {
            // libevent removes TIMEOUT only from events that are active in this pass.
            count(Rule::MovedDeadline);
            let others = fields.flags & (LIST_INSERTED | LIST_TIMEOUT);
            place.change(|fields| fields.flags &= !others);
            // SAFETY: the event is assigned; in no other list, it leaves the queue only.
            unsafe { raw::event_del(place.0.cast()) };
            place.change(|fields| fields.flags |= others);
        }
    }

    /// Processes one event of `timeout_process` as the engine does.
    fn expire(&self, place: Place, keep: bool) {
        let event = place.0.cast();
        let calls = Some(place.calls().count).filter(|_| place.is(LIST_QUEUED) && place.read().is_signal());
        if keep {
            let interval = place.read().interval;
            // SAFETY: the event is assigned.
            unsafe { raw::event_remove_timer(event) };
            place.change(|fields| fields.interval = interval);
        } else {
            // SAFETY: as above.
            unsafe { raw::event_del(event) };
        }
        // SAFETY: as above.
        unsafe { raw::event_active(event, c_int::from(TIMEOUT), 1) };
        if let Some(calls) = calls {
            place.set_calls(calls);
        }
    }

    /// Replaces `timeout_process` where the engine differs: TIMEOUT is added to active events, periods end without a
    /// change of the registration, equal deadlines fire in the order of arming, and common timeouts are ordinary timers.
    pub(crate) fn settle_timeouts(&self, player: &Player<Self>) {
        let now = player.time.now();
        let is_due = |place: &Place| {
            let fields = place.read();
            fields.flags & LIST_TIMEOUT != 0 && fields.due() <= now
        };
        let all: Vec<Place> = self.all().chain(self.all_once()).collect();
        for place in all.iter().copied().filter(is_due).filter(|place| place.is(LIST_QUEUED)) {
            count(Rule::TimeoutOfActive);
            self.expire(place, true);
        }
        let order = |place: &Place| (place.read().due(), player.order_of(self.number(*place)));
        let mut due: Vec<Place> = all.into_iter().filter(is_due).collect();
        due.sort_by_key(order);
        let keeps =
            |fields: Fields| fields.flags & LIST_INSERTED != 0 && fields.what().contains(What::PERSIST);
        let stays = |signal: bool| {
            due.iter().map(|place| place.read()).any(|fields| keeps(fields) && fields.is_signal() == signal)
        };
        let reasons = [
            (Rule::PeriodAndDescriptor, stays(false)),
            (Rule::SignalPeriod, stays(true)),
            (Rule::EqualDeadlines, due.windows(2).any(|two| two[0].read().due() == two[1].read().due())),
            (Rule::CommonTimeouts, due.iter().any(|place| place.read().is_common())),
        ];
        reasons.iter().filter(|(_, given)| *given).for_each(|(rule, _)| count(*rule));
        if reasons.iter().any(|(_, given)| *given) {
            for place in due {
                self.expire(place, place.read().what().contains(What::PERSIST));
            }
        }
    }

    fn number(&self, place: Place) -> u64 {
        let once =
            self.unnamed.once.borrow().iter().find(|(_, other)| *other == place).map(|(number, _)| *number);
        let event = || self.events.iter().position(|other| *other == place).unwrap_or_default() as u64;
        once.unwrap_or_else(event)
    }

    /// Breaks a loop with ONCE that would continue for events that wait for the next pass.
    pub(crate) fn leave_later_ones(&self, player: &Player<Self>) {
        if !self.all().any(|place| place.is(LIST_ACTIVE_LATER)) {
            return;
        }
        // The only other active event is the timer of a common timeout.
        let is_last = !self.all().chain(self.all_once()).any(|place| place.is(LIST_ACTIVE));
        if is_last {
            player.count(Rule::FinitePassesLeft);
            player.broken_by_rule();
            self.break_off();
        }
    }
}
