//! The kernel's objects of a base: the backend, the notifier, the descriptor of a host; and whether the loop sleeps on
//! them.

mod host;
mod reinit;
mod wake;

use std::sync::Arc;

use host::Host;
pub use host::{HostWait, WaitEnder};
use wake::Sleep;

use super::Inner;
use crate::backend::{Backend, Internal};
use crate::error::Error;
use crate::flags::Features;
use crate::sys::notify::Notifier;
use crate::time::Nanos;

/// The kernel's objects of a base, and the sleep of its loop.
#[derive(Debug)]
pub(super) struct Kernel {
    sleep: Sleep,
    /// `None` once the base is closed and no loop runs any more.
    backend: Option<Backend>,
    /// Shared with the caller that writes to it after it released the lock. A base without locks has none until
    /// a host or a signal event needs one.
    notifier: Option<Arc<Notifier>>,
    host: Host,
}

impl Kernel {
    pub(super) fn new(backend: Backend) -> Self {
        Kernel { sleep: Sleep::default(), backend: Some(backend), notifier: None, host: Host::default() }
    }

    /// # Errors
    /// [`Error::Closed`] once it was [released](Self::release).
    #[inline]
    pub(super) fn backend(&mut self) -> Result<&mut Backend, Error> {
        self.backend.as_mut().ok_or(Error::Closed)
    }

    /// # Errors
    /// As [`backend`](Self::backend).
    pub(super) fn backend_and_notifier(&mut self) -> Result<(&mut Backend, Option<&Arc<Notifier>>), Error> {
        let backend = self.backend.as_mut().ok_or(Error::Closed)?;
        Ok((backend, self.notifier.as_ref()))
    }

    /// Whether descriptors of events are real ones, of this process.
    pub(super) fn has_descriptors(&self) -> bool {
        self.backend.as_ref().is_some_and(Backend::has_descriptors)
    }

    pub(super) fn has_notifier(&self) -> bool {
        self.notifier.is_some()
    }

    /// Creates the notifier, which other threads wake the loop through.
    ///
    /// # Errors
    /// [`Error::System`] if the kernel has no descriptor left; [`Error::Closed`].
    pub(super) fn install_notifier(&mut self) -> Result<Arc<Notifier>, Error> {
        let backend = self.backend()?;
        #[cfg(not(event_base_model))]
        let notifier = match backend.open_notifier() {
            Some(notifier) => notifier,
            None => Notifier::new()?,
        };
        #[cfg(event_base_model)]
        let notifier = Notifier::WakeFlag(backend.wake_flag());
        if let Some(descriptor) = notifier.descriptor() {
            backend.watch_internal(descriptor, Internal::Notifier)?;
        }
        let notifier = Arc::new(notifier);
        self.notifier = Some(Arc::clone(&notifier));
        Ok(notifier)
    }

    /// Empties the notifier that a wait found readable. An eventfd that is watched edge-triggered is not reported
    /// again by itself; a pipe must be emptied before it is full.
    pub(super) fn drain_notifier(&self) {
        let is_edge_triggered =
            self.backend.as_ref().is_some_and(|backend| backend.features().contains(Features::ET));
        if let Some(notifier) = self.notifier.as_deref()
            && !(is_edge_triggered && notifier.is_counter())
        {
            notifier.drain();
        }
    }

    /// Closes the kernel's objects.
    pub(super) fn release(&mut self) {
        self.backend = None;
        self.notifier = None;
    }

    /// From here on the loop sleeps, until `deadline` at the latest.
    pub(super) fn begin_sleep(&mut self, deadline: Option<Nanos>) {
        self.sleep.begin(deadline);
    }

    pub(super) fn end_sleep(&mut self) {
        self.sleep.end();
    }

    #[inline]
    pub(super) fn is_asleep(&self) -> bool {
        self.sleep.is_asleep()
    }

    /// Wakes the loop if it sleeps.
    #[inline]
    pub(super) fn request_wake(&mut self) {
        self.sleep.request_wake();
    }

    /// Wakes the loop if it would sleep past `deadline`.
    #[inline]
    pub(super) fn request_wake_by(&mut self, deadline: Nanos) {
        self.sleep.request_wake_by(deadline);
    }

    /// Lets the caller that holds the lock call [`Base::follow_up`](super::Base::follow_up) once it releases it.
    pub(super) fn request_follow_up(&mut self) {
        self.sleep.request_follow_up();
    }

    #[inline]
    pub(super) fn take_follow_up(&mut self) -> bool {
        self.sleep.take_follow_up()
    }

    /// Whether a [`HostWait`] was started and not finished.
    pub(super) fn is_wait_away(&self) -> bool {
        self.host.waits
    }
}

impl Inner {
    /// The notifier, if a wake-up was requested; the caller writes to it. In a forked child the notifier is the
    /// parent's, and the child's loop does not wait.
    pub(super) fn take_wake(&mut self) -> Option<Arc<Notifier>> {
        let is_requested = self.kernel.sleep.take_wake() && !self.is_forked();
        is_requested.then(|| self.notifier_to_write()).flatten()
    }

    /// The notifier; the caller writes to it.
    fn notifier_to_write(&mut self) -> Option<Arc<Notifier>> {
        let notifier = self.kernel.notifier.clone();
        if notifier.is_some() {
            self.report.count_wakeup_sent();
        }
        notifier
    }

    /// Wakes the loop if there is nothing left that it could wait for.
    pub(super) fn request_wake_if_empty(&mut self) {
        if self.is_empty() {
            self.kernel.request_wake();
        }
    }
}
