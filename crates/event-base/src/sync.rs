//! The only module that uses types of locks.
//!
//! A base has one lock around its state. Its kind is chosen when the base is built: parking_lot's mutex, or for
//! `NOLOCK` one that only checks that every caller is the same thread. The state is accessed only through [`Lock::lock`],
//! so that a build with `--cfg event_base_model` can replace parking_lot's types by those of a model checker.
#![expect(unsafe_code, reason = "`RawMutex` guarantees exclusion, and a guard relies on it")]

#[cfg(not(event_base_model))]
mod native;
#[cfg(event_base_model)]
#[path = "sync/model.rs"]
mod native;

use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use lock_api::{GuardNoSend, RawMutex};

#[cfg(event_base_model)]
pub(crate) use native::Bell;
pub(crate) use native::thread_token;
/// For state of the whole process that is rarely written.
pub(crate) use parking_lot::RwLock;

use crate::error::Error;

/// A lock that belongs to one thread: the first that locks it.
#[derive(Debug)]
pub(crate) struct OwnerOnly {
    owner: AtomicUsize,
    held: AtomicBool,
}

// SAFETY: only the thread whose token is in `owner`, which is written once, can take the lock, and only while `held`,
// which that thread alone accesses, is false; so there is never a second holder.
unsafe impl RawMutex for OwnerOnly {
    const INIT: Self = OwnerOnly { owner: AtomicUsize::new(0), held: AtomicBool::new(false) };

    type GuardMarker = GuardNoSend;

    /// Panics if [`try_lock`](Self::try_lock) refuses: waiting would not change that.
    fn lock(&self) {
        assert!(self.try_lock(), "a base without locks belongs to one thread");
    }

    #[inline]
    fn try_lock(&self) -> bool {
        let me = thread_token();
        let owner = self.owner.load(Ordering::Relaxed);
        if owner != me
            && (owner != 0
                || self.owner.compare_exchange(0, me, Ordering::Relaxed, Ordering::Relaxed).is_err())
        {
            return false;
        }
        let free = !self.held.load(Ordering::Relaxed);
        if free {
            self.held.store(true, Ordering::Relaxed);
        }
        free
    }

    unsafe fn unlock(&self) {
        self.held.store(false, Ordering::Relaxed);
    }
}

/// State behind a lock of either kind.
///
/// The state is beside the lock and not in it, so that a guard accesses it without checking the kind of the lock.
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

// SAFETY: the state is accessed only through a `Guard`, of which both kinds of lock allow one at a time. So it is passed
// from thread to thread, which `Send` allows.
unsafe impl<T: Send> Sync for Lock<T> {}

/// Access to the state until it is dropped.
pub(crate) struct Guard<'a, T> {
    state: &'a UnsafeCell<T>,
    held: Held<'a>,
}

/// The lock, which is released when this is dropped.
enum Held<'a> {
    Shared(native::MutexGuard<'a, ()>),
    Owned(#[expect(dead_code, reason = "held, to be dropped")] lock_api::MutexGuard<'a, OwnerOnly, ()>),
}

impl<T> Lock<T> {
    pub(crate) fn shared(state: T) -> Self {
        Lock { kind: Kind::Shared(native::Mutex::new(())), state: UnsafeCell::new(state) }
    }

    pub(crate) fn owned(state: T) -> Self {
        Lock { kind: Kind::Owned(lock_api::Mutex::new(())), state: UnsafeCell::new(state) }
    }

    /// # Errors
    /// [`Error::WrongThread`] if this kind of lock belongs to another thread; [`Error::Forked`] in a forked
    /// child if the lock was held at the fork, by a thread that the child does not have.
    #[inline]
    pub(crate) fn lock(&self) -> Result<Guard<'_, T>, Error> {
        let held = match &self.kind {
            Kind::Shared(mutex) => Held::Shared(mutex.lock()?),
            Kind::Owned(mutex) => Held::Owned(mutex.try_lock().ok_or(Error::WrongThread)?),
        };
        Ok(Guard { state: &self.state, held })
    }

    /// Makes this process the one that the lock belongs to. Called with the lock held.
    pub(crate) fn adopt(&self) {
        if let Kind::Shared(mutex) = &self.kind {
            mutex.adopt();
        }
    }

    pub(crate) fn is_shared(&self) -> bool {
        matches!(self.kind, Kind::Shared(_))
    }
}

/// A condition variable, which releases the lock during the wait.
#[derive(Debug, Default)]
pub(crate) struct Condition(native::Condvar);

impl Condition {
    /// Returns when [`notify_all`](Self::notify_all) was called, or spuriously: the caller checks what it waits for.
    /// Returns immediately for a lock of one thread, which no other thread could notify.
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
    fn a_lock_without_locking_refuses_a_second_thread() {
        let lock = Lock::owned(0);
        *lock.lock().unwrap() += 1;
        std::thread::scope(|scope| {
            let other = scope.spawn(|| lock.lock().map(|state| *state));
            assert_eq!(other.join().unwrap(), Err(Error::WrongThread));
        });
        assert_eq!(*lock.lock().unwrap(), 1);
    }

    #[test]
    fn a_lock_without_locking_refuses_a_second_hold() {
        let lock = Lock::owned(0);
        let held = lock.lock().unwrap();
        assert_eq!(lock.lock().map(|state| *state), Err(Error::WrongThread));
        drop(held);
        assert!(lock.lock().is_ok());
    }
}
