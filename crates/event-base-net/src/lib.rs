//! Sockets, listeners, outgoing connections and byte relays over the [`event_base`] engine.
//!
//! Two layers, and a program on them:
//!
//! * [`socket`] operates on raw descriptors: open, accept, read, write, options. A function makes one or a few system
//!   calls and does not block. "Would block" is `None`, never an error.
//! * [`Net`] runs inside a loop: listeners that accept in bounded batches, connects with a deadline, and relays that
//!   move bytes between two descriptors. Like the engine it stores no callback: the caller that runs the loop passes
//!   it each [`event_base::Ready`] whose `data` is not 0, and takes [`Completion`]s from it.
//! * [`proxy`] accepts, connects and relays on threads of its own.
//!
//! ```
//! use event_base::{Base, LoopFlags};
//! use event_base_net::{Address, Completion, ListenOptions, Net, socket};
//!
//! let base = Base::new()?;
//! let mut net = Net::new(base.clone());
//! let listener = socket::listen(&Address::internet("127.0.0.1", 0)?, &socket::BindOptions::default())?;
//! let address = socket::address(&listener)?;
//! net.listen(listener, ListenOptions::default())?;
//! net.connect(&address, None)?;
//!
//! let mut done = 0;
//! base.run(LoopFlags::empty(), |base, ready| {
//!     net.ready(&ready);
//!     while let Some(completion) = net.completion() {
//!         done += usize::from(matches!(
//!             completion,
//!             Completion::Accepted { .. } | Completion::Connected { result: Ok(_), .. }
//!         ));
//!     }
//!     if done == 2 {
//!         base.loop_break().expect("the base is open");
//!     }
//! })?;
//! assert_eq!(done, 2);
//! # Ok::<(), event_base::Error>(())
//! ```
//!
//! # Threads
//! A [`Net`] belongs to the thread that runs its base's loop. The functions of [`socket`] may be called on
//! any thread.
//!
//! # Descriptors
//! Every descriptor that is opened here is non-blocking and close-on-exec. A [`Net`] owns the descriptors that are
//! passed to it, and closes each of them exactly once.

mod accept;
mod address;
mod backoff;
mod completion;
mod connect;
mod failure;
#[cfg(test)]
mod faults;
mod net;
#[cfg(any(test, fuzzing))]
pub mod properties;
pub mod proxy;
mod relay;
pub mod socket;
mod source;

pub use accept::{ListenOptions, ListenRefused};
pub use address::Address;
pub use completion::Completion;
pub use connect::{ATTEMPT_DELAY, ConnectRequest};
pub use failure::Result;
pub use net::Net;
pub use relay::{
    EndReason, RateGroup, RateLimit, RelayEnd, RelayOptions, RelayRefused, RelayStats, Transfer,
};
pub use source::SourceKey;
