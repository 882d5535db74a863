//! The engine's own rules, most of them in virtual time: one file per behaviour, names that are statements.
//! `docs/differences.md` points here wherever libevent does something else.

#[path = "../support/mod.rs"]
mod support;

mod base_without_locks;
mod blocking_delete;
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
mod driven_by_a_host;
mod finalizers;
mod finite_passes;
mod inspection;
mod leaving_the_loop;
mod level_triggered_backends;
mod once_events;
mod periods;
mod priorities;
mod reused_descriptors;
mod stale_ids;
mod statistics;
mod steps;
mod the_time;
mod transient_events;
mod waits_away_from_home;
mod waking;
mod watchers;
