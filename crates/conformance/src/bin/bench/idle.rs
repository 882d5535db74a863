//! One pass with one ready descriptor, among few and among many that are
//! registered and idle.
#![expect(unsafe_code, reason = "eventfds are written to and read, as a C program would")]

use std::cell::Cell;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use event_base::What;
use event_base_conformance::{Failure, Handler, Pass, Peer};

use crate::interleave::{Figure, Measure};
use crate::timed::{Timed, timed};

/// Passes in a sample.
const PASSES: usize = 10_000;

thread_local! {
    static READ: Cell<usize> = const { Cell::new(0) };
}

/// Empties the descriptor.
pub(crate) struct Empty;

impl Handler for Empty {
    fn ready(_index: usize, fd: RawFd, _what: What) {
        let mut value = 0_u64;
        // SAFETY: the value has the size that an eventfd requires and lives across the call.
        if unsafe { libc::read(fd, (&raw mut value).cast(), size_of::<u64>()) } > 0 {
            READ.set(READ.get() + 1);
        }
    }
}

/// The measure for one number of registered descriptors.
pub(crate) struct Idle {
    descriptors: Vec<OwnedFd>,
}

impl Idle {
    /// The measure with `count` descriptors.
    ///
    /// # Errors
    /// Usually, that the limit of open files is too low.
    pub(crate) fn new(count: usize) -> Result<Self, Failure> {
        crate::sockets::raise_limit(count + 64)?;
        let descriptors: Result<_, Failure> = (0..count).map(|_| eventfd()).collect();
        Ok(Self { descriptors: descriptors? })
    }
}

impl Measure for Idle {
    type Handler = Empty;

    fn figures(&self) -> Vec<Figure> {
        let name = format!("idle-{}", self.descriptors.len());
        vec![Figure { name, unit: "ns per pass", aim: None, steady: true }]
    }

    fn prepare<'a, P: Peer>(&mut self, peer: &'a P) -> Result<Vec<P::Event<'a>>, Failure> {
        let descriptors = self.descriptors.iter().enumerate();
        let events: Result<Vec<_>, Failure> = descriptors
            .map(|(index, descriptor)| peer.io(descriptor.as_raw_fd(), What::READ, index))
            .collect();
        let events = events?;
        events.iter().try_for_each(|&event| peer.add(event, None))?;
        Ok(events)
    }

    fn sample<'a, P: Peer>(&mut self, peer: &'a P, events: &[P::Event<'a>]) -> Result<Vec<Timed>, Failure> {
        // The other side watches the same descriptors, and runs in its own samples.
        let ready = self.descriptors[events.len() / 2].as_raw_fd();
        READ.set(0);
        let whole = timed(|| -> Result<(), Failure> {
            for _ in 0..PASSES {
                let value = 1_u64;
                // SAFETY: the value has the size that an eventfd requires and lives across the call.
                unsafe { libc::write(ready, (&raw const value).cast(), size_of::<u64>()) };
                peer.run(Pass::Poll)?;
            }
            Ok(())
        })?;
        match READ.get() {
            PASSES => Ok(vec![whole.per(PASSES)]),
            got => Err(Failure::Wrong(format!("{got} of {PASSES} passes found something"))),
        }
    }
}

fn eventfd() -> Result<OwnedFd, Failure> {
    // SAFETY: the call takes no pointers.
    let number = unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) };
    if number < 0 {
        return Err(Failure::last_system_error("eventfd"));
    }
    // SAFETY: the number was just opened.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}
