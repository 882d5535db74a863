//! The wait, and the readiness that the kernel's records mean.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;

use super::signals;
use crate::backend::Readiness;
use crate::backend::method::MethodWaiter;
use crate::flags::What;
use crate::sys::kqueue::{Kevent, Kqueue as Kernel, abi};

/// The size of the buffer for results, in records: at first, and at most.
const FIRST_ROOM: usize = 256;
const MOST_ROOM: usize = 4096;

/// The waiter.
#[derive(Debug)]
pub(crate) struct KqueueWaiter {
    kernel: Arc<Kernel>,
    events: Vec<Kevent>,
    found: usize,
    /// Whether the last wait filled the whole buffer.
    full: bool,
    /// What the wait found, one entry for each descriptor, if both filters of a descriptor may be among the events;
    /// else empty.
    merged: Vec<Readiness>,
    /// The index in `merged` of each token. Used by `merge` alone, kept for its memory.
    places: HashMap<u64, usize>,
}

impl KqueueWaiter {
    pub(super) fn new(kernel: Arc<Kernel>) -> Self {
        KqueueWaiter {
            kernel,
            full: false,
            events: vec![Kevent::EMPTY; FIRST_ROOM],
            found: 0,
            merged: Vec::new(),
            places: HashMap::new(),
        }
    }

    pub(super) fn waits_on(&self, kernel: &Arc<Kernel>) -> bool {
        Arc::ptr_eq(&self.kernel, kernel)
    }

    /// The records of the last wait.
    pub(super) fn found(&self) -> &[Kevent] {
        &self.events[..self.found]
    }

    /// Discards what the last wait found, and enlarges the buffer if the wait filled it.
    pub(super) fn reset(&mut self) {
        if self.full && self.events.len() < MOST_ROOM {
            self.events.resize(self.events.len() * 2, Kevent::EMPTY);
        }
        self.forget();
    }

    fn forget(&mut self) {
        self.found = 0;
        self.full = false;
        self.merged.clear();
    }

    /// Joins what both filters of a descriptor reported into one readiness, so that its events become active in the
    /// order in which they were added, and not readers before writers.
    fn merge(&mut self) {
        let found = &self.events[..self.found];
        let of_read = |event: &Kevent| event.filter() == abi::EVFILT_READ;
        if !found.iter().any(of_read) || found.iter().all(of_read) {
            return;
        }
        self.places.clear();
        for readiness in found.iter().map(to_readiness) {
            let place = *self.places.entry(readiness.token).or_insert(self.merged.len());
            match self.merged.get_mut(place) {
                Some(before) => before.what |= readiness.what,
                None => self.merged.push(readiness),
            }
        }
    }
}

impl MethodWaiter for KqueueWaiter {
    const SYSCALL: &'static str = "kevent";

    fn wait_once(&mut self, timeout: Option<Duration>) -> nix::Result<()> {
        self.forget();
        let replacements = self.kernel.replacements();
        self.found = match self.kernel.wait(&mut self.events, timeout) {
            // The queue that this wait used was closed and replaced: see `Kernel::replace`.
            Err(Errno::EBADF) if self.kernel.replacements() != replacements => 0,
            result => result?,
        };
        self.full = self.found == self.events.len();
        self.merge();
        Ok(())
    }

    fn len(&self) -> usize {
        if self.merged.is_empty() { self.found } else { self.merged.len() }
    }

    fn get(&self, index: usize) -> Readiness {
        match self.merged.get(index) {
            Some(readiness) => *readiness,
            None => to_readiness(&self.events[index]),
        }
    }

    fn is_full(&self) -> bool {
        self.full
    }
}

fn to_readiness(event: &Kevent) -> Readiness {
    if event.filter() == abi::EVFILT_SIGNAL {
        return signals::to_readiness(event);
    }
    Readiness { token: event.token(), what: to_interests(event) }
}

/// The readiness that a record of the kernel means.
///
/// `EV_EOF` of `EVFILT_WRITE` is reported as WRITE only: a shutdown by this side causes it as well.
fn to_interests(event: &Kevent) -> What {
    if event.flags() & abi::EV_ERROR != 0 {
        return What::IO | What::ET;
    }
    let what = match event.filter() {
        abi::EVFILT_READ if event.flags() & abi::EV_EOF != 0 => What::READ | What::CLOSED,
        abi::EVFILT_READ => What::READ,
        _ => What::WRITE,
    };
    what | What::ET
}
