//! The system's libevent as a [`Peer`].
//!
//! Events are stored as in an optimised C program: one after the other in large blocks, set up with `event_assign`. The
//! argument of the callback is an index.
#![expect(unsafe_code, reason = "libevent is a C library")]

pub mod raw;

use std::cell::RefCell;
use std::ffi::{CStr, c_int, c_short, c_void};
use std::marker::PhantomData;
use std::os::fd::RawFd;
use std::ptr::{self, NonNull};
use std::sync::OnceLock;
use std::time::Duration;

use event_base::What;

use crate::{Build, Failure, Handler, Pass, Peer, Waker};

mod block;

use block::Blocks;

/// libevent's base and its events, with the handler `H`.
#[derive(Debug)]
pub struct Libevent<H> {
    base: NonNull<raw::EventBase>,
    blocks: RefCell<Blocks>,
    locks: bool,
    handler: PhantomData<fn(H)>,
}

/// An event of a [`Libevent`]; valid as long as that is borrowed.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    pointer: NonNull<raw::Event>,
    base: PhantomData<&'a raw::EventBase>,
}

/// libevent encodes a queue in bits of a time, so a copy of the time identifies it too.
#[derive(Clone, Copy)]
pub struct CommonTimeout(libc::timeval);

impl std::fmt::Debug for CommonTimeout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CommonTimeout").finish_non_exhaustive()
    }
}

fn timeval(duration: Duration) -> libc::timeval {
    libc::timeval {
        tv_sec: duration.as_secs() as libc::time_t,
        tv_usec: libc::suseconds_t::from(duration.subsec_micros()),
    }
}

/// The version of the library that is running, such as `2.1.12-stable`.
#[must_use]
pub fn version() -> String {
    let text = raw::event_get_version();
    // SAFETY: the function returns a static, terminated string.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_string_lossy().into_owned()
}

/// Installs libevent's pthreads locks, permanently and for the whole process.
///
/// # Errors
/// If libevent fails.
pub fn use_locks() -> Result<(), Failure> {
    static INSTALLED: OnceLock<bool> = OnceLock::new();
    if *INSTALLED.get_or_init(|| raw::evthread_use_pthreads() == 0) {
        Ok(())
    } else {
        Err(Failure::Libevent("evthread_use_pthreads"))
    }
}

impl<H: Handler> Libevent<H> {
    /// A base on the preferred backend. With `locks`, [`use_locks`] is called
    /// first; without, the base is `NOLOCK`.
    ///
    /// # Errors
    /// If no base can be made.
    pub fn new(locks: bool) -> Result<Self, Failure> {
        Self::built(locks, &Build::default())
    }

    /// A base as wanted.
    ///
    /// # Errors
    /// If no such base can be made.
    pub fn built(locks: bool, build: &Build) -> Result<Self, Failure> {
        if locks {
            use_locks()?;
        }
        let config = NonNull::new(raw::event_config_new()).ok_or(Failure::Libevent("event_config_new"))?;
        let mut flags = raw::EVENT_BASE_FLAG_IGNORE_ENV;
        if !locks {
            flags |= raw::EVENT_BASE_FLAG_NOLOCK;
        }
        if build.changelist {
            flags |= raw::EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST;
        }
        // SAFETY: the configuration was just made and is freed below.
        let set = unsafe { raw::event_config_set_flag(config.as_ptr(), flags) };
        // SAFETY: as above.
        let base = unsafe { raw::event_base_new_with_config(config.as_ptr()) };
        // SAFETY: nothing refers to the configuration any more.
        unsafe { raw::event_config_free(config.as_ptr()) };
        if set != 0 {
            return Err(Failure::Libevent("event_config_set_flag"));
        }
        let base = NonNull::new(base).ok_or(Failure::Libevent("event_base_new_with_config"))?;
        // SAFETY: the base was just made.
        if unsafe { raw::event_base_priority_init(base.as_ptr(), build.priorities.into()) } != 0 {
            return Err(Failure::Libevent("event_base_priority_init"));
        }
        Ok(Self {
            base,
            blocks: RefCell::new(Blocks::new(raw::event_get_struct_event_size())),
            locks,
            handler: PhantomData,
        })
    }

    /// The backend's name.
    #[must_use]
    pub fn method(&self) -> String {
        // SAFETY: the base is alive until `self` is dropped.
        let text = unsafe { raw::event_base_get_method(self.base.as_ptr()) };
        // SAFETY: the name is a static, terminated string.
        let text = unsafe { CStr::from_ptr(text) };
        text.to_string_lossy().into_owned()
    }

    fn assign(&self, fd: RawFd, what: c_short, index: usize) -> Result<Event<'_>, Failure> {
        let pointer = self.blocks.borrow_mut().next();
        // SAFETY: the memory has the size of a `struct event`, is zeroed, was
        // never assigned before and stays in place as long as `self` lives.
        let assigned = unsafe {
            raw::event_assign(
                pointer.as_ptr(),
                self.base.as_ptr(),
                fd,
                what,
                Some(trampoline::<H>),
                ptr::without_provenance_mut(index),
            )
        };
        if assigned != 0 {
            return Err(Failure::Libevent("event_assign"));
        }
        Ok(Event { pointer, base: PhantomData })
    }
}

/// The callback of every event; a panic in the handler ends the process.
unsafe extern "C" fn trampoline<H: Handler>(fd: c_int, what: c_short, argument: *mut c_void) {
    H::ready(argument.addr(), fd, What::from_bits_retain(what as u8));
}

impl<H: Handler> Peer for Libevent<H> {
    type Event<'a> = Event<'a>;
    type CommonTimeout = CommonTimeout;
    type Waker<'a> = LibeventWaker<'a>;

    fn io(&self, fd: RawFd, what: What, index: usize) -> Result<Event<'_>, Failure> {
        self.assign(fd, c_short::from(what.bits()) | raw::EV_PERSIST, index)
    }

    fn timer(&self, index: usize) -> Result<Event<'_>, Failure> {
        self.assign(-1, 0, index)
    }

    fn user(&self, index: usize) -> Result<Event<'_>, Failure> {
        self.assign(-1, 0, index)
    }

    fn user_at(&self, index: usize, priority: u8) -> Result<Event<'_>, Failure> {
        let event = self.assign(-1, 0, index)?;
        // SAFETY: the event was just assigned and its base is alive.
        if unsafe { raw::event_priority_set(event.pointer.as_ptr(), priority.into()) } != 0 {
            return Err(Failure::Libevent("event_priority_set"));
        }
        Ok(event)
    }

    fn signal(&self, number: i32, index: usize) -> Result<Event<'_>, Failure> {
        self.assign(number, raw::EV_SIGNAL | raw::EV_PERSIST, index)
    }

    fn add<'a>(&'a self, event: Event<'a>, timeout: Option<Duration>) -> Result<(), Failure> {
        let added = match timeout {
            Some(timeout) => {
                let timeout = timeval(timeout);
                // SAFETY: the event was assigned, its base is alive, and
                // libevent copies the time.
                unsafe { raw::event_add(event.pointer.as_ptr(), &raw const timeout) }
            }
            // SAFETY: as above, without a time.
            None => unsafe { raw::event_add(event.pointer.as_ptr(), ptr::null()) },
        };
        if added == 0 { Ok(()) } else { Err(Failure::Libevent("event_add")) }
    }

    fn common_timeout(&self, duration: Duration) -> Result<CommonTimeout, Failure> {
        let duration = timeval(duration);
        // SAFETY: the base is alive and the time is read before the call returns.
        let common = unsafe { raw::event_base_init_common_timeout(self.base.as_ptr(), &raw const duration) };
        // SAFETY: not null, it points to the queue's time, which lives as long as the base.
        let common = unsafe { common.as_ref() };
        common.map(|time| CommonTimeout(*time)).ok_or(Failure::Libevent("event_base_init_common_timeout"))
    }

    fn add_common<'a>(&'a self, event: Event<'a>, timeout: CommonTimeout) -> Result<(), Failure> {
        // SAFETY: the event was assigned, its base is alive, and libevent copies the time.
        if unsafe { raw::event_add(event.pointer.as_ptr(), &raw const timeout.0) } == 0 {
            Ok(())
        } else {
            Err(Failure::Libevent("event_add"))
        }
    }

    fn del<'a>(&'a self, event: Event<'a>) -> Result<(), Failure> {
        // SAFETY: the event was assigned and its base is alive.
        if unsafe { raw::event_del(event.pointer.as_ptr()) } == 0 {
            Ok(())
        } else {
            Err(Failure::Libevent("event_del"))
        }
    }

    fn activate<'a>(&'a self, event: Event<'a>, what: What) -> Result<(), Failure> {
        // SAFETY: the event was assigned and its base is alive.
        unsafe { raw::event_active(event.pointer.as_ptr(), c_int::from(what.bits()), 1) };
        Ok(())
    }

    fn run(&self, pass: Pass) -> Result<(), Failure> {
        let flags = match pass {
            Pass::UntilEmpty => 0,
            Pass::Once => raw::EVLOOP_ONCE,
            Pass::Poll => raw::EVLOOP_ONCE | raw::EVLOOP_NONBLOCK,
        };
        // SAFETY: the base is alive; the handlers cannot reach it, so that the
        // loop is never entered twice.
        if unsafe { raw::event_base_loop(self.base.as_ptr(), flags) } < 0 {
            return Err(Failure::Libevent("event_base_loop"));
        }
        Ok(())
    }

    fn waker<'a>(&'a self, event: Event<'a>) -> Result<LibeventWaker<'a>, Failure> {
        if !self.locks {
            return Err(Failure::Wrong("a NOLOCK base has no other thread".into()));
        }
        Ok(LibeventWaker(event))
    }
}

impl<H> Drop for Libevent<H> {
    fn drop(&mut self) {
        // SAFETY: this was the only owner; the events' memory, which the base
        // still looks at while it is freed, is a field and dropped later.
        unsafe { raw::event_base_free(self.base.as_ptr()) };
    }
}

/// Activates one of libevent's events from another thread.
#[derive(Debug)]
pub struct LibeventWaker<'a>(Event<'a>);

// SAFETY: it is only made for a base with locks, `event_active` takes them,
// and the borrow keeps base and event alive.
unsafe impl Send for LibeventWaker<'_> {}

impl Waker for LibeventWaker<'_> {
    fn wake(&self) -> Result<(), Failure> {
        // SAFETY: the event was assigned, its base is alive and has locks.
        unsafe { raw::event_active(self.0.pointer.as_ptr(), c_int::from(What::READ.bits()), 1) };
        Ok(())
    }
}
