//! The contract between the engine and a backend.

use std::fmt::Debug;
use std::os::fd::{BorrowedFd, RawFd};
use std::time::Duration;

use nix::errno::Errno;

use super::{Applied, Change, Internal, Readiness};
use crate::config::Config;
use crate::error::Error;
use crate::flags::Features;
use crate::sys::notify::Notifier;
use crate::time::Nanos;

/// A backend: one way to register descriptors with the system and to wait for them.
///
/// A backend keeps one registration for each descriptor, regardless of how many events the engine has on it. The
/// engine calls it only when the set of interests in a descriptor changes. Every method is called with the lock of
/// the base held; only [`MethodWaiter::wait`] runs without it.
///
/// Readiness maps to interests as follows. An error condition is reported to every registered interest, because a
/// registration that no event matches would be ready for ever. A backend with [`Features::ET`] adds
/// [`What::ET`](crate::What::ET) to each readiness and registers the base's own descriptors edge-triggered. With any
/// other backend the engine reads from the base's own descriptors until they are no longer readable.
pub(crate) trait Method: Debug + Sized {
    /// The name that `event_base_get_method` returns, and by which a configuration avoids the backend.
    const NAME: &'static str;

    /// The features that `event_base_get_features` returns.
    const FEATURES: Features;

    /// Whether only tests choose this backend.
    const FOR_TESTS: bool = false;

    /// What a wait needs while the lock is released.
    type Waiter: MethodWaiter;

    /// Opens the system's object. `config` holds the options of every backend.
    ///
    /// # Errors
    /// [`Error::System`]. After `ENOSYS`, `EPERM` or `EACCES` the base tries the next backend.
    fn open(config: &Config) -> Result<Self, Error>;

    /// The name with its options, such as `epoll (with changelist)`.
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn features(&self) -> Features {
        Self::FEATURES
    }

    /// Whether a [change](Change) can make a registration exclusive.
    fn has_exclusive(&self) -> bool {
        false
    }

    /// Whether descriptors are the kernel's, so that system calls can be made on them.
    fn has_descriptors(&self) -> bool {
        true
    }

    /// The descriptor that is readable while the backend has something to report. If the backend has none, a host makes
    /// the waits on a thread instead.
    fn descriptor(&self) -> Option<RawFd> {
        None
    }

    /// Makes the registration of a descriptor what `change` describes.
    ///
    /// A backend may defer a change until [`flush`](Self::flush), unless the caller needs its outcome: the first
    /// registration of a descriptor, and a new interest in a registered one, are made immediately, and so is every
    /// change of an exclusive registration, whose order among those of other backends matters. Returns
    /// [`Applied::Gone`] if the kernel no longer has the registration, because the descriptor was closed; nothing is
    /// registered then. The removal of the last interest never fails, because closing a descriptor removes its
    /// registration already.
    ///
    /// # Errors
    /// [`Error::System`]; the registration is as it was before. [`Error::Forked`] in a forked child that has not
    /// called [`renew_after_fork`](Self::renew_after_fork).
    fn change(&mut self, change: &Change) -> Result<Applied, Error>;

    /// Makes the deferred changes. The engine calls this before each wait, and after each change that is made while
    /// the loop sleeps. Returns whether a wait in progress must end for the changes to take effect.
    #[inline]
    fn flush(&mut self) -> bool {
        false
    }

    /// Returns the token of a registration that no longer exists although the engine did not remove it: the kernel
    /// refused a deferred change, or a wait found the descriptor closed. The engine calls this after
    /// [`flush`](Self::flush) and [`finish_wait`](Self::finish_wait) until it returns `None`. The events of the
    /// registration become active, so that the next call on the descriptor returns the error.
    #[inline]
    fn take_lost(&mut self) -> Option<u64> {
        None
    }

    /// Returns the waiter, which owns everything that a wait needs and has found nothing yet. Until
    /// [`finish_wait`](Self::finish_wait), other threads may call any other method. A change takes effect on the wait
    /// in progress; if that requires a wake-up, [`flush`](Self::flush) returns `true`.
    fn start_wait(&mut self) -> Self::Waiter;

    /// Takes the waiter back, after the engine has read what it found. Drops a waiter that holds an object
    /// from before [`renew`](Self::renew) or [`renew_after_fork`](Self::renew_after_fork).
    fn finish_wait(&mut self, waiter: Self::Waiter);

    /// Registers a descriptor of the base itself, edge-triggered where the backend can. Registering it again has no
    /// effect.
    ///
    /// # Errors
    /// [`Error::System`].
    fn watch_internal(&mut self, fd: BorrowedFd<'_>, internal: Internal) -> Result<(), Error>;

    /// Deregisters a descriptor of the base itself. Has no effect on one that is not registered.
    fn unwatch_internal(&mut self, fd: BorrowedFd<'_>);

    /// Whether the backend waits on a descriptor of its own with this number.
    fn owns(&self, fd: RawFd) -> bool {
        let _ = fd;
        false
    }

    /// Returns a notifier that the backend implements itself and has registered already.
    fn open_notifier(&mut self) -> Option<Notifier> {
        None
    }

    /// Whether the kernel's object reports signals itself, as [`Internal::Signal`].
    fn reports_signals(&self) -> bool {
        false
    }

    /// Starts reporting a signal. Called only if the backend [reports signals](Self::reports_signals).
    ///
    /// # Errors
    /// [`Error::System`].
    fn watch_signal(&mut self, _number: i32) -> Result<(), Error> {
        Ok(())
    }

    /// Stops reporting a signal. Has no effect on one that is not reported.
    fn unwatch_signal(&mut self, _number: i32) {}

    /// Creates the kernel's objects that [`arm_timer`](Self::arm_timer) needs. Called when a host requests the
    /// [`descriptor`](Self::descriptor), so that arming does not fail later for lack of descriptors.
    ///
    /// # Errors
    /// [`Error::System`].
    fn open_timer(&mut self) -> Result<(), Error> {
        Ok(())
    }

    /// Makes the [`descriptor`](Self::descriptor) readable at `deadline`, a time of the monotonic clock; `None`
    /// disarms. Has no effect before [`open_timer`](Self::open_timer), nor on a backend without a descriptor, whose
    /// host passes the deadline to the wait.
    ///
    /// # Errors
    /// [`Error::System`].
    fn arm_timer(&mut self, _deadline: Option<Nanos>) -> Result<(), Error> {
        Ok(())
    }

    /// Replaces the kernel's object by an empty one under the same descriptor number, after which the engine
    /// registers everything again. It frees the base from a registration that the kernel keeps for a closed
    /// descriptor. A wait in progress continues on the old object until its notifier ends it, and the descriptor
    /// number may change then.
    ///
    /// # Errors
    /// [`Error::System`].
    fn renew(&mut self) -> Result<(), Error>;

    /// Does the same in a forked child. The parent goes on using the old objects, so the child only closes its
    /// descriptors of them. The timer no longer exists until [`open_timer`](Self::open_timer) is called again. The
    /// waiter of a thread that was waiting at the fork is lost.
    ///
    /// # Errors
    /// [`Error::System`].
    fn renew_after_fork(&mut self) -> Result<(), Error> {
        self.renew()
    }
}

/// A wait, detached from its backend so that it can run without the lock.
pub(crate) trait MethodWaiter: Debug + Send {
    /// The system call that waits, as errors name it.
    const SYSCALL: &'static str;

    /// Makes the system call once: sleeps until something is ready, for at most `timeout` (`None`: without limit).
    ///
    /// Each call discards what the call before it found. A call that fails has found nothing.
    ///
    /// # Errors
    /// The error of the system call.
    fn wait_once(&mut self, timeout: Option<Duration>) -> nix::Result<()>;

    /// [`wait_once`](Self::wait_once); if it is interrupted, polls once more without sleeping. May return early without
    /// having found anything.
    ///
    /// A wait is interrupted by a signal, and on Linux also when the process was stopped and continues
    /// (`signal(7)`, "Interruption of system calls and library functions by stop signals"). Descriptors may have become
    /// ready and deadlines may have passed meanwhile. Without the second call, the timers would expire first.
    ///
    /// # Errors
    /// [`Error::System`].
    fn wait(&mut self, timeout: Option<Duration>) -> Result<(), Error> {
        let mut result = self.wait_once(timeout);
        if result == Err(Errno::EINTR) {
            result = self.wait_once(Some(Duration::ZERO));
        }
        match result {
            Ok(()) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(Error::system(errno, Self::SYSCALL, None)),
        }
    }

    /// The number of readiness reports that the wait found.
    fn len(&self) -> usize;

    /// The report at `index`, which is below [`len`](Self::len).
    fn get(&self, index: usize) -> Readiness;

    /// Whether the wait filled its whole buffer, so that more may be ready.
    #[inline]
    fn is_full(&self) -> bool {
        false
    }
}
