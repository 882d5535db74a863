//! The engine beside the system's libevent.
//!
//! Nothing here is published. The crate drives two event loops through one
//! small trait, [`Peer`]: the [`Libevent`] that the system ships, and this
//! project's [`Engine`]. A measure is written once and runs on both, with the
//! very same handler, so that what differs is the loop and nothing else.
//!
//! It needs libevent's development files (`apt-get install libevent-dev`), so
//! it is a member of the workspace but not one of its default members.

pub mod engine;
pub mod failure;
pub mod libevent;
pub mod peer;
pub mod random;

pub use engine::Engine;
pub use failure::Failure;
pub use libevent::Libevent;
pub use peer::{Handler, Pass, Peer, Waker};
pub use random::Random;
