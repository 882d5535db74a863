//! The wire between the engine and JavaScript: converts numbers and errors, and calls back. It holds no rule of the
//! event loop.
//!
//! Every export is a free function that names its base by number, which measures several times faster than a method
//! of a class, and catches panics, which would otherwise abort the process. The TypeScript layer is the only caller
//! and checks all arguments; a wrong handle or id results in an error, never in undefined behaviour.
//!
//! - Times are milliseconds; a negative time means none. Event ids are whole numbers below 2^53.
//! - A failure is returned as an error object (`error::Outcome`) and thrown by TypeScript: an exception that native
//!   code throws aborts the process under `--abort-on-uncaught-exception`, even where JavaScript catches it.
//! - A pointer into JavaScript's memory is taken only after the last call that can run JavaScript, which is any
//!   reading of a property or an element. So bytes are arguments of their own and never properties of an object.
//!
//! The modules depend on each other in one direction: a module uses only modules of the lines below its own, which a
//! test checks.
//!
//! ```text
//! base  config  crossing  driver  proxy  remote  signal  stats
//! datagram  event  net
//! socket  step
//! handle
//! state
//! address  caller  descriptor  error  messages  registry  time
//! ```

#![expect(unreachable_pub, reason = "an export must be `pub` for its macro, though only JavaScript sees it")]

mod address;
mod base;
mod caller;
mod config;
mod crossing;
mod datagram;
mod descriptor;
mod driver;
mod error;
mod event;
mod handle;
mod messages;
mod net;
mod proxy;
mod registry;
mod remote;
mod signal;
mod socket;
mod state;
mod stats;
mod step;
mod time;
