//! The driver for hosts without libuv, and for backends without a descriptor: a thread that waits and notifies.
//!
//! The thread never touches the base. It waits, on the base's descriptor or with the wait that the base handed to it,
//! notifies JavaScript's thread once, and waits until it may continue. JavaScript's thread takes one step for each
//! notification, and notifies itself for the next one, so that the host drains its microtasks between callbacks. The host
//! may take many notifications before the other work of its loop, 1000 in Node: more steps for each would keep it from
//! that work.
#![expect(
    unsafe_code,
    reason = "a thread-safe function that can be referenced and unreferenced has no safe form"
)]

use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::fmt;
use std::os::fd::BorrowedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::rc::Rc;
use std::thread::JoinHandle;

use event_base::{Base, Error};
use napi::bindgen_prelude::JsValue;
use napi::{Env, sys};
use nix::errno::Errno;

use super::drive::{drive, fail, failed};
use super::waiting::{Waiting, Watcher};
use crate::caller::Caller;
use crate::state::{Driver, State};
use crate::step::StepCode;

/// What a notification needs on JavaScript's thread; freed by the finalizer of the thread-safe function.
struct Context {
    state: Rc<State>,
    caller: Rc<Caller>,
    /// JavaScript's half of the wait, until the driver is closed. Never borrowed while JavaScript runs.
    waiting: RefCell<Option<Waiting>>,
    /// The thread-safe function, until it is released.
    notifier: Cell<Option<Notifier>>,
}

/// A thread that waits.
pub(super) struct ThreadDriver {
    env: sys::napi_env,
    notifier: Notifier,
    context: *mut Context,
    thread: Option<JoinHandle<()>>,
    /// Whether the clean-up hook of the environment is registered.
    hooked: bool,
    /// The count of kernel objects of the base when the thread's descriptor was duplicated.
    epoch: u32,
}

impl fmt::Debug for ThreadDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadDriver").finish_non_exhaustive()
    }
}

/// The thread-safe function.
#[derive(Clone, Copy)]
struct Notifier(sys::napi_threadsafe_function);

// SAFETY: a thread-safe function may be called from any thread; it is released after the thread that calls it was
// joined.
unsafe impl Send for Notifier {}

impl Notifier {
    fn notify(self) {
        // SAFETY: not released yet, see above; no data is passed.
        _ = unsafe {
            sys::napi_call_threadsafe_function(
                self.0,
                ptr::null_mut(),
                sys::ThreadsafeFunctionCallMode::nonblocking,
            )
        };
    }
}

impl ThreadDriver {
    pub(super) fn start(env: &Env, state: Rc<State>, caller: Rc<Caller>) -> Result<Self, Error> {
        let epoch = state.base.descriptor_epoch()?;
        let (waiting, watcher) = waiting(&state.base)?;
        let waiting = RefCell::new(Some(waiting));
        let context = Context { state, caller, waiting, notifier: Cell::new(None) };
        let context = Box::into_raw(Box::new(context));
        let Some(notifier) = make_notifier(env, context) else {
            // SAFETY: the thread-safe function was not made, so this is the only pointer.
            drop(unsafe { Box::from_raw(context) });
            return Err(failed(Errno::ENOMEM as i32, "napi_create_threadsafe_function"));
        };
        // SAFETY: freed by the finalizer, which runs after the release in `close`.
        unsafe { &*context }.notifier.set(Some(notifier));
        let thread = spawn(watcher, notifier);
        let driver =
            |thread| ThreadDriver { env: env.raw(), notifier, context, thread, hooked: false, epoch };
        match thread {
            Ok(thread) => {
                let mut driver = driver(Some(thread));
                driver.add_hook();
                Ok(driver)
            }
            Err(error) => {
                Box::new(driver(None)).close();
                Err(error)
            }
        }
    }

    fn add_hook(&mut self) {
        // SAFETY: the argument is the context, which outlives the hook: see `close`.
        let added = unsafe {
            sys::napi_add_env_cleanup_hook(self.env, Some(on_environment_end), self.context.cast())
        };
        self.hooked = added == sys::Status::napi_ok;
    }

    fn context(&self) -> &Context {
        // SAFETY: freed by the finalizer, which runs after the release in `close`.
        unsafe { &*self.context }
    }

    fn end_thread(&mut self) {
        let remains = self.context().waiting.take().map(Waiting::end);
        if let Some(thread) = self.thread.take() {
            _ = thread.join();
        }
        if let Some(remains) = remains {
            remains.return_wait(&self.context().state.base);
        }
    }
}

impl Driver for ThreadDriver {
    fn set_ref(&self, keep_alive: bool) {
        let change =
            if keep_alive { sys::napi_ref_threadsafe_function } else { sys::napi_unref_threadsafe_function };
        // SAFETY: the function is not released and this is the environment's thread.
        _ = unsafe { change(self.env, self.notifier.0) };
    }

    /// The thread has a duplicate of the descriptor, which names the replaced kernel object: a new thread gets a new
    /// duplicate.
    fn rewatch(&mut self, epoch: u32) -> Result<(), Error> {
        if self.epoch == epoch {
            return Ok(());
        }
        self.epoch = epoch;
        let base = self.context().state.base.clone();
        // Without a descriptor the thread has the base's own wait, which the base has ended by itself.
        if base.descriptor()?.is_none() {
            return Ok(());
        }
        let (waiting, watcher) = waiting(&base)?;
        self.end_thread();
        self.context().waiting.replace(Some(waiting));
        self.thread = Some(spawn(watcher, self.notifier)?);
        base.wake()
    }

    fn close(mut self: Box<Self>) {
        if self.hooked {
            // SAFETY: added with the same argument in `add_hook`.
            _ = unsafe {
                sys::napi_remove_env_cleanup_hook(self.env, Some(on_environment_end), self.context.cast())
            };
        }
        self.end_thread();
        self.context().notifier.set(None);
        // SAFETY: the one release of the one acquisition; the thread that called it was joined.
        _ = unsafe {
            sys::napi_release_threadsafe_function(self.notifier.0, sys::ThreadsafeFunctionReleaseMode::abort)
        };
    }
}

/// The two halves of a wait: on the base's descriptor if it has one.
fn waiting(base: &Base) -> Result<(Waiting, Watcher), Error> {
    match base.descriptor()? {
        // SAFETY: the descriptor is open, and is duplicated in this call.
        Some(fd) => Waiting::for_descriptor(unsafe { BorrowedFd::borrow_raw(fd) }),
        None => Ok(Waiting::for_wait()),
    }
}

fn spawn(watcher: Watcher, notifier: Notifier) -> Result<JoinHandle<()>, Error> {
    std::thread::Builder::new()
        .name("event-base".to_owned())
        .spawn(move || watcher.run(|| notifier.notify()))
        .map_err(|_| failed(Errno::EAGAIN as i32, "pthread_create"))
}

fn make_notifier(env: &Env, context: *mut Context) -> Option<Notifier> {
    let name = env.create_string("EventBase").ok()?;
    let mut function = ptr::null_mut();
    // SAFETY: the name belongs to this environment; `context` is the context and the data of the finalizer, which
    // alone frees it.
    let status = unsafe {
        sys::napi_create_threadsafe_function(
            env.raw(),
            ptr::null_mut(),
            ptr::null_mut(),
            name.value().value,
            0,
            1,
            context.cast(),
            Some(on_release),
            context.cast(),
            Some(on_notification),
            &raw mut function,
        )
    };
    (status == sys::Status::napi_ok).then_some(Notifier(function))
}

/// A notification arrived on JavaScript's thread.
unsafe extern "C" fn on_notification(
    env: sys::napi_env,
    _function: sys::napi_value,
    context: *mut c_void,
    _data: *mut c_void,
) {
    // Null when the environment is ending.
    if env.is_null() {
        return;
    }
    // SAFETY: the context is that of the function; the finalizer runs after the last notification.
    let context = unsafe { &*context.cast::<Context>() };
    let (state, caller) = (Rc::clone(&context.state), Rc::clone(&context.caller));
    let can_step =
        context.waiting.borrow_mut().as_mut().is_some_and(|waiting| waiting.take_back(&state.base));
    if !can_step {
        return;
    }
    // A panic must not unwind into the host; it ends the run.
    match catch_unwind(AssertUnwindSafe(|| drive(&state, &caller, 1))) {
        Ok(StepCode::Idle) => {
            if let Err(error) = state.rewatch() {
                fail(&state, &caller, error);
                return;
            }
            if let Some(waiting) = &mut *context.waiting.borrow_mut() {
                waiting.proceed(&state.base);
            }
        }
        Ok(StepCode::Host) => {
            if let Some(notifier) = context.notifier.get() {
                notifier.notify();
            }
        }
        Ok(_) => {}
        Err(_) => state.detach(),
    }
}

/// The environment ends while the thread waits.
unsafe extern "C" fn on_environment_end(data: *mut c_void) {
    // SAFETY: the hook is removed before the context is freed.
    let state = unsafe { Rc::clone(&(*data.cast::<Context>()).state) };
    state.detach();
}

/// The thread-safe function was released and will not be called.
unsafe extern "C" fn on_release(_env: sys::napi_env, data: *mut c_void, _hint: *mut c_void) {
    // SAFETY: made by `Box::into_raw` in `start`, freed here only.
    drop(unsafe { Box::from_raw(data.cast::<Context>()) });
}
