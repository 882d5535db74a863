//! poll and select: level-triggered, with the whole set of descriptors passed to each wait.
//!
//! - The registrations are a [`Set`] in this process. The waiter owns it while a wait is in progress, so a wait copies
//!   nothing. Changes made meanwhile are queued until the wait is finished, and wake the loop.
//! - The kernel keeps no registrations, so it cannot report that the registered file was closed. The file's
//!   [`identity`] shows it instead, at the cost of an `fstat` for each change.
//! - A descriptor that a wait finds closed is lost: see [`Method::take_lost`].
//! - Nothing is edge-triggered. Events with ET are reported for as long as they are ready.

mod host;
mod identity;
mod poll;
mod select;

use std::fmt;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

use nix::errno::Errno;

use host::HostWatch;
use identity::{Identities, Identity};
pub(crate) use poll::PollSet;
pub(crate) use select::SelectSet;

use super::method::{Method, MethodWaiter};
use super::{Applied, Change, Internal, Readiness};
use crate::config::Config;
use crate::error::Error;
use crate::flags::{Features, What};

/// What a wait found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) ready: Vec<Readiness>,
    /// Descriptors that are closed, with their tokens.
    pub(crate) lost: Vec<(RawFd, u64)>,
}

/// The registered descriptors, in the form that the system call takes.
pub(crate) trait Set: Default + fmt::Debug + Send {
    const NAME: &'static str;
    const SYSCALL: &'static str;
    const FEATURES: Features;

    /// Whether the system call can take this descriptor.
    fn accept(_: RawFd) -> nix::Result<()> {
        Ok(())
    }

    /// Sets the interests in a descriptor; an empty set removes it.
    fn update(&mut self, fd: RawFd, interests: What, token: u64);

    /// Waits, and adds what it finds to `found`; adds nothing if it fails.
    fn wait(&mut self, timeout: Option<Duration>, found: &mut Found) -> nix::Result<()>;
}

/// A change made while a wait was in progress.
#[derive(Clone, Copy, Debug)]
struct Update {
    fd: RawFd,
    interests: What,
    token: u64,
}

/// The backend.
#[derive(Debug)]
pub(crate) struct Level<S> {
    /// `None` while a wait is in progress.
    waiter: Option<Box<LevelWaiter<S>>>,
    /// Changes that the waiter's set does not have yet.
    updates: Vec<Update>,
    identities: Identities,
    /// Tokens of registrations whose descriptor is closed.
    lost: Vec<u64>,
    host: Option<HostWatch>,
    /// Counts the calls of `renew`, to detect a waiter that was started before.
    age: u32,
}

/// The waiter. Boxed, because a waiter is moved twice in every pass and this one is large.
#[derive(Debug)]
pub(crate) struct LevelWaiter<S> {
    set: S,
    found: Found,
    age: u32,
}

impl<S: Set> Method for Level<S> {
    const NAME: &'static str = S::NAME;
    const FEATURES: Features = S::FEATURES;

    type Waiter = Box<LevelWaiter<S>>;

    fn open(_: &Config) -> Result<Self, Error> {
        Ok(Level {
            waiter: Some(LevelWaiter::new(0)),
            updates: Vec::new(),
            identities: Identities::default(),
            lost: Vec::new(),
            host: None,
            age: 0,
        })
    }

    fn change(&mut self, change: &Change) -> Result<Applied, Error> {
        let Change { fd, registered, token, .. } = *change;
        let wanted = change.wanted();
        if wanted.is_empty() {
            self.drop_registration(fd);
            return Ok(Applied::Done);
        }
        let refused = |syscall| move |errno| Error::system(errno, syscall, Some(fd));
        S::accept(fd).map_err(refused(S::SYSCALL))?;
        let identity = match Identity::of(fd) {
            Err(Errno::EBADF) if !registered.is_empty() => None,
            result => Some(result.map_err(refused("fstat"))?),
        };
        let Some(identity) =
            identity.filter(|identity| registered.is_empty() || self.identities.get(fd) == Some(*identity))
        else {
            self.drop_registration(fd);
            return Ok(Applied::Gone);
        };
        self.identities.set(fd, identity);
        self.update(fd, wanted, token);
        Ok(Applied::Done)
    }

    /// Updates are queued only while a wait is in progress, which must end for them.
    #[inline]
    fn flush(&mut self) -> bool {
        !self.updates.is_empty()
    }

    #[inline]
    fn take_lost(&mut self) -> Option<u64> {
        self.lost.pop()
    }

    fn start_wait(&mut self) -> Box<LevelWaiter<S>> {
        self.waiter.take().unwrap_or_else(|| LevelWaiter::new(self.age))
    }

    fn finish_wait(&mut self, mut waiter: Box<LevelWaiter<S>>) {
        if waiter.age != self.age {
            return;
        }
        for Update { fd, interests, token } in self.updates.drain(..) {
            waiter.set.update(fd, interests, token);
        }
        if let Some(host) = &self.host {
            let token = Internal::Host.token();
            if waiter.found.ready.iter().any(|readiness| readiness.token == token) {
                host.take_edge();
            }
        }
        for (fd, token) in waiter.found.lost.drain(..) {
            match Internal::of(token) {
                None => self.lost.push(token),
                // User code closed a descriptor of the base itself. It cannot become ready again.
                Some(_) => waiter.set.update(fd, What::empty(), 0),
            }
        }
        waiter.found.ready.clear();
        self.waiter = Some(waiter);
    }

    /// A descriptor of the base stays ready until it is read. The engine must not read the host's descriptor, so a
    /// [`HostWatch`] watches it, and the set watches that object.
    fn watch_internal(&mut self, fd: BorrowedFd<'_>, internal: Internal) -> Result<(), Error> {
        let mut number = fd.as_raw_fd();
        if internal == Internal::Host {
            let watch = HostWatch::over(fd)?;
            number = watch.number();
            self.unwatch_host();
            self.host = Some(watch);
        }
        S::accept(number).map_err(|errno| Error::system(errno, S::SYSCALL, Some(number)))?;
        self.update(number, What::READ, internal.token());
        Ok(())
    }

    fn unwatch_internal(&mut self, fd: BorrowedFd<'_>) {
        if self.host.as_ref().is_some_and(|host| host.watches(fd)) {
            self.unwatch_host();
        } else {
            self.update(fd.as_raw_fd(), What::empty(), 0);
        }
    }

    fn owns(&self, fd: RawFd) -> bool {
        self.host.as_ref().is_some_and(|host| host.number() == fd)
    }

    fn renew(&mut self) -> Result<(), Error> {
        self.age = self.age.wrapping_add(1);
        self.waiter = Some(LevelWaiter::new(self.age));
        self.updates.clear();
        self.identities.clear();
        self.lost.clear();
        self.host = None;
        Ok(())
    }
}

impl<S: Set> Level<S> {
    fn drop_registration(&mut self, fd: RawFd) {
        self.identities.forget(fd);
        self.update(fd, What::empty(), 0);
    }

    fn update(&mut self, fd: RawFd, interests: What, token: u64) {
        match &mut self.waiter {
            Some(waiter) => waiter.set.update(fd, interests, token),
            None => self.updates.push(Update { fd, interests, token }),
        }
    }

    fn unwatch_host(&mut self) {
        if let Some(host) = self.host.take() {
            self.update(host.number(), What::empty(), 0);
        }
    }
}

impl<S: Set> LevelWaiter<S> {
    fn new(age: u32) -> Box<Self> {
        Box::new(LevelWaiter { set: S::default(), found: Found::default(), age })
    }
}

impl<S: Set> MethodWaiter for Box<LevelWaiter<S>> {
    const SYSCALL: &'static str = S::SYSCALL;

    fn wait_once(&mut self, timeout: Option<Duration>) -> nix::Result<()> {
        let LevelWaiter { set, found, .. } = &mut **self;
        found.ready.clear();
        found.lost.clear();
        set.wait(timeout, found)
    }

    fn len(&self) -> usize {
        self.found.ready.len()
    }

    fn get(&self, index: usize) -> Readiness {
        self.found.ready[index]
    }
}
