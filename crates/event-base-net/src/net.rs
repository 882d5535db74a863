//! The listeners, connects and relays of one base, and their completions.

use std::collections::VecDeque;
use std::fmt;
use std::os::fd::OwnedFd;
use std::time::Duration;

use event_base::{Base, Error, EventId, EventSpec, Ready, What};

use crate::accept::{Admission, ListenOptions, ListenRefused, Listener, Step, Unlimited};
use crate::address::Address;
use crate::completion::Completion;
use crate::connect::{ConnectRequest, Connecting, Outcome};
use crate::failure::Result;
use crate::relay::{
    EndReason, Lingering, Pools, Relay, RelayEnd, RelayOptions, RelayRefused, RelayStats, Verdict, WindDown,
};
use crate::socket::ConnectOptions;
use crate::source::{Role, SourceKey, Sources};

/// The `data` of the event that belongs to no source. The generation in the tag of a source is never 0.
const WAKE: u64 = 1;

#[derive(Debug)]
enum Source {
    Listener(Listener),
    Connecting(Connecting),
    // Boxed: relays are several times the size of the others.
    Relay(Box<Relay>),
    Lingering(Box<Lingering>),
}

#[derive(Debug)]
enum Pending {
    Done(Completion),
    /// The listener may accept the rest of its batch.
    Accepting(SourceKey),
}

/// The listeners, connects and relays of one base.
///
/// It belongs to the thread that runs the base's loop. Dropping it closes everything it owns, without a
/// completion.
pub struct Net {
    base: Base,
    sources: Sources<Source>,
    pools: Pools,
    pending: VecDeque<Pending>,
    /// Makes the loop run a pass for completions that no descriptor reports.
    wake: Option<EventId>,
}

impl fmt::Debug for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Net")
            .field("sources", &self.sources)
            .field("pending", &self.pending)
            .finish_non_exhaustive()
    }
}

impl Net {
    /// A net without sources on `base`.
    #[must_use]
    pub fn new(base: Base) -> Self {
        Net { base, sources: Sources::new(), pools: Pools::new(), pending: VecDeque::new(), wake: None }
    }

    /// Accepts on `fd`, a listening socket, which is made non-blocking.
    ///
    /// Each connection is a [`Completion::Accepted`], at most `options.batch` per pass of the loop. While the system
    /// lacks descriptors, memory or registrations, the listener pauses by itself for 10 ms to 1 s and tries again.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for a batch of 0, [`Error::Closed`], or a system error for a descriptor that cannot be
    /// watched. `fd` is closed then.
    pub fn listen(&mut self, fd: OwnedFd, options: ListenOptions) -> Result<SourceKey> {
        self.listen_or_return(fd, options).map_err(|refused| refused.error)
    }

    /// As [`listen`](Self::listen), but returns the descriptor if it fails.
    ///
    /// # Errors
    /// A [`ListenRefused`] with an error of [`listen`](Self::listen).
    pub fn listen_or_return(
        &mut self,
        fd: OwnedFd,
        options: ListenOptions,
    ) -> std::result::Result<SourceKey, ListenRefused> {
        if let Err(error) = crate::socket::set_nonblocking(&fd, true) {
            return Err(ListenRefused { error, fd });
        }
        let key = match self.sources.vacant() {
            Ok(key) => key,
            Err(error) => return Err(ListenRefused { error, fd }),
        };
        let listener = Listener::new(&self.base, key, fd, options)?;
        self.sources.occupy(key, Source::Listener(listener));
        Ok(key)
    }

    /// Connects to `address` within `timeout`. Without a timeout the kernel's own limit applies (minutes).
    ///
    /// The outcome is a [`Completion::Connected`], never before the loop runs.
    ///
    /// # Errors
    /// Those of [`socket::connect`](crate::socket::connect), or [`Error::Closed`].
    pub fn connect(&mut self, address: &Address, timeout: Option<Duration>) -> Result<SourceKey> {
        self.connect_with(address, timeout, &ConnectOptions::default())
    }

    /// As [`connect`](Self::connect), from a given local address.
    ///
    /// # Errors
    /// Those of [`connect`](Self::connect), and of
    /// [`socket::connect_with`](crate::socket::connect_with).
    pub fn connect_with(
        &mut self,
        address: &Address,
        timeout: Option<Duration>,
        options: &ConnectOptions,
    ) -> Result<SourceKey> {
        let addresses = std::slice::from_ref(address);
        self.connect_request(&ConnectRequest { timeout, options: *options, ..ConnectRequest::new(addresses) })
    }

    /// Connects to the one of several addresses that answers first (RFC 8305).
    ///
    /// The outcome is a [`Completion::Connected`], or a [`Completion::ConnectAbandoned`] for a request with a
    /// client, never before the loop runs.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] without an address, [`Error::Closed`], and for a single address those of
    /// [`connect_with`](Self::connect_with). If there are several addresses and all of them are refused immediately,
    /// a completion reports the failures.
    pub fn connect_request(&mut self, request: &ConnectRequest<'_>) -> Result<SourceKey> {
        let base = &self.base;
        let key = self.sources.insert(|key| Ok(Source::Connecting(Connecting::new(base, key, request)?)))?;
        if let Some(Source::Connecting(connecting)) = self.sources.get(key)
            && connecting.is_over()
        {
            let failure = Outcome::Failed(connecting.first_failure());
            self.end_connect(key, failure);
            self.wake()?;
        }
        Ok(key)
    }

    /// Moves bytes between `a` and `b`, in both directions, until both have ended.
    ///
    /// Both descriptors are made non-blocking and, for TCP, get `TCP_NODELAY`, so that a piece that one peer sent is
    /// not delayed on its way to the other. The connect of a descriptor may still be in progress, as
    /// [`socket::connect`](crate::socket::connect) returns it. The result is a [`Completion::RelayEnded`].
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for a rate or burst of 0, [`Error::Closed`] for a closed base or group,
    /// [`Error::BadFlags`] for a descriptor that edge-triggered events are registered for, or a system error for a
    /// descriptor that cannot be watched (`EPERM` for a regular file). Both descriptors are closed then.
    pub fn relay(&mut self, a: OwnedFd, b: OwnedFd, options: RelayOptions) -> Result<SourceKey> {
        self.relay_or_return(a, b, options).map_err(|refused| refused.error)
    }

    /// As [`relay`](Self::relay), but closes the descriptors only if it fails with a system error.
    ///
    /// # Errors
    /// A [`RelayRefused`] with an error of [`relay`](Self::relay), and the descriptors that were not closed.
    pub fn relay_or_return(
        &mut self,
        a: OwnedFd,
        b: OwnedFd,
        options: RelayOptions,
    ) -> std::result::Result<SourceKey, RelayRefused> {
        let mut descriptors = None;
        self.start_relay(a, b, options, false, &mut descriptors)
            .map_err(|error| RelayRefused { error, descriptors })
    }

    /// As [`relay`](Self::relay), for descriptors that this net accepted and connected itself. Their mode and state are
    /// known, which saves four system calls.
    pub(crate) fn relay_own(&mut self, a: OwnedFd, b: OwnedFd, options: RelayOptions) -> Result<SourceKey> {
        self.start_relay(a, b, options, true, &mut None)
    }

    fn start_relay(
        &mut self,
        a: OwnedFd,
        b: OwnedFd,
        options: RelayOptions,
        known: bool,
        returned: &mut Option<[OwnedFd; 2]>,
    ) -> Result<SourceKey> {
        let (base, pools) = (&self.base, &mut self.pools);
        let mut verdict = None;
        let key = self.sources.insert(|key| {
            let relay;
            (relay, verdict) = Relay::new(base, key, pools, [a, b], options, known, returned)?;
            Ok(Source::Relay(Box::new(relay)))
        })?;
        if verdict.is_some() {
            self.wind_down(key, verdict);
            self.wake()?;
        }
        Ok(key)
    }

    /// Handles an event of the base whose `data` is not 0. Events of sources that have ended are ignored.
    ///
    /// Call [`completion`](Self::completion) afterwards until it returns `None`.
    pub fn ready(&mut self, ready: &Ready) {
        let Some((key, role)) = Role::of(ready.data) else { return };
        match self.sources.get_mut(key) {
            None => {}
            Some(Source::Listener(listener)) => {
                let may_accept = listener.ready(role);
                if may_accept {
                    self.pending.push_back(Pending::Accepting(key));
                }
            }
            Some(Source::Connecting(connecting)) => {
                if let Some(outcome) = connecting.ready(&self.base, role, ready) {
                    self.end_connect(key, outcome);
                }
            }
            Some(Source::Relay(relay)) => {
                let verdict = relay.ready(&self.base, &mut self.pools, role, ready.what);
                self.wind_down(key, verdict);
            }
            Some(Source::Lingering(lingering)) => {
                let is_over = lingering.ready(&self.base, &mut self.pools);
                if is_over {
                    self.end_relay(key, EndReason::Error);
                }
            }
        }
    }

    /// The next completion, in order.
    ///
    /// Connections are accepted here, one per call, so that a listener can be paused or closed between two of them and
    /// no accepted connection is left over.
    pub fn completion(&mut self) -> Option<Completion> {
        self.completion_within(&Unlimited)
    }

    /// As [`completion`](Self::completion). A listener pauses where `admission` has no place for a connection.
    pub(crate) fn completion_within(&mut self, admission: &impl Admission) -> Option<Completion> {
        while let Some(pending) = self.pending.pop_front() {
            let key = match pending {
                Pending::Done(completion) => return Some(completion),
                Pending::Accepting(key) => key,
            };
            let Some(Source::Listener(listener)) = self.sources.get_mut(key) else { continue };
            match listener.step(&self.base, admission) {
                Step::Accepted(fd, peer) => {
                    self.pending.push_front(Pending::Accepting(key));
                    return Some(Completion::Accepted { key, fd, peer });
                }
                Step::Shortage(Some((error, pause))) => {
                    return Some(Completion::AcceptFailed { key, error, retry_after: Some(pause) });
                }
                Step::Over | Step::Shortage(None) => {}
                Step::Dead(error) => self.listener_died(key, error),
            }
        }
        None
    }

    /// Whether [`completion`](Self::completion) may return one.
    #[must_use]
    pub fn has_completion(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Makes a listener stop accepting; connections wait in the kernel's queue. Makes a relay stop reading both
    /// descriptors; it still writes what it has read, its idle timeout is suspended, and the peers are slowed by their
    /// own transport. Idempotent.
    ///
    /// # Errors
    /// [`Error::Closed`] if no listener and no relay has this key, or the base is closed; a system error if a peer of
    /// the relay cannot be watched for a reset.
    pub fn pause(&mut self, key: SourceKey) -> Result<()> {
        match self.sources.get_mut(key) {
            Some(Source::Listener(listener)) => listener.pause(&self.base),
            Some(Source::Relay(relay)) => relay.pause(&self.base),
            Some(Source::Lingering(_)) => Ok(()),
            _ => Err(Error::Closed),
        }
    }

    /// Makes a paused listener accept again, and a paused relay read again. Idempotent. A listener for which the system
    /// lacks memory or registrations tries again by itself, as during a shortage.
    ///
    /// # Errors
    /// [`Error::Closed`] if no listener and no relay has this key, or the base is closed; a system error if the
    /// descriptor cannot be watched.
    pub fn resume(&mut self, key: SourceKey) -> Result<()> {
        match self.sources.get_mut(key) {
            Some(Source::Listener(listener)) => listener.resume(&self.base),
            Some(Source::Relay(relay)) => relay.resume(&self.base),
            Some(Source::Lingering(_)) => Ok(()),
            _ => Err(Error::Closed),
        }
    }

    /// Ends a source and closes what it owns.
    ///
    /// The completion of a relay, with [`EndReason::Closed`], follows in the next pass of the loop. A relay that has
    /// failed already and only waits for its peers keeps its own reason. A listener and a connect report no further
    /// completion: a completion of the connect that was not taken yet is dropped, and its connection is closed.
    ///
    /// # Errors
    /// [`Error::Closed`] if no source has this key, for example because it has ended.
    pub fn close(&mut self, key: SourceKey) -> Result<()> {
        match self.sources.get(key) {
            None => return self.forget_connected(key),
            Some(Source::Relay(_) | Source::Lingering(_)) => {
                self.end_relay(key, EndReason::Closed);
                return self.wake();
            }
            Some(_) => {}
        }
        match self.sources.remove(key) {
            Some(Source::Listener(listener)) => drop(listener.close(&self.base)),
            Some(Source::Connecting(connecting)) => drop(connecting.close(&self.base)),
            _ => {}
        }
        Ok(())
    }

    /// The statistics of a relay.
    ///
    /// # Errors
    /// [`Error::Closed`] if no relay has this key.
    pub fn stats(&self, key: SourceKey) -> Result<RelayStats> {
        match self.sources.get(key) {
            Some(Source::Relay(relay)) => Ok(relay.stats(&self.base)),
            Some(Source::Lingering(lingering)) => Ok(lingering.stats(&self.base)),
            _ => Err(Error::Closed),
        }
    }

    /// Drops the completion of a connect, which closes its connection.
    fn forget_connected(&mut self, key: SourceKey) -> Result<()> {
        let found = self.pending.iter().position(|pending| {
            let Pending::Done(completion) = pending else { return false };
            matches!(
                completion,
                Completion::Connected { key: of, .. } | Completion::ConnectAbandoned { key: of } if *of == key
            )
        });
        found.and_then(|index| self.pending.remove(index)).map(drop).ok_or(Error::Closed)
    }

    /// The bytes that a relay has moved so far, from its first descriptor and from its second.
    pub(crate) fn moved(&self, key: SourceKey) -> Option<[u64; 2]> {
        match self.sources.get(key) {
            Some(Source::Relay(relay)) => Some(relay.moved()),
            Some(Source::Lingering(lingering)) => Some(lingering.moved()),
            _ => None,
        }
    }

    #[cfg(test)]
    pub(crate) fn relay_of(&self, key: SourceKey) -> Option<&Relay> {
        match self.sources.get(key) {
            Some(Source::Relay(relay)) => Some(relay),
            _ => None,
        }
    }

    fn listener_died(&mut self, key: SourceKey, error: Error) {
        if let Some(Source::Listener(listener)) = self.sources.remove(key) {
            listener.close(&self.base);
        }
        self.pending.push_back(Pending::Done(Completion::AcceptFailed { key, error, retry_after: None }));
    }

    fn end_connect(&mut self, key: SourceKey, outcome: Outcome) {
        let Some(Source::Connecting(connecting)) = self.sources.remove(key) else { return };
        let failures = connecting.close(&self.base);
        let completion = match outcome {
            Outcome::Connected(fd, address) => {
                Completion::Connected { key, result: Ok(fd), address, failures }
            }
            Outcome::Failed(error) => Completion::Connected { key, result: Err(error), address: 0, failures },
            Outcome::Abandoned => Completion::ConnectAbandoned { key },
        };
        self.pending.push_back(Pending::Done(completion));
    }

    /// Ends a relay for the reason in `verdict`, now or once its peers have received what was sent to them.
    fn wind_down(&mut self, key: SourceKey, verdict: Verdict) {
        let Some((reason, error)) = verdict else { return };
        let (base, pools) = (&self.base, &mut self.pools);
        let mut ended = None;
        self.sources.change(key, |source| match source {
            Source::Relay(relay) => match relay.wind_down(base, pools, reason, error) {
                WindDown::Ended(end) => {
                    ended = Some(end);
                    None
                }
                WindDown::Lingers(lingering) => Some(Source::Lingering(lingering)),
            },
            other => Some(other),
        });
        self.relay_ended(key, ended);
    }

    /// Ends a relay immediately. One that lingers keeps its own reason.
    fn end_relay(&mut self, key: SourceKey, reason: EndReason) {
        let end = match self.sources.remove(key) {
            Some(Source::Relay(relay)) => relay.end(&self.base, &mut self.pools, reason, None),
            Some(Source::Lingering(lingering)) => lingering.end(&self.base),
            _ => return,
        };
        self.relay_ended(key, Some(end));
    }

    fn relay_ended(&mut self, key: SourceKey, end: Option<RelayEnd>) {
        if let Some(end) = end {
            self.pending.push_back(Pending::Done(Completion::RelayEnded { key, end }));
        }
    }

    fn wake(&mut self) -> Result<()> {
        let event = match self.wake {
            Some(event) => event,
            None => *self.wake.insert(self.base.create(EventSpec::user().data(WAKE))?),
        };
        self.base.activate(event, What::READ).map(drop)
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        if let Some(event) = self.wake {
            let _ = self.base.free(event);
        }
        for source in self.sources.drain() {
            match source {
                Source::Listener(listener) => drop(listener.close(&self.base)),
                Source::Connecting(connecting) => drop(connecting.close(&self.base)),
                Source::Relay(relay) => {
                    relay.end(&self.base, &mut self.pools, EndReason::Closed, None);
                }
                Source::Lingering(lingering) => {
                    lingering.end(&self.base);
                }
            }
        }
    }
}
