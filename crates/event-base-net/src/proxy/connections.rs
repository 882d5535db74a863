//! The connections of one thread, by the key of the source that currently stands for each.

use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::address::Address;
use crate::source::SourceKey;

use super::server::Server;
use super::upstreams::{Choice, Upstreams};

/// The list of upstreams that one thread holds. Its inner reference count is changed once for each list and thread,
/// its outer one for each connection, on this thread alone.
pub(super) type List = Rc<Arc<Upstreams>>;

/// A connection that waits for the connect to a server.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) client: OwnedFd,
    pub(super) peer: Address,
    /// The list in use when the connection was accepted.
    pub(super) list: List,
    pub(super) choice: Choice,
    /// The servers tried so far, the one of `choice` included.
    pub(super) tried: Vec<u32>,
    /// When the connect started.
    pub(super) started: Duration,
}

impl Attempt {
    pub(super) fn server(&self) -> &Arc<Server> {
        self.list.server(self.choice.server)
    }
}

/// A connection between a client and a server.
#[derive(Debug)]
pub(super) struct Flowing {
    pub(super) server: Arc<Server>,
    /// Bytes from the client and from the server that are counted already, or that do not count.
    pub(super) counted: [u64; 2],
}

#[derive(Debug)]
pub(super) enum Connection {
    // Boxed: most connections flow, and an attempt is several times the size.
    Connecting(Box<Attempt>),
    Flowing(Flowing),
}

/// Connections in the slots that their sources have.
#[derive(Debug, Default)]
pub(super) struct Connections {
    slots: Vec<Option<(SourceKey, Connection)>>,
    count: usize,
}

impl Connections {
    pub(super) fn insert(&mut self, key: SourceKey, connection: Connection) {
        if key.slot() >= self.slots.len() {
            self.slots.resize_with(key.slot() + 1, || None);
        }
        self.count += 1;
        self.slots[key.slot()] = Some((key, connection));
    }

    pub(super) fn flowing(&mut self, key: SourceKey) -> Option<&mut Flowing> {
        match self.slots.get_mut(key.slot())? {
            Some((other, Connection::Flowing(flowing))) if *other == key => Some(flowing),
            _ => None,
        }
    }

    pub(super) fn remove(&mut self, key: SourceKey) -> Option<Connection> {
        let (_, connection) = self.slots.get_mut(key.slot())?.take_if(|(other, _)| *other == key)?;
        self.count -= 1;
        Some(connection)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(super) fn keys(&self) -> Vec<SourceKey> {
        self.slots.iter().flatten().map(|(key, _)| *key).collect()
    }
}
