//! The calls that are made for every event or piece of data, as plain Node-API functions.
//!
//! The code that `#[napi]` generates for a function with arguments allocates and locks in every call (napi 3.16),
//! which takes several times longer than what these functions do. They read their arguments into an array on the
//! stack. [`crossing`] returns them as one object, whose type is declared in `binding-header.d.ts`.

mod call;
mod completion;
mod datagram;
mod events;
mod relay;
mod transfer;

use napi::Env;
use napi::bindgen_prelude::Object;
use napi_derive::napi;

use call::define;

/// The calls that are made for every event or piece of data.
#[napi(catch_unwind, ts_return_type = "Crossing")]
pub fn crossing(env: Env) -> napi::Result<Object<'static>> {
    let target = Object::new(&env)?;
    define::<events::LoopEnter>(&env, &target)?;
    define::<events::LoopNext>(&env, &target)?;
    define::<events::LoopLeave>(&env, &target)?;
    define::<events::LoopWatcher>(&env, &target)?;
    define::<events::LoopWait>(&env, &target)?;
    define::<events::EventCreate>(&env, &target)?;
    define::<events::EventCreateAndAdd>(&env, &target)?;
    define::<events::EventAdd>(&env, &target)?;
    define::<events::EventDel>(&env, &target)?;
    define::<events::EventFree>(&env, &target)?;
    define::<events::EventActivate>(&env, &target)?;
    define::<events::EventPending>(&env, &target)?;
    define::<completion::NetCompletion>(&env, &target)?;
    define::<relay::NetRelay>(&env, &target)?;
    define::<transfer::OwnDescriptor>(&env, &target)?;
    define::<transfer::DisownDescriptor>(&env, &target)?;
    define::<transfer::SocketRead>(&env, &target)?;
    define::<transfer::SocketWrite>(&env, &target)?;
    define::<transfer::SocketWriteMany>(&env, &target)?;
    define::<transfer::SocketPeek>(&env, &target)?;
    define::<datagram::DatagramReceive>(&env, &target)?;
    define::<datagram::DatagramSend>(&env, &target)?;
    Ok(target)
}
