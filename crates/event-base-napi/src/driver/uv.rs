//! The driver for hosts with libuv: one `uv_poll` handle on the base's descriptor.
//!
//! - Symbols are looked up when first needed, so that the addon loads where they are missing.
//! - The handle's memory, and everything that its callback uses, is one [`Watch`], which only libuv's close callback
//!   frees. An asynchronous clean-up hook closes the handle when the environment ends, and delays the end of the
//!   environment until the close callback has run.
//! - A callback may close the base, and with it this driver, while the watch is in use: that only starts the closing,
//!   and the watch exists until libuv's next iteration.
#![expect(unsafe_code, reason = "libuv and the asynchronous clean-up hook are C interfaces")]

use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::mem;
use std::os::fd::BorrowedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::rc::Rc;
use std::sync::OnceLock;

use event_base::Error;
use napi::{Env, sys};

use super::drive::{drive, failed};
use crate::caller::Caller;
use crate::state::{Driver, State};
use crate::step::StepCode;

/// Steps of the base in one iteration of libuv's loop.
const STEPS: u32 = 512;

const UV_POLL: c_int = 8;
const UV_READABLE: c_int = 1;

type UvHandle = *mut c_void;
type UvLoop = *mut c_void;
type PollCallback = unsafe extern "C" fn(UvHandle, c_int, c_int);
type CloseCallback = unsafe extern "C" fn(UvHandle);

/// The functions of libuv. The sizes of its structures are queried, never assumed.
struct Uv {
    handle_size: unsafe extern "C" fn(c_int) -> usize,
    handle_set_data: unsafe extern "C" fn(UvHandle, *mut c_void),
    handle_get_data: unsafe extern "C" fn(UvHandle) -> *mut c_void,
    poll_init: unsafe extern "C" fn(UvLoop, UvHandle, c_int) -> c_int,
    poll_start: unsafe extern "C" fn(UvHandle, c_int, PollCallback) -> c_int,
    poll_stop: unsafe extern "C" fn(UvHandle) -> c_int,
    close: unsafe extern "C" fn(UvHandle, CloseCallback),
    make_ref: unsafe extern "C" fn(UvHandle),
    unref: unsafe extern "C" fn(UvHandle),
    backend_fd: unsafe extern "C" fn(UvLoop) -> c_int,
}

fn symbol(name: &CStr) -> Option<*mut c_void> {
    // SAFETY: the name is a C string; looking a symbol up in the process has no precondition.
    let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr().cast::<c_char>()) };
    (!address.is_null()).then_some(address)
}

/// The function at the address of a symbol, with the type of the field.
macro_rules! function {
    ($name:literal) => {{
        let address = symbol($name)?;
        // SAFETY: the symbol is libuv's, and the field has the documented signature.
        unsafe { mem::transmute_copy(&address) }
    }};
}

impl Uv {
    fn load() -> Option<Self> {
        Some(Uv {
            handle_size: function!(c"uv_handle_size"),
            handle_set_data: function!(c"uv_handle_set_data"),
            handle_get_data: function!(c"uv_handle_get_data"),
            poll_init: function!(c"uv_poll_init"),
            poll_start: function!(c"uv_poll_start"),
            poll_stop: function!(c"uv_poll_stop"),
            close: function!(c"uv_close"),
            make_ref: function!(c"uv_ref"),
            unref: function!(c"uv_unref"),
            backend_fd: function!(c"uv_backend_fd"),
        })
    }

    fn get() -> Option<&'static Self> {
        static UV: OnceLock<Option<Uv>> = OnceLock::new();
        UV.get_or_init(Self::load).as_ref()
    }
}

fn event_loop(env: &Env) -> Option<UvLoop> {
    let mut event_loop = ptr::null_mut();
    // SAFETY: the environment is live and the out-pointer valid.
    let status = unsafe { sys::napi_get_uv_event_loop(env.raw(), &raw mut event_loop) };
    (status == sys::Status::napi_ok && !event_loop.is_null()).then_some(event_loop.cast())
}

/// The descriptor that libuv itself waits on, if it has one.
pub(super) fn backend_descriptor(env: &Env) -> Option<BorrowedFd<'static>> {
    let uv = Uv::get()?;
    let event_loop = event_loop(env)?;
    // SAFETY: the loop is this environment's and alive.
    let fd = unsafe { (uv.backend_fd)(event_loop) };
    // SAFETY: the descriptor is not -1 and stays open as long as the loop, which outlives the environment
    // and its bases.
    (fd >= 0).then(|| unsafe { BorrowedFd::borrow_raw(fd) })
}

/// What the handle's callbacks need.
struct Watch {
    uv: &'static Uv,
    state: Rc<State>,
    caller: Rc<Caller>,
    epoch: Cell<u32>,
    closing: Cell<bool>,
    /// 64-bit words, for libuv's alignment.
    handle: Box<[u64]>,
    hook: Cell<sys::napi_async_cleanup_hook_handle>,
}

impl Watch {
    fn handle(&self) -> UvHandle {
        self.handle.as_ptr().cast_mut().cast()
    }
}

/// An open handle.
#[derive(Debug)]
pub(super) struct UvDriver {
    watch: *mut Watch,
}

impl UvDriver {
    pub(super) fn start(env: &Env, state: Rc<State>, caller: Rc<Caller>) -> Result<Self, Error> {
        let unsupported = || failed(libc::ENOSYS, "uv_poll_init");
        let uv = Uv::get().ok_or_else(unsupported)?;
        let event_loop = event_loop(env).ok_or_else(unsupported)?;
        let fd = state.base.descriptor()?.ok_or_else(unsupported)?;
        let epoch = Cell::new(state.base.descriptor_epoch()?);
        // SAFETY: querying a size has no precondition.
        let size = unsafe { (uv.handle_size)(UV_POLL) };
        let handle = vec![0_u64; size.div_ceil(8)].into_boxed_slice();
        let hook = Cell::new(ptr::null_mut());
        let watch = Watch { uv, state, caller, epoch, closing: Cell::new(false), handle, hook };
        let watch = Box::into_raw(Box::new(watch));
        // SAFETY: just made, and freed only in `on_close`.
        let open = unsafe { &*watch };
        // SAFETY: the loop is alive, the memory has the size that libuv needs, the descriptor is open.
        let status = unsafe { (uv.poll_init)(event_loop, open.handle(), fd) };
        if status != 0 {
            // SAFETY: libuv did not take the handle, so this is the only pointer to the watch.
            drop(unsafe { Box::from_raw(watch) });
            return Err(failed(-status, "uv_poll_init"));
        }
        // SAFETY: the handle is initialised; the watch outlives it.
        unsafe { (uv.handle_set_data)(open.handle(), watch.cast()) };
        // SAFETY: the hook's argument is the watch, which is freed only after the hook is removed.
        let added = unsafe {
            sys::napi_add_async_cleanup_hook(
                env.raw(),
                Some(on_environment_end),
                watch.cast(),
                open.hook.as_ptr(),
            )
        };
        // SAFETY: the handle is initialised and not closing.
        let status = unsafe { (uv.poll_start)(open.handle(), UV_READABLE, on_poll) };
        if status != 0 || added != sys::Status::napi_ok {
            close(open);
            return Err(failed(-status, "uv_poll_start"));
        }
        Ok(UvDriver { watch })
    }
}

impl Driver for UvDriver {
    fn set_ref(&self, keep_alive: bool) {
        // SAFETY: the watch exists until its handle is closed, which ends this driver first.
        let watch = unsafe { &*self.watch };
        let change = if keep_alive { watch.uv.make_ref } else { watch.uv.unref };
        // SAFETY: the handle is initialised.
        unsafe { change(watch.handle()) };
    }

    fn rewatch(&mut self, epoch: u32) -> Result<(), Error> {
        // SAFETY: as in `set_ref`.
        rewatch(unsafe { &*self.watch }, epoch);
        Ok(())
    }

    fn close(self: Box<Self>) {
        // SAFETY: as in `set_ref`.
        close(unsafe { &*self.watch });
    }
}

fn close(watch: &Watch) {
    if watch.closing.replace(true) {
        return;
    }
    // SAFETY: the handle is initialised and not closing yet.
    _ = unsafe { (watch.uv.poll_stop)(watch.handle()) };
    // SAFETY: as above; `on_close` frees the watch.
    unsafe { (watch.uv.close)(watch.handle(), on_close) };
}

/// The descriptor is readable.
unsafe extern "C" fn on_poll(handle: UvHandle, _status: c_int, _events: c_int) {
    let Some(uv) = Uv::get() else { return };
    // SAFETY: libuv passes the handle whose data `start` set.
    let data = unsafe { (uv.handle_get_data)(handle) };
    // SAFETY: the data is the watch, which lives until the handle's close callback.
    let watch = unsafe { &*data.cast::<Watch>() };
    // A panic must not unwind into libuv; it ends the run.
    if catch_unwind(AssertUnwindSafe(|| run_due(watch))).is_err() {
        watch.state.detach();
    }
}

fn run_due(watch: &Watch) {
    let (state, caller) = (Rc::clone(&watch.state), Rc::clone(&watch.caller));
    if drive(&state, &caller, STEPS) == StepCode::Host {
        _ = state.base.wake();
    }
    if let Ok(epoch) = state.base.descriptor_epoch() {
        rewatch(watch, epoch);
    }
}

/// Watches the descriptor again if the kernel's object behind it was replaced: libuv still watches the old object.
fn rewatch(watch: &Watch, epoch: u32) {
    if watch.epoch.replace(epoch) == epoch || watch.closing.get() {
        return;
    }
    // SAFETY: the handle is initialised and not closing.
    _ = unsafe { (watch.uv.poll_stop)(watch.handle()) };
    // SAFETY: as above.
    _ = unsafe { (watch.uv.poll_start)(watch.handle(), UV_READABLE, on_poll) };
    _ = watch.state.base.wake();
}

/// The environment ends while the handle is open.
unsafe extern "C" fn on_environment_end(_: sys::napi_async_cleanup_hook_handle, data: *mut c_void) {
    // SAFETY: the hook is removed before the watch is freed.
    let watch = unsafe { &*data.cast::<Watch>() };
    watch.state.detach();
    close(watch);
}

/// The handle is closed, and libuv does not use its memory any more.
unsafe extern "C" fn on_close(handle: UvHandle) {
    let Some(uv) = Uv::get() else { return };
    // SAFETY: libuv passes the handle whose data `start` set.
    let data = unsafe { (uv.handle_get_data)(handle) };
    // SAFETY: made by `Box::into_raw` in `start`; nothing uses the watch after its close callback.
    let watch = unsafe { Box::from_raw(data.cast::<Watch>()) };
    let hook = watch.hook.get();
    drop(watch);
    if !hook.is_null() {
        // SAFETY: added in `start`, removed once.
        _ = unsafe { sys::napi_remove_async_cleanup_hook(hook) };
    }
}
