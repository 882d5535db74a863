//! The handles of a base in JavaScript: an object that owns it, and a number that names it.
//!
//! The owner is an External, so that the garbage collector, or the end of the environment, drops the base. Calls name
//! the base by number: napi-rs looks every External up in a map of the process, behind a mutex (napi 3.16), which
//! takes longer than most calls do. The number is an index into a table of the thread, and Node runs each environment
//! in a thread of its own.
#![expect(unsafe_code, reason = "the one method of the trait that converts an argument is unsafe")]

use std::cell::RefCell;
use std::ops::Deref;
use std::rc::Rc;

use event_base::{Base, Error};
use napi::bindgen_prelude::{External, FromNapiValue, TypeName, ValidateNapiValue};
use napi::{Status, ValueType, sys};
use napi_derive::napi;

use crate::messages;
use crate::state::State;

/// The low bits of a handle are an index into the table; the others count how often the entry was used.
const INDEX_BITS: u32 = 20;
const INDEX_MASK: u32 = (1 << INDEX_BITS) - 1;
const MOST_USES: u32 = (1 << (31 - INDEX_BITS)) - 1;

#[derive(Debug, Default)]
struct Entry {
    uses: u32,
    state: Option<Rc<State>>,
}

thread_local! {
    static TABLE: RefCell<Vec<Entry>> = const { RefCell::new(Vec::new()) };
}

/// Keeps a base in the table until it is dropped.
#[derive(Debug)]
pub struct BaseOwner {
    number: u32,
}

impl BaseOwner {
    /// # Errors
    /// [`Error::OutOfRange`] when the thread has 2^20 bases.
    pub(crate) fn new(base: Base) -> Result<Self, Error> {
        let state = Rc::new(State::new(base));
        TABLE.with_borrow_mut(|table| {
            let vacant = table.iter().position(|entry| entry.state.is_none() && entry.uses < MOST_USES);
            let index = vacant.unwrap_or(table.len());
            if index >> INDEX_BITS != 0 {
                return Err(Error::OutOfRange("the number of bases"));
            }
            if index == table.len() {
                table.push(Entry::default());
            }
            let entry = &mut table[index];
            entry.uses += 1;
            let number = entry.uses << INDEX_BITS | index as u32;
            messages::connect(&state.base, number);
            entry.state = Some(state);
            Ok(BaseOwner { number })
        })
    }
}

impl Drop for BaseOwner {
    fn drop(&mut self) {
        // The state is dropped after the borrow has ended. At the end of the thread the table may be dropped already.
        let state = TABLE
            .try_with(|table| table.borrow_mut().get_mut((self.number & INDEX_MASK) as usize)?.state.take());
        if let Ok(Some(state)) = state {
            messages::disconnect(&state.base);
        }
    }
}

/// The number that names a base in every call.
#[napi(catch_unwind)]
pub fn base_number(owner: &External<BaseOwner>) -> u32 {
    owner.number
}

/// The base that a call names.
#[derive(Debug)]
pub struct Handle {
    state: Rc<State>,
}

impl Handle {
    /// The base that `number` names.
    pub(crate) fn find(number: u32) -> Option<Self> {
        TABLE.with_borrow(|table| {
            let entry = table.get((number & INDEX_MASK) as usize);
            let state = entry.filter(|entry| entry.uses == number >> INDEX_BITS)?.state.clone()?;
            Some(Handle { state })
        })
    }
}

impl Deref for Handle {
    type Target = Rc<State>;

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

impl FromNapiValue for Handle {
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> napi::Result<Self> {
        // SAFETY: the promise of the caller about `env` and `value` is passed on.
        let number = unsafe { u32::from_napi_value(env, value) }?;
        Handle::find(number).ok_or_else(|| napi::Error::new(Status::InvalidArg, "the handle names no base"))
    }
}
