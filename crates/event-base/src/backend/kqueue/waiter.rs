//! The wait, and what its records mean.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;

use super::signals;
use crate::backend::Readiness;
use crate::error::Error;
use crate::flags::What;
use crate::sys::kqueue::{Kevent, Kqueue as Kernel, abi};

/// Room for the first wait, and what it may grow to.
const FIRST_ROOM: usize = 256;
const MOST_ROOM: usize = 4096;

/// A wait under way.
#[derive(Debug)]
pub(crate) struct KqueueWaiter {
    kernel: Arc<Kernel>,
    /// Changes that the next wait makes before it waits.
    pub(super) changes: Vec<Kevent>,
    /// What the kernel said to those of them that it refused.
    pub(in crate::backend) refusals: Vec<Kevent>,
    events: Vec<Kevent>,
    found: usize,
    /// There was no room left.
    full: bool,
    /// What the events mean, if some come in twos.
    merged: Vec<Readiness>,
    /// The place in `merged` of each token. Scratch.
    places: HashMap<u64, usize>,
}

impl KqueueWaiter {
    pub(super) fn new(kernel: Arc<Kernel>) -> Self {
        KqueueWaiter {
            kernel,
            changes: Vec::new(),
            refusals: Vec::new(),
            full: false,
            events: vec![Kevent::EMPTY; FIRST_ROOM],
            found: 0,
            merged: Vec::new(),
            places: HashMap::new(),
        }
    }

    /// The records of the last wait.
    pub(super) fn found(&self) -> &[Kevent] {
        &self.events[..self.found]
    }

    /// Makes room for more if there was too little.
    pub(super) fn grow(&mut self) {
        if self.is_full() && self.events.len() < MOST_ROOM {
            self.events.resize(self.events.len() * 2, Kevent::EMPTY);
        }
    }

    pub(in crate::backend) fn len(&self) -> usize {
        if self.merged.is_empty() { self.found } else { self.merged.len() }
    }

    pub(in crate::backend) fn is_full(&self) -> bool {
        self.full
    }

    pub(in crate::backend) fn has_changes(&self) -> bool {
        !self.changes.is_empty()
    }

    pub(in crate::backend) fn get(&self, index: usize) -> Readiness {
        match self.merged.get(index) {
            Some(readiness) => *readiness,
            None => to_readiness(&self.events[index]),
        }
    }

    pub(in crate::backend) fn wait(&mut self, timeout: Option<Duration>) -> Result<(), Error> {
        self.merged.clear();
        self.refusals.clear();
        if self.events.len() < self.changes.len() {
            // Else the first refusal without room would fail the call, and the rest would not be made.
            self.events.resize(self.changes.len(), Kevent::EMPTY);
        }
        let result = self.kernel.wait(&self.changes, &mut self.events, timeout);
        let has_refusals = self.has_changes();
        if matches!(result, Ok(_) | Err(Errno::EINTR)) {
            self.changes.clear();
        }
        self.found = match result {
            Ok(found) => found,
            Err(Errno::EINTR) => 0,
            Err(errno) => {
                self.found = 0;
                return Err(Error::system(errno, "kevent", None));
            }
        };
        self.full = self.found == self.events.len();
        if has_refusals {
            self.set_refusals_aside();
        }
        self.merge();
        Ok(())
    }

    fn set_refusals_aside(&mut self) {
        let mut kept = 0;
        for place in 0..self.found {
            let event = self.events[place];
            if event.flags() & abi::EV_ERROR != 0 {
                self.refusals.push(event);
            } else {
                self.events[kept] = event;
                kept += 1;
            }
        }
        self.found = kept;
    }

    /// Makes one readiness of what both filters of a descriptor told: its events are to be told in the order
    /// in which they were added, not readers before writers.
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

fn to_readiness(event: &Kevent) -> Readiness {
    if event.filter() == abi::EVFILT_SIGNAL {
        return signals::to_readiness(event);
    }
    Readiness { token: event.token(), what: to_interests(event) }
}

/// What the kernel's record means to events.
///
/// The end of what can be written is told to writers only: it can be this side's own doing.
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
