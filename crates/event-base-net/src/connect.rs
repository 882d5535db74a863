//! A connect on its way.

use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use event_base::{Base, Error, EventId, EventSpec, Ready, What};
use nix::errno::Errno;

use crate::address::Address;
use crate::failure::{Result, system};
use crate::socket::{self, ConnectOptions};
use crate::source::{Role, SourceKey};

#[derive(Debug)]
pub(crate) struct Connecting {
    fd: OwnedFd,
    event: EventId,
}

impl Connecting {
    pub(crate) fn new(
        base: &Base,
        key: SourceKey,
        address: &Address,
        timeout: Option<Duration>,
        options: &ConnectOptions,
    ) -> Result<Self> {
        let fd = socket::connect_with(address, options)?;
        // A connection that is there already is writable, so it too is reported by the loop.
        let interest = EventSpec::io(fd.as_raw_fd(), What::WRITE).data(Role::Write(0).tag(key));
        let event = base.create(interest)?;
        if let Err(error) = base.add(event, timeout) {
            let _ = base.free(event);
            return Err(error);
        }
        Ok(Connecting { fd, event })
    }

    /// Called when its event fired: how the connect went.
    pub(crate) fn finish(self, base: &Base, ready: &Ready) -> Result<OwnedFd> {
        let _ = base.free(self.event);
        if !ready.what.contains(What::WRITE) {
            return Err(system(Errno::ETIMEDOUT, "connect", Some(self.fd.as_raw_fd())));
        }
        match socket::error(&self.fd, "connect")? {
            None => Ok(self.fd),
            Some(error) => Err(Error::System(error)),
        }
    }

    pub(crate) fn close(self, base: &Base) {
        let _ = base.free(self.event);
    }
}
