//! Messages of the engine on their way to JavaScript.
//!
//! Ground rules:
//! - A message arises on any thread, in the middle of anything. Here it is only put into the queue of an
//!   environment, and that environment's thread is told; JavaScript fetches it when nothing else is under way.
//! - The environment is the one that made the base the message is about; for a message about no base, the
//!   one whose thread it arose on. Without one the message goes to the standard error.
//! - Nobody waits for anybody: a queue that is full counts what it drops, and telling a thread twice is
//!   telling it once. The bell that rings in the environment does not keep it alive.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, LazyLock, Once, Weak};

use event_base::{Base, LogMessage, Severity, set_log_callback};
use napi::Status;
use napi::bindgen_prelude::Function;
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;
use parking_lot::Mutex;

/// Messages that wait for JavaScript; more are counted and dropped.
const MOST_WAITING: usize = 1024;

/// Rings in an environment: weak, and ringing once is enough.
type Bell = ThreadsafeFunction<(), (), (), Status, false, true, 1>;

/// A message on its way.
#[napi(object)]
#[derive(Clone, Debug)]
pub struct BindingLogEntry {
    /// 0 debug, 1 message, 2 warning, 3 error.
    pub severity: u32,
    /// For people.
    pub text: String,
    /// The base's handle, 0 for none.
    pub base: u32,
    /// The backend's name, if it is about one.
    pub method: Option<String>,
}

#[derive(Default)]
struct Waiting {
    entries: VecDeque<BindingLogEntry>,
    dropped: u32,
}

/// One environment's end.
struct Outlet {
    waiting: Mutex<Waiting>,
    bell: Bell,
}

/// Where the messages of a base go.
#[derive(Clone)]
struct Route {
    base: Base,
    handle: u32,
    outlet: Weak<Outlet>,
}

static ROUTES: LazyLock<Mutex<HashMap<u64, Route>>> = LazyLock::new(Mutex::default);

thread_local! {
    static OUTLET: RefCell<Option<Arc<Outlet>>> = const { RefCell::new(None) };
}

impl Outlet {
    fn put(&self, entry: BindingLogEntry) {
        let mut waiting = self.waiting.lock();
        if waiting.entries.len() < MOST_WAITING {
            waiting.entries.push_back(entry);
        } else {
            waiting.dropped = waiting.dropped.saturating_add(1);
        }
        drop(waiting);
        // Refused only where it rings already, or where nobody is left to hear it.
        _ = self.bell.call((), ThreadsafeFunctionCallMode::NonBlocking);
    }

    fn take(&self) -> Vec<BindingLogEntry> {
        let mut waiting = self.waiting.lock();
        let dropped = std::mem::take(&mut waiting.dropped);
        let mut entries: Vec<_> = waiting.entries.drain(..).collect();
        if dropped > 0 {
            let text = format!("{dropped} more messages were dropped, since nobody fetched them");
            entries.push(BindingLogEntry { severity: Severity::Warning as u32, text, base: 0, method: None });
        }
        entries
    }
}

/// This thread's environment's end, if it has one.
fn outlet_here() -> Option<Arc<Outlet>> {
    OUTLET.try_with(|outlet| outlet.borrow().clone()).ok().flatten()
}

fn route(message: &LogMessage<'_>) {
    let route = message.base.and_then(|number| ROUTES.lock().get(&number).cloned());
    let outlet = route.as_ref().map_or_else(outlet_here, |route| route.outlet.upgrade());
    let Some(outlet) = outlet else { return message.print() };
    outlet.put(BindingLogEntry {
        severity: message.severity as u32,
        text: message.text.to_owned(),
        base: route.as_ref().map_or(0, |route| route.handle),
        method: message.method.map(str::to_owned),
    });
    // A loop that blocks JavaScript comes up and lets it fetch.
    if let Some(route) = route {
        _ = route.base.interrupt();
    }
}

/// The messages of `base` go to this environment from now on.
pub(crate) fn connect(base: &Base, handle: u32) {
    if let Some(outlet) = outlet_here() {
        let route = Route { base: base.clone(), handle, outlet: Arc::downgrade(&outlet) };
        ROUTES.lock().insert(base.number(), route);
    }
}

/// The base is gone.
pub(crate) fn disconnect(base: &Base) {
    let route = ROUTES.lock().remove(&base.number());
    // The base may go with it, so not under the lock.
    drop(route);
}

/// Begins to collect messages for this environment; `listener` is called, from the environment's own loop,
/// when there are some to [take](log_take).
#[napi(catch_unwind)]
pub fn log_start(#[napi(ts_arg_type = "() => void")] listener: Function<'_, (), ()>) -> napi::Result<()> {
    static CALLBACK: Once = Once::new();
    CALLBACK.call_once(|| set_log_callback(Some(Arc::new(route))));
    let bell: Bell =
        listener.build_threadsafe_function::<()>().weak::<true>().max_queue_size::<1>().build()?;
    let outlet = Arc::new(Outlet { waiting: Mutex::default(), bell });
    OUTLET.set(Some(outlet));
    Ok(())
}

/// The messages that wait for this environment, the oldest first.
#[napi(catch_unwind)]
pub fn log_take() -> Vec<BindingLogEntry> {
    outlet_here().map(|outlet| outlet.take()).unwrap_or_default()
}
