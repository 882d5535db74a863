//! A relay that is told no more than times, which a proxy makes for each connection.

use std::ffi::CStr;

use event_base_net::RelayOptions;

use super::{Call, Export, Value};
use crate::handle::duration;
use crate::net::relay::begin;

pub(super) struct NetRelay;

impl Export for NetRelay {
    const NAME: &'static CStr = c"netRelay";

    fn call(call: &Call) -> napi::Result<Value> {
        let options = RelayOptions {
            idle_timeout: duration(call.number(3)),
            connect_timeout: duration(call.number(4)),
            ..RelayOptions::default()
        };
        let begun = begin(&call.handle()?, call.int(1), call.int(2), options);
        call.check(begun).map(Value::Number)
    }
}
