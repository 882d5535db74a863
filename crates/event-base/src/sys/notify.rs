//! The notifier: an object of the kernel through which another thread, or a signal handler, ends a wait.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd;

use crate::error::Error;

/// An object that the backend reports ready after [`notify`](Self::notify) was called.
#[derive(Debug)]
pub(crate) enum Notifier {
    /// `eventfd(2)`: a counter in one descriptor, without a buffer that could fill.
    #[cfg(linux_kernel)]
    EventFd(nix::sys::eventfd::EventFd),
    /// A filter of a kqueue, which needs no descriptor.
    #[cfg(has_kqueue)]
    User(super::kqueue::UserFilter),
    /// A pipe, on a system without eventfd, or if the kernel or a sandbox refuses the eventfd.
    Pipe {
        /// The end that the loop waits for.
        read: OwnedFd,
        /// The end that is written.
        write: OwnedFd,
    },
    /// The notifier of a model, which has no kernel.
    #[cfg(event_base_model)]
    WakeFlag(std::sync::Arc<crate::sync::WakeFlag>),
}

impl Notifier {
    /// Opens an eventfd, or a pipe if the kernel refuses the eventfd.
    ///
    /// # Errors
    /// [`Error::System`] with `pipe2`, usually `EMFILE` or `ENFILE`.
    pub(crate) fn new() -> Result<Self, Error> {
        #[cfg(linux_kernel)]
        {
            use nix::sys::eventfd::{EfdFlags, EventFd};
            let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
            if let Ok(event_fd) = EventFd::from_value_and_flags(0, flags) {
                return Ok(Notifier::EventFd(event_fd));
            }
        }
        Self::pipe()
    }

    /// Opens a pipe.
    pub(crate) fn pipe() -> Result<Self, Error> {
        let (read, write) = pipe_cloexec().map_err(|errno| Error::system(errno, "pipe2", None))?;
        Ok(Notifier::Pipe { read, write })
    }

    /// Makes the notifier ready. Any thread.
    pub(crate) fn notify(&self) {
        // A write fails only if the pipe is full or the counter saturated: then the descriptor is readable already.
        match self {
            #[cfg(linux_kernel)]
            Notifier::EventFd(event_fd) => _ = uninterrupted(|| event_fd.write(1)),
            #[cfg(has_kqueue)]
            Notifier::User(filter) => filter.trigger(),
            #[cfg(event_base_model)]
            Notifier::WakeFlag(flag) => flag.set(),
            Notifier::Pipe { write, .. } => _ = uninterrupted(|| unistd::write(write, &[1])),
        }
    }

    /// The descriptor that a signal handler writes eight bytes to in place of [`notify`](Self::notify).
    pub(crate) fn handler_fd(&self) -> RawFd {
        match self {
            #[cfg(linux_kernel)]
            Notifier::EventFd(event_fd) => event_fd.as_fd().as_raw_fd(),
            // The kqueue reports signals itself, so no handler is installed.
            #[cfg(has_kqueue)]
            Notifier::User(_) => -1,
            // In a model no signal arrives.
            #[cfg(event_base_model)]
            Notifier::WakeFlag(_) => -1,
            Notifier::Pipe { write, .. } => write.as_raw_fd(),
        }
    }

    /// Whether the notifier accepts any number of notifications without being drained.
    pub(crate) fn is_counter(&self) -> bool {
        !matches!(self, Notifier::Pipe { .. })
    }

    /// Makes the notifier not ready again: a level-triggered backend would report it in every wait.
    pub(crate) fn drain(&self) {
        match self {
            #[cfg(linux_kernel)]
            Notifier::EventFd(event_fd) => _ = event_fd.read(),
            // Edge-triggered.
            #[cfg(has_kqueue)]
            Notifier::User(_) => {}
            #[cfg(event_base_model)]
            Notifier::WakeFlag(_) => {}
            Notifier::Pipe { read, .. } => {
                let mut buffer = [0; 64];
                while let Ok(1..) | Err(Errno::EINTR) = unistd::read(read, &mut buffer) {}
            }
        }
    }
}

impl Notifier {
    /// Registers a notifier without a descriptor again, after the kernel's object was replaced.
    ///
    /// # Errors
    /// [`Error::System`] with `kevent`.
    pub(crate) fn install(&self) -> Result<(), Error> {
        match self {
            #[cfg(linux_kernel)]
            Notifier::EventFd(_) => Ok(()),
            #[cfg(has_kqueue)]
            Notifier::User(filter) => filter.install().map_err(|errno| Error::system(errno, "kevent", None)),
            #[cfg(event_base_model)]
            Notifier::WakeFlag(_) => Ok(()),
            Notifier::Pipe { .. } => Ok(()),
        }
    }

    /// The descriptor that becomes readable, if the notifier has one.
    pub(crate) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        match self {
            #[cfg(linux_kernel)]
            Notifier::EventFd(event_fd) => Some(event_fd.as_fd()),
            #[cfg(has_kqueue)]
            Notifier::User(_) => None,
            #[cfg(event_base_model)]
            Notifier::WakeFlag(flag) => Some(flag.as_fd()),
            Notifier::Pipe { read, .. } => Some(read.as_fd()),
        }
    }
}

/// Repeats a call that a signal interrupts. Async-signal-safe.
pub(crate) fn uninterrupted<T>(mut call: impl FnMut() -> nix::Result<T>) -> nix::Result<T> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            outcome => return outcome,
        }
    }
}

#[cfg(not(target_vendor = "apple"))]
fn pipe_cloexec() -> nix::Result<(OwnedFd, OwnedFd)> {
    unistd::pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)
}

/// Darwin has no `pipe2`. A child that another thread forks between the calls inherits the pipe.
#[cfg(target_vendor = "apple")]
fn pipe_cloexec() -> nix::Result<(OwnedFd, OwnedFd)> {
    use nix::fcntl::{FcntlArg, FdFlag, fcntl};
    let (read, write) = unistd::pipe()?;
    for end in [&read, &write] {
        fcntl(end, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        fcntl(end, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    }
    Ok((read, write))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    fn readable(notifier: &Notifier) -> bool {
        let mut fds = [PollFd::new(notifier.descriptor().unwrap(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::ZERO).unwrap() == 1
    }

    fn check(notifier: &Notifier) {
        assert!(!readable(notifier));
        for _ in 0..100_000 {
            notifier.notify();
        }
        assert!(readable(notifier));
        notifier.drain();
        assert!(!readable(notifier));
    }

    #[test]
    fn an_interrupted_call_is_repeated() {
        let mut results = [Err(Errno::EINTR), Err(Errno::EINTR), Ok(1), Ok(2)].into_iter();
        assert_eq!(uninterrupted(|| results.next().unwrap()), Ok(1));
        assert_eq!(uninterrupted(|| Err::<(), _>(Errno::EAGAIN)), Err(Errno::EAGAIN));
    }

    #[test]
    fn a_notifier_is_readable_until_it_is_drained() {
        check(&Notifier::new().unwrap());
    }

    #[test]
    fn a_full_pipe_is_readable_until_it_is_drained() {
        check(&Notifier::pipe().unwrap());
    }
}
