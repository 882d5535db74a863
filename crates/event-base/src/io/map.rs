//! The events of each descriptor, and what is registered with the backend for it (`evmap`).
//!
//! Rules:
//! - The backend is called for a descriptor only when its set of interests changes: when the count of readers,
//!   writers or closers leaves or reaches zero. Adding an event whose interests are all registered changes nothing;
//!   the backend only checks that the registration still exists, because a descriptor that was closed before its
//!   events were deleted may be another file by now.
//! - Each registration has a generation, which is part of the kernel's token. Readiness that the kernel reports for an
//!   earlier registration of the same number is discarded.
//! - Events whose registration no longer exists are *orphaned*: they leave the map and are returned to the caller,
//!   because nothing can make them ready.
//! - Events of one descriptor become active in the order in which they were added.
//! - A registration as a whole is edge-triggered or level-triggered, so an event of the other kind is refused.
//! - An exclusive registration has one event, so any other event on the descriptor is refused.

use std::os::fd::RawFd;

use crate::backend::{Applied, Backend, Change};
use crate::error::Error;
use crate::event::{List, Source, Table};
use crate::flags::What;

/// Generations are 31 bits wide in the kernel's token; the highest bit marks the base's own descriptors.
const GENERATION_MASK: u32 = u32::MAX >> 1;

/// How a backend refuses a descriptor that was closed: with `EBADF`, or with `EPERM` if the number is a file of
/// another kind by now.
const CLOSED: [i32; 2] = [nix::errno::Errno::EBADF as i32, nix::errno::Errno::EPERM as i32];

#[derive(Clone, Copy, Debug)]
struct Entry {
    events: List<Source>,
    readers: u32,
    writers: u32,
    closers: u32,
    generation: u32,
    edge: bool,
    exclusive: bool,
}

const VACANT: Entry = Entry {
    events: List::EMPTY,
    readers: 0,
    writers: 0,
    closers: 0,
    generation: 0,
    edge: false,
    exclusive: false,
};

impl Entry {
    fn interests(&self) -> What {
        let mut what = What::empty();
        what.set(What::READ, self.readers > 0);
        what.set(What::WRITE, self.writers > 0);
        what.set(What::CLOSED, self.closers > 0);
        what
    }

    fn count(&mut self, what: What, by: i32) {
        let count = |counter: &mut u32, kind| {
            if what.contains(kind) {
                *counter = counter.wrapping_add_signed(by);
            }
        };
        count(&mut self.readers, What::READ);
        count(&mut self.writers, What::WRITE);
        count(&mut self.closers, What::CLOSED);
    }

    fn token(&self, fd: RawFd) -> u64 {
        u64::from(self.generation & GENERATION_MASK) << 32 | fd as u64
    }

    /// Checks that an event can share the registration.
    fn check_kind(&self, edge: bool, exclusive: bool) -> Result<(), Error> {
        if self.exclusive || exclusive {
            Err(Error::BadFlags("an exclusive event cannot share its descriptor"))
        } else if self.edge != edge {
            Err(Error::BadFlags("edge-triggered and level-triggered events cannot share a descriptor"))
        } else {
            Ok(())
        }
    }

    /// A change of the registration of `fd`.
    fn change(&self, fd: RawFd, add: What, remove: What) -> Change {
        let (registered, token) = (self.interests(), self.token(fd));
        Change { fd, registered, add, remove, edge: self.edge, exclusive: self.exclusive, token }
    }
}

/// The map. It grows to the highest descriptor in use.
#[derive(Debug, Default)]
pub(crate) struct FdMap {
    entries: Vec<Entry>,
}

impl FdMap {
    /// Adds the event in slot `index` to the events of its descriptor. With `exclusive`, the registration is
    /// exclusive.
    ///
    /// Slots pushed to `orphans` have left the map, because their descriptor was closed.
    ///
    /// # Errors
    /// [`Error::BadFlags`] if the event is edge-triggered and the others on the descriptor are not, or the reverse, or
    /// if the event or the registration of others is exclusive; the error of the backend. Nothing has changed then,
    /// except that events may have been orphaned.
    pub(crate) fn add(
        &mut self,
        table: &mut Table,
        backend: &mut Backend,
        index: u32,
        exclusive: bool,
        orphans: &mut Vec<u32>,
    ) -> Result<(), Error> {
        let record = table.at(index);
        let (fd, what) = (record.fd, record.what.io());
        let edge = record.what.contains(What::ET);
        let mut entry = self.entry(fd);
        let registered = entry.interests();
        if !registered.is_empty()
            && let Err(refusal) = entry.check_kind(edge, exclusive)
        {
            // The event is refused only if the other events are on the same file.
            if backend.change(&entry.change(fd, What::empty(), What::empty()))? == Applied::Done {
                return Err(refusal);
            }
            self.orphan(table, fd, orphans);
            return self.add(table, backend, index, exclusive, orphans);
        }
        entry.edge = edge;
        entry.exclusive = exclusive;
        if backend.change(&entry.change(fd, what - registered, What::empty()))? == Applied::Gone {
            self.orphan(table, fd, orphans);
            return self.add(table, backend, index, exclusive, orphans);
        }
        entry.count(what, 1);
        entry.events.append(table, index);
        // After the backend accepted it, so that a number that is not a descriptor does not enlarge the table.
        if self.entries.len() <= fd as usize {
            self.entries.resize(fd as usize + 1, VACANT);
        }
        self.entries[fd as usize] = entry;
        Ok(())
    }

    /// Removes the event in slot `index`. Without a backend, only the map changes.
    pub(crate) fn remove(
        &mut self,
        table: &mut Table,
        backend: Option<&mut Backend>,
        index: u32,
        orphans: &mut Vec<u32>,
    ) -> Result<(), Error> {
        let (fd, what) = (table.at(index).fd, table.at(index).what.io());
        let entry = &mut self.entries[fd as usize];
        let before = *entry;
        let registered = before.interests();
        entry.events.remove(table, index);
        entry.count(what, -1);
        let wanted = entry.interests();
        if wanted == registered {
            return Ok(());
        }
        let change = before.change(fd, What::empty(), registered - wanted);
        let result = backend.map_or(Ok(Applied::Done), |backend| backend.change(&change));
        if wanted.is_empty() {
            entry.generation = entry.generation.wrapping_add(1);
        } else if result == Ok(Applied::Gone) {
            self.orphan(table, fd, orphans);
        }
        result.map(|_| ())
    }

    /// The first event of the registration with this token; the others follow through their neighbours. `None` if the
    /// registration no longer exists.
    pub(crate) fn first(&self, token: u64) -> Option<u32> {
        let fd = token as u32 as RawFd;
        let entry = self.entries.get(fd as usize)?;
        (entry.token(fd) == token && !entry.events.is_empty()).then_some(entry.events.first())
    }

    /// The slots of the events on `fd`, in order.
    pub(crate) fn on(&self, table: &mut Table, fd: RawFd) -> Vec<u32> {
        let entry = usize::try_from(fd).ok().and_then(|fd| self.entries.get(fd));
        entry.map_or(List::EMPTY, |entry| entry.events).slots(table)
    }

    /// The events on `fd`, as [`on`](Self::on) returns them, after a check that the map and the events agree.
    ///
    /// # Errors
    /// A description of the contradiction.
    pub(crate) fn check(&self, table: &mut Table, fd: RawFd) -> Result<Vec<u32>, &'static str> {
        let entry = self.entry(fd);
        let mut counted = VACANT;
        let found = entry.events.check(table)?;
        for &index in &found {
            let what = table.at(index).what;
            if what.contains(What::ET) != entry.edge {
                return Err("an event disagrees with its descriptor on edge-triggering");
            }
            counted.count(what, 1);
        }
        let same = |of: fn(&Entry) -> u32| of(&counted) == of(&entry);
        if !(same(|e| e.readers) && same(|e| e.writers) && same(|e| e.closers)) {
            return Err("the interests of a descriptor are miscounted");
        }
        if entry.exclusive && found.len() > 1 {
            return Err("an exclusive event shares its descriptor");
        }
        Ok(found)
    }

    /// Descriptors below this may have events.
    pub(crate) fn len(&self) -> RawFd {
        self.entries.len() as RawFd
    }

    /// Registers everything again, with a backend that has no registrations. Events of a refused descriptor are
    /// orphaned.
    ///
    /// # Errors
    /// The first refusal, except those of descriptors that were closed.
    pub(crate) fn register_all(
        &mut self,
        table: &mut Table,
        backend: &mut Backend,
        orphans: &mut Vec<u32>,
    ) -> Result<(), Error> {
        let mut first = Ok(());
        for fd in 0..self.len() {
            let entry = &mut self.entries[fd as usize];
            let add = entry.interests();
            if add.is_empty() {
                continue;
            }
            entry.generation = entry.generation.wrapping_add(1);
            let change = Change { registered: What::empty(), ..entry.change(fd, add, What::empty()) };
            if let Err(error) = backend.change(&change) {
                self.orphan(table, fd, orphans);
                let is_gone = matches!(error, Error::System(error) if CLOSED.contains(&error.errno));
                if !is_gone {
                    first = first.and(Err(error));
                }
            }
        }
        first
    }

    /// Orphans the events of a registration that the backend [lost](Backend::take_lost). Has no effect if the
    /// registration was replaced meanwhile.
    pub(crate) fn lose(
        &mut self,
        table: &mut Table,
        backend: &mut Backend,
        token: u64,
        orphans: &mut Vec<u32>,
    ) {
        if self.first(token).is_none() {
            return;
        }
        let fd = token as u32 as RawFd;
        let entry = self.entry(fd);
        // The removal of the last interest never fails. A backend that still has the registration drops it.
        _ = backend.change(&entry.change(fd, What::empty(), entry.interests()));
        self.orphan(table, fd, orphans);
    }

    fn entry(&self, fd: RawFd) -> Entry {
        self.entries.get(fd as usize).copied().unwrap_or(VACANT)
    }

    fn orphan(&mut self, table: &mut Table, fd: RawFd, orphans: &mut Vec<u32>) {
        orphans.extend(self.on(table, fd));
        let entry = &mut self.entries[fd as usize];
        *entry = Entry { generation: entry.generation.wrapping_add(1), ..VACANT };
    }
}
