//! Raw descriptors: what an event loop on descriptors needs and the standard library hides.
//!
//! * Nothing blocks: descriptors are opened non-blocking and close-on-exec, and [`read()`], [`write()`] and
//!   [`accept`] answer `None` where the call would block.
//! * An interrupted call (`EINTR`) is made again.
//! * Failures are [`event_base::Error::System`] with the system call's name and the descriptor.
//! * A write to a vanished peer is `EPIPE`, never a signal, wherever the descriptor is a socket.

mod configure;
mod connect;
mod datagram;
#[cfg(target_os = "linux")]
mod linux;
mod listen;
mod message;
mod open;
mod option;
mod query;
mod transfer;
mod unsent;

pub use configure::{get_option, set_option};
pub use connect::{ConnectOptions, connect, connect_outcome, connect_with};
pub use datagram::{
    Datagram, DatagramOptions, MOST_DATAGRAMS, bind_datagram, connect_datagram, receive_many, send_many,
};
pub use listen::{BindOptions, DEFAULT_BACKLOG, check_listening, listen};
pub use open::{accept, pair, pipe};
pub use option::{OptionKind, OptionValue, SocketOption};
pub use query::{address, error, peer, set_close_on_exec, set_nonblocking};
pub use transfer::{Direction, close, peek, read, shutdown, write, write_vectored};

pub(crate) use connect::is_writable;
pub(crate) use transfer::{receive, send};
pub(crate) use unsent::unacknowledged;
