//! What JavaScript holds of a base: an object that owns it, and a number that names it.
//!
//! The owner is an External, so that the garbage collector, or the end of the environment, drops the base.
//! Calls name the base by number instead: napi-rs looks every External up in a map of the whole process,
//! behind a mutex, which takes longer than most calls do. The number is an index into a table of this thread,
//! and Node gives each environment a thread of its own.

use std::cell::{Cell, RefCell};
use std::ops::Deref;
use std::rc::Rc;
use std::time::Duration;

use event_base::{Base, CommonTimeout, Error};
use event_base_net::Net;
use napi::bindgen_prelude::{External, FromNapiValue, TypeName, ValidateNapiValue};
use napi::{Status, ValueType, sys};
use napi_derive::napi;

use crate::crossing::Rest;
use crate::driver::Driver;
use crate::log;
use crate::step::Told;

/// A handle's low bits are a place in the table, the others count how often the place was used.
const PLACE_BITS: u32 = 20;
const MOST_USES: u32 = (1 << (31 - PLACE_BITS)) - 1;

/// A base and what belongs to it on this side. A driver that runs keeps it alive.
#[derive(Debug)]
pub struct HandleState {
    pub(crate) base: Base,
    /// What this base does natively; borrowed only while nothing of JavaScript's runs.
    pub(crate) net: RefCell<Net>,
    pub(crate) driver: RefCell<Option<Driver>>,
    /// The common timeouts that JavaScript asked for; it names them by their place.
    pub(crate) common: RefCell<Vec<CommonTimeout>>,
    /// The watcher whose turn it is.
    pub(crate) told: Cell<Told>,
    /// What the numbers told last of a listener, a connect or a relay leave out.
    pub(crate) rest: RefCell<Option<Rest>>,
    /// Counts the runs, so that a callback under way can tell its own from the next one.
    pub(crate) runs: Cell<u32>,
    /// The name under which other threads find the base.
    pub(crate) shared: RefCell<Option<String>>,
}

/// Handles of other threads must not find a base that nobody runs any more.
impl Drop for HandleState {
    fn drop(&mut self) {
        self.unshare();
        self.net_close();
        self.base.leave();
        // Refused only to a thread that never had the base.
        _ = self.base.close();
    }
}

impl HandleState {
    pub(crate) fn base(&self) -> &Base {
        &self.base
    }

    /// The timeout that a number from JavaScript means.
    pub(crate) fn timeout(&self, number: f64) -> Result<Timeout, Error> {
        if number <= FIRST_COMMON {
            let place = (FIRST_COMMON - number) as usize;
            let common = self.common.borrow().get(place).copied();
            return common.map(Timeout::Common).ok_or(Error::OutOfRange("the timeout"));
        }
        Ok(duration(number).map_or(Timeout::None, Timeout::After))
    }
}

/// This number and those below it name common timeouts.
const FIRST_COMMON: f64 = -2.0;

/// What is given to an event that is added.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Timeout {
    None,
    After(Duration),
    Common(CommonTimeout),
}

impl Timeout {
    /// Names the common timeout at `place` of [`HandleState::common`].
    pub(crate) fn number_of(place: usize) -> f64 {
        FIRST_COMMON - place as f64
    }
}

#[derive(Debug, Default)]
struct Place {
    uses: u32,
    state: Option<Rc<HandleState>>,
}

thread_local! {
    static PLACES: RefCell<Vec<Place>> = const { RefCell::new(Vec::new()) };
}

/// Keeps a base in the table until it is dropped.
#[derive(Debug)]
pub struct BaseOwner {
    number: u32,
}

impl BaseOwner {
    pub(crate) fn new(base: Base) -> napi::Result<Self> {
        let net = RefCell::new(Net::new(base.clone()));
        let driver = RefCell::new(None);
        let common = RefCell::new(Vec::new());
        let (told, runs) = (Cell::default(), Cell::new(0));
        let shared = RefCell::new(None);
        let rest = RefCell::new(None);
        let state = Rc::new(HandleState { base, net, driver, common, told, rest, runs, shared });
        PLACES.with_borrow_mut(|places| {
            let vacant = places.iter().position(|place| place.state.is_none() && place.uses < MOST_USES);
            let index = vacant.unwrap_or(places.len());
            if index >> PLACE_BITS != 0 {
                return Err(napi::Error::from_reason("too many bases"));
            }
            if index == places.len() {
                places.push(Place::default());
            }
            let place = &mut places[index];
            place.uses += 1;
            let number = place.uses << PLACE_BITS | index as u32;
            log::connect(&state.base, number);
            place.state = Some(state);
            Ok(BaseOwner { number })
        })
    }
}

impl Drop for BaseOwner {
    fn drop(&mut self) {
        // The state is dropped after the borrow ended. At the thread's end the table may be gone already.
        let state = PLACES.try_with(|places| {
            places.borrow_mut().get_mut((self.number & ((1 << PLACE_BITS) - 1)) as usize)?.state.take()
        });
        if let Ok(Some(state)) = state {
            log::disconnect(&state.base);
        }
    }
}

/// The number that names a base in every call.
#[napi(catch_unwind)]
pub fn base_number(owner: &External<BaseOwner>) -> u32 {
    owner.number
}

/// A base that a call named.
#[derive(Debug)]
pub struct Handle {
    state: Rc<HandleState>,
}

impl Handle {
    /// The base that `number` names.
    pub(crate) fn find(number: u32) -> napi::Result<Self> {
        let index = (number & ((1 << PLACE_BITS) - 1)) as usize;
        PLACES
            .with_borrow(|places| {
                let place = places.get(index).filter(|place| place.uses == number >> PLACE_BITS)?;
                place.state.clone()
            })
            .map(|state| Handle { state })
            .ok_or_else(|| napi::Error::new(Status::InvalidArg, "the handle names no base"))
    }
}

impl Deref for Handle {
    type Target = Rc<HandleState>;

    fn deref(&self) -> &Self::Target {
        &self.state
    }
}

impl TypeName for Handle {
    fn type_name() -> &'static str {
        "Handle"
    }

    fn value_type() -> ValueType {
        ValueType::Number
    }
}

impl ValidateNapiValue for Handle {}

#[expect(unsafe_code, reason = "the trait's one method is unsafe, and so is the conversion it is made of")]
impl FromNapiValue for Handle {
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> napi::Result<Self> {
        // SAFETY: the caller's promise about `env` and `value` is handed on.
        Handle::find(unsafe { u32::from_napi_value(env, value) }?)
    }
}

/// The duration of `milliseconds`, to the nanosecond; `None` for a negative number.
pub(crate) fn duration(milliseconds: f64) -> Option<Duration> {
    (milliseconds >= 0.0).then(|| {
        // A float's conversion saturates, so the longest times mean for ever.
        Duration::from_nanos((milliseconds * 1e6).round() as u64)
    })
}

/// The milliseconds of `duration`.
pub(crate) fn milliseconds(duration: Duration) -> f64 {
    duration.as_nanos() as f64 / 1e6
}
