//! The wire between the engine and JavaScript: converts numbers and errors, and calls back. No rule of the
//! event loop lives here.
//!
//! Every export is a free function over a number, which measures several times faster than a method of a
//! class, and catches panics, which would otherwise take the process down. Arguments were checked by the
//! TypeScript layer, which is the only caller; a handle or an id that lies gets an error, never more.
//!
//! Times are milliseconds; a negative one means none. Event ids are whole numbers below 2^53.

#![expect(unreachable_pub, reason = "an export must be `pub` for its macro, though only JavaScript sees it")]

mod base;
mod config;
mod crossing;
mod datagram;
mod descriptor;
mod driver;
mod error;
mod event;
mod handle;
mod log;
mod net;
mod proxy;

mod remote;
mod scope;
mod signal;
mod socket;
mod stats;
mod step;
