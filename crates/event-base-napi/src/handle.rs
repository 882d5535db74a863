//! What JavaScript holds of a base.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use event_base::Base;
use napi::bindgen_prelude::External;

use crate::driver::Driver;

/// A base and what belongs to it on this side. The garbage collector, or the end of the environment, drops
/// it; a driver that runs keeps it.
#[derive(Debug, Clone)]
pub struct BaseHandle {
    pub(crate) state: Rc<HandleState>,
}

/// The handle's contents, shared with the driver.
#[derive(Debug)]
pub(crate) struct HandleState {
    pub(crate) base: Base,
    pub(crate) driver: RefCell<Option<Driver>>,
}

/// How a handle crosses the border.
pub(crate) type Handle = External<BaseHandle>;

impl BaseHandle {
    pub(crate) fn new(base: Base) -> Self {
        BaseHandle { state: Rc::new(HandleState { base, driver: RefCell::new(None) }) }
    }

    pub(crate) fn base(&self) -> &Base {
        &self.state.base
    }
}

/// The duration of `milliseconds`, to the nanosecond; `None` for a negative number.
pub(crate) fn duration(milliseconds: f64) -> Option<Duration> {
    (milliseconds >= 0.0)
        .then(|| Duration::try_from_secs_f64(milliseconds / 1e3).unwrap_or(Duration::MAX))
}

/// The milliseconds of `duration`.
pub(crate) fn milliseconds(duration: Duration) -> f64 {
    duration.as_nanos() as f64 / 1e6
}
