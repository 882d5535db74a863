//! Raw descriptors: what an event loop on descriptors needs and the standard library hides.
//!
//! * Nothing blocks: descriptors are opened non-blocking and close-on-exec, and [`read()`], [`write()`] and
//!   [`accept`] answer `None` where the call would block.
//! * An interrupted call (`EINTR`) is made again.
//! * Failures are [`event_base::Error::System`] with the system call's name and the descriptor.
//! * A write to a vanished peer is `EPIPE`, never a signal, wherever the descriptor is a socket.

mod open;
mod option;
mod query;
mod transfer;

pub use open::{BindOptions, DEFAULT_BACKLOG, accept, connect, listen, pair, pipe};
pub use option::{OptionKind, OptionValue, SocketOption, get_option, set_option};
pub use query::{address, error, peer, set_nonblocking};
pub use transfer::{Direction, close, read, shutdown, write, write_vectored};

pub(crate) use transfer::{receive, send};
