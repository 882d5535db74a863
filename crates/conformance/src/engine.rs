//! This project's engine as a [`Peer`].

use std::marker::PhantomData;
use std::os::fd::RawFd;
use std::time::Duration;

use event_base::{Base, BaseFlags, CommonTimeout, Config, EventId, EventSpec, LoopFlags, What};

use crate::{Build, Failure, Handler, Pass, Peer, Waker};

/// The engine, with the handler `H`.
#[derive(Debug)]
pub struct Engine<H> {
    base: Base,
    locks: bool,
    handler: PhantomData<fn(H)>,
}

impl<H: Handler> Engine<H> {
    /// A base on the preferred backend; without locks it is `NOLOCK`.
    ///
    /// # Errors
    /// If no backend can be made.
    pub fn new(locks: bool) -> Result<Self, Failure> {
        Self::built(locks, &Build::default())
    }

    /// A base as wanted.
    ///
    /// # Errors
    /// If no such base can be made.
    pub fn built(locks: bool, build: &Build) -> Result<Self, Failure> {
        let mut flags = BaseFlags::IGNORE_ENV;
        flags.set(BaseFlags::NOLOCK, !locks);
        flags.set(BaseFlags::EPOLL_USE_CHANGELIST, build.changelist);
        let config = Config::new().set_flags(flags).set_priorities(build.priorities);
        let base = Base::with_config(&config)?;
        Ok(Self { base, locks, handler: PhantomData })
    }
}

impl<H: Handler> Peer for Engine<H> {
    type Event<'a> = EventId;
    type CommonTimeout = CommonTimeout;
    type Waker<'a> = EngineWaker;

    fn io(&self, fd: RawFd, what: What, index: usize) -> Result<EventId, Failure> {
        let spec = EventSpec::io(fd, what).persist().data(index as u64);
        Ok(self.base.create(spec)?)
    }

    fn timer(&self, index: usize) -> Result<EventId, Failure> {
        Ok(self.base.create(EventSpec::timer().data(index as u64))?)
    }

    fn user(&self, index: usize) -> Result<EventId, Failure> {
        Ok(self.base.create(EventSpec::user().data(index as u64))?)
    }

    fn user_at(&self, index: usize, priority: u8) -> Result<EventId, Failure> {
        Ok(self.base.create(EventSpec::user().data(index as u64).priority(priority))?)
    }

    fn signal(&self, number: i32, index: usize) -> Result<EventId, Failure> {
        Ok(self.base.create(EventSpec::signal(number).data(index as u64))?)
    }

    fn add(&self, event: EventId, timeout: Option<Duration>) -> Result<(), Failure> {
        Ok(self.base.add(event, timeout)?)
    }

    fn common_timeout(&self, duration: Duration) -> Result<CommonTimeout, Failure> {
        Ok(self.base.common_timeout(duration)?)
    }

    fn add_common(&self, event: EventId, timeout: CommonTimeout) -> Result<(), Failure> {
        Ok(self.base.add_common(event, timeout)?)
    }

    fn del(&self, event: EventId) -> Result<(), Failure> {
        Ok(self.base.del(event)?)
    }

    fn activate(&self, event: EventId, what: What) -> Result<(), Failure> {
        self.base.activate(event, what)?;
        Ok(())
    }

    fn run(&self, pass: Pass) -> Result<(), Failure> {
        let flags = match pass {
            Pass::UntilEmpty => LoopFlags::empty(),
            Pass::Once => LoopFlags::ONCE,
            Pass::Poll => LoopFlags::ONCE | LoopFlags::NONBLOCK,
        };
        self.base.run(flags, |_, ready| H::ready(ready.data as usize, ready.fd, ready.what))?;
        Ok(())
    }

    fn waker(&self, event: EventId) -> Result<EngineWaker, Failure> {
        if !self.locks {
            return Err(Failure::Wrong("a NOLOCK base has no other thread".into()));
        }
        Ok(EngineWaker { base: self.base.clone(), event })
    }
}

/// Activates one of the engine's events from another thread.
#[derive(Debug)]
pub struct EngineWaker {
    base: Base,
    event: EventId,
}

impl Waker for EngineWaker {
    fn wake(&self) -> Result<(), Failure> {
        self.base.activate(self.event, What::READ)?;
        Ok(())
    }
}
