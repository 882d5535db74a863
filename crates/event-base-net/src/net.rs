//! The sources of one base and what they tell.

use std::collections::VecDeque;
use std::fmt;
use std::os::fd::OwnedFd;
use std::time::Duration;

use event_base::{Base, Error, EventId, EventSpec, Ready, What};

use crate::accept::{ListenOptions, Listener, Step};
use crate::address::Address;
use crate::completion::Completion;
use crate::connect::{ConnectRequest, Connecting, Outcome};
use crate::failure::Result;
use crate::relay::{
    EndReason, Lingering, Pools, Relay, RelayEnd, RelayOptions, RelayStats, Verdict, WindDown,
};
use crate::socket::ConnectOptions;
use crate::source::{Role, SourceKey, Sources};

/// The `data` of the one event that belongs to no source. No source's tag has a generation of 0.
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
    /// The listener is in the middle of a batch.
    Accepting(SourceKey),
}

/// The listeners, connects and relays of one base.
///
/// It is used on the thread that runs the base's loop. Dropping it closes whatever it owns, without a
/// completion.
pub struct Net {
    base: Base,
    sources: Sources<Source>,
    pools: Pools,
    pending: VecDeque<Pending>,
    /// Brings the loop round for completions that no descriptor announces.
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
    /// No sources, on `base`.
    #[must_use]
    pub fn new(base: Base) -> Self {
        Net { base, sources: Sources::new(), pools: Pools::new(), pending: VecDeque::new(), wake: None }
    }

    /// Accepts on `fd`, a listening socket, which is made non-blocking.
    ///
    /// Connections come as [`Completion::Accepted`], at most `options.batch` per pass of the loop. Where
    /// descriptors or memory run out, the listener pauses by itself and tries again, 10 ms to 1 s later.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for a batch of 0, a closed base, or a descriptor that cannot be watched. `fd`
    /// is closed then.
    pub fn listen(&mut self, fd: OwnedFd, options: ListenOptions) -> Result<SourceKey> {
        crate::socket::set_nonblocking(&fd, true)?;
        let base = &self.base;
        self.sources.insert(|key| Ok(Source::Listener(Listener::new(base, key, fd, options)?)))
    }

    /// Connects to `address`, in `timeout` or as long as the kernel tries (minutes).
    ///
    /// The outcome comes as [`Completion::Connected`], never before the loop runs.
    ///
    /// # Errors
    /// What the kernel refuses at once (see [`socket::connect`](crate::socket::connect)), or a closed base.
    pub fn connect(&mut self, address: &Address, timeout: Option<Duration>) -> Result<SourceKey> {
        self.connect_with(address, timeout, &ConnectOptions::default())
    }

    /// The same from an address of choice.
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

    /// Connects to whichever of several addresses answers first.
    ///
    /// The outcome comes as [`Completion::Connected`], or as [`Completion::ConnectAbandoned`] for a request with a
    /// client, never before the loop runs.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] without an address, or a closed base; those of
    /// [`connect_with`](Self::connect_with) where there is one address. Where all of several addresses are refused
    /// immediately, that is a completion.
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

    /// Moves bytes between `a` and `b`, both ways, until both directions have ended.
    ///
    /// Both descriptors are made non-blocking and, where they are TCP, `TCP_NODELAY`: what one end sent in
    /// one piece is not held back on the way to the other. An end whose connect is still in progress, as
    /// [`socket::connect`](crate::socket::connect) returns it, is waited for. The end comes as
    /// [`Completion::RelayEnded`].
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for a rate or burst of 0, [`Error::Closed`] for a closed base or group, or a
    /// descriptor that cannot be watched (`EPERM` for a regular file). Both descriptors are closed then.
    pub fn relay(&mut self, a: OwnedFd, b: OwnedFd, options: RelayOptions) -> Result<SourceKey> {
        self.start_relay(a, b, options, false)
    }

    /// [`relay`](Self::relay) for what this net has accepted and connected itself: nothing needs to be asked of
    /// the descriptors, which saves four system calls.
    pub(crate) fn relay_own(&mut self, a: OwnedFd, b: OwnedFd, options: RelayOptions) -> Result<SourceKey> {
        self.start_relay(a, b, options, true)
    }

    fn start_relay(
        &mut self,
        a: OwnedFd,
        b: OwnedFd,
        options: RelayOptions,
        known: bool,
    ) -> Result<SourceKey> {
        let (base, pools) = (&self.base, &mut self.pools);
        let mut verdict = None;
        let key = self.sources.insert(|key| {
            let relay;
            (relay, verdict) = Relay::new(base, key, pools, [a, b], options, known)?;
            Ok(Source::Relay(Box::new(relay)))
        })?;
        if verdict.is_some() {
            self.wind_down(key, verdict);
            self.wake()?;
        }
        Ok(key)
    }

    /// Handles an event of the base whose `data` is not 0. Events of sources that are gone are ignored.
    ///
    /// Afterwards [`completion`](Self::completion) is to be called until it answers `None`.
    pub fn ready(&mut self, ready: &Ready) {
        let Some((key, role)) = Role::of(ready.data) else { return };
        match self.sources.get_mut(key) {
            None => {}
            Some(Source::Listener(listener)) => {
                if listener.ready(role) {
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
                if lingering.ready(&self.base, &mut self.pools) {
                    self.end_relay(key, EndReason::Error);
                }
            }
        }
    }

    /// The next thing that happened, in order.
    ///
    /// Connections are accepted here, one per call, so a listener that is paused or closed between two calls
    /// has no connection in between.
    pub fn completion(&mut self) -> Option<Completion> {
        while let Some(pending) = self.pending.pop_front() {
            let key = match pending {
                Pending::Done(completion) => return Some(completion),
                Pending::Accepting(key) => key,
            };
            let Some(Source::Listener(listener)) = self.sources.get_mut(key) else { continue };
            match listener.step(&self.base) {
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

    /// Whether [`completion`](Self::completion) may have something to tell.
    #[must_use]
    pub fn has_completion(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Makes a listener stop accepting; connections wait in the kernel's queue. Makes a relay stop reading, both
    /// ways; what it has read it still writes, its idle timeout rests, and the peers are slowed by their own
    /// transport. Twice is as good as once.
    ///
    /// # Errors
    /// [`Error::Closed`] when no listener and no relay has this key.
    pub fn pause(&mut self, key: SourceKey) -> Result<()> {
        match self.sources.get_mut(key) {
            Some(Source::Listener(listener)) => listener.pause(&self.base),
            Some(Source::Relay(relay)) => relay.pause(&self.base),
            Some(Source::Lingering(_)) => Ok(()),
            _ => Err(Error::Closed),
        }
    }

    /// Makes a paused listener accept again, and a paused relay read.
    ///
    /// # Errors
    /// [`Error::Closed`] when no listener and no relay has this key.
    pub fn resume(&mut self, key: SourceKey) -> Result<()> {
        match self.sources.get_mut(key) {
            Some(Source::Listener(listener)) => listener.resume(&self.base),
            Some(Source::Relay(relay)) => relay.resume(&self.base),
            Some(Source::Lingering(_)) => Ok(()),
            _ => Err(Error::Closed),
        }
    }

    /// Ends a source and closes what it owns. A relay still tells its end, with [`EndReason::Closed`], in
    /// the next pass of the loop; a listener and a connect tell nothing more, even if the connect has ended
    /// and its completion was not taken yet.
    ///
    /// # Errors
    /// [`Error::Closed`] when no source has this key: it ended by itself.
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
            Some(Source::Listener(listener)) => listener.close(&self.base),
            Some(Source::Connecting(connecting)) => drop(connecting.close(&self.base)),
            _ => {}
        }
        Ok(())
    }

    /// What a relay has done so far.
    ///
    /// # Errors
    /// [`Error::Closed`] when no relay has this key.
    pub fn stats(&self, key: SourceKey) -> Result<RelayStats> {
        match self.sources.get(key) {
            Some(Source::Relay(relay)) => Ok(relay.stats(&self.base)),
            Some(Source::Lingering(lingering)) => Ok(lingering.stats(&self.base)),
            _ => Err(Error::Closed),
        }
    }

    /// Drops the completion of a connect that nobody wants any more, and the connection with it.
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

    /// Acts on a verdict. The relay ends, now or once its peers have received what was sent to them.
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
                Source::Listener(listener) => listener.close(&self.base),
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
