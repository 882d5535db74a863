//! The loop, step by step, and its events.

use std::ffi::CStr;

use event_base::{Error, EventId, LoopFlags, Wait, WatcherCall};

use super::call::{Call, Export, Value};
use crate::event::spec;
use crate::state::Timeout;
use crate::time::milliseconds;

fn id(id: EventId) -> Value {
    Value::Number(id.to_bits() as f64)
}

pub(super) struct LoopEnter;

impl Export for LoopEnter {
    const NAME: &'static CStr = c"loopEnter";

    fn call(call: &Call) -> Result<Value, Error> {
        let flags = LoopFlags::from_bits_truncate(call.uint(1) as u8);
        call.handle()?.base().enter(flags)?;
        Ok(Value::Undefined)
    }
}

pub(super) struct LoopLeave;

impl Export for LoopLeave {
    const NAME: &'static CStr = c"loopLeave";

    fn call(call: &Call) -> Result<Value, Error> {
        call.handle()?.base().leave();
        Ok(Value::Undefined)
    }
}

pub(super) struct LoopNext;

impl Export for LoopNext {
    const NAME: &'static CStr = c"loopNext";

    fn call(call: &Call) -> Result<Value, Error> {
        Ok(Value::Int(call.handle()?.next(Wait::Allowed)?.number()))
    }
}

pub(super) struct LoopWatcher;

impl Export for LoopWatcher {
    const NAME: &'static CStr = c"loopWatcher";

    fn call(call: &Call) -> Result<Value, Error> {
        let id = match call.handle()?.watcher.get() {
            Some(WatcherCall::Prepare { id, .. } | WatcherCall::Check { id, .. }) => id.to_bits(),
            None => 0,
        };
        Ok(Value::Number(id as f64))
    }
}

pub(super) struct LoopWait;

impl Export for LoopWait {
    const NAME: &'static CStr = c"loopWait";

    fn call(call: &Call) -> Result<Value, Error> {
        let wait = match call.handle()?.watcher.get() {
            Some(WatcherCall::Prepare { wait, .. }) => wait,
            _ => None,
        };
        Ok(Value::Number(wait.map_or(-1.0, milliseconds)))
    }
}

pub(super) struct EventCreate;

impl Export for EventCreate {
    const NAME: &'static CStr = c"eventCreate";

    fn call(call: &Call) -> Result<Value, Error> {
        let spec = spec(call.int(1), call.uint(2), call.uint(3));
        call.handle()?.base().create(spec).map(id)
    }
}

pub(super) struct EventCreateAndAdd;

impl Export for EventCreateAndAdd {
    const NAME: &'static CStr = c"eventCreateAndAdd";

    fn call(call: &Call) -> Result<Value, Error> {
        let spec = spec(call.int(1), call.uint(2), call.uint(3));
        let handle = call.handle()?;
        let created = match handle.timeout(call.number(4))? {
            Timeout::None => handle.base().create_and_add(spec, None),
            Timeout::After(timeout) => handle.base().create_and_add(spec, Some(timeout)),
            Timeout::Common(timeout) => handle.base().create_and_add_common(spec, timeout),
        };
        created.map(id)
    }
}

pub(super) struct EventAdd;

impl Export for EventAdd {
    const NAME: &'static CStr = c"eventAdd";

    fn call(call: &Call) -> Result<Value, Error> {
        let handle = call.handle()?;
        match handle.timeout(call.number(2))? {
            Timeout::None => handle.base().add(call.event(), None)?,
            Timeout::After(timeout) => handle.base().add(call.event(), Some(timeout))?,
            Timeout::Common(timeout) => handle.base().add_common(call.event(), timeout)?,
        }
        Ok(Value::Undefined)
    }
}

pub(super) struct EventDel;

impl Export for EventDel {
    const NAME: &'static CStr = c"eventDel";

    fn call(call: &Call) -> Result<Value, Error> {
        call.handle()?.base().del(call.event())?;
        Ok(Value::Undefined)
    }
}

pub(super) struct EventFree;

impl Export for EventFree {
    const NAME: &'static CStr = c"eventFree";

    fn call(call: &Call) -> Result<Value, Error> {
        call.handle()?.base().free(call.event())?;
        Ok(Value::Undefined)
    }
}

pub(super) struct EventActivate;

impl Export for EventActivate {
    const NAME: &'static CStr = c"eventActivate";

    fn call(call: &Call) -> Result<Value, Error> {
        call.handle()?.base().activate(call.event(), call.what(2))?;
        Ok(Value::Undefined)
    }
}

pub(super) struct EventPending;

impl Export for EventPending {
    const NAME: &'static CStr = c"eventPending";

    fn call(call: &Call) -> Result<Value, Error> {
        let pending = call.handle()?.base().pending(call.event(), call.what(2))?;
        Ok(Value::Int(i32::from(pending.bits())))
    }
}
