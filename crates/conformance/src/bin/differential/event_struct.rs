//! libevent's `struct event`, whose layout is public (`event2/event_struct.h` of 2.1).
//!
//! Reading it gives more information on an event than any call, and some rules write it to make libevent do what the
//! engine does.
#![expect(unsafe_code, reason = "a C structure is read and written through pointers")]

use std::ffi::{c_int, c_short, c_void};
use std::ptr;

use event_base::What;

use crate::interpose::Micros;

pub(crate) const LIST_TIMEOUT: c_short = 0x01;
pub(crate) const LIST_INSERTED: c_short = 0x02;
pub(crate) const LIST_ACTIVE: c_short = 0x08;
pub(crate) const LIST_ACTIVE_LATER: c_short = 0x20;
pub(crate) const LIST_INTERNAL: c_short = 0x10;
pub(crate) const LIST_FINALIZING: c_short = 0x40;

/// In either queue.
pub(crate) const LIST_QUEUED: c_short = LIST_ACTIVE | LIST_ACTIVE_LATER;

/// `TAILQ_ENTRY` and `TAILQ_HEAD`: the next entry and the pointer to this one, or the first entry and the pointer at the
/// end.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
struct Links {
    next: *mut Links,
    link: *mut *mut Links,
}

/// The fields of a signal event in place of an interval.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Calls {
    /// The number of remaining calls.
    pub(crate) count: c_short,
    /// The count of the function that is calling, while more are left.
    pub(crate) pointer: *mut c_short,
}

/// `struct event`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields {
    active: Links,
    pub(crate) flags: c_short,
    pub(crate) priority: u8,
    closure: u8,
    pub(crate) callback: *mut c_void,
    pub(crate) argument: *mut c_void,
    timeout_position: [usize; 2],
    pub(crate) fd: c_int,
    base: *mut c_void,
    next: *mut Fields,
    /// The pointer to this event: the list's head, or the field `next` of the previous one.
    link: *mut *mut Fields,
    pub(crate) interval: libc::timeval,
    pub(crate) events: c_short,
    pub(crate) result: c_short,
    pub(crate) deadline: libc::timeval,
}

/// The type of libevent's callbacks.
pub(crate) const SIZE: usize = size_of::<Fields>();

/// All zero, as libevent requires for the memory of a new event.
pub(crate) fn blank() -> Fields {
    // SAFETY: every field may be all zeroes.
    unsafe { std::mem::zeroed() }
}

/// An event at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place(pub(crate) *mut Fields);

impl Place {
    pub(crate) fn read(self) -> Fields {
        // SAFETY: places are those of events that live as long as the side.
        unsafe { self.0.read() }
    }

    pub(crate) fn change(self, change: impl FnOnce(&mut Fields)) {
        let mut fields = self.read();
        change(&mut fields);
        // SAFETY: as above; libevent does not run meanwhile.
        unsafe { self.0.write(fields) };
    }

    pub(crate) fn is(self, list: c_short) -> bool {
        self.read().flags & list != 0
    }

    /// Moves an event that was just added for its descriptor, and so is the first, behind the others. Returns whether
    /// there are others.
    pub(crate) fn move_to_end(self) -> bool {
        let Fields { next, link, .. } = self.read();
        if next.is_null() {
            return false;
        }
        let mut last = Place(next);
        last.change(|fields| fields.link = link);
        // SAFETY: it points to the list's head, or into an event of the list.
        unsafe { link.write(next) };
        while !last.read().next.is_null() {
            last = Place(last.read().next);
        }
        last.change(|fields| fields.next = self.0);
        // SAFETY: the place is that of an event.
        let link = unsafe { &raw mut (*last.0).next };
        self.change(|fields| (fields.next, fields.link) = (ptr::null_mut(), link));
        true
    }

    fn calls_place(self) -> *mut Calls {
        // SAFETY: the place is that of an event.
        unsafe { (&raw mut (*self.0).interval).cast() }
    }

    /// Of a signal event.
    pub(crate) fn calls(self) -> Calls {
        // SAFETY: the same bytes as the interval, any of which are such a record.
        unsafe { self.calls_place().read() }
    }

    pub(crate) fn set_calls(self, count: c_short) {
        // SAFETY: as above; of a signal event they are that.
        unsafe { self.calls_place().write(Calls { count, pointer: ptr::null_mut() }) };
    }

    /// Moves an event that is active to the front of its queue.
    pub(crate) fn move_to_front(self) {
        let own: *mut Links = self.0.cast();
        // SAFETY: an event begins with its links.
        let Links { next, link } = unsafe { own.read() };
        let mut head: *mut Links = link.cast();
        // The last of a queue has none after it, and the head points to that; an event in front points to itself.
        loop {
            // SAFETY: links of an event in the queue, or its head.
            let Links { link, .. } = unsafe { head.read() };
            // SAFETY: it points into an event of the queue, or to the head.
            let pointed = unsafe { link.read() };
            if pointed.is_null() {
                break;
            }
            head = link.cast();
        }
        // SAFETY: as above.
        let first = unsafe { (*head).next };
        if first == own {
            return;
        }
        // As TAILQ_REMOVE and TAILQ_INSERT_HEAD do.
        let after = if next.is_null() { head } else { next };
        // SAFETY: the links of the next event, or of the head, which then points to this one's.
        unsafe { (*after).link = link };
        // SAFETY: the field `next` of the event in front.
        unsafe { link.write(next) };
        // SAFETY: the place is that of an event; the first one exists, and is another.
        unsafe { own.write(Links { next: first, link: head.cast() }) };
        // SAFETY: as above.
        unsafe { (*first).link = own.cast() };
        // SAFETY: as above.
        unsafe { (*head).next = own };
    }
}

/// The upper bits of the microseconds mark a common timeout.
const MICROSECONDS: libc::suseconds_t = 0xf_ffff;

impl Fields {
    /// In the queue of a common timeout.
    pub(crate) fn is_common(&self) -> bool {
        self.mark() != 0
    }

    pub(crate) fn what(&self) -> What {
        What::from_bits_retain(self.events as u8)
    }

    pub(crate) fn due(&self) -> Micros {
        self.deadline.tv_sec as u64 * 1_000_000 + (self.deadline.tv_usec & MICROSECONDS) as u64
    }

    /// The bits that mark a common timeout.
    pub(crate) fn mark(&self) -> libc::suseconds_t {
        self.deadline.tv_usec & !MICROSECONDS
    }

    pub(crate) fn is_signal(&self) -> bool {
        self.what().contains(What::SIGNAL)
    }

    /// Signal events have none.
    pub(crate) fn has_interval(&self) -> bool {
        !self.is_signal() && self.has_time()
    }

    fn has_time(&self) -> bool {
        self.interval.tv_sec != 0 || self.interval.tv_usec != 0
    }
}
