//! The one place that names locks.
//!
//! A base has one lock around all its state. Its kind is chosen when the base is built: parking_lot's
//! mutex, or for `NOLOCK` one that only checks that every caller is the same thread. The state is reached
//! through [`Lock::lock`] alone, so a model checker's types can take the place of parking_lot's: they do in a
//! build with `--cfg event_base_model`.
#![expect(
    unsafe_code,
    reason = "implementing `RawMutex` is a promise of exclusion, and a guard relies on it"
)]

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
///
/// The state lies beside the lock, not in it: whoever holds the lock reaches it without asking which kind it is.
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

// SAFETY: the state is reached through a `Guard` alone, and both kinds of lock give one at a time. So threads pass
// the state on to one another, which is what `Send` allows.
unsafe impl<T: Send> Sync for Lock<T> {}

/// The state, until this is dropped.
pub(crate) struct Guard<'a, T> {
    state: &'a UnsafeCell<T>,
    held: Held<'a>,
}

/// That the lock is taken; dropping it gives it back.
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
    /// child if the lock was taken at the fork, by a thread that is not here to give it back.
    #[inline]
    pub(crate) fn lock(&self) -> Result<Guard<'_, T>, Error> {
        let held = match &self.kind {
            Kind::Shared(mutex) => Held::Shared(mutex.lock()?),
            Kind::Owned(mutex) => Held::Owned(mutex.try_lock().ok_or(Error::WrongThread)?),
        };
        Ok(Guard { state: &self.state, held })
    }

    /// From now on this process is the one that the lock was made in; called with the lock taken.
    pub(crate) fn adopt(&self) {
        if let Kind::Shared(mutex) = &self.kind {
            mutex.adopt();
        }
    }

    pub(crate) fn is_shared(&self) -> bool {
        matches!(self.kind, Kind::Shared(_))
    }
}

/// What threads wait for with the lock given up meanwhile.
#[derive(Debug, Default)]
pub(crate) struct Condition(native::Condvar);

impl Condition {
    /// Returns when [`notify_all`](Self::notify_all) was called, or for no reason: the caller looks whether what
    /// it waits for has come. A base of one thread has nobody to wait for.
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
        // SAFETY: the lock is held as long as the guard lives, and no other guard is there meanwhile.
        unsafe { &*self.state.get() }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and this guard is borrowed as long as the reference lives.
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
