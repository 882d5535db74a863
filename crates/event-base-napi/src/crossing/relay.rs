//! A relay without options but its timeouts, which a proxy starts for each connection.

use std::ffi::CStr;

use event_base::Error;
use event_base_net::RelayOptions;

use super::call::{Call, Export, Value};
use crate::net::relay;
use crate::time::duration;

pub(super) struct NetRelay;

impl Export for NetRelay {
    const NAME: &'static CStr = c"netRelay";

    fn call(call: &Call) -> Result<Value, Error> {
        let options = RelayOptions {
            idle_timeout: duration(call.number(3)),
            half_close_timeout: duration(call.number(4)),
            connect_timeout: duration(call.number(5)),
            ..RelayOptions::default()
        };
        relay::start(&call.handle()?, call.int(1), call.int(2), options).map(Value::Number)
    }
}
