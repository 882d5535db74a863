//! The only module that uses types of locks.
//!
//! A base has one lock around its state. Its kind is chosen when the base is built: parking_lot's mutex, or for
//! `NOLOCK` one that only checks that its callers are on one thread. The state is accessed only through [`Lock::lock`],
//! so that a build with `--cfg event_base_model` can replace parking_lot's types by those of a model checker.
#![expect(unsafe_code, reason = "`RawMutex` guarantees exclusion, and a guard relies on it")]

#[cfg(not(event_base_model))]
mod native;
#[cfg(event_base_model)]
#[path = "model.rs"]
mod native;

use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use lock_api::{GuardNoSend, RawMutex};

#[cfg(event_base_model)]
pub(crate) use native::WakeFlag;
pub(crate) use native::thread_token;
/// For state of the whole process that is rarely written.
pub(crate) use parking_lot::RwLock;

use crate::error::Error;

/// A lock that never blocks: an attempt to take it while it is held fails.
///
/// Until it is [pinned](Self::pin), any thread can take it, and releasing it publishes the state to the next holder.
/// Afterwards only the thread that it is pinned to can take it, which costs two plain loads and a store.
#[derive(Debug)]
pub(crate) struct OwnerOnly {
    /// The token of the thread that it is pinned to, or 0.
    owner: AtomicUsize,
    /// Whether a thread holds the lock, until it is pinned. Pinning leaves this set, so that no thread can take the
    /// lock in this way afterwards.
    held_by_any: AtomicBool,
    /// Whether the owner holds the lock. Only the owner accesses this.
    held: AtomicBool,
}

impl OwnerOnly {
    /// Pins the lock, which this thread holds, to this thread. Has no effect if it is pinned already.
    fn pin(&self) {
        if self.owner.load(Ordering::Relaxed) == 0 {
            self.held.store(true, Ordering::Relaxed);
            self.owner.store(thread_token(), Ordering::Relaxed);
        }
    }
}

// SAFETY: until the lock is pinned, `held_by_any` excludes all threads but one, and releasing it publishes what that
// thread wrote to the next. Its holder alone sets `owner`, once, and leaves `held_by_any` set. From then on only the
// thread whose token is in `owner` can take the lock, and only while `held`, which that thread alone accesses, is
// false. So there is never a second holder.
unsafe impl RawMutex for OwnerOnly {
    const INIT: Self = OwnerOnly {
        owner: AtomicUsize::new(0),
        held_by_any: AtomicBool::new(false),
        held: AtomicBool::new(false),
    };

    type GuardMarker = GuardNoSend;

    /// Panics if [`try_lock`](Self::try_lock) fails: a lock that is pinned to another thread stays so, and this thread
    /// cannot wait for itself.
    fn lock(&self) {
        assert!(self.try_lock(), "a base without locks belongs to one thread");
    }

    #[inline]
    fn try_lock(&self) -> bool {
        let owner = self.owner.load(Ordering::Relaxed);
        if owner == 0 {
            return !self.held_by_any.swap(true, Ordering::Acquire);
        }
        let is_free = owner == thread_token() && !self.held.load(Ordering::Relaxed);
        if is_free {
            self.held.store(true, Ordering::Relaxed);
        }
        is_free
    }

    #[inline]
    unsafe fn unlock(&self) {
        if self.owner.load(Ordering::Relaxed) == 0 {
            self.held_by_any.store(false, Ordering::Release);
        } else {
            self.held.store(false, Ordering::Relaxed);
        }
    }
}

/// State that a lock of either kind protects.
///
/// The state is stored beside the lock and not inside it, so that a guard accesses it without checking the kind.
#[derive(Debug)]
pub(crate) struct Lock<T> {
    kind: Kind,
    state: UnsafeCell<T>,
}

#[derive(Debug)]
enum Kind {
    Shared(native::Mutex<()>),
    Owned(lock_api::Mutex<OwnerOnly, ()>),
}

// SAFETY: the state is accessed only through a `Guard`, and both kinds of lock allow one guard at a time. So the state
// only moves from thread to thread, which `Send` allows.
unsafe impl<T: Send> Sync for Lock<T> {}

/// Access to the state until it is dropped.
pub(crate) struct Guard<'a, T> {
    state: &'a UnsafeCell<T>,
    held: Held<'a>,
}

/// The lock, which is released when this is dropped.
enum Held<'a> {
    Shared(native::MutexGuard<'a, ()>),
    Owned(lock_api::MutexGuard<'a, OwnerOnly, ()>),
}

impl<T> Lock<T> {
    /// A lock that blocks a thread while another one holds it.
    pub(crate) fn shared(state: T) -> Self {
        Lock { kind: Kind::Shared(native::Mutex::new(())), state: UnsafeCell::new(state) }
    }

    /// A lock that fails instead of blocking, for a base without locks: see [`OwnerOnly`].
    pub(crate) fn owned(state: T) -> Self {
        Lock { kind: Kind::Owned(lock_api::Mutex::new(())), state: UnsafeCell::new(state) }
    }

    /// # Errors
    /// For an owned lock, [`Error::WrongThread`] if it is held, or [pinned](Guard::pin) to another thread. For a shared
    /// lock, [`Error::Forked`] in a forked child if a thread that the child does not have held the lock at the fork.
    #[inline]
    pub(crate) fn lock(&self) -> Result<Guard<'_, T>, Error> {
        let held = match &self.kind {
            Kind::Shared(mutex) => Held::Shared(mutex.lock()?),
            Kind::Owned(mutex) => Held::Owned(mutex.try_lock().ok_or(Error::WrongThread)?),
        };
        Ok(Guard { state: &self.state, held })
    }

    /// Records that the lock belongs to this process. Called with the lock held.
    pub(crate) fn adopt(&self) {
        if let Kind::Shared(mutex) = &self.kind {
            mutex.adopt();
        }
    }

    pub(crate) fn is_shared(&self) -> bool {
        matches!(self.kind, Kind::Shared(_))
    }
}

impl<T> Guard<'_, T> {
    /// Pins an owned lock to this thread. Has no effect on a shared one.
    pub(crate) fn pin(&self) {
        if let Held::Owned(guard) = &self.held {
            // SAFETY: the raw lock is not released through this reference.
            unsafe { lock_api::MutexGuard::mutex(guard).raw() }.pin();
        }
    }
}

/// A condition variable, which releases the lock during the wait.
#[derive(Debug, Default)]
pub(crate) struct Condition(native::Condvar);

impl Condition {
    /// Waits until [`notify_all`](Self::notify_all) is called. May return spuriously, so the caller checks what it
    /// waits for. Returns immediately with an owned lock, because no other thread could notify this one.
    pub(crate) fn wait<'a, T>(&self, guard: Guard<'a, T>) -> Guard<'a, T> {
        let Guard { state, held } = guard;
        let held = match held {
            Held::Shared(guard) => Held::Shared(self.0.wait(guard)),
            held @ Held::Owned(_) => held,
        };
        Guard { state, held }
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the lock is held as long as the guard exists, so there is no other guard.
        unsafe { &*self.state.get() }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and this guard is borrowed as long as the reference exists.
        unsafe { &mut *self.state.get() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_without_locking_refuses_a_second_thread_once_it_is_pinned() {
        let lock = Lock::owned(0);
        let mut state = lock.lock().unwrap();
        *state += 1;
        state.pin();
        state.pin();
        drop(state);
        std::thread::scope(|scope| {
            let other = scope.spawn(|| lock.lock().map(|state| *state));
            assert_eq!(other.join().unwrap(), Err(Error::WrongThread));
        });
        assert_eq!(*lock.lock().unwrap(), 1);
    }

    #[test]
    fn a_lock_without_locking_refuses_a_second_hold() {
        let lock = Lock::owned(0);
        for _ in 0..3 {
            let held = lock.lock().unwrap();
            assert_eq!(lock.lock().map(|state| *state), Err(Error::WrongThread));
            held.pin();
            assert_eq!(lock.lock().map(|state| *state), Err(Error::WrongThread));
        }
        assert!(lock.lock().is_ok());
    }

    #[test]
    #[should_panic(expected = "a base without locks belongs to one thread")]
    fn waiting_for_a_lock_without_locking_panics() {
        let lock = lock_api::Mutex::<OwnerOnly, ()>::new(());
        let _held = lock.lock();
        _ = lock.lock();
    }

    #[test]
    fn a_lock_without_locking_is_passed_from_thread_to_thread_until_it_is_pinned() {
        let lock = Lock::owned(0);
        let accepted = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        if let Ok(mut state) = lock.lock() {
                            *state += 1;
                            accepted.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        let state = lock.lock().unwrap();
        assert_eq!(*state, accepted.into_inner());
        assert!(*state > 0);
    }

    #[test]
    fn pinning_while_others_try_leaves_one_thread() {
        for _ in 0..200 {
            let lock = Lock::owned(0);
            let pinned = AtomicBool::new(false);
            let later = AtomicUsize::new(0);
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    while !pinned.load(Ordering::Acquire) {
                        _ = lock.lock().map(|mut state| *state += 1);
                    }
                    later.fetch_add(usize::from(lock.lock().is_ok()), Ordering::Relaxed);
                });
                let mut state = loop {
                    match lock.lock() {
                        Ok(state) => break state,
                        Err(_) => std::hint::spin_loop(),
                    }
                };
                state.pin();
                pinned.store(true, Ordering::Release);
                let before = *state;
                *state += 1;
                drop(state);
                for count in 1..100 {
                    let mut state = lock.lock().unwrap();
                    assert_eq!(*state, before + count);
                    *state += 1;
                }
            });
            assert_eq!(later.into_inner(), 0);
        }
    }
}
