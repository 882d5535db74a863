//! The signal handler, and the dispositions that it replaced.
//!
//! Rules:
//! - The handler may interrupt any code of any thread, including this module. It accesses atomics, makes calls that
//!   `signal-safety(7)` allows, and preserves `errno`. It takes no lock and allocates no memory.
//! - Other code may install a handler over this one, call this one from there, and restore it even after the last base
//!   has stopped watching the signal. So the handler stays usable for ever: the dispositions that it replaced
//!   are never freed, and its library must not be unloaded. napi-rs sees to that for the addon: it links it with
//!   `-z nodelete`, and keeps a reference where the linker has no such flag.
//! - While no base watches the signal, the handler is *dormant* and acts as what it replaced. If the kernel calls it, it
//!   restores that disposition and passes the signal on. If another handler calls it, that handler takes the signal, and
//!   this one only calls the earlier handler.
//! - A base may begin to watch the signal while the handler restores a disposition. So the handler installs first, then
//!   checks the mode, and installs itself again if it is no longer dormant; [`State::set_mode`] runs before the
//!   disposition is read. Only a handler that is still dormant drops the entry that it restored.
//! - Several handlers of this kind, as of two copies of this library, may replace each other repeatedly, so that each has
//!   replaced the other: a cycle. So a signal has a stack of replaced dispositions. A handler that is called again
//!   while it calls the other one continues with the entry below.

use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicU8, AtomicUsize, Ordering::SeqCst};

use libc::{c_int, c_void, siginfo_t};
use nix::errno::Errno;
use parking_lot::Mutex;

use super::receiver::deliver;
use crate::sys::leaked::AtomicRef;
use crate::sys::signal::{Action, Disposition, Function, HIGHEST, current_thread, raise};

const PLACES: usize = HIGHEST as usize + 1;

/// What the handler does with a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Mode {
    /// No base needs a disposition for the signal.
    Dormant,
    /// It delivers the signal to the bases.
    Alone,
    /// It also calls the handler that it replaced.
    Sharing,
}

/// A disposition that the handler replaced.
pub(super) struct Replaced {
    disposition: Disposition,
    /// What the handler had replaced before.
    below: Option<&'static Replaced>,
}

/// The state of one signal.
pub(super) struct State {
    mode: AtomicU8,
    /// The stack of replaced dispositions. The registry changes it, in every mode but [`Mode::Dormant`].
    replaced: AtomicRef<Replaced>,
    /// The stack in [`Mode::Dormant`], from which the handler drops what it restores; none in the other modes, so that a
    /// handler that has not noticed the change of the mode drops nothing.
    dormant: AtomicRef<Replaced>,
}

impl State {
    const fn new() -> Self {
        State {
            mode: AtomicU8::new(Mode::Dormant as u8),
            replaced: AtomicRef::none(),
            dormant: AtomicRef::none(),
        }
    }
}

static STATES: [State; PLACES] = [const { State::new() }; PLACES];

/// Every entry that a stack has had. There are few, because a program has few handlers.
static ENTRIES: Mutex<Vec<&'static Replaced>> = Mutex::new(Vec::new());

/// The state of signal `number`, which is in the range of signal numbers.
pub(super) fn state(number: i32) -> &'static State {
    &STATES[number as usize]
}

/// The disposition that calls the handler.
pub(super) fn ours() -> Disposition {
    Disposition::handler(on_signal)
}

impl State {
    /// Sets the mode, and hands the stack over to the handler or takes it back.
    pub(super) fn set_mode(&self, mode: Mode) {
        if mode == Mode::Dormant {
            self.dormant.store(self.replaced.load());
        }
        self.mode.store(mode as u8, SeqCst);
        if mode != Mode::Dormant {
            // A handler may drop an entry meanwhile.
            while let Some(top) = self.dormant.load() {
                self.replaced.store(Some(top));
                self.dormant.replace(top, None);
            }
        }
    }

    fn is(&self, mode: Mode) -> bool {
        self.mode.load(SeqCst) == mode as u8
    }

    /// The disposition that was replaced last.
    pub(super) fn replaced(&self) -> Option<Disposition> {
        self.replaced.load().map(|entry| entry.disposition)
    }

    /// Records that `disposition` was replaced. If an entry above `floor` is for the same disposition, other code has
    /// restored it, and what was replaced since then is dropped. Returns the entry below the new one.
    pub(super) fn push(
        &self,
        disposition: Disposition,
        floor: Option<&'static Replaced>,
    ) -> Option<&'static Replaced> {
        let mut below = self.replaced.load();
        let mut next = below;
        while let Some(entry) = next
            && !is_same_entry(next, floor)
        {
            if entry.disposition.is(&disposition) {
                below = entry.below;
                break;
            }
            next = entry.below;
        }
        self.replaced.store(Some(entry(disposition, below)));
        below
    }

    /// The topmost entry.
    fn top(&self) -> Option<&'static Replaced> {
        self.dormant.load().or_else(|| self.replaced.load())
    }

    /// Records, in [`Mode::Dormant`], that `top` was restored. The last entry stays, for a handler that other code
    /// restores later.
    fn drop_restored(&self, top: &'static Replaced) {
        if top.below.is_some() {
            self.dormant.replace(top, top.below);
        }
    }

    /// Restores, in [`Mode::Dormant`], the disposition that was replaced last. Returns whether there is an earlier one.
    pub(super) fn restore(&self, number: c_int) -> Result<bool, Errno> {
        let Some(top) = self.replaced.load() else {
            return Disposition::default_action().install(number).map(|()| false);
        };
        top.disposition.install(number)?;
        self.drop_restored(top);
        Ok(top.below.is_some())
    }

    /// Forgets what was replaced.
    pub(super) fn clear(&self) {
        self.replaced.store(None);
    }

    /// The first entry whose handler this one calls. If the kernel has called the handler of the topmost entry, and that
    /// called this one, the topmost entry is part of a cycle.
    fn first(&self, number: c_int) -> Option<&'static Replaced> {
        if self.is(Mode::Alone) {
            return None;
        }
        let top = self.top()?;
        let is_caller = Disposition::current(number).is_ok_and(|current| current.is(&top.disposition));
        if is_caller { top.below } else { Some(top) }
    }
}

fn entry(disposition: Disposition, below: Option<&'static Replaced>) -> &'static Replaced {
    let mut entries = ENTRIES.lock();
    let is_same =
        |known: &&Replaced| known.disposition.equals(&disposition) && is_same_entry(known.below, below);
    if let Some(known) = entries.iter().copied().find(is_same) {
        return known;
    }
    let entry: &'static Replaced = Box::leak(Box::new(Replaced { disposition, below }));
    entries.push(entry);
    entry
}

fn is_same_entry(one: Option<&Replaced>, other: Option<&Replaced>) -> bool {
    one.map(ptr::from_ref) == other.map(ptr::from_ref)
}

/// The handler that is installed for every signal that a base receives in this way.
pub(super) extern "C" fn on_signal(number: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let errno = Errno::last_raw();
    let signal = Arrived { state: state(number), number, info, context };
    let outer = Call::find(number);
    // Before the disposition is read: another thread may hand over, and then drops the entry.
    let top = signal.state.top();
    if signal.state.is(Mode::Dormant) && Disposition::current(number).is_ok_and(|now| now.is(&ours())) {
        signal.hand_over(top, outer);
    } else if let Some(call) = outer {
        signal.call(call.target.load().and_then(|target| target.below), outer);
    } else {
        deliver(number);
        signal.call(signal.state.first(number), None);
    }
    Errno::set_raw(errno);
}

/// A signal that the handler was called for.
struct Arrived {
    state: &'static State,
    number: c_int,
    info: *mut siginfo_t,
    context: *mut c_void,
}

impl Arrived {
    /// Calls the handler of an entry, unless it ends the program or interrupts it: see [`Disposition::function`].
    fn call(&self, target: Option<&'static Replaced>, outer: Option<&'static Call>) {
        if let Some(target) = target
            && let Some(function) = target.disposition.function()
        {
            self.run(function, target, outer);
        }
    }

    fn run(&self, function: Function, target: &'static Replaced, outer: Option<&'static Call>) {
        if let Some(call) = outer {
            call.target.store(Some(target));
            function.call(self.number, self.info, self.context);
        } else if let Some(call) = Call::begin(self.number, target) {
            function.call(self.number, self.info, self.context);
            call.end();
        }
    }

    /// Restores the disposition that the handler replaced, and lets it act on the signal. Other code had saved this
    /// handler, and restored it after the last base had stopped watching the signal.
    fn hand_over(&self, top: Option<&'static Replaced>, outer: Option<&'static Call>) {
        let is_cycle = outer.is_some_and(|call| is_same_entry(call.target.load(), top));
        let target = if is_cycle { top.and_then(|top| top.below) } else { top };
        let disposition = target.map_or(Disposition::default_action(), |target| target.disposition);
        let mut is_dormant = true;
        loop {
            let wanted = if is_dormant { disposition.after_one_signal() } else { ours() };
            _ = wanted.install(self.number);
            // A base that begins or ceases to watch the signal on another thread may have read the disposition before.
            if self.state.is(Mode::Dormant) == is_dormant {
                break;
            }
            is_dormant = !is_dormant;
        }
        if !is_dormant {
            return deliver(self.number);
        }
        if let Some(top) = top {
            self.state.drop_restored(top);
        }
        match (disposition.action(), target) {
            (Action::Ignore, _) => {}
            // All signals are blocked while the handler runs, so it takes effect when this handler returns.
            (Action::Default, _) => raise(self.number),
            (Action::Function(function), Some(target)) => self.run(function, target, outer),
            (Action::Function(_), None) => {}
        }
    }
}

/// A call of another handler that is in progress.
struct Call {
    /// The thread that makes the call; 0 if there is none.
    thread: AtomicUsize,
    number: AtomicI32,
    target: AtomicRef<Replaced>,
}

/// The calls that can be in progress at the same time, one for each thread and signal. With more, the other handler is
/// not called: a cycle of handlers would not end.
static CALLS: [Call; 128] =
    [const { Call { thread: AtomicUsize::new(0), number: AtomicI32::new(0), target: AtomicRef::none() } };
        128];

/// The number of calls in progress.
static IN_PROGRESS: AtomicUsize = AtomicUsize::new(0);

/// No thread has this number.
const RESERVED: usize = usize::MAX;

impl Call {
    /// The call that this thread makes for this signal.
    fn find(number: c_int) -> Option<&'static Call> {
        if IN_PROGRESS.load(SeqCst) == 0 {
            return None;
        }
        let me = current_thread();
        CALLS.iter().find(|call| call.thread.load(SeqCst) == me && call.number.load(SeqCst) == number)
    }

    fn begin(number: c_int, target: &'static Replaced) -> Option<&'static Call> {
        let is_taken = |call: &&Call| call.thread.compare_exchange(0, RESERVED, SeqCst, SeqCst).is_ok();
        let call = CALLS.iter().find(is_taken)?;
        IN_PROGRESS.fetch_add(1, SeqCst);
        call.number.store(number, SeqCst);
        call.target.store(Some(target));
        call.thread.store(current_thread(), SeqCst);
        Some(call)
    }

    fn end(&self) {
        self.thread.store(0, SeqCst);
        IN_PROGRESS.fetch_sub(1, SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ignored by default, and used by no other unit test.
    const NUMBER: c_int = libc::SIGWINCH;

    static RESTORING: AtomicUsize = AtomicUsize::new(0);
    static FIRST: AtomicUsize = AtomicUsize::new(0);

    /// Other code that restores our handler once the last base has stopped watching the signal, and calls it.
    extern "C" fn restoring(number: c_int, info: *mut siginfo_t, context: *mut c_void) {
        RESTORING.fetch_add(1, SeqCst);
        state(number).set_mode(Mode::Dormant);
        ours().install(number).unwrap();
        on_signal(number, info, context);
    }

    /// A handler that changes `errno`.
    extern "C" fn first(_: c_int, _: *mut siginfo_t, _: *mut c_void) {
        FIRST.fetch_add(1, SeqCst);
        Errno::set_raw(libc::EXDEV);
    }

    fn current() -> Disposition {
        Disposition::current(NUMBER).unwrap()
    }

    /// Calls the handler as the kernel does, and returns how often it called each of the others.
    fn call() -> [usize; 2] {
        let before = [&RESTORING, &FIRST].map(|calls| calls.load(SeqCst));
        Errno::set_raw(libc::E2BIG);
        on_signal(NUMBER, ptr::null_mut(), ptr::null_mut());
        assert_eq!(Errno::last_raw(), libc::E2BIG);
        [RESTORING.load(SeqCst) - before[0], FIRST.load(SeqCst) - before[1]]
    }

    /// One test, because dispositions belong to the process.
    #[test]
    fn the_handler_hands_over_once_and_preserves_errno() {
        let state = state(NUMBER);
        let before = current();

        // The last base stops watching the signal during the call of another handler, which then calls this one.
        for below in [None, Some(Disposition::handler(first))] {
            state.set_mode(Mode::Sharing);
            state.clear();
            if let Some(below) = below {
                state.push(below, None);
            }
            state.push(Disposition::handler(restoring), None);
            ours().install(NUMBER).unwrap();
            assert_eq!(call(), [1, usize::from(below.is_some())]);
            assert!(current().is(&below.unwrap_or(Disposition::default_action())));
        }

        // A base begins to watch the signal while the handler hands over, and may have ceased to again.
        let hand_over = |top| {
            let (info, context) = (ptr::null_mut(), ptr::null_mut());
            Arrived { state, number: NUMBER, info, context }.hand_over(top, None);
        };
        let (below, above) = (Disposition::handler(first), Disposition::ignore());
        for ceases in [false, true] {
            state.set_mode(Mode::Alone);
            state.clear();
            state.push(below, None);
            state.push(above, None);
            state.set_mode(Mode::Dormant);
            let top = state.top();
            state.set_mode(Mode::Alone);
            if ceases {
                state.set_mode(Mode::Dormant);
                assert!(state.restore(NUMBER).unwrap());
            }
            hand_over(top);
            let (installed, left) = if ceases { (above, below) } else { (ours(), above) };
            assert!(current().is(&installed));
            assert!(state.top().is_some_and(|top| top.disposition.is(&left)));
        }

        state.clear();
        state.set_mode(Mode::Dormant);
        before.install(NUMBER).unwrap();
    }
}
