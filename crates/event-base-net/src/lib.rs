//! Sockets, listeners, outgoing connections and byte relays over the [`event_base`] engine.
//!
//! Two floors:
//!
//! * [`socket`] is the raw descriptors: open, accept, read, write, options. Each call is one system call or
//!   a few, none of them blocks, and "would block" is `None`, never an error.
//! * [`Net`] is what runs inside a loop: listeners that accept in bounded batches, connects with a
//!   deadline, and relays that move bytes between two descriptors. It stores no callback, as the engine
//!   stores none: whoever runs the loop passes it each [`event_base::Ready`] whose `data` is not 0 and takes
//!   [`Completion`]s out.
//!
//! ```
//! use event_base::{Base, LoopFlags};
//! use event_base_net::{Address, Completion, ListenOptions, Net, socket};
//!
//! let base = Base::new()?;
//! let mut net = Net::new(base.clone());
//! let door = socket::listen(&Address::internet("127.0.0.1", 0)?, &socket::BindOptions::default())?;
//! let address = socket::address(&door)?;
//! net.listen(door, ListenOptions::default())?;
//! net.connect(&address, None)?;
//!
//! let mut met = 0;
//! base.run(LoopFlags::empty(), |base, ready| {
//!     net.ready(&ready);
//!     while let Some(completion) = net.completion() {
//!         met += usize::from(matches!(
//!             completion,
//!             Completion::Accepted { .. } | Completion::Connected { result: Ok(_), .. }
//!         ));
//!     }
//!     if met == 2 {
//!         base.loop_break().expect("the base is open");
//!     }
//! })?;
//! assert_eq!(met, 2);
//! # Ok::<(), event_base::Error>(())
//! ```
//!
//! # Threads
//! A [`Net`] belongs to the thread that runs its base's loop. The functions of [`socket`] may be called on
//! any thread.
//!
//! # Descriptors
//! Every descriptor made here is non-blocking and close-on-exec. What is handed to a [`Net`] is owned by it
//! and closed exactly once, however its life ends.

mod accept;
mod address;
mod backoff;
mod completion;
mod connect;
mod failure;
#[cfg(test)]
mod faults;
mod net;
pub mod proxy;
mod relay;
pub mod socket;
mod source;

pub use accept::ListenOptions;
pub use address::Address;
pub use completion::Completion;
pub use connect::{ATTEMPT_DELAY, ConnectRequest};
pub use failure::Result;
pub use net::Net;
pub use relay::{EndReason, RateGroup, RateLimit, RelayEnd, RelayOptions, RelayStats, Transfer};
pub use source::SourceKey;
