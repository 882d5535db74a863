//! The counters in which the signal handler leaves signals for the loops.
//!
//! Rules:
//! - The [handler](super::handler) accesses atomics only, and writes to one descriptor for each base that it wakes.
//! - A [`Receiver`] holds the counters of one base. Receivers are linked once, never unlinked and never freed, so a
//!   handler can walk the list at any time. A base that is closed leaves its receiver to the next one, so there are
//!   as many as there were bases with signal events at the same time.
//! - A handler increments `inside` before it uses a receiver's descriptor, and then checks whether the receiver still
//!   wants the signal. Code that retires a receiver first clears `wanted` and then checks `inside`. If a handler is
//!   inside, the receiver and its descriptor are kept on a list until it has left. No thread waits for a handler.
//! - Signals are counted and not written to a pipe as bytes, so that no signal is lost when a pipe is full.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, AtomicUsize, Ordering::SeqCst};

use parking_lot::Mutex;

use crate::sys::fork;
use crate::sys::leaked::AtomicRef;
use crate::sys::notify::Notifier;
use crate::sys::signal::{HIGHEST, SignalSet, notify};

const PLACES: usize = HIGHEST as usize + 1;

/// The first receiver of the list.
static RECEIVERS: AtomicRef<Receiver> = AtomicRef::none();

/// State that the handler does not access.
static POOL: Mutex<Pool> = Mutex::new(Pool { idle: Vec::new(), retired: Vec::new() });

#[derive(Debug)]
struct Pool {
    /// Receivers that no base uses.
    idle: Vec<&'static Receiver>,
    /// Receivers that a handler was using when they were retired, with their notifiers.
    retired: Vec<(&'static Receiver, Arc<Notifier>)>,
}

/// The counters of one base.
#[derive(Debug)]
struct Receiver {
    /// Handlers that may be using `descriptor`.
    inside: AtomicUsize,
    /// The signals the base wants.
    wanted: AtomicU64,
    /// The signals that arrived and were not taken yet.
    due: AtomicU64,
    descriptor: AtomicI32,
    /// The [generation](fork::generation) of the process that opened the descriptor.
    process: AtomicU32,
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
            // The handler that finds it empty wakes the loop, which empties it before it takes the counts. In a forked
            // child the descriptor is the parent's.
            if self.due.fetch_or(bit, SeqCst) == 0 && self.process.load(SeqCst) == fork::generation() {
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

/// Counts a signal for each base that wants it, and wakes their loops. Async-signal-safe.
pub(super) fn deliver(number: i32) {
    let mut next = RECEIVERS.load();
    while let Some(receiver) = next {
        receiver.deliver(number);
        next = receiver.next;
    }
}

/// The use of a receiver by a base, until it is dropped.
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
        receiver.process.store(fork::generation(), SeqCst);
        Reception { receiver, notifier }
    }

    /// Starts to count this signal.
    pub(super) fn want(&self, number: i32) {
        self.receiver.counts[number as usize].store(0, SeqCst);
        self.receiver.wanted.fetch_or(SignalSet::of(number).bits(), SeqCst);
    }

    /// Stops counting it, and discards the count.
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
    /// Recycles the retired receivers that no handler uses any more.
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

/// Links a new receiver in front of the others. The caller holds the lock of the pool, so no other thread links.
fn link() -> &'static Receiver {
    let receiver: &'static Receiver = Box::leak(Box::new(Receiver {
        inside: AtomicUsize::new(0),
        wanted: AtomicU64::new(0),
        due: AtomicU64::new(0),
        descriptor: AtomicI32::new(-1),
        process: AtomicU32::new(fork::NO_GENERATION),
        counts: [const { AtomicU64::new(0) }; PLACES],
        next: RECEIVERS.load(),
    }));
    RECEIVERS.store(Some(receiver));
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
    fn the_descriptor_stays_open_while_a_handler_uses_it() {
        let notifier = notifier();
        let kept = Arc::downgrade(&notifier);
        let reception = Reception::new(notifier);
        let receiver = reception.receiver;
        // Simulates a handler that is interrupted here.
        receiver.inside.fetch_add(1, SeqCst);
        drop(reception);
        let other = Reception::new(self::notifier());
        assert!(!std::ptr::eq(other.receiver, receiver));
        assert!(kept.upgrade().is_some());
        receiver.inside.fetch_sub(1, SeqCst);
        drop(other);
        assert!(kept.upgrade().is_none());
    }

    #[test]
    fn only_a_wanted_signal_is_counted_and_wakes_the_loop() {
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
