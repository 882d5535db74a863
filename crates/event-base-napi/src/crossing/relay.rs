//! The relay that a proxy begins for each connection: one without a limit and without a prefix.

use std::ffi::CStr;

use event_base_net::RelayOptions;

use super::{Call, Export, Value};
use crate::handle::duration;
use crate::net::relay::{begin, transfer};

/// Relays, where nothing is asked for that numbers cannot say.
pub(super) struct NetRelayPlain;

impl Export for NetRelayPlain {
    const NAME: &'static CStr = c"netRelayPlain";

    fn call(call: &Call) -> napi::Result<Value> {
        let options = RelayOptions {
            idle_timeout: duration(call.number(3)),
            connect_timeout: duration(call.number(4)),
            transfer: transfer(call.uint(5)),
            ..RelayOptions::default()
        };
        call.check(begin(&call.handle()?, [call.int(1), call.int(2)], options)).map(Value::Number)
    }
}
