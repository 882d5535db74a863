//! Ending another thread's wait.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd;

use crate::error::Error;

/// A descriptor that becomes readable when [`notify`](Self::notify) is called.
#[derive(Debug)]
pub(crate) enum Notifier {
    /// Linux's counter: one descriptor, nothing to buffer.
    #[cfg(linux_kernel)]
    EventFd(nix::sys::eventfd::EventFd),
    /// A kqueue's own: no descriptor at all.
    #[cfg(has_kqueue)]
    User(super::kqueue::UserFilter),
    /// Where there is no eventfd, or a sandbox refuses it.
    Pipe {
        /// The end the loop waits on.
        read: OwnedFd,
        /// The end that is written.
        write: OwnedFd,
    },
    /// In a model, which has no kernel.
    #[cfg(event_base_model)]
    Bell(std::sync::Arc<crate::sync::Bell>),
}

impl Notifier {
    /// An eventfd where the kernel gives one, else a pipe.
    ///
    /// # Errors
    /// [`Error::System`] of `pipe2`, `EMFILE` or `ENFILE` as a rule.
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

    /// The fallback by itself.
    pub(crate) fn pipe() -> Result<Self, Error> {
        let (read, write) = pipe_cloexec().map_err(|errno| Error::system(errno, "pipe2", None))?;
        Ok(Notifier::Pipe { read, write })
    }

    /// Makes the descriptor readable. Any thread.
    pub(crate) fn notify(&self) {
        // A full pipe or a saturated counter is readable already; that is all a notification says.
        match self {
            #[cfg(linux_kernel)]
            Notifier::EventFd(event_fd) => _ = event_fd.write(1),
            #[cfg(has_kqueue)]
            Notifier::User(filter) => filter.trigger(),
            #[cfg(event_base_model)]
            Notifier::Bell(bell) => bell.ring(),
            Notifier::Pipe { write, .. } => while unistd::write(write, &[1]) == Err(Errno::EINTR) {},
        }
    }

    /// What [`notify`](Self::notify) writes eight bytes to, for a signal handler, which may do nothing else.
    pub(crate) fn handler_fd(&self) -> RawFd {
        match self {
            #[cfg(linux_kernel)]
            Notifier::EventFd(event_fd) => event_fd.as_fd().as_raw_fd(),
            // The kqueue tells of signals itself: no handler asks.
            #[cfg(has_kqueue)]
            Notifier::User(_) => -1,
            // In a model no signal arrives.
            #[cfg(event_base_model)]
            Notifier::Bell(_) => -1,
            Notifier::Pipe { write, .. } => write.as_raw_fd(),
        }
    }

    /// Whether any number of notifications fit, so that none has to be taken back to make room.
    pub(crate) fn is_counter(&self) -> bool {
        !matches!(self, Notifier::Pipe { .. })
    }

    /// Takes back what [`notify`](Self::notify) wrote, for a backend that would report it again.
    pub(crate) fn drain(&self) {
        match self {
            #[cfg(linux_kernel)]
            Notifier::EventFd(event_fd) => _ = event_fd.read(),
            // Silent by itself.
            #[cfg(has_kqueue)]
            Notifier::User(_) => {}
            #[cfg(event_base_model)]
            Notifier::Bell(_) => {}
            Notifier::Pipe { read, .. } => {
                let mut buffer = [0; 64];
                while let Ok(1..) | Err(Errno::EINTR) = unistd::read(read, &mut buffer) {}
            }
        }
    }
}

impl Notifier {
    /// Puts what it keeps in the kernel's object there again, after that was replaced.
    ///
    /// # Errors
    /// [`Error::System`] of `kevent`.
    pub(crate) fn install(&self) -> Result<(), Error> {
        match self {
            #[cfg(linux_kernel)]
            Notifier::EventFd(_) => Ok(()),
            #[cfg(has_kqueue)]
            Notifier::User(filter) => filter.install().map_err(|errno| Error::system(errno, "kevent", None)),
            #[cfg(event_base_model)]
            Notifier::Bell(_) => Ok(()),
            Notifier::Pipe { .. } => Ok(()),
        }
    }

    /// The descriptor that becomes readable, if it takes one.
    pub(crate) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        match self {
            #[cfg(linux_kernel)]
            Notifier::EventFd(event_fd) => Some(event_fd.as_fd()),
            #[cfg(has_kqueue)]
            Notifier::User(_) => None,
            #[cfg(event_base_model)]
            Notifier::Bell(bell) => Some(bell.as_fd()),
            Notifier::Pipe { read, .. } => Some(read.as_fd()),
        }
    }
}

#[cfg(not(target_vendor = "apple"))]
fn pipe_cloexec() -> nix::Result<(OwnedFd, OwnedFd)> {
    unistd::pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)
}

/// Darwin has no `pipe2`; a fork between the two calls inherits the pipe.
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
    fn the_best_kind_is_readable_until_drained() {
        check(&Notifier::new().unwrap());
    }

    #[test]
    fn the_pipe_is_readable_until_drained_even_when_full() {
        check(&Notifier::pipe().unwrap());
    }
}
