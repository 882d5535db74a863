//! epoll: one system call for each change and one for each wait. With `EPOLL_USE_CHANGELIST`, changes are deferred
//! until the wait.

mod operation;

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll as Kernel, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use operation::{Operation, operation};

use super::changelist::{Changelist, Pending, Verdict};
use super::method::{Method, MethodWaiter};
use super::{Applied, Change, Internal, Readiness};
use crate::config::Config;
use crate::error::Error;
use crate::flags::{BaseFlags, Features, What};
use crate::log::{LogMessage, Severity, report};
use crate::sys::fd::with_fd;
use crate::sys::fork;
use crate::sys::pwait2::epoll_pwait2;
use crate::time::Nanos;

const NAME_WITH_CHANGELIST: &str = "epoll (with changelist)";

/// The size of the buffer for results, in events: at first, and at most.
const FIRST_ROOM: usize = 256;
const MOST_ROOM: usize = 4096;

/// The last deadline of the timer, 68 years after the system has started: a `time_t` of 32 bits holds no later one.
const MOST_DEADLINE: Nanos = i32::MAX as Nanos * 1_000_000_000;

/// Set once the kernel (before Linux 5.11) or a sandbox refused `epoll_pwait2`, which is not called again then.
static PWAIT2_REFUSED: AtomicBool = AtomicBool::new(false);

/// The backend.
#[derive(Debug)]
pub(crate) struct Epoll {
    kernel: Arc<Kernel>,
    /// The waiter of the next wait; `None` while a wait is in progress.
    waiter: Option<EpollWaiter>,
    /// Opened when a host first requests the descriptor.
    timer: Option<TimerFd>,
    /// The [generation](fork::generation) of the process that opened `kernel`.
    process: u32,
    /// The deferred changes, in a base that defers them.
    changes: Option<Changelist>,
    /// Tokens of registrations whose deferred change the kernel refused.
    lost: Vec<u64>,
}

/// The waiter.
#[derive(Debug)]
pub(crate) struct EpollWaiter {
    kernel: Arc<Kernel>,
    events: Vec<EpollEvent>,
    found: usize,
}

impl Method for Epoll {
    const NAME: &'static str = "epoll";
    const FEATURES: Features = Features::ET.union(Features::O1).union(Features::EARLY_CLOSE);

    type Waiter = EpollWaiter;

    fn open(config: &Config) -> Result<Self, Error> {
        let with_changelist = config.flags.contains(BaseFlags::EPOLL_USE_CHANGELIST)
            || config.is_set("EVENT_EPOLL_USE_CHANGELIST");
        Ok(Epoll {
            kernel: Arc::new(create()?),
            waiter: None,
            timer: None,
            process: fork::generation(),
            changes: with_changelist.then(Changelist::default),
            lost: Vec::new(),
        })
    }

    fn name(&self) -> &'static str {
        if self.changes.is_some() { NAME_WITH_CHANGELIST } else { Self::NAME }
    }

    fn has_exclusive(&self) -> bool {
        true
    }

    fn descriptor(&self) -> Option<RawFd> {
        Some(self.kernel.0.as_raw_fd())
    }

    fn change(&mut self, change: &Change) -> Result<Applied, Error> {
        if self.process != fork::generation() {
            return Err(Error::Forked);
        }
        let Some(changes) = &mut self.changes else { return apply(&self.kernel, change) };
        let verdict = if change.exclusive { Verdict::Now(*change) } else { changes.offer(change) };
        let Verdict::Now(change) = verdict else { return Ok(Applied::Done) };
        let applied = apply(&self.kernel, &change)?;
        changes.note(change.fd, if applied == Applied::Gone { What::empty() } else { change.wanted() });
        Ok(applied)
    }

    #[inline]
    fn flush(&mut self) -> bool {
        if self.changes.is_some() {
            self.apply_deferred();
        }
        false
    }

    #[inline]
    fn take_lost(&mut self) -> Option<u64> {
        self.lost.pop()
    }

    #[inline]
    fn start_wait(&mut self) -> EpollWaiter {
        self.waiter.take().unwrap_or_else(|| EpollWaiter {
            kernel: Arc::clone(&self.kernel),
            events: vec![EpollEvent::empty(); FIRST_ROOM],
            found: 0,
        })
    }

    #[inline]
    fn finish_wait(&mut self, mut waiter: EpollWaiter) {
        if !Arc::ptr_eq(&waiter.kernel, &self.kernel) {
            return;
        }
        if waiter.is_full() && waiter.events.len() < MOST_ROOM {
            waiter.events.resize(waiter.events.len() * 2, EpollEvent::empty());
        }
        waiter.found = 0;
        self.waiter = Some(waiter);
    }

    fn watch_internal(&mut self, fd: BorrowedFd<'_>, internal: Internal) -> Result<(), Error> {
        match self.kernel.add(fd, internal_event(internal)) {
            Ok(()) | Err(Errno::EEXIST) => Ok(()),
            Err(errno) => Err(Error::system(errno, "epoll_ctl", Some(fd.as_raw_fd()))),
        }
    }

    fn unwatch_internal(&mut self, fd: BorrowedFd<'_>) {
        _ = self.kernel.delete(fd);
    }

    fn owns(&self, fd: RawFd) -> bool {
        self.timer.as_ref().is_some_and(|timer| timer.as_fd().as_raw_fd() == fd)
    }

    fn open_timer(&mut self) -> Result<(), Error> {
        if self.timer.is_none() {
            let failed = |errno| Error::system(errno, "timerfd_create", None);
            let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
            let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags).map_err(failed)?;
            self.watch_internal(timer.as_fd(), Internal::Timer)?;
            self.timer = Some(timer);
        }
        Ok(())
    }

    fn arm_timer(&mut self, deadline: Option<Nanos>) -> Result<(), Error> {
        let Some(timer) = &self.timer else { return Ok(()) };
        match deadline {
            None => timer.unset(),
            // The deadline 0 would disarm the timer: timerfd_settime(2).
            Some(deadline) => timer.set(
                Expiration::OneShot(TimeSpec::from(Duration::from_nanos(deadline.clamp(1, MOST_DEADLINE)))),
                TimerSetTimeFlags::TFD_TIMER_ABSTIME,
            ),
        }
        .map_err(|errno| Error::system(errno, "timerfd_settime", None))
    }

    fn renew(&mut self) -> Result<(), Error> {
        self.replace_kernel()?;
        if let Some(timer) = &self.timer {
            self.kernel
                .add(timer.as_fd(), internal_event(Internal::Timer))
                .map_err(|errno| Error::system(errno, "epoll_ctl", None))?;
        }
        Ok(())
    }

    fn renew_after_fork(&mut self) -> Result<(), Error> {
        self.replace_kernel()?;
        self.timer = None;
        self.process = fork::generation();
        Ok(())
    }
}

impl Epoll {
    fn apply_deferred(&mut self) {
        // In a forked child they are changes of the parent's epoll instance.
        let is_ours = self.process == fork::generation();
        let Some(changes) = self.changes.as_mut().filter(|_| is_ours) else { return };
        while let Some(Pending { change, reborn }) = changes.take() {
            let mut result = apply(&self.kernel, &change);
            if reborn && result == Ok(Applied::Gone) {
                // The descriptor was closed, and its number is another file by now.
                let afresh = Change { registered: What::empty(), add: change.wanted(), ..change };
                result = apply(&self.kernel, &Change { remove: What::empty(), ..afresh });
            }
            let is_registered = result == Ok(Applied::Done);
            changes.note(change.fd, if is_registered { change.wanted() } else { What::empty() });
            if !is_registered && !change.wanted().is_empty() {
                // The old registration must not stay: its readiness would match no event.
                _ = with_fd(change.fd, |fd| self.kernel.delete(fd));
                self.lost.push(change.token);
            }
        }
    }

    /// Replaces the epoll instance, and forgets what was registered with it or deferred for it.
    fn replace_kernel(&mut self) -> Result<(), Error> {
        let fresh = create()?;
        self.waiter = None;
        match Arc::get_mut(&mut self.kernel) {
            Some(kernel) => replace(kernel, &fresh)?,
            // The waiter of a wait in progress, or of one that a fork lost, holds the other reference.
            None => self.kernel = Arc::new(fresh),
        }
        if let Some(changes) = &mut self.changes {
            changes.clear();
        }
        self.lost.clear();
        Ok(())
    }
}

impl MethodWaiter for EpollWaiter {
    const SYSCALL: &'static str = "epoll_wait";

    fn wait_once(&mut self, timeout: Option<Duration>) -> nix::Result<()> {
        self.found = 0;
        self.found = self.call(timeout)?;
        Ok(())
    }

    #[inline]
    fn len(&self) -> usize {
        self.found
    }

    #[inline]
    fn get(&self, index: usize) -> Readiness {
        let event = &self.events[index];
        Readiness { token: event.data(), what: to_what(event.events()) }
    }

    #[inline]
    fn is_full(&self) -> bool {
        self.found == self.events.len()
    }
}

impl EpollWaiter {
    fn call(&mut self, timeout: Option<Duration>) -> nix::Result<usize> {
        if timeout != Some(Duration::ZERO) && !PWAIT2_REFUSED.load(Ordering::Relaxed) {
            match epoll_pwait2(&self.kernel.0, &mut self.events, timeout) {
                Err(Errno::ENOSYS | Errno::EPERM) => {
                    // The lock is not held here: only a wait with the timeout zero is made under it.
                    if !PWAIT2_REFUSED.swap(true, Ordering::Relaxed) {
                        let text = "epoll_pwait2 is refused; waits are rounded up to milliseconds";
                        let method = Some(Epoll::NAME);
                        report(&LogMessage { severity: Severity::Debug, text, base: None, method });
                    }
                }
                result => return result,
            }
        }
        self.kernel.wait(&mut self.events, to_milliseconds(timeout))
    }
}

/// Makes one change, and translates the outcome.
fn apply(kernel: &Kernel, change: &Change) -> Result<Applied, Error> {
    let fd = change.fd;
    let result = with_fd(fd, |borrowed| match operation(change) {
        Operation::None => Ok(()),
        Operation::Add(interests) => match add(kernel, borrowed, interests, change) {
            // This file was registered under this number before, and a duplicate kept it open when the number was
            // closed, so that the kernel kept the registration: epoll(7), "Will closing a file descriptor cause it
            // to be removed from all epoll interest lists?".
            Err(Errno::EEXIST) => modify(kernel, borrowed, interests, change),
            result => result,
        },
        Operation::Modify(interests) => modify(kernel, borrowed, interests, change),
        Operation::Delete => kernel.delete(borrowed),
    });
    match (operation(change), result) {
        (_, Ok(())) => Ok(Applied::Done),
        // Deleted to be replaced, and not added again.
        (Operation::Modify(_), Err(Errno::ENOMEM | Errno::ENOSPC)) if change.exclusive => Ok(Applied::Gone),
        // EBADF: closed. ENOENT: closed, and open again as another file. EPERM: as a file that epoll refuses.
        (Operation::Delete | Operation::Modify(_), Err(Errno::ENOENT | Errno::EBADF | Errno::EPERM)) => {
            Ok(Applied::Gone)
        }
        (_, Err(errno)) => Err(Error::system(errno, "epoll_ctl", Some(fd))),
    }
}

fn add(kernel: &Kernel, fd: BorrowedFd<'_>, interests: What, change: &Change) -> nix::Result<()> {
    match kernel.add(fd, event(interests, change)) {
        // An epoll instance cannot be registered exclusively: epoll_ctl(2).
        Err(Errno::EINVAL) if change.exclusive => {
            kernel.add(fd, event(interests, &Change { exclusive: false, ..*change }))
        }
        result => result,
    }
}

fn modify(kernel: &Kernel, fd: BorrowedFd<'_>, interests: What, change: &Change) -> nix::Result<()> {
    match kernel.modify(fd, &mut event(interests, change)) {
        // EPOLL_CTL_MOD is refused if the old or the new registration is exclusive: epoll_ctl(2).
        Err(Errno::EINVAL) => {
            kernel.delete(fd)?;
            add(kernel, fd, interests, change)
        }
        result => result,
    }
}

fn event(interests: What, change: &Change) -> EpollEvent {
    EpollEvent::new(to_epoll(interests, change), change.token)
}

fn create() -> Result<Kernel, Error> {
    Kernel::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(|errno| Error::system(errno, "epoll_create1", None))
}

/// Replaces `kernel` by `fresh` under the same descriptor number, which a host may watch. Closes this process's
/// descriptor of the old instance.
fn replace(kernel: &mut Kernel, fresh: &Kernel) -> Result<(), Error> {
    nix::unistd::dup3(&fresh.0, &mut kernel.0, nix::fcntl::OFlag::O_CLOEXEC)
        .map_err(|errno| Error::system(errno, "dup3", None))
}

/// Edge-triggered, so that the descriptor need not be read after it was reported.
fn internal_event(internal: Internal) -> EpollEvent {
    EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, internal.token())
}

/// Rounds up, because a wait that ends early has to be repeated. The longest wait is 24 days.
fn to_milliseconds(timeout: Option<Duration>) -> EpollTimeout {
    let Some(timeout) = timeout else { return EpollTimeout::NONE };
    let milliseconds = timeout.as_nanos().div_ceil(1_000_000);
    EpollTimeout::try_from(i32::try_from(milliseconds).unwrap_or(i32::MAX)).unwrap_or(EpollTimeout::MAX)
}

fn to_epoll(interests: What, change: &Change) -> EpollFlags {
    let mut flags = EpollFlags::empty();
    flags.set(EpollFlags::EPOLLIN, interests.contains(What::READ));
    flags.set(EpollFlags::EPOLLOUT, interests.contains(What::WRITE));
    flags.set(EpollFlags::EPOLLRDHUP, interests.contains(What::CLOSED));
    flags.set(EpollFlags::EPOLLET, change.edge);
    // Linux before 4.5 ignores this bit.
    flags.set(EpollFlags::EPOLLEXCLUSIVE, change.exclusive);
    flags
}

/// The readiness that the kernel's bits mean.
///
/// An error, and a hang-up of both directions, are reported to every interest. libevent reports them to READ and WRITE
/// only, so that an event for CLOSED alone makes its loop spin.
#[inline]
fn to_what(flags: EpollFlags) -> What {
    let is_hang_up = flags.contains(EpollFlags::EPOLLHUP) && !flags.contains(EpollFlags::EPOLLRDHUP);
    if is_hang_up || flags.contains(EpollFlags::EPOLLERR) {
        return What::IO | What::ET;
    }
    let mut what = What::ET;
    what.set(What::READ, flags.contains(EpollFlags::EPOLLIN));
    what.set(What::WRITE, flags.contains(EpollFlags::EPOLLOUT));
    what.set(What::CLOSED, flags.contains(EpollFlags::EPOLLRDHUP));
    what
}
