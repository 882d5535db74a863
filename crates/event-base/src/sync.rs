//! The one place that names locks.
//!
//! A base has one lock around all its state. Its kind is chosen when the base is built: parking_lot's
//! mutex, or for `NOLOCK` one that only checks that every caller is the same thread. The state is reached
//! through [`Lock::lock`] alone, so a model checker's types can take the place of parking_lot's: they do in a
//! build with `--cfg event_base_model`.
#![expect(unsafe_code, reason = "implementing `RawMutex` is a promise of exclusion")]

#[cfg(not(event_base_model))]
mod native;
#[cfg(event_base_model)]
#[path = "sync/model.rs"]
mod native;

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use lock_api::{GuardNoSend, RawMutex};

#[cfg(event_base_model)]
pub(crate) use native::Bell;
pub(crate) use native::thread_token;
/// For what belongs to the whole process and is hardly ever written.
pub(crate) use parking_lot::RwLock;

use crate::error::Error;

/// Excludes by belonging to one thread: the first that locks it.
#[derive(Debug)]
pub(crate) struct OwnerOnly {
    owner: AtomicUsize,
    held: AtomicBool,
}

// SAFETY: the lock is given only to the thread whose token is in `owner`, which is written once, and only
// while `held`, which that thread alone touches, is false; so there is never a second holder.
unsafe impl RawMutex for OwnerOnly {
    const INIT: Self = OwnerOnly { owner: AtomicUsize::new(0), held: AtomicBool::new(false) };

    type GuardMarker = GuardNoSend;

    /// Panics where [`try_lock`](Self::try_lock) refuses: waiting could not help.
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

/// Some state behind a lock of either kind.
#[derive(Debug)]
pub(crate) enum Lock<T> {
    Shared(native::Mutex<T>),
    Owned(lock_api::Mutex<OwnerOnly, T>),
}

/// The state, until this is dropped.
pub(crate) enum Guard<'a, T> {
    Shared(native::MutexGuard<'a, T>),
    Owned(lock_api::MutexGuard<'a, OwnerOnly, T>),
}

impl<T> Lock<T> {
    pub(crate) fn shared(state: T) -> Self {
        Lock::Shared(native::Mutex::new(state))
    }

    pub(crate) fn owned(state: T) -> Self {
        Lock::Owned(lock_api::Mutex::new(state))
    }

    /// # Errors
    /// [`Error::WrongThread`] if this kind of lock belongs to another thread; [`Error::Forked`] in a forked
    /// child if the lock was taken at the fork, by a thread that is not here to give it back.
    #[inline]
    pub(crate) fn lock(&self) -> Result<Guard<'_, T>, Error> {
        match self {
            Lock::Shared(mutex) => mutex.lock().map(Guard::Shared),
            Lock::Owned(mutex) => mutex.try_lock().map(Guard::Owned).ok_or(Error::WrongThread),
        }
    }

    /// From now on this process is the one that the lock was made in; called with the lock taken.
    pub(crate) fn adopt(&self) {
        if let Lock::Shared(mutex) = self {
            mutex.adopt();
        }
    }

    pub(crate) fn is_shared(&self) -> bool {
        matches!(self, Lock::Shared(_))
    }
}

/// What threads wait for with the lock given up meanwhile.
#[derive(Debug, Default)]
pub(crate) struct Condition(native::Condvar);

impl Condition {
    /// Returns when [`notify_all`](Self::notify_all) was called, or for no reason: the caller looks whether what
    /// it waits for has come. A base of one thread has nobody to wait for.
    pub(crate) fn wait<'a, T>(&self, guard: Guard<'a, T>) -> Guard<'a, T> {
        match guard {
            Guard::Shared(guard) => Guard::Shared(self.0.wait(guard)),
            Guard::Owned(guard) => Guard::Owned(guard),
        }
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        match self {
            Guard::Shared(guard) => guard,
            Guard::Owned(guard) => guard,
        }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        match self {
            Guard::Shared(guard) => guard,
            Guard::Owned(guard) => guard,
        }
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
