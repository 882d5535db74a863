//! The driver for hosts without libuv, and for backends without a descriptor: a thread that waits and rings.
//!
//! The thread never touches the base. It waits, for the base's descriptor or with the wait the base gave away,
//! rings once, and waits for JavaScript's thread to say that it has looked. JavaScript's thread runs one
//! callback for each ring, or rings itself for the next, so that the host drains its microtasks between
//! callbacks.
#![expect(unsafe_code, reason = "a thread-safe function that can be referenced and not has no safe form")]

use std::cell::RefCell;
use std::ffi::c_void;
use std::fmt;
use std::os::fd::BorrowedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::rc::Rc;
use std::thread::JoinHandle;

use event_base::{Base, Error};
use napi::{Env, sys};
use nix::errno::Errno;

use super::waiting::{Waiting, Watcher};
use super::{Driven, failed};
use crate::handle::HandleState;
use crate::scope::Caller;

/// What a ring needs on JavaScript's thread; freed by the thread-safe function's finalizer.
struct Bell {
    state: Rc<HandleState>,
    caller: Rc<Caller>,
    /// Says to the thread that JavaScript has looked; ends the thread when it goes. In use for moments only.
    waiting: RefCell<Option<Waiting>>,
}

/// A thread that waits.
pub(crate) struct ThreadDriver {
    env: sys::napi_env,
    ring: Ring,
    bell: *mut Bell,
    thread: Option<JoinHandle<()>>,
    /// The environment's end is being listened for.
    hooked: bool,
    /// Of which of the base's kernel objects in a row the thread's descriptor is.
    epoch: u32,
}

impl fmt::Debug for ThreadDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadDriver").finish_non_exhaustive()
    }
}

/// The thread-safe function. Ringing is allowed from any thread.
#[derive(Clone, Copy)]
struct Ring(sys::napi_threadsafe_function);

// SAFETY: being called from any thread is what a thread-safe function is for; it is released after the
// thread that rings was joined.
unsafe impl Send for Ring {}

impl Ring {
    fn ring(self) {
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
    pub(super) fn start(env: &Env, state: Rc<HandleState>, caller: Rc<Caller>) -> Result<Self, Error> {
        let epoch = state.base.descriptor_epoch()?;
        let (waiting, watcher) = waiting(&state.base)?;
        let bell = Box::into_raw(Box::new(Bell { state, caller, waiting: RefCell::new(Some(waiting)) }));
        let Some(ring) = make_ring(env, bell) else {
            // SAFETY: no function took it.
            drop(unsafe { Box::from_raw(bell) });
            return Err(failed(Errno::ENOMEM as i32, "napi_create_threadsafe_function"));
        };
        let thread = spawn(watcher, ring);
        let driver = |thread| ThreadDriver { env: env.raw(), ring, bell, thread, hooked: false, epoch };
        match thread {
            Ok(thread) => {
                let mut driver = driver(Some(thread));
                driver.add_hook();
                Ok(driver)
            }
            Err(error) => {
                driver(None).close();
                Err(error)
            }
        }
    }

    fn add_hook(&mut self) {
        // SAFETY: the argument is the bell, which outlives the hook: see `close`.
        _ = unsafe { sys::napi_add_env_cleanup_hook(self.env, Some(on_environment_end), self.bell.cast()) };
        self.hooked = true;
    }

    pub(super) fn set_ref(&self, keep_alive: bool) {
        let change =
            if keep_alive { sys::napi_ref_threadsafe_function } else { sys::napi_unref_threadsafe_function };
        // SAFETY: the function is not released and this is the environment's thread.
        _ = unsafe { change(self.env, self.ring.0) };
    }

    /// The thread has a duplicate of the descriptor, which still names the kernel object that is gone: another
    /// thread takes over with another duplicate.
    pub(super) fn rewatch(&mut self, base: &Base, epoch: u32) -> Result<(), Error> {
        if self.epoch == epoch {
            return Ok(());
        }
        self.epoch = epoch;
        // A wait that was given away heard of the change by itself.
        if base.descriptor()?.is_none() {
            return Ok(());
        }
        let (waiting, watcher) = waiting(base)?;
        self.end_thread();
        // SAFETY: the bell is freed by the finalizer, which runs after the release in `close`.
        let bell = unsafe { &*self.bell };
        bell.waiting.replace(Some(waiting));
        self.thread = Some(spawn(watcher, self.ring)?);
        base.wake()
    }

    fn end_thread(&mut self) {
        // SAFETY: as in `rewatch`.
        let bell = unsafe { &*self.bell };
        let end = bell.waiting.take().map(Waiting::end);
        if let Some(thread) = self.thread.take() {
            _ = thread.join();
        }
        if let Some(end) = end {
            end.give_back(&bell.state.base);
        }
    }

    pub(super) fn close(mut self) {
        if self.hooked {
            // SAFETY: added with the same argument in `start`.
            _ = unsafe {
                sys::napi_remove_env_cleanup_hook(self.env, Some(on_environment_end), self.bell.cast())
            };
        }
        self.end_thread();
        // SAFETY: the one release of the one acquisition; the thread that rang is gone.
        _ = unsafe {
            sys::napi_release_threadsafe_function(self.ring.0, sys::ThreadsafeFunctionReleaseMode::abort)
        };
    }
}

/// The two halves of a wait: by the base's descriptor if it has one.
fn waiting(base: &Base) -> Result<(Waiting, Watcher), Error> {
    match base.descriptor()? {
        // SAFETY: the descriptor is open, and duplicated at once.
        Some(fd) => Waiting::for_descriptor(unsafe { BorrowedFd::borrow_raw(fd) }),
        None => Ok(Waiting::with_the_bases_wait()),
    }
}

fn spawn(watcher: Watcher, ring: Ring) -> Result<JoinHandle<()>, Error> {
    std::thread::Builder::new()
        .name("event-base".to_owned())
        .spawn(move || watcher.run(|| ring.ring()))
        .map_err(|_| failed(Errno::EAGAIN as i32, "pthread_create"))
}

fn make_ring(env: &Env, bell: *mut Bell) -> Option<Ring> {
    let name = env.create_string("EventBase").ok()?;
    let mut function = ptr::null_mut();
    use napi::bindgen_prelude::JsValue;
    // SAFETY: the name belongs to this environment; `bell` is the context and the finalizer's data, and is
    // freed by the finalizer alone.
    let status = unsafe {
        sys::napi_create_threadsafe_function(
            env.raw(),
            ptr::null_mut(),
            ptr::null_mut(),
            name.value().value,
            0,
            1,
            bell.cast(),
            Some(on_release),
            bell.cast(),
            Some(on_ring),
            &raw mut function,
        )
    };
    (status == sys::Status::napi_ok).then_some(Ring(function))
}

/// A ring arrived on JavaScript's thread.
unsafe extern "C" fn on_ring(
    env: sys::napi_env,
    _function: sys::napi_value,
    context: *mut c_void,
    _data: *mut c_void,
) {
    // Null when the environment is going away.
    if env.is_null() {
        return;
    }
    // SAFETY: the context is the bell; the finalizer runs after the last ring.
    let bell = unsafe { &*context.cast::<Bell>() };
    let (state, caller) = (Rc::clone(&bell.state), Rc::clone(&bell.caller));
    let may_take_turns =
        bell.waiting.borrow_mut().as_mut().is_some_and(|waiting| waiting.take_back(&state.base));
    if !may_take_turns {
        return;
    }
    // A panic must not cross into the host; the run ends by it.
    let driven = catch_unwind(AssertUnwindSafe(|| state.drive(&caller, 1)));
    match driven {
        Ok(Driven::Idle) => {
            if let Err(error) = state.rewatch() {
                state.finish(&caller, Err(error));
                return;
            }
            if let Some(waiting) = &mut *bell.waiting.borrow_mut() {
                waiting.go_on(&state.base);
            }
        }
        Ok(Driven::More) => {
            if let Some(super::Driver::Thread(driver)) = &*state.driver.borrow() {
                driver.ring.ring();
            }
        }
        Ok(Driven::Over) => {}
        Err(_) => state.detach(),
    }
}

/// The environment ends while the thread waits.
unsafe extern "C" fn on_environment_end(data: *mut c_void) {
    // SAFETY: the hook is removed before the bell is freed.
    let state = unsafe { Rc::clone(&(*data.cast::<Bell>()).state) };
    state.detach();
}

/// The thread-safe function is gone.
unsafe extern "C" fn on_release(_env: sys::napi_env, data: *mut c_void, _hint: *mut c_void) {
    // SAFETY: made by `Box::into_raw` in `start`, freed here only.
    drop(unsafe { Box::from_raw(data.cast::<Bell>()) });
}
