//! Operations on raw descriptors that an event loop needs and the standard library does not offer.
//!
//! * No call blocks: descriptors are opened non-blocking and close-on-exec, and [`read()`], [`write()`] and
//!   [`accept`] return `None` where the system call would block.
//! * A call that a signal interrupts (`EINTR`) is repeated.
//! * A failure is an [`event_base::Error::System`] with the name of the system call and the descriptor.
//! * A write to a socket whose peer has closed is `EPIPE` and raises no signal.

mod bound_path;
mod configure;
mod connect;
mod counts;
mod datagram;
#[cfg(target_os = "linux")]
mod linux;
mod listen;
mod message;
mod open;
mod option;
mod query;
mod transfer;

pub use bound_path::BoundPath;
pub use configure::{get_option, reset_on_close, set_option};
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
pub(crate) use counts::{received, unacknowledged};
#[cfg(target_os = "linux")]
pub(crate) use transfer::retry;
pub(crate) use transfer::{receive, send};
