//! libevent's own tests, row by row of `docs/conformance.json`: a test bears its row's number.

#[path = "../support/mod.rs"]
mod support;

mod bases;
mod closing;
mod dump;
mod edge_triggered;
mod events;
mod finalizers;
mod programs;
mod readiness;
mod threads;
mod timers;
mod transfers;
mod watchers;
