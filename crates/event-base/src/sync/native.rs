//! parking_lot's mutex and condition variable.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::RawMutex;

use crate::error::Error;
use crate::sys::fork;

/// How long a thread waits for a lock before it checks whether the holder can exist in this process.
const CHECK_AFTER: Duration = Duration::from_millis(100);

/// A number that no two running threads share; never 0.
pub(crate) fn thread_token() -> usize {
    thread_local!(static PLACE: u8 = const { 0 });
    PLACE.with(|place| std::ptr::from_ref(place) as usize)
}

pub(super) type MutexGuard<'a, T> = lock_api::MutexGuard<'a, RawMutex, T>;

/// A mutex that, in a forked child, does not wait for ever for a thread of the parent.
#[derive(Debug)]
pub(crate) struct Mutex<T> {
    /// The [generation](fork::generation) of the process that the holders of the lock belong to.
    process: AtomicU32,
    state: lock_api::Mutex<RawMutex, T>,
}

impl<T> Mutex<T> {
    pub(super) fn new(state: T) -> Self {
        Mutex { process: AtomicU32::new(fork::generation()), state: lock_api::Mutex::new(state) }
    }

    /// Costs the same as the plain lock if it is free.
    #[inline]
    pub(super) fn lock(&self) -> Result<MutexGuard<'_, T>, Error> {
        match self.state.try_lock() {
            Some(guard) => Ok(guard),
            None => self.lock_slowly(),
        }
    }

    #[cold]
    fn lock_slowly(&self) -> Result<MutexGuard<'_, T>, Error> {
        loop {
            if let Some(guard) = self.state.try_lock_for(CHECK_AFTER) {
                return Ok(guard);
            }
            if self.process.load(Ordering::Relaxed) != fork::generation() {
                return Err(Error::Forked);
            }
        }
    }

    pub(super) fn adopt(&self) {
        self.process.store(fork::generation(), Ordering::Relaxed);
    }
}

#[derive(Debug, Default)]
pub(super) struct Condvar(parking_lot::Condvar);

impl Condvar {
    pub(super) fn wait<'a, T>(&self, mut guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.0.wait(&mut guard);
        guard
    }

    pub(super) fn notify_all(&self) {
        self.0.notify_all();
    }
}
