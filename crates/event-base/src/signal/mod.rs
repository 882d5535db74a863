//! The signals of a base (`signal.c`, `signalfd.c`): the events of each signal, and how the signals reach the base.
//!
//! A base receives signals in one of three ways:
//! - `"signal"`: a handler counts each signal in the receiver of each base, and wakes the loop: [`handler`] and
//!   [`receiver`]. Every base receives every signal, on whichever thread it arrives.
//! - `"signalfd_signal"`: the kernel queues signals that the threads block, and the base reads them: [`signalfd`]. Only
//!   if the configuration requests it.
//! - `"kqueue_signal"`: the backend kqueue reports signals, and the process ignores them.

mod handler;
mod receiver;
mod registry;
#[cfg(linux_kernel)]
mod signalfd;

use std::collections::HashMap;
use std::sync::Arc;

use receiver::Reception;
use registry::Claim;
pub use registry::reassert_signal;
#[cfg(linux_kernel)]
use signalfd::SignalFd;

use crate::backend::Backend;
#[cfg(linux_kernel)]
use crate::backend::Internal;
use crate::error::Error;
use crate::event::{List, Source, Table};
use crate::sys::notify::Notifier;
use crate::sys::signal::{HIGHEST, SignalSet};

/// The highest number a signal has on this system; the lowest is 1. Some are reserved by the kernel (SIGKILL,
/// SIGSTOP) or by the C library.
pub const MAX_SIGNAL: i32 = HIGHEST;

/// Whether `number` is in the range of signal numbers.
pub(crate) fn is_signal(number: i32) -> bool {
    (1..=MAX_SIGNAL).contains(&number)
}

/// How signals reach a base.
#[derive(Debug)]
enum Delivery {
    /// A handler counts signals. The receiver exists while there are events.
    Handler(Option<Reception>),
    #[cfg(linux_kernel)]
    /// The base reads signals from a signalfd.
    SignalFd(SignalFd),
    /// The backend reports signals.
    Backend,
}

/// The signals of a base.
#[derive(Debug)]
pub(crate) struct Signals {
    delivery: Delivery,
    /// The events for each signal, by its number; empty before the first event.
    lists: Vec<List<Source>>,
    watched: SignalSet,
    /// The signals whose disposition is claimed.
    claimed: SignalSet,
    /// Whether handlers that were installed before are still called.
    shared: bool,
    /// Signals that the backend reported, with how often each arrived, until they are taken.
    reported: Vec<(i32, u64)>,
    /// By slot: how many more times a queued event is to be dispatched after the first. Valid only while its result
    /// contains [`REPEATS`](crate::event::REPEATS).
    more: HashMap<u32, u64>,
}

impl Signals {
    pub(crate) fn new(backend: &Backend, use_signalfd: bool, shared: bool) -> Self {
        let delivery = if backend.reports_signals() { Delivery::Backend } else { by_process(use_signalfd) };
        Signals {
            delivery,
            lists: Vec::new(),
            watched: SignalSet::default(),
            claimed: SignalSet::default(),
            shared,
            reported: Vec::new(),
            more: HashMap::new(),
        }
    }

    /// `event_base_get_signal_method`.
    pub(crate) fn method(&self) -> &'static str {
        match self.delivery {
            Delivery::Handler(_) => "signal",
            #[cfg(linux_kernel)]
            Delivery::SignalFd(_) => "signalfd_signal",
            Delivery::Backend => "kqueue_signal",
        }
    }

    /// Whether the base must have a notifier before an event is added.
    pub(crate) fn needs_notifier(&self) -> bool {
        matches!(self.delivery, Delivery::Handler(_))
    }

    /// Adds the event in slot `index` to those of its signal (`evmap_signal_add_`).
    ///
    /// # Errors
    /// [`Error::System`] with `sigaction`, `signalfd4` or `kevent`. Nothing has changed then.
    pub(crate) fn add(
        &mut self,
        table: &mut Table,
        backend: &mut Backend,
        notifier: Option<&Arc<Notifier>>,
        index: u32,
    ) -> Result<(), Error> {
        let number = table.at(index).fd;
        if self.lists.is_empty() {
            self.lists = vec![List::EMPTY; HIGHEST as usize + 1];
        }
        if !self.watched.contains(number)
            && let Err(error) = self.begin(number, backend, notifier)
        {
            self.end(number, Some(backend));
            return Err(error);
        }
        self.lists[number as usize].append(table, index);
        Ok(())
    }

    /// Removes the event in slot `index` (`evmap_signal_del_`). Without a backend, the backend's registration stays.
    pub(crate) fn remove(&mut self, table: &mut Table, backend: Option<&mut Backend>, index: u32) {
        let number = table.at(index).fd;
        let list = &mut self.lists[number as usize];
        list.remove(table, index);
        if list.is_empty() {
            self.end(number, backend);
        }
    }

    /// The first event for a signal; the others follow through their neighbours.
    pub(crate) fn first(&self, number: i32) -> u32 {
        self.list(number).first()
    }

    /// The slots of all events, by ascending signal, and those of one signal in the order of adding.
    pub(crate) fn on_all(&self, table: &mut Table) -> Vec<u32> {
        self.watched().flat_map(|number| self.list(number).slots(table)).collect()
    }

    fn list(&self, number: i32) -> List<Source> {
        let list = usize::try_from(number).ok().and_then(|number| self.lists.get(number));
        list.copied().unwrap_or(List::EMPTY)
    }

    /// The signals that have events, ascending.
    pub(crate) fn watched(&self) -> impl Iterator<Item = i32> + use<> {
        self.watched.numbers()
    }

    /// Starts to watch a signal. After a failure, [`end`](Self::end) undoes what was done.
    fn begin(
        &mut self,
        number: i32,
        backend: &mut Backend,
        notifier: Option<&Arc<Notifier>>,
    ) -> Result<(), Error> {
        self.watched = self.watched.with(number);
        match &mut self.delivery {
            Delivery::Handler(reception) => {
                let notifier = notifier.ok_or(Error::Closed)?;
                // Before the handler is installed, so that it finds the receiver.
                reception.get_or_insert_with(|| Reception::new(Arc::clone(notifier))).want(number);
                self.claim(number)
            }
            #[cfg(linux_kernel)]
            Delivery::SignalFd(signalfd) => {
                if signalfd.want(number)?
                    && let Some(fd) = signalfd.as_fd()
                {
                    backend.watch_internal(fd, Internal::Signals)?;
                }
                Ok(())
            }
            Delivery::Backend => {
                backend.watch_signal(number)?;
                self.claim(number)
            }
        }
    }

    fn claim(&mut self, number: i32) -> Result<(), Error> {
        registry::claim(number, self.kind_of_claim())?;
        self.claimed = self.claimed.with(number);
        Ok(())
    }

    fn kind_of_claim(&self) -> Claim {
        Claim { by_handler: self.needs_notifier(), shared: self.shared }
    }

    /// Stops watching a signal.
    fn end(&mut self, number: i32, backend: Option<&mut Backend>) {
        match (&self.delivery, backend) {
            (Delivery::Handler(_), _) | (_, None) => {}
            #[cfg(linux_kernel)]
            (Delivery::SignalFd(signalfd), Some(backend)) => {
                // It is about to be closed.
                if self.watched.without(number).is_empty()
                    && let Some(fd) = signalfd.as_fd()
                {
                    backend.unwatch_internal(fd);
                }
            }
            (Delivery::Backend, Some(backend)) => backend.unwatch_signal(number),
        }
        self.give_up(number);
    }

    /// Stops watching a signal, except for the backend's part.
    fn give_up(&mut self, number: i32) {
        self.watched = self.watched.without(number);
        if self.claimed.contains(number) {
            self.claimed = self.claimed.without(number);
            registry::release(number, self.kind_of_claim());
        }
        self.reported.retain(|(reported, _)| *reported != number);
        match &mut self.delivery {
            Delivery::Handler(reception) => {
                if let Some(reception) = reception {
                    reception.unwant(number);
                }
                if self.watched.is_empty() {
                    *reception = None;
                }
            }
            #[cfg(linux_kernel)]
            Delivery::SignalFd(signalfd) => {
                signalfd.unwant(number);
                if self.watched.is_empty() {
                    *signalfd = SignalFd::default();
                }
            }
            Delivery::Backend => {}
        }
    }

    /// Records that the signalfd is readable.
    pub(crate) fn note_readable(&mut self) {
        #[cfg(linux_kernel)]
        if let Delivery::SignalFd(signalfd) = &mut self.delivery {
            signalfd.note_readable();
        }
    }

    /// Records what the backend reported: a signal, and how often it arrived.
    pub(crate) fn note_reported(&mut self, number: i32, times: u64) {
        if self.watched.contains(number) {
            self.reported.push((number, times));
        }
    }

    /// Whether [`take_due`](Self::take_due) may find something. Checked in every pass.
    #[inline]
    pub(crate) fn is_due(&self) -> bool {
        match &self.delivery {
            Delivery::Handler(reception) => reception.as_ref().is_some_and(Reception::is_due),
            #[cfg(linux_kernel)]
            Delivery::SignalFd(signalfd) => signalfd.is_readable(),
            Delivery::Backend => !self.reported.is_empty(),
        }
    }

    /// Passes each signal that arrived to `each`, with how often it arrived.
    ///
    /// # Errors
    /// [`Error::System`] with `read`, of a signalfd.
    pub(crate) fn take_due(&mut self, mut each: impl FnMut(i32, u64)) -> Result<(), Error> {
        match &mut self.delivery {
            Delivery::Handler(reception) => {
                let Some(reception) = reception else { return Ok(()) };
                for number in reception.take_due().numbers() {
                    // The count may have been taken together with an earlier one.
                    match reception.take(number) {
                        0 => {}
                        times => each(number, times),
                    }
                }
            }
            #[cfg(linux_kernel)]
            Delivery::SignalFd(signalfd) => signalfd.take_all(|number| each(number, 1))?,
            Delivery::Backend => {
                for (number, times) in self.reported.drain(..) {
                    each(number, times);
                }
            }
        }
        Ok(())
    }

    /// Registers everything again, with a backend that has no registrations.
    ///
    /// # Errors
    /// [`Error::System`] with `epoll_ctl` or `kevent`.
    pub(crate) fn register_all(&mut self, backend: &mut Backend) -> Result<(), Error> {
        match &self.delivery {
            Delivery::Handler(_) => Ok(()),
            #[cfg(linux_kernel)]
            Delivery::SignalFd(signalfd) => match signalfd.as_fd() {
                Some(fd) => backend.watch_internal(fd, Internal::Signals),
                None => Ok(()),
            },
            Delivery::Backend => self.watched.numbers().try_for_each(|number| backend.watch_signal(number)),
        }
    }

    /// Replaces what a forked child shares with its parent. The caller registers it with the backend by
    /// [`register_all`](Self::register_all). Signals that the parent has not handled yet stay with the parent.
    ///
    /// # Errors
    /// [`Error::System`] with `signalfd4`.
    pub(crate) fn reinit(&mut self, notifier: Option<&Arc<Notifier>>) -> Result<(), Error> {
        self.reported.clear();
        match &mut self.delivery {
            Delivery::Handler(reception) => {
                if reception.is_some()
                    && let Some(notifier) = notifier
                {
                    let fresh = Reception::new(Arc::clone(notifier));
                    self.watched.numbers().for_each(|number| fresh.want(number));
                    *reception = Some(fresh);
                }
                Ok(())
            }
            #[cfg(linux_kernel)]
            Delivery::SignalFd(signalfd) => signalfd.renew(),
            Delivery::Backend => Ok(()),
        }
    }

    /// Records that the queued event in slot `index` is to be dispatched `calls` more times; `replace` discards an
    /// earlier record instead of adding to it.
    pub(crate) fn note_calls(&mut self, index: u32, calls: u64, replace: bool) {
        let more = self.more.entry(index).or_insert(0);
        *more = if replace { calls } else { more.saturating_add(calls) };
    }

    /// Takes the recorded calls.
    pub(crate) fn take_calls(&mut self, index: u32) -> u64 {
        self.more.remove(&index).unwrap_or(0)
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for number in self.watched() {
            self.give_up(number);
        }
    }
}

#[cfg(linux_kernel)]
fn by_process(use_signalfd: bool) -> Delivery {
    if use_signalfd { Delivery::SignalFd(SignalFd::default()) } else { Delivery::Handler(None) }
}

/// On a system without signalfd, a request for it has no effect.
#[cfg(not(linux_kernel))]
fn by_process(_use_signalfd: bool) -> Delivery {
    Delivery::Handler(None)
}
