//! A base and everything that belongs to it on this side.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::os::fd::RawFd;
use std::time::Duration;

use event_base::{Base, CommonTimeout, Error, Ready, WatcherCall};
use event_base_net::{Address, Net, socket};

use crate::descriptor::borrow;
use crate::registry::SharedName;
use crate::time::duration;

/// Waits for a base on behalf of the host's own loop, and runs what is due: see `driver`.
pub(crate) trait Driver: fmt::Debug {
    /// Sets whether the driver keeps the process alive.
    fn set_ref(&self, keep_alive: bool);

    /// Waits on the base's descriptor again if the kernel's object behind it was replaced, which `epoch` counts.
    ///
    /// # Errors
    /// What the system returns for a descriptor or a thread that cannot be made.
    fn rewatch(&mut self, epoch: u32) -> Result<(), Error>;

    /// Stops waiting. A wait that a thread has of the base is over when this returns.
    fn close(self: Box<Self>);
}

/// The part of a completion that is not a number, kept until JavaScript fetches it.
#[derive(Debug)]
pub(crate) enum CompletionDetail {
    /// The peer of an accepted connection.
    Peer(Address),
    /// The error of a source that failed.
    Failure(Error),
    /// The error of a connect, and the errors of its attempts, each with the index of its address.
    ConnectFailure(Error, Vec<(usize, Error)>),
}

/// A base and what belongs to it on this side. A driver keeps it alive.
#[derive(Debug)]
pub struct State {
    pub(crate) base: Base,
    /// Listeners, connects and relays; never borrowed while JavaScript runs.
    pub(crate) net: RefCell<Net>,
    pub(crate) driver: RefCell<Option<Box<dyn Driver>>>,
    /// The common timeouts that JavaScript has, which names them by index.
    pub(crate) common: RefCell<Vec<CommonTimeout>>,
    /// The call of a watcher that the last step returned.
    pub(crate) watcher: Cell<Option<WatcherCall>>,
    /// The part of the last completion that is not a number.
    pub(crate) detail: RefCell<Option<CompletionDetail>>,
    /// The number of runs so far, by which a driver detects that a callback has ended its run and started another one.
    pub(crate) runs: Cell<u32>,
    /// The name under which other threads find the base.
    pub(crate) shared: RefCell<Option<SharedName>>,
    /// Descriptors that JavaScript uses and that are closed with the base at the latest. The value is whether the stream
    /// that was written to the descriptor has ended.
    owned: RefCell<HashMap<RawFd, bool>>,
}

impl State {
    pub(crate) fn new(base: Base) -> Self {
        State {
            net: RefCell::new(Net::new(base.clone())),
            base,
            driver: RefCell::default(),
            common: RefCell::default(),
            watcher: Cell::default(),
            detail: RefCell::default(),
            runs: Cell::default(),
            shared: RefCell::default(),
            owned: RefCell::default(),
        }
    }

    pub(crate) fn base(&self) -> &Base {
        &self.base
    }

    /// The timeout that a number from JavaScript names.
    pub(crate) fn timeout(&self, number: f64) -> Result<Timeout, Error> {
        if number <= FIRST_COMMON {
            let index = (FIRST_COMMON - number) as usize;
            let common = self.common.borrow().get(index).copied();
            return common.map(Timeout::Common).ok_or(Error::OutOfRange("the timeout"));
        }
        Ok(duration(number).map_or(Timeout::None, Timeout::After))
    }

    /// Dispatches an event of a listener, a connect or a relay.
    pub(crate) fn net_ready(&self, ready: &Ready) {
        self.net.borrow_mut().ready(ready);
    }

    /// Whether JavaScript has a completion to fetch. After a break it fetches the completion in the next loop.
    pub(crate) fn has_completion(&self) -> bool {
        self.net.borrow().has_completion() && self.base.got_break() == Ok(false)
    }

    /// Closes every listener, connect and relay, and every descriptor that they own. Reports no completion.
    pub(crate) fn net_close(&self) {
        let old = self.net.replace(Net::new(self.base.clone()));
        drop(old);
    }

    /// Makes the base the owner of a descriptor, which is closed with it unless it is disowned before. Unless
    /// `has_ended`, closing it resets a TCP connection.
    pub(crate) fn own_descriptor(&self, fd: RawFd, has_ended: bool) {
        self.owned.borrow_mut().insert(fd, has_ended);
    }

    /// Ends the ownership of a descriptor, which stays open.
    pub(crate) fn disown_descriptor(&self, fd: RawFd) {
        self.owned.borrow_mut().remove(&fd);
    }

    /// Makes the driver wait on the kernel's object that the base has now.
    pub(crate) fn rewatch(&self) -> Result<(), Error> {
        match (self.base.descriptor_epoch(), &mut *self.driver.borrow_mut()) {
            (Ok(epoch), Some(driver)) => driver.rewatch(epoch),
            // The base is closed, which ends the driver, or is not run.
            _ => Ok(()),
        }
    }

    /// Stops the driver and leaves the loop.
    pub(crate) fn detach(&self) {
        let driver = self.driver.borrow_mut().take();
        if let Some(driver) = driver {
            // Before the loop is left: a wait that a thread has must be returned first.
            driver.close();
            self.base.leave();
        }
    }
}

impl Drop for State {
    /// Runs at the end of the environment at the latest. Other threads must not find a base that no thread runs, and
    /// the peers of its connections must learn that they have ended.
    fn drop(&mut self) {
        drop(self.shared.take());
        self.net_close();
        self.base.leave();
        // Fails only on a thread that has never used the base.
        _ = self.base.close();
        for (fd, has_ended) in self.owned.take() {
            // The peer of a stream that has not ended must not take it for a complete one.
            if !has_ended && let Ok(fd) = borrow(fd, "setsockopt") {
                socket::reset_on_close(fd);
            }
            // Fails if user code has closed it already. Otherwise it is closed even if the system reports an error.
            _ = socket::close(fd);
        }
    }
}

/// This number and those below it name common timeouts.
const FIRST_COMMON: f64 = -2.0;

/// The timeout of an event that is added.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Timeout {
    None,
    After(Duration),
    Common(CommonTimeout),
}

impl Timeout {
    /// The number that names the common timeout at `index` of [`State::common`].
    pub(crate) fn number_of(index: usize) -> f64 {
        FIRST_COMMON - index as f64
    }
}
