//! The rules of the engine, most of them in virtual time: one file for each behaviour. `docs/differences.md` refers to
//! these tests where libevent behaves differently.

#[path = "../support/mod.rs"]
mod support;

mod base_without_locks;
mod blocking_delete;
mod cached_time;
mod callbacks_that_misbehave;
#[cfg(target_os = "linux")]
mod changelist;
mod choosing_a_backend;
mod closed_bases;
mod coarse_clock;
mod common_timeouts;
mod configuration;
mod counters;
mod deadlines;
mod debug_mode;
mod deferred_activation;
mod descriptors;
mod dispatch_limits;
mod exclusive_events;
mod finalizers;
mod finite_passes;
mod hosts;
mod inspection;
mod interrupted_waits;
mod leaving_the_loop;
mod level_triggered_backends;
mod once_events;
mod periods;
mod priorities;
mod reused_descriptors;
mod stale_ids;
mod statistics;
mod steps;
mod transient_events;
mod waits_made_by_a_host;
mod waking;
mod watchers;
