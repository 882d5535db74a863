//! The handler, and what it leaves for the loops.
//!
//! Ground rules:
//! - The handler may interrupt any code of any thread, this module's too. It touches atomics only, writes to one
//!   descriptor for each base that is to be woken, and preserves `errno`. It takes no lock and no memory.
//! - A [`Receiver`] is one base's place to count signals in. Receivers are linked once, never unlinked and never
//!   freed, so a handler can walk them at any time. A base that is gone leaves its receiver to the next one:
//!   there are as many as there were bases with signal events at the same time.
//! - A handler that is about to use a receiver's descriptor says so first, in `inside`, and looks only then
//!   whether the receiver still wants the signal. Who retires a receiver first stops wanting, and then looks
//!   whether somebody is inside: then the descriptor, and the receiver, wait on a list. Nobody waits for a handler.
//! - Counts are counts, not bytes in a pipe: none is lost, and none wraps.
#![expect(unsafe_code, reason = "a handler follows atomic pointers to what is never freed")]

use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU64, AtomicUsize, Ordering::SeqCst};

use libc::{c_int, c_void, siginfo_t};
use parking_lot::Mutex;

use crate::sys::notify::Notifier;
use crate::sys::signal::{Function, HIGHEST, SignalSet, current_thread, notify};

const PLACES: usize = HIGHEST as usize + 1;

/// Where the handler begins.
static RECEIVERS: AtomicPtr<Receiver> = AtomicPtr::new(ptr::null_mut());

/// What else is called on each signal; null for nothing. What it points to is never freed.
static NEXT_HANDLER: [AtomicPtr<Function>; PLACES] = [const { AtomicPtr::new(ptr::null_mut()) }; PLACES];

/// The thread that is calling that, so that no circle of handlers is endless.
static CHAINING: [AtomicUsize; PLACES] = [const { AtomicUsize::new(0) }; PLACES];

/// What is not the handler's.
static POOL: Mutex<Pool> = Mutex::new(Pool { idle: Vec::new(), retired: Vec::new(), functions: Vec::new() });

#[derive(Debug)]
struct Pool {
    idle: Vec<&'static Receiver>,
    /// A handler was inside when these were retired.
    retired: Vec<(&'static Receiver, Arc<Notifier>)>,
    /// The targets of [`NEXT_HANDLER`] there ever were: a few, as a program has few handlers.
    functions: Vec<&'static Function>,
}

/// One base's place to count signals in.
#[derive(Debug)]
struct Receiver {
    /// Handlers that may be using `descriptor`.
    inside: AtomicUsize,
    /// The signals the base wants.
    wanted: AtomicU64,
    /// Those that arrived and were not taken yet.
    due: AtomicU64,
    descriptor: AtomicI32,
    counts: [AtomicU64; PLACES],
    next: Option<&'static Receiver>,
}

impl Receiver {
    /// Async-signal-safe.
    fn deliver(&self, number: i32) {
        let bit = SignalSet::of(number).bits();
        if self.wanted.load(SeqCst) & bit == 0 {
            return;
        }
        self.inside.fetch_add(1, SeqCst);
        if self.wanted.load(SeqCst) & bit != 0 {
            self.counts[number as usize].fetch_add(1, SeqCst);
            // Whoever finds it empty wakes the loop; the loop empties it before it takes the counts.
            if self.due.fetch_or(bit, SeqCst) == 0 {
                notify(self.descriptor.load(SeqCst));
            }
        }
        self.inside.fetch_sub(1, SeqCst);
    }

    fn reset(&self) {
        self.due.store(0, SeqCst);
        for count in &self.counts {
            count.store(0, SeqCst);
        }
    }
}

/// What the kernel calls on every signal that some base handles itself.
pub(super) extern "C" fn on_signal(number: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let me = current_thread();
    let chaining = &CHAINING[number as usize];
    if chaining.load(SeqCst) == me {
        // What is called next has called us: another copy of this library, which was here first as well.
        return;
    }
    // SAFETY: null, or a receiver, which is never freed.
    let mut next = unsafe { RECEIVERS.load(SeqCst).as_ref() };
    while let Some(receiver) = next {
        receiver.deliver(number);
        next = receiver.next;
    }
    let function = NEXT_HANDLER[number as usize].load(SeqCst);
    // SAFETY: null, or a function's record, which is never freed.
    if let Some(function) = unsafe { function.as_ref() } {
        chaining.store(me, SeqCst);
        function.call(number, info, context);
        chaining.store(0, SeqCst);
    }
}

/// Has the handler call `function` too on this signal.
pub(super) fn set_next_handler(number: i32, function: Option<Function>) {
    let target = function.map_or(ptr::null_mut(), |function| {
        let functions = &mut POOL.lock().functions;
        let known = functions.iter().copied().find(|known| **known == function);
        let kept = known.unwrap_or_else(|| {
            let kept: &'static Function = Box::leak(Box::new(function));
            functions.push(kept);
            kept
        });
        ptr::from_ref(kept).cast_mut()
    });
    NEXT_HANDLER[number as usize].store(target, SeqCst);
}

/// A base's hold on its receiver, given back when dropped.
#[derive(Debug)]
pub(super) struct Reception {
    receiver: &'static Receiver,
    notifier: Arc<Notifier>,
}

impl Reception {
    /// A receiver that makes `notifier` readable.
    pub(super) fn new(notifier: Arc<Notifier>) -> Self {
        let mut pool = POOL.lock();
        pool.recover();
        let receiver = pool.idle.pop().unwrap_or_else(link);
        receiver.reset();
        receiver.descriptor.store(notifier.handler_fd(), SeqCst);
        Reception { receiver, notifier }
    }

    /// From now on this signal is counted.
    pub(super) fn want(&self, number: i32) {
        self.receiver.counts[number as usize].store(0, SeqCst);
        self.receiver.wanted.fetch_or(SignalSet::of(number).bits(), SeqCst);
    }

    /// From now on it is not; what was counted is forgotten.
    pub(super) fn unwant(&self, number: i32) {
        self.receiver.wanted.fetch_and(!SignalSet::of(number).bits(), SeqCst);
        self.receiver.counts[number as usize].store(0, SeqCst);
    }

    /// Whether signals arrived.
    #[inline]
    pub(super) fn is_due(&self) -> bool {
        self.receiver.due.load(SeqCst) != 0
    }

    /// The signals that arrived since the last call.
    pub(super) fn take_due(&self) -> SignalSet {
        SignalSet::from_bits(self.receiver.due.swap(0, SeqCst))
    }

    /// How often this signal arrived since the last call.
    pub(super) fn take(&self, number: i32) -> u64 {
        self.receiver.counts[number as usize].swap(0, SeqCst)
    }
}

impl Drop for Reception {
    fn drop(&mut self) {
        self.receiver.wanted.store(0, SeqCst);
        let mut pool = POOL.lock();
        pool.retired.push((self.receiver, Arc::clone(&self.notifier)));
        pool.recover();
    }
}

impl Pool {
    /// Lets go of the retired receivers that no handler uses any more.
    fn recover(&mut self) {
        let Pool { idle, retired, .. } = self;
        retired.retain(|(receiver, _)| {
            let is_used = receiver.inside.load(SeqCst) != 0;
            if !is_used {
                receiver.descriptor.store(-1, SeqCst);
                idle.push(receiver);
            }
            is_used
        });
    }
}

/// A new receiver, in front of the others. The caller holds the pool, and nobody else links.
fn link() -> &'static Receiver {
    let first = RECEIVERS.load(SeqCst);
    let receiver = Box::leak(Box::new(Receiver {
        inside: AtomicUsize::new(0),
        wanted: AtomicU64::new(0),
        due: AtomicU64::new(0),
        descriptor: AtomicI32::new(-1),
        counts: [const { AtomicU64::new(0) }; PLACES],
        // SAFETY: null, or a receiver, which is never freed.
        next: unsafe { first.as_ref() },
    }));
    RECEIVERS.store(ptr::from_mut(receiver), SeqCst);
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    const NUMBER: i32 = 10;

    fn notifier() -> Arc<Notifier> {
        Arc::new(Notifier::new().unwrap())
    }

    #[test]
    fn a_handler_that_is_inside_keeps_the_descriptor_open_until_it_has_left() {
        let notifier = notifier();
        let kept = Arc::downgrade(&notifier);
        let reception = Reception::new(notifier);
        let receiver = reception.receiver;
        // As a handler does, which is then held up.
        receiver.inside.fetch_add(1, SeqCst);
        drop(reception);
        let other = Reception::new(self::notifier());
        assert!(!ptr::eq(other.receiver, receiver));
        assert!(kept.upgrade().is_some());
        receiver.inside.fetch_sub(1, SeqCst);
        drop(other);
        assert!(kept.upgrade().is_none());
    }

    #[test]
    fn what_is_wanted_is_counted_and_wakes_and_what_is_not_is_not() {
        let reception = Reception::new(notifier());
        reception.receiver.deliver(NUMBER);
        assert!(!reception.is_due());
        reception.want(NUMBER);
        for _ in 0..3 {
            reception.receiver.deliver(NUMBER);
        }
        assert!(reception.is_due());
        assert_eq!(reception.take_due(), SignalSet::of(NUMBER));
        assert_eq!((reception.take(NUMBER), reception.take(NUMBER)), (3, 0));
        reception.receiver.deliver(NUMBER);
        reception.unwant(NUMBER);
        reception.receiver.deliver(NUMBER);
        assert_eq!(reception.take(NUMBER), 0);
    }
}
