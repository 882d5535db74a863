//! The mutex and condition variable of the model checker loom, in place of parking_lot's.
//!
//! loom runs a test once for each interleaving of its threads. It switches threads only at operations on its own types,
//! so everything that threads share must be behind them. A model has no kernel: its notifier is a [`WakeFlag`], which
//! the scripted backend waits for.

use std::fmt;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::error::Error;

/// A number that no two running threads share; never 0. The threads of a model are one thread of the system.
pub(crate) fn thread_token() -> usize {
    let mut hasher = DefaultHasher::new();
    loom::thread::current().id().hash(&mut hasher);
    hasher.finish() as usize | 1
}

pub(super) type MutexGuard<'a, T> = loom::sync::MutexGuard<'a, T>;

#[derive(Debug)]
pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(super) fn new(state: T) -> Self {
        Mutex(loom::sync::Mutex::new(state))
    }

    /// # Errors
    /// None: a model does not fork.
    pub(super) fn lock(&self) -> Result<MutexGuard<'_, T>, Error> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn adopt(&self) {}
}

/// A condition variable whose first wait ends spuriously. loom's waits never do, and code that relies on that must
/// fail.
#[derive(Debug)]
pub(super) struct Condvar {
    inner: loom::sync::Condvar,
    /// Not a type of loom: the thread that accesses it holds the lock.
    has_waited: AtomicBool,
}

impl Default for Condvar {
    fn default() -> Self {
        Condvar { inner: loom::sync::Condvar::new(), has_waited: AtomicBool::new(false) }
    }
}

impl Condvar {
    pub(super) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        if !self.has_waited.swap(true, Relaxed) {
            return guard;
        }
        self.inner.wait(guard).unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn notify_all(&self) {
        self.inner.notify_all();
    }
}

/// The notifier of a model: a flag that one thread waits for and any thread sets.
pub(crate) struct WakeFlag {
    is_set: loom::sync::Mutex<bool>,
    changed: loom::sync::Condvar,
    /// In place of a descriptor, which the scripted backend ignores.
    file: File,
}

impl WakeFlag {
    pub(crate) fn new() -> Self {
        let file = File::open("/dev/null").expect("a system has /dev/null");
        WakeFlag { is_set: loom::sync::Mutex::new(false), changed: loom::sync::Condvar::new(), file }
    }

    /// Sets the flag and wakes the thread that waits for it.
    pub(crate) fn set(&self) {
        *self.is_set.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Calls `change`, which may change the result of a waiting thread's `is_over`, and wakes that thread.
    pub(crate) fn change(&self, change: impl FnOnce()) {
        let is_set = self.is_set.lock().unwrap_or_else(PoisonError::into_inner);
        change();
        drop(is_set);
        self.changed.notify_all();
    }

    /// Waits until the flag is set or `is_over` returns `true`, and clears the flag.
    pub(crate) fn wait(&self, is_over: impl Fn() -> bool) {
        let mut is_set = self.is_set.lock().unwrap_or_else(PoisonError::into_inner);
        while !*is_set && !is_over() {
            is_set = self.changed.wait(is_set).unwrap_or_else(PoisonError::into_inner);
        }
        *is_set = false;
    }
}

impl fmt::Debug for WakeFlag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WakeFlag").finish_non_exhaustive()
    }
}

impl AsFd for WakeFlag {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
