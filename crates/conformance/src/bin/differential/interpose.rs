//! Replacements, for the whole process, of the C functions with which both loops read the time and wait.
//!
//! libevent's library finds them because the program exports its symbols. Without a [`Machine`] they do what the C library's
//! functions do.
#![expect(unsafe_code, reason = "C functions are replaced and called")]

use std::cell::Cell;
use std::ffi::{c_int, c_long, c_short, c_void};
use std::os::fd::RawFd;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, Ordering};

/// Microseconds.
pub(crate) type Micros = u64;

/// Takes the place of the kernel.
pub(crate) trait Machine {
    /// The monotonic time.
    fn read_clock(&self) -> Micros;

    /// Whether the next wait returns nothing, whatever is ready.
    fn is_blind(&self) -> bool;

    /// Receives the result of a wait, and may change it.
    fn found(&self, events: &mut [libc::epoll_event]);

    /// Receives the result of a wait of `poll` or `select`: positions among `count` entries, and descriptors.
    fn found_level(&self, ready: &[(usize, RawFd)], count: usize);

    /// libevent is about to make the events of a descriptor active. Returns whether the machine has done so.
    fn is_reported(&self, fd: RawFd, what: c_short) -> bool;

    /// libevent is about to make the events of a signal active.
    fn signal_active(&self, number: c_int, times: c_int);

    /// An event of libevent for a signal was deleted.
    fn signal_left(&self, number: c_int);

    /// Nothing is ready: advances the time to the end of the wait, after `timeout`, or to the timer.
    fn pass_time(&self, timeout: Option<Micros>);

    /// Sets the timer.
    fn set_timer(&self, timer: Timer);

    /// A registration was changed.
    fn registered(&self, epoll: c_int, fd: c_int, event: libc::epoll_event);
}

/// The setting of a timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    Off,
    After(Micros),
    At(Micros),
}

/// Wall time minus monotonic time, in seconds.
pub(crate) const WALL_OFFSET: u64 = 1_700_000_000;

thread_local! {
    static IN_CHARGE: Cell<Option<NonNull<dyn Machine>>> = const { Cell::new(None) };
}

/// Uses `machine` while `call` runs.
pub(crate) fn with<T>(machine: &dyn Machine, call: impl FnOnce() -> T) -> T {
    struct Restore(Option<NonNull<dyn Machine>>);
    impl Drop for Restore {
        fn drop(&mut self) {
            IN_CHARGE.set(self.0);
        }
    }
    // SAFETY: only the lifetime changes; the pointer is taken back before the borrow ends.
    let machine = unsafe {
        std::mem::transmute::<NonNull<dyn Machine + '_>, NonNull<dyn Machine>>(NonNull::from(machine))
    };
    let _restore = Restore(IN_CHARGE.replace(Some(machine)));
    call()
}

pub(crate) fn in_charge<'a>() -> Option<&'a dyn Machine> {
    // SAFETY: `with` holds the borrow for as long as the pointer is there.
    IN_CHARGE.get().map(|machine| unsafe { machine.as_ref() })
}

pub(crate) type Syscall =
    unsafe extern "C" fn(c_long, c_long, c_long, c_long, c_long, c_long, c_long) -> c_long;

/// The C library's `syscall`.
pub(crate) fn real() -> Syscall {
    static FOUND: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());
    let mut found = FOUND.load(Ordering::Relaxed);
    if found.is_null() {
        // SAFETY: the name is terminated.
        found = unsafe { libc::dlsym(libc::RTLD_NEXT, c"syscall".as_ptr()) };
        assert!(!found.is_null(), "the C library has no function syscall");
        FOUND.store(found, Ordering::Relaxed);
    }
    // SAFETY: it is that function; with six arguments each is passed as for a function of fixed arity.
    unsafe { std::mem::transmute::<*mut c_void, Syscall>(found) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn syscall(
    number: c_long,
    a: c_long,
    b: c_long,
    c: c_long,
    d: c_long,
    e: c_long,
    f: c_long,
) -> c_long {
    if number == libc::SYS_epoll_pwait2
        && let Some(machine) = in_charge()
    {
        let timeout = ptr::with_exposed_provenance::<libc::timespec>(d as usize);
        // SAFETY: the caller passes null or a timespec.
        let timeout = unsafe { timeout.as_ref() };
        let timeout =
            timeout.map(|time| time.tv_sec as u64 * 1_000_000 + (time.tv_nsec as u64).div_ceil(1000));
        let events = ptr::with_exposed_provenance_mut(b as usize);
        return wait(machine, a as c_int, events, c as c_int, timeout).into();
    }
    // SAFETY: the caller's arguments, unchanged.
    unsafe { real()(number, a, b, c, d, e, f) }
}

fn wait(
    machine: &dyn Machine,
    epoll: c_int,
    events: *mut libc::epoll_event,
    room: c_int,
    timeout: Option<Micros>,
) -> c_int {
    if machine.is_blind() {
        return 0;
    }
    let found = real_wait(epoll, events, room, 0);
    if found <= 0 {
        machine.found(&mut []);
        if found == 0 && timeout != Some(0) {
            machine.pass_time(timeout);
        }
        return found;
    }
    // SAFETY: the kernel has just written that many.
    machine.found(unsafe { std::slice::from_raw_parts_mut(events, found as usize) });
    found
}

fn real_wait(epoll: c_int, events: *mut libc::epoll_event, room: c_int, timeout: c_int) -> c_int {
    let events = events.expose_provenance() as c_long;
    // SAFETY: the caller's room is passed on, and no signal mask.
    let found =
        unsafe { real()(libc::SYS_epoll_pwait, epoll.into(), events, room.into(), timeout.into(), 0, 8) };
    found as c_int
}

#[unsafe(no_mangle)]
unsafe extern "C" fn epoll_wait(
    epoll: c_int,
    events: *mut libc::epoll_event,
    room: c_int,
    timeout: c_int,
) -> c_int {
    match in_charge() {
        Some(machine) => {
            let timeout = u64::try_from(timeout).ok().map(|milliseconds| milliseconds * 1000);
            wait(machine, epoll, events, room, timeout)
        }
        None => real_wait(epoll, events, room, timeout),
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn epoll_ctl(
    epoll: c_int,
    operation: c_int,
    fd: c_int,
    event: *mut libc::epoll_event,
) -> c_int {
    let address = event.expose_provenance() as c_long;
    // SAFETY: the caller's arguments, unchanged.
    let result =
        unsafe { real()(libc::SYS_epoll_ctl, epoll.into(), operation.into(), fd.into(), address, 0, 0) };
    if result == 0
        && operation != libc::EPOLL_CTL_DEL
        && let Some(machine) = in_charge()
    {
        // SAFETY: the kernel has just read it.
        machine.registered(epoll, fd, unsafe { event.read() });
    }
    result as c_int
}

#[unsafe(no_mangle)]
unsafe extern "C" fn timerfd_settime(
    fd: c_int,
    flags: c_int,
    new: *const libc::itimerspec,
    old: *mut libc::itimerspec,
) -> c_int {
    if let Some(machine) = in_charge() {
        // SAFETY: the caller passes a value.
        let value = unsafe { (*new).it_value };
        let time = value.tv_sec as u64 * 1_000_000 + (value.tv_nsec as u64).div_ceil(1000);
        machine.set_timer(match (time, flags & libc::TFD_TIMER_ABSTIME) {
            (0, _) => Timer::Off,
            (_, 0) => Timer::After(time),
            _ => Timer::At(time),
        });
        return 0;
    }
    let (new, old) = (new.expose_provenance() as c_long, old.expose_provenance() as c_long);
    // SAFETY: the caller's arguments, unchanged.
    let result = unsafe { real()(libc::SYS_timerfd_settime, fd.into(), flags.into(), new, old, 0, 0) };
    result as c_int
}

#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, time: *mut libc::timespec) -> c_int {
    let Some(machine) = in_charge() else {
        let time = time.expose_provenance() as c_long;
        // SAFETY: the caller's arguments, unchanged.
        return unsafe { real()(libc::SYS_clock_gettime, clock.into(), time, 0, 0, 0, 0) } as c_int;
    };
    let offset = if clock == libc::CLOCK_REALTIME { WALL_OFFSET } else { 0 };
    let now = machine.read_clock();
    let value = libc::timespec {
        tv_sec: (now / 1_000_000 + offset) as libc::time_t,
        tv_nsec: (now % 1_000_000 * 1000) as c_long,
    };
    // SAFETY: the caller passes room for the time.
    unsafe { time.write(value) };
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn gettimeofday(time: *mut libc::timeval, _zone: *mut c_void) -> c_int {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the value lives across the call.
    unsafe { clock_gettime(libc::CLOCK_REALTIME, &raw mut now) };
    let value = libc::timeval { tv_sec: now.tv_sec, tv_usec: now.tv_nsec / 1000 };
    // SAFETY: the caller passes room for the time.
    unsafe { time.write(value) };
    0
}
