//! Messages of the engine for JavaScript.
//!
//! - A message can occur on any thread and inside any call. Here it is only put into the queue of an environment, whose
//!   thread is notified; JavaScript fetches it when no other call is in progress.
//! - The environment is the one that made the base of the message; for a message without a base, the one of the
//!   current thread. Without an environment the message is printed to the standard error.
//! - No thread waits for another: a full queue counts what it drops, and several notifications are one. The
//!   notification does not keep the environment alive.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, LazyLock, Once, Weak};

use event_base::{Base, LogMessage, Severity, set_log_callback};
use napi::Status;
use napi::bindgen_prelude::Function;
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;
use parking_lot::Mutex;

/// Messages in a queue; more are counted and dropped.
const MOST_WAITING: usize = 1024;

/// Notifies an environment without keeping it alive; a notification that is pending stands for all.
type Notifier = ThreadsafeFunction<(), (), (), Status, false, true, 1>;

/// A message of the engine.
#[napi(object)]
#[derive(Clone, Debug)]
pub struct BindingLogEntry {
    /// 0: debug, 1: message, 2: warning, 3: error.
    pub severity: u32,
    /// The text.
    pub text: String,
    /// The handle of the base, 0 for none.
    pub base: u32,
    /// The name of the backend that the message is about, if any.
    pub method: Option<String>,
}

#[derive(Default)]
struct Waiting {
    entries: VecDeque<BindingLogEntry>,
    dropped: u32,
}

/// The queue of one environment.
struct Queue {
    waiting: Mutex<Waiting>,
    notifier: Notifier,
}

/// The queue for the messages of a base.
#[derive(Clone)]
struct Route {
    base: Base,
    handle: u32,
    queue: Weak<Queue>,
}

static ROUTES: LazyLock<Mutex<HashMap<u64, Route>>> = LazyLock::new(Mutex::default);

thread_local! {
    static QUEUE: RefCell<Option<Arc<Queue>>> = const { RefCell::new(None) };
}

impl Queue {
    fn put(&self, entry: BindingLogEntry) {
        let mut waiting = self.waiting.lock();
        if waiting.entries.len() < MOST_WAITING {
            waiting.entries.push_back(entry);
        } else {
            waiting.dropped = waiting.dropped.saturating_add(1);
        }
        drop(waiting);
        // Fails where a notification is pending, and where the environment is ending.
        _ = self.notifier.call((), ThreadsafeFunctionCallMode::NonBlocking);
    }

    fn take(&self) -> Vec<BindingLogEntry> {
        let mut waiting = self.waiting.lock();
        let dropped = std::mem::take(&mut waiting.dropped);
        let mut entries: Vec<_> = waiting.entries.drain(..).collect();
        if dropped > 0 {
            let text = format!("{dropped} more messages were dropped because the queue was full");
            entries.push(BindingLogEntry { severity: Severity::Warning as u32, text, base: 0, method: None });
        }
        entries
    }
}

/// The queue of the environment that runs on this thread, if one does.
fn queue_here() -> Option<Arc<Queue>> {
    QUEUE.try_with(|queue| queue.borrow().clone()).ok().flatten()
}

fn route(message: &LogMessage<'_>) {
    let route = message.base.and_then(|number| ROUTES.lock().get(&number).cloned());
    let queue = route.as_ref().map_or_else(queue_here, |route| route.queue.upgrade());
    let Some(queue) = queue else { return message.print() };
    queue.put(BindingLogEntry {
        severity: message.severity as u32,
        text: message.text.to_owned(),
        base: route.as_ref().map_or(0, |route| route.handle),
        method: message.method.map(str::to_owned),
    });
    // A loop that blocks JavaScript returns to it, so that it can fetch the message.
    if let Some(route) = route {
        _ = route.base.interrupt();
    }
}

/// Directs the messages of `base` to the environment of this thread.
pub(crate) fn connect(base: &Base, handle: u32) {
    if let Some(queue) = queue_here() {
        let route = Route { base: base.clone(), handle, queue: Arc::downgrade(&queue) };
        ROUTES.lock().insert(base.number(), route);
    }
}

/// Removes the route that [`connect`] added.
pub(crate) fn disconnect(base: &Base) {
    let route = ROUTES.lock().remove(&base.number());
    // This may be the last handle of the base, and dropping a base must not happen under the lock.
    drop(route);
}

/// Starts to collect messages for this environment. `listener` is called, from the host's own loop, when there are
/// messages to fetch with `logTake`.
#[napi(catch_unwind)]
pub fn log_start(#[napi(ts_arg_type = "() => void")] listener: Function<'_, (), ()>) -> napi::Result<()> {
    static CALLBACK: Once = Once::new();
    CALLBACK.call_once(|| set_log_callback(Some(Arc::new(route))));
    let notifier: Notifier =
        listener.build_threadsafe_function::<()>().weak::<true>().max_queue_size::<1>().build()?;
    QUEUE.set(Some(Arc::new(Queue { waiting: Mutex::default(), notifier })));
    Ok(())
}

/// Fetches the messages for this environment, the oldest first.
#[napi(catch_unwind)]
pub fn log_take() -> Vec<BindingLogEntry> {
    queue_here().map(|queue| queue.take()).unwrap_or_default()
}
