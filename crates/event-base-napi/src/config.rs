//! Building a base.

use event_base::{Base, BaseFlags, Config, Features};
use napi::bindgen_prelude::External;
use napi_derive::napi;

use crate::error::Outcome;
use crate::handle::BaseOwner;
use crate::time::duration;

/// The settings of `EventConfig`.
#[napi(object)]
#[derive(Debug)]
pub struct BindingConfig {
    /// Names of backends not to use.
    pub avoided: Vec<String>,
    /// Bits of `Feature`.
    pub features: u32,
    /// Bits of `BaseFlag`.
    pub flags: u32,
    /// Milliseconds that the callbacks of one pass may take; negative for no limit.
    pub interval: f64,
    /// Callbacks of one pass; negative for no limit.
    pub callbacks: f64,
    /// The most urgent priority that the limits apply to.
    pub min_priority: u32,
    /// The number of priorities, 1 to 255.
    pub priorities: u32,
    /// Whether times are measured.
    pub timing: bool,
    /// Whether the coarse clock is used.
    pub coarse_clock: bool,
    /// Whether debug mode is on.
    pub debug: bool,
}

/// The backends of this build, in order of preference.
#[napi(catch_unwind)]
pub fn supported_methods() -> Vec<&'static str> {
    event_base::supported_methods()
}

/// The version of this build.
#[napi(catch_unwind)]
pub fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// Builds a base, which is closed when the returned object is garbage.
#[napi(catch_unwind)]
pub fn create_base(config: BindingConfig) -> Outcome<External<BaseOwner>> {
    let callbacks = (config.callbacks >= 0.0).then_some(config.callbacks as u32);
    let settings = Config::new()
        .require_features(Features::from_bits_truncate(config.features as u8))
        .set_flags(BaseFlags::from_bits_truncate(config.flags as u8))
        .set_max_dispatch_interval(duration(config.interval), callbacks, config.min_priority as u8)
        .set_priorities(config.priorities as u8)
        .set_timing(config.timing)
        .share_signals(true)
        .set_debug(config.debug);
    let settings = if config.coarse_clock { settings.use_coarse_clock() } else { settings };
    let settings = config.avoided.iter().fold(settings, |settings, name| settings.avoid_method(name));
    Base::with_config(&settings).and_then(BaseOwner::new).map(External::new).into()
}
