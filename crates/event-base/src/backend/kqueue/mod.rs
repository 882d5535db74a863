//! kqueue: one kernel filter for reading and one for writing, each with a registration of its own (kqueue(2)).
//!
//! - The interest CLOSED has no filter. `EVFILT_READ` reports the peer's close with `EV_EOF`, whether or not bytes are
//!   left to be read, hence [`Features::EARLY_CLOSE`].
//! - Bytes must not wake the loop for a registration with CLOSED but without READ, because no event reads them. Its
//!   filter sets `NOTE_LOWAT` to more bytes than a descriptor can hold, which not every kind of file supports, and
//!   `EV_CLEAR`, so that bytes wake the loop at most once when they arrive. `EV_EOF` is then reported once as well;
//!   [`repeat_closed`](Kqueue::repeat_closed) adds the filter again so that the next wait reports it too.
//! - A change whose outcome the caller needs is made immediately. The others are deferred until the flush before a
//!   wait, which makes all of them in one system call. A change that is refused then is
//!   [lost](super::method::Method::take_lost).
//! - Every change sets `EV_RECEIPT`, so that the call returns one receipt for each change and no events.
//! - A filter is confirmed with `EV_ENABLE`, which unlike `EV_ADD` fails if the filter does not exist.

mod apply;
mod signals;
mod steps;
mod waiter;

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;

use apply::Batch;
use waiter::KqueueWaiter;

use super::changelist::{Changelist, Verdict};
use super::method::Method;
use super::{Applied, Change, Internal};
use crate::config::Config;
use crate::error::Error;
use crate::flags::Features;
use crate::sys::fork;
use crate::sys::kqueue::{Kevent, Kqueue as Kernel, UserFilter, abi};
use crate::sys::notify::Notifier;
use crate::time::{Clock, Nanos, SystemClock};

/// The backend.
#[derive(Debug)]
pub(crate) struct Kqueue {
    kernel: Arc<Kernel>,
    /// The waiter of the next wait; `None` while a wait is in progress.
    waiter: Option<KqueueWaiter>,
    /// Level-triggered registrations for CLOSED without READ, with their tokens.
    closers: BTreeMap<RawFd, u64>,
    /// Pipes without a reader, whose `EVFILT_WRITE` the kernel refuses.
    broken: BTreeSet<RawFd>,
    has_timer: bool,
    changes: Changelist,
    batch: Batch,
    /// Tokens of registrations whose deferred change the kernel refused.
    lost: Vec<u64>,
    /// The [generation](fork::generation) of the process that opened `kernel`: a child does not inherit a kqueue.
    process: u32,
}

impl Method for Kqueue {
    const NAME: &'static str = "kqueue";
    const FEATURES: Features =
        Features::ET.union(Features::O1).union(Features::FDS).union(Features::EARLY_CLOSE);

    type Waiter = KqueueWaiter;

    fn open(_: &Config) -> Result<Self, Error> {
        Ok(Kqueue {
            kernel: Arc::new(create()?),
            waiter: None,
            closers: BTreeMap::new(),
            broken: BTreeSet::new(),
            has_timer: false,
            changes: Changelist::default(),
            batch: Batch::default(),
            lost: Vec::new(),
            process: fork::generation(),
        })
    }

    fn descriptor(&self) -> Option<RawFd> {
        abi::IS_POLLABLE.then(|| self.kernel.number())
    }

    fn change(&mut self, change: &Change) -> Result<Applied, Error> {
        if !self.is_ours() {
            return Err(Error::Forked);
        }
        match self.changes.offer(change) {
            Verdict::Queued => Ok(Applied::Done),
            Verdict::Now(change) => self.apply(&change),
        }
    }

    #[inline]
    fn flush(&mut self) -> bool {
        if !self.changes.is_empty() {
            self.apply_deferred();
        }
        false
    }

    #[inline]
    fn take_lost(&mut self) -> Option<u64> {
        self.lost.pop()
    }

    fn start_wait(&mut self) -> KqueueWaiter {
        self.waiter.take().unwrap_or_else(|| KqueueWaiter::new(Arc::clone(&self.kernel)))
    }

    fn finish_wait(&mut self, mut waiter: KqueueWaiter) {
        if !waiter.waits_on(&self.kernel) {
            return;
        }
        if !self.closers.is_empty() {
            self.repeat_closed(waiter.found());
        }
        waiter.reset();
        self.waiter = Some(waiter);
    }

    /// Edge-triggered, so that the descriptor need not be read after it was reported.
    fn watch_internal(&mut self, fd: BorrowedFd<'_>, internal: Internal) -> Result<(), Error> {
        let record = Kevent::new(fd.as_raw_fd() as usize, abi::EVFILT_READ, internal.token());
        self.kernel
            .one(record.with_flags(abi::EV_ADD | abi::EV_CLEAR))
            .map_err(|errno| Error::system(errno, "kevent", Some(fd.as_raw_fd())))
    }

    fn unwatch_internal(&mut self, fd: BorrowedFd<'_>) {
        let record = Kevent::new(fd.as_raw_fd() as usize, abi::EVFILT_READ, 0);
        _ = self.kernel.one(record.with_flags(abi::EV_DELETE));
    }

    /// A filter of the kind `EVFILT_USER`, which needs no descriptor. `None` if the kernel refuses it.
    fn open_notifier(&mut self) -> Option<Notifier> {
        UserFilter::new(Arc::clone(&self.kernel), Internal::Notifier.token()).ok().map(Notifier::User)
    }

    fn reports_signals(&self) -> bool {
        true
    }

    fn watch_signal(&mut self, number: i32) -> Result<(), Error> {
        signals::watch(&self.kernel, number)
    }

    fn unwatch_signal(&mut self, number: i32) {
        signals::unwatch(&self.kernel, number);
    }

    fn open_timer(&mut self) -> Result<(), Error> {
        self.has_timer = true;
        Ok(())
    }

    fn arm_timer(&mut self, deadline: Option<Nanos>) -> Result<(), Error> {
        if !self.has_timer {
            return Ok(());
        }
        let timer = Kevent::new(0, abi::EVFILT_TIMER, Internal::Timer.token());
        // Not every kernel changes the time of a timer that exists. A timer that fired does not exist (EV_ONESHOT).
        _ = self.kernel.one(timer.with_flags(abi::EV_DELETE));
        let Some(deadline) = deadline else { return Ok(()) };
        let from_now = deadline.saturating_sub(SystemClock.monotonic()).max(1);
        let from_now = isize::try_from(from_now).unwrap_or(isize::MAX);
        let timer = timer.with_flags(abi::EV_ADD | abi::EV_ONESHOT).with_note(abi::TIMER_FLAGS, from_now);
        self.kernel.one(timer).map_err(|errno| Error::system(errno, "kevent", None))
    }

    fn renew(&mut self) -> Result<(), Error> {
        let fresh = create()?;
        self.waiter = None;
        self.kernel.replace(fresh).map_err(|errno| Error::system(errno, "dup2", None))?;
        self.closers.clear();
        self.broken.clear();
        self.changes.clear();
        self.lost.clear();
        Ok(())
    }

    fn renew_after_fork(&mut self) -> Result<(), Error> {
        if self.waiter.is_none() && Arc::get_mut(&mut self.kernel).is_none() {
            // The waiter of a thread that does not exist in this process holds the other reference.
            self.kernel = Arc::new(create()?);
        }
        self.renew()?;
        self.process = fork::generation();
        Ok(())
    }
}

impl Kqueue {
    fn is_ours(&self) -> bool {
        self.process == fork::generation()
    }
}

fn create() -> Result<Kernel, Error> {
    Kernel::new().map_err(|errno| Error::system(errno, "kqueue", None))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    use super::*;
    use crate::backend::Readiness;
    use crate::backend::method::MethodWaiter;
    use crate::flags::What;

    const SHORT: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(20);

    fn open() -> Kqueue {
        Kqueue::open(&Config::new()).unwrap()
    }

    fn wait(backend: &mut Kqueue, timeout: Duration) -> Vec<Readiness> {
        assert!(!backend.flush());
        let mut waiter = backend.start_wait();
        waiter.wait(Some(timeout)).unwrap();
        let found = (0..waiter.len()).map(|index| waiter.get(index)).collect();
        backend.finish_wait(waiter);
        found
    }

    #[test]
    fn the_timer_fires_once_and_not_early() {
        let mut backend = open();
        backend.open_timer().unwrap();
        let start = SystemClock.monotonic();
        backend.arm_timer(Some(start + 3_600_000_000_000)).unwrap();
        backend.arm_timer(Some(start + 20_000_000)).unwrap();
        let found = wait(&mut backend, LONG);
        assert!(SystemClock.monotonic() >= start + 20_000_000);
        assert_eq!(found.len(), 1);
        assert_eq!(Internal::of(found[0].token), Some(Internal::Timer));
        assert_eq!(wait(&mut backend, SHORT), []);
        backend.arm_timer(Some(start)).unwrap();
        assert_eq!(wait(&mut backend, LONG).len(), 1);
        backend.arm_timer(Some(SystemClock.monotonic() + 10_000_000)).unwrap();
        backend.arm_timer(None).unwrap();
        assert_eq!(wait(&mut backend, SHORT), []);
    }

    #[test]
    fn closed_alone_is_reported_by_every_wait_and_bytes_do_not_keep_the_loop_awake() {
        let mut backend = open();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let fd = ours.as_raw_fd();
        let add = Change {
            fd,
            registered: What::empty(),
            add: What::CLOSED,
            remove: What::empty(),
            edge: false,
            exclusive: false,
            token: 7,
        };
        assert_eq!(backend.change(&add), Ok(Applied::Done));
        theirs.write_all(b"unread").unwrap();
        wait(&mut backend, SHORT);
        assert_eq!(wait(&mut backend, SHORT), []);
        drop(theirs);
        for _ in 0..3 {
            let found = wait(&mut backend, LONG);
            assert_eq!(found.len(), 1);
            assert!(found[0].token == 7 && found[0].what.contains(What::CLOSED));
        }
        let delete = Change { registered: What::CLOSED, add: What::empty(), remove: What::CLOSED, ..add };
        assert_eq!(backend.change(&delete), Ok(Applied::Done));
        assert_eq!(wait(&mut backend, SHORT), []);
    }

    fn change(fd: RawFd, registered: What, add: What, remove: What, token: u64) -> Change {
        Change { fd, registered, add, remove, edge: false, exclusive: false, token }
    }

    #[test]
    fn deferred_changes_are_made_by_the_flush() {
        let mut backend = open();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let fd = ours.as_raw_fd();
        let none = What::empty();
        assert_eq!(backend.change(&change(fd, none, What::READ, none, 1)), Ok(Applied::Done));
        // Deleted and added again, then with another interest: one change.
        assert_eq!(backend.change(&change(fd, What::READ, none, What::READ, 1)), Ok(Applied::Done));
        assert_eq!(backend.change(&change(fd, none, What::READ, none, 2)), Ok(Applied::Done));
        assert_eq!(backend.change(&change(fd, What::READ, What::WRITE, none, 2)), Ok(Applied::Done));
        theirs.write_all(b"x").unwrap();
        let found = wait(&mut backend, LONG);
        let both = What::READ | What::WRITE | What::ET;
        assert_eq!(found, [Readiness { token: 2, what: both }]);
        assert_eq!(backend.take_lost(), None);
    }

    /// `NOTE_FILE_POLL` requests it. Darwin has no such flag.
    #[cfg(target_os = "freebsd")]
    #[test]
    fn a_regular_file_at_its_end_is_readable() {
        let mut backend = open();
        let file = std::fs::File::open(std::env::current_exe().unwrap()).unwrap();
        nix::unistd::lseek(&file, 0, nix::unistd::Whence::SeekEnd).unwrap();
        let none = What::empty();
        let add = change(file.as_raw_fd(), none, What::READ, none, 1);
        assert_eq!(backend.change(&add), Ok(Applied::Done));
        for _ in 0..2 {
            assert_eq!(wait(&mut backend, LONG), [Readiness { token: 1, what: What::READ | What::ET }]);
        }
    }

    #[test]
    fn a_deferred_change_of_a_closed_descriptor_is_lost() {
        let mut backend = open();
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let fd = nix::fcntl::fcntl(&ours, nix::fcntl::FcntlArg::F_DUPFD_CLOEXEC(600)).unwrap();
        let none = What::empty();
        assert_eq!(backend.change(&change(fd, none, What::READ, none, 1)), Ok(Applied::Done));
        assert_eq!(backend.change(&change(fd, What::READ, none, What::READ, 1)), Ok(Applied::Done));
        assert_eq!(backend.change(&change(fd, none, What::READ, none, 2)), Ok(Applied::Done));
        nix::unistd::close(fd).unwrap();
        assert!(!backend.flush());
        assert_eq!(backend.take_lost(), Some(2));
        assert_eq!(backend.take_lost(), None);
    }

    #[test]
    fn any_number_of_notifications_ends_one_wait() {
        let mut backend = open();
        let notifier = backend.open_notifier().unwrap();
        assert!(notifier.descriptor().is_none());
        for _ in 0..3 {
            notifier.notify();
        }
        let found = wait(&mut backend, LONG);
        assert_eq!(found.len(), 1);
        assert_eq!(Internal::of(found[0].token), Some(Internal::Notifier));
        assert_eq!(wait(&mut backend, SHORT), []);
        backend.renew().unwrap();
        notifier.install().unwrap();
        notifier.notify();
        assert_eq!(wait(&mut backend, LONG).len(), 1);
    }
}
