//! The engine beside the system's libevent.
//!
//! The crate is not published. It drives two event loops through one trait, [`Peer`]: the system's [`Libevent`] and this
//! project's [`Engine`]. A measure is written once and runs on both with the same handler, so only the loops differ.
//!
//! It needs libevent's development files (`apt-get install libevent-dev`), so it is not a default member of the workspace.

pub mod engine;
pub mod failure;
pub mod libevent;
pub mod peer;
pub mod random;

pub use engine::Engine;
pub use failure::Failure;
pub use libevent::Libevent;
pub use peer::{Build, Handler, Pass, Peer, Waker};
pub use random::Random;
