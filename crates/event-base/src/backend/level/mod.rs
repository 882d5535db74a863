//! poll and select: level-triggered, and told everything anew in each wait.
//!
//! Ground rules:
//! - What is registered is a [`Set`] in this process. The waiter owns it while a wait is under way, so nothing
//!   is copied for a wait; changes made meanwhile are kept aside and made when it comes back, and the loop is
//!   woken for them.
//! - The kernel keeps nothing, so it cannot say whether a registration still stands. The file's
//!   [identity](identity) does, for which each change costs an `fstat`.
//! - A descriptor found closed by a wait is lost: see [`Backend::take_lost`](super::Backend::take_lost).
//! - Nothing is edge-triggered. Events that ask for it are told as long as they are ready.

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

use super::{Applied, Change, Internal, Readiness};
use crate::error::Error;
use crate::flags::{Features, What};
use crate::time::Nanos;

/// What a wait found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) ready: Vec<Readiness>,
    /// Descriptors that are closed, with their tokens.
    pub(crate) lost: Vec<(RawFd, u64)>,
}

/// The descriptors of a wait, in the form in which a system call takes them.
pub(crate) trait Set: Default + fmt::Debug + Send {
    const NAME: &'static str;
    const SYSCALL: &'static str;
    const FEATURES: Features;

    /// Whether the system call can be told of this descriptor at all.
    fn accept(_: RawFd) -> nix::Result<()> {
        Ok(())
    }

    /// Makes the interests in a descriptor what they are to be; none takes it out.
    fn update(&mut self, fd: RawFd, interests: What, token: u64);

    /// Adds what it finds to `found`.
    fn wait(&mut self, timeout: Option<Duration>, found: &mut Found) -> nix::Result<()>;
}

/// A change made while the set was away.
#[derive(Clone, Copy, Debug)]
struct Update {
    fd: RawFd,
    interests: What,
    token: u64,
}

/// The backend.
#[derive(Debug)]
pub(crate) struct Level<S> {
    /// Out while a wait is under way.
    waiter: Option<Box<LevelWaiter<S>>>,
    /// What the waiter has yet to hear of.
    updates: Vec<Update>,
    identities: Identities,
    /// Tokens of registrations whose descriptor is closed.
    lost: Vec<u64>,
    host: Option<HostWatch>,
    /// Counts how often everything was dropped, so that a waiter of before is not taken back.
    age: u32,
}

/// A wait under way.
#[derive(Debug)]
pub(crate) struct LevelWaiter<S> {
    set: S,
    found: Found,
    age: u32,
}

impl<S: Set> Level<S> {
    pub(super) fn new() -> Result<Self, Error> {
        Ok(Level {
            waiter: Some(Box::new(LevelWaiter { set: S::default(), found: Found::default(), age: 0 })),
            updates: Vec::new(),
            identities: Identities::default(),
            lost: Vec::new(),
            host: None,
            age: 0,
        })
    }

    pub(super) fn name(&self) -> &'static str {
        S::NAME
    }

    pub(super) fn features(&self) -> Features {
        S::FEATURES
    }

    /// There is no kernel object that a host could watch.
    pub(super) fn descriptor(&self) -> Option<RawFd> {
        None
    }

    pub(super) fn change(&mut self, change: &Change) -> Result<Applied, Error> {
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

    /// Level-triggered: who watches has to take back what made the descriptor readable. The host's, which is
    /// not ours to read, is watched through something that is edge-triggered.
    pub(super) fn watch_internal(&mut self, fd: BorrowedFd<'_>, internal: Internal) -> Result<(), Error> {
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

    /// Without effect on a descriptor that is not watched.
    pub(super) fn unwatch_internal(&mut self, fd: BorrowedFd<'_>) {
        if self.host.as_ref().is_some_and(|host| host.watches(fd)) {
            self.unwatch_host();
        } else {
            self.update(fd.as_raw_fd(), What::empty(), 0);
        }
    }

    fn unwatch_host(&mut self) {
        if let Some(host) = self.host.take() {
            self.update(host.number(), What::empty(), 0);
        }
    }

    /// Whether a wait is under way that does not know of every change.
    pub(super) fn is_behind(&self) -> bool {
        !self.updates.is_empty()
    }

    pub(super) fn take_lost(&mut self) -> Option<u64> {
        self.lost.pop()
    }

    pub(super) fn start_wait(&mut self) -> Box<LevelWaiter<S>> {
        let fresh = || Box::new(LevelWaiter { set: S::default(), found: Found::default(), age: self.age });
        self.waiter.take().unwrap_or_else(fresh)
    }

    pub(super) fn finish_wait(&mut self, mut waiter: Box<LevelWaiter<S>>) {
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
                // Somebody closed one of the base's own. Nothing can be told of it any more.
                Some(_) => waiter.set.update(fd, What::empty(), 0),
            }
        }
        waiter.found.ready.clear();
        self.waiter = Some(waiter);
    }

    /// The end of a wait is kept by its timeout: whoever drives the base from outside waits with a waiter.
    pub(super) fn open_timer(&mut self) -> Result<(), Error> {
        Ok(())
    }

    pub(super) fn arm_timer(&mut self, _: Option<Nanos>) -> Result<(), Error> {
        Ok(())
    }

    pub(super) fn renew(&mut self) -> Result<(), Error> {
        self.age = self.age.wrapping_add(1);
        self.waiter = None;
        let fresh = self.start_wait();
        self.waiter = Some(fresh);
        self.updates.clear();
        self.identities.clear();
        self.lost.clear();
        self.host = None;
        Ok(())
    }

    /// There is nothing in the kernel that a child would share.
    pub(super) fn renew_after_fork(&mut self) -> Result<(), Error> {
        self.renew()
    }
}

impl<S: Set> LevelWaiter<S> {
    pub(super) fn wait(&mut self, timeout: Option<Duration>) -> Result<(), Error> {
        self.found.ready.clear();
        self.found.lost.clear();
        match self.set.wait(timeout, &mut self.found) {
            Ok(()) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(Error::system(errno, S::SYSCALL, None)),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.found.ready.len()
    }

    pub(super) fn get(&self, index: usize) -> Readiness {
        self.found.ready[index]
    }
}
