//! libevent's own tests. The number in a test's name is that of its row in `docs/conformance.json`.

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
