//! epoll, with a system call for each change and one for each wait; or with a list of changes, which are made
//! before the wait.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll as Kernel, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use super::changelist::{Changelist, Pending, Verdict};
use super::operation::{Operation, operation};
use super::{Applied, Change, Internal, Readiness};
use crate::error::Error;
use crate::flags::{Features, What};
use crate::log::{LogMessage, Severity, report};
use crate::sys::fd::with_fd;
use crate::sys::fork;
use crate::sys::pwait2::epoll_pwait2;
use crate::time::Nanos;

pub(super) const NAME: &str = "epoll";
const NAME_WITH_CHANGELIST: &str = "epoll (with changelist)";
pub(super) const FEATURES: Features = Features::ET.union(Features::O1).union(Features::EARLY_CLOSE);

/// Room for the first wait, and what it may grow to.
const FIRST_ROOM: usize = 256;
const MOST_ROOM: usize = 4096;

/// Set once the kernel, or the sandbox around it, refused `epoll_pwait2`; it will not change its mind.
static PWAIT2_REFUSED: AtomicBool = AtomicBool::new(false);

/// The backend.
#[derive(Debug)]
pub(crate) struct Epoll {
    kernel: Arc<Kernel>,
    /// What the next wait needs; out while one is under way.
    waiter: Option<EpollWaiter>,
    /// Made when a host first asks for the descriptor, so that none need be had later.
    timer: Option<TimerFd>,
    /// The process that the kernel's object is of.
    process: u32,
    /// Changes that were put off, in a base that does so.
    changes: Option<Changelist>,
    /// Tokens of registrations that the kernel refused when it was told of them late.
    lost: Vec<u64>,
}

/// A wait under way.
#[derive(Debug)]
pub(crate) struct EpollWaiter {
    kernel: Arc<Kernel>,
    events: Vec<EpollEvent>,
    found: usize,
}

impl Epoll {
    pub(super) fn new(with_changelist: bool) -> Result<Self, Error> {
        let changes = with_changelist.then(Changelist::default);
        Ok(Epoll {
            kernel: Arc::new(open()?),
            waiter: None,
            timer: None,
            changes,
            lost: Vec::new(),
            process: fork::generation(),
        })
    }

    pub(super) fn name(&self) -> &'static str {
        if self.changes.is_some() { NAME_WITH_CHANGELIST } else { NAME }
    }

    pub(super) fn features(&self) -> Features {
        FEATURES
    }

    pub(super) fn descriptor(&self) -> Option<RawFd> {
        Some(self.kernel.0.as_raw_fd())
    }

    pub(super) fn change(&mut self, change: &Change) -> Result<Applied, Error> {
        if self.process != fork::generation() {
            return Err(Error::Forked);
        }
        let Some(changes) = &mut self.changes else { return apply(&self.kernel, change) };
        let Verdict::Now(change) = changes.offer(change) else { return Ok(Applied::Done) };
        let applied = apply(&self.kernel, &change)?;
        changes.note(change.fd, if applied == Applied::Gone { What::empty() } else { change.wanted() });
        Ok(applied)
    }

    /// Makes the changes that were put off.
    pub(super) fn flush(&mut self) {
        let Some(changes) = &mut self.changes else { return };
        // They are the parent's to be told.
        if self.process != fork::generation() {
            return;
        }
        while let Some(Pending { change, reborn }) = changes.take() {
            let mut result = apply(&self.kernel, &change);
            if reborn && result == Ok(Applied::Gone) {
                // Closed, and opened as another file.
                let afresh = Change { registered: What::empty(), add: change.wanted(), ..change };
                result = apply(&self.kernel, &Change { remove: What::empty(), ..afresh });
            }
            let has_it = result == Ok(Applied::Done);
            changes.note(change.fd, if has_it { change.wanted() } else { What::empty() });
            if !has_it && !change.wanted().is_empty() {
                // Not to be left as it was: nobody would hear of it there.
                _ = with_fd(change.fd, |fd| self.kernel.delete(fd));
                self.lost.push(change.token);
            }
        }
    }

    pub(super) fn take_lost(&mut self) -> Option<u64> {
        self.lost.pop()
    }

    pub(super) fn watch_internal(&mut self, fd: BorrowedFd<'_>, internal: Internal) -> Result<(), Error> {
        // Edge-triggered, so that nothing has to be read to silence it.
        let event = EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, internal.token());
        match self.kernel.add(fd, event) {
            Ok(()) | Err(Errno::EEXIST) => Ok(()),
            Err(errno) => Err(Error::system(errno, "epoll_ctl", Some(fd.as_raw_fd()))),
        }
    }

    /// Without effect on a descriptor that is not watched.
    pub(super) fn unwatch_internal(&mut self, fd: BorrowedFd<'_>) {
        _ = self.kernel.delete(fd);
    }

    pub(super) fn start_wait(&mut self) -> EpollWaiter {
        self.waiter.take().unwrap_or_else(|| EpollWaiter {
            kernel: Arc::clone(&self.kernel),
            events: vec![EpollEvent::empty(); FIRST_ROOM],
            found: 0,
        })
    }

    pub(super) fn finish_wait(&mut self, mut waiter: EpollWaiter) {
        if waiter.is_full() && waiter.events.len() < MOST_ROOM {
            waiter.events.resize(waiter.events.len() * 2, EpollEvent::empty());
        }
        self.waiter = Some(waiter);
    }

    pub(super) fn open_timer(&mut self) -> Result<(), Error> {
        if self.timer.is_none() {
            let failed = |syscall| move |errno| Error::system(errno, syscall, None);
            let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
            let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags).map_err(failed("timerfd_create"))?;
            self.watch_internal(timer.as_fd(), Internal::Timer)?;
            self.timer = Some(timer);
        }
        Ok(())
    }

    pub(super) fn arm_timer(&mut self, deadline: Option<Nanos>) -> Result<(), Error> {
        let Some(timer) = &self.timer else { return Ok(()) };
        match deadline {
            None => timer.unset(),
            // The deadline 0 would disarm it.
            Some(deadline) => timer.set(
                Expiration::OneShot(TimeSpec::from(Duration::from_nanos(deadline.max(1)))),
                TimerSetTimeFlags::TFD_TIMER_ABSTIME,
            ),
        }
        .map_err(|errno| Error::system(errno, "timerfd_settime", None))
    }

    pub(super) fn renew(&mut self) -> Result<(), Error> {
        let fresh = open()?;
        self.waiter = None;
        // No waiter is out: the thread that waits is the one that asks for this.
        let kernel = Arc::get_mut(&mut self.kernel).ok_or(Error::Reentrant)?;
        // The number stays, so that a host which watches it need not be told another one.
        nix::unistd::dup3(&fresh.0, &mut kernel.0, nix::fcntl::OFlag::O_CLOEXEC)
            .map_err(|errno| Error::system(errno, "dup3", None))?;
        if let Some(changes) = &mut self.changes {
            changes.clear();
        }
        self.lost.clear();
        if let Some(timer) = &self.timer {
            let event = EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, Internal::Timer.token());
            self.kernel.add(timer.as_fd(), event).map_err(|errno| Error::system(errno, "epoll_ctl", None))?;
        }
        Ok(())
    }

    pub(super) fn renew_after_fork(&mut self) -> Result<(), Error> {
        let fresh = open()?;
        self.waiter = None;
        self.timer = None;
        match Arc::get_mut(&mut self.kernel) {
            // Closes this process's descriptor of the parent's object, and nothing else.
            Some(kernel) => nix::unistd::dup3(&fresh.0, &mut kernel.0, nix::fcntl::OFlag::O_CLOEXEC)
                .map_err(|errno| Error::system(errno, "dup3", None))?,
            // A thread waited, which is not in this process to give its waiter back.
            None => self.kernel = Arc::new(fresh),
        }
        if let Some(changes) = &mut self.changes {
            changes.clear();
        }
        self.lost.clear();
        self.process = fork::generation();
        Ok(())
    }
}

impl EpollWaiter {
    pub(super) fn len(&self) -> usize {
        self.found
    }

    pub(super) fn is_full(&self) -> bool {
        self.found == self.events.len()
    }

    pub(super) fn get(&self, index: usize) -> Readiness {
        let event = &self.events[index];
        Readiness { token: event.data(), what: epoll_to_interests(event.events()) }
    }

    pub(super) fn wait(&mut self, timeout: Option<Duration>) -> Result<(), Error> {
        self.found = match self.wait_once(timeout) {
            Ok(found) => found,
            Err(Errno::EINTR) => 0,
            Err(errno) => return Err(Error::system(errno, "epoll_wait", None)),
        };
        Ok(())
    }

    fn wait_once(&mut self, timeout: Option<Duration>) -> nix::Result<usize> {
        let at_once = timeout == Some(Duration::ZERO);
        if !at_once && !PWAIT2_REFUSED.load(Ordering::Relaxed) {
            match epoll_pwait2(&self.kernel.0, &mut self.events, timeout) {
                Err(Errno::ENOSYS | Errno::EPERM) => {
                    // Not under a lock: a look, which may be, does not come here.
                    if !PWAIT2_REFUSED.swap(true, Ordering::Relaxed) {
                        let text = "epoll_pwait2 is refused; waits are rounded up to milliseconds";
                        let method = Some(NAME);
                        report(&LogMessage { severity: Severity::Debug, text, base: None, method });
                    }
                }
                result => return result,
            }
        }
        self.kernel.wait(&mut self.events, to_milliseconds(timeout))
    }
}

/// Makes a change, and finds out what it came to.
fn apply(kernel: &Kernel, change: &Change) -> Result<Applied, Error> {
    let fd = change.fd;
    let event = |interests| EpollEvent::new(interests_to_epoll(interests, change.edge), change.token);
    let result = with_fd(fd, |borrowed| match operation(change) {
        Operation::None => Ok(()),
        Operation::Add(interests) => match kernel.add(borrowed, event(interests)) {
            // The same file was registered under this number before, and lives on through a duplicate:
            // closing the number did not remove it (see epoll(7), Q6).
            Err(Errno::EEXIST) => kernel.modify(borrowed, &mut event(interests)),
            result => result,
        },
        Operation::Modify(interests) => kernel.modify(borrowed, &mut event(interests)),
        Operation::Delete => kernel.delete(borrowed),
    });
    match (operation(change), result) {
        (_, Ok(())) => Ok(Applied::Done),
        // Closed, closed and opened again as another file, or as one that epoll refuses.
        (Operation::Delete, Err(Errno::ENOENT | Errno::EBADF | Errno::EPERM)) => Ok(Applied::Gone),
        (Operation::Modify(_), Err(Errno::ENOENT | Errno::EBADF | Errno::EPERM)) => Ok(Applied::Gone),
        (_, Err(errno)) => Err(Error::system(errno, "epoll_ctl", Some(fd))),
    }
}

fn open() -> Result<Kernel, Error> {
    Kernel::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(|errno| Error::system(errno, "epoll_create1", None))
}

/// Rounded up, as a wait that ends early would only have to be begun again; a longest wait of 24 days.
fn to_milliseconds(timeout: Option<Duration>) -> EpollTimeout {
    let Some(timeout) = timeout else { return EpollTimeout::NONE };
    let milliseconds = timeout.as_nanos().div_ceil(1_000_000);
    EpollTimeout::try_from(i32::try_from(milliseconds).unwrap_or(i32::MAX)).unwrap_or(EpollTimeout::MAX)
}

fn interests_to_epoll(interests: What, edge: bool) -> EpollFlags {
    let mut flags = EpollFlags::empty();
    flags.set(EpollFlags::EPOLLIN, interests.contains(What::READ));
    flags.set(EpollFlags::EPOLLOUT, interests.contains(What::WRITE));
    flags.set(EpollFlags::EPOLLRDHUP, interests.contains(What::CLOSED));
    flags.set(EpollFlags::EPOLLET, edge);
    flags
}

/// What the kernel's bits mean to events.
///
/// libevent shows an error to readers and writers only, so that an event that waits for CLOSED alone spins
/// without ever being told. Here an error, and a hang-up of both sides, reach every interest.
fn epoll_to_interests(flags: EpollFlags) -> What {
    if flags.contains(EpollFlags::EPOLLERR) {
        return What::IO | What::ET;
    }
    if flags.contains(EpollFlags::EPOLLHUP) && !flags.contains(EpollFlags::EPOLLRDHUP) {
        return What::IO | What::ET;
    }
    let mut what = What::ET;
    what.set(What::READ, flags.contains(EpollFlags::EPOLLIN));
    what.set(What::WRITE, flags.contains(EpollFlags::EPOLLOUT));
    what.set(What::CLOSED, flags.contains(EpollFlags::EPOLLRDHUP));
    what
}
