//! The mutex and condition variable of the model checker loom, in place of parking_lot's.
//!
//! loom runs a test once for each interleaving of its threads. It switches threads only at operations on its own types,
//! so everything that threads share must be behind them. A model has no kernel: its notifier is a [`Bell`], which the
//! scripted backend waits for.

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

/// A condition variable whose first wait ends spuriously. loom's never do, and code that relies on that must fail.
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

/// The notifier of a model, and the wait for it.
pub(crate) struct Bell {
    rung: loom::sync::Mutex<bool>,
    changed: loom::sync::Condvar,
    /// In place of a descriptor, which the scripted backend ignores.
    file: File,
}

impl Bell {
    pub(crate) fn new() -> Self {
        let file = File::open("/dev/null").expect("a system has /dev/null");
        Bell { rung: loom::sync::Mutex::new(false), changed: loom::sync::Condvar::new(), file }
    }

    pub(crate) fn ring(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Calls `change`, which changes what the waiting thread waits for.
    pub(crate) fn change(&self, change: impl FnOnce()) {
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        change();
        drop(rung);
        self.changed.notify_all();
    }

    /// Waits until it is rung or `is_over` returns `true`.
    pub(crate) fn wait(&self, is_over: impl Fn() -> bool) {
        let mut rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        while !*rung && !is_over() {
            rung = self.changed.wait(rung).unwrap_or_else(PoisonError::into_inner);
        }
        *rung = false;
    }
}

impl fmt::Debug for Bell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bell").finish_non_exhaustive()
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
