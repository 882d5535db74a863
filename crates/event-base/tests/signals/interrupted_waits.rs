//! A signal that interrupts a wait of the kernel, with a handler that the engine did not install. What becomes ready
//! while the handler runs is found before timers expire.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use nix::sys::pthread::{pthread_kill, pthread_self};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal};

use event_base::{Base, BaseFlags, Clock, Config, EventSpec, SystemClock, What, supported_methods};

use crate::support::{WAIT, fd, ms, only, pair, run_watched};
use crate::{alone, swap};

/// What the handler does: writes a byte to the socket, and returns after the time.
static TASK: Mutex<Option<(UnixStream, u64)>> = Mutex::new(None);

/// When the handler was called.
static CALLED: AtomicU64 = AtomicU64::new(0);

/// The thread that sets the task waits for the signal, and does not hold the lock.
extern "C" fn on_interrupt(_: i32) {
    if let Ok(mut task) = TASK.try_lock()
        && let Some((socket, end)) = task.as_mut()
    {
        CALLED.store(SystemClock.monotonic(), SeqCst);
        socket.write_all(b"x").unwrap();
        while SystemClock.monotonic() <= *end {}
    }
}

/// The result of an event whose deadline passes while the handler makes it ready; `None` if the handler was called late,
/// which may be after the wait.
fn result_of_interrupted_wait(base: &Base, timeout: Duration) -> Option<What> {
    let (reader, writer) = pair();
    let start = SystemClock.monotonic();
    base.create_and_add(EventSpec::io(fd(&reader), What::READ), Some(timeout)).unwrap();
    let length = timeout.as_nanos() as u64;
    let end = SystemClock.monotonic() + 2 * length;
    *TASK.lock().unwrap() = Some((writer, end));
    let thread = pthread_self();
    let mut result = None;
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // Until the loop waits or is about to; the test passes in either case.
            std::thread::sleep(timeout / 4);
            pthread_kill(thread, Signal::SIGURG).unwrap();
        });
        run_watched(base, WAIT, |_, ready| result = Some(ready.what));
    });
    *TASK.lock().unwrap() = None;
    let is_in_time = CALLED.load(SeqCst) < start + length;
    is_in_time.then_some(result.unwrap())
}

#[test]
fn an_event_that_becomes_ready_while_the_wait_is_interrupted_does_not_only_time_out() {
    let _alone = alone();
    let handler = SigAction::new(SigHandler::Handler(on_interrupt), SaFlags::SA_RESTART, SigSet::empty());
    let before = swap(Signal::SIGURG, &handler);
    for name in supported_methods() {
        let config = Config::new().set_flags(BaseFlags::IGNORE_ENV);
        let base = Base::with_config(&only(config, name)).unwrap();
        // A busy machine may need longer than the first of these to send the signal.
        let paces = [40, 400, 4_000, 20_000].into_iter();
        let result = paces.map(ms).find_map(|timeout| result_of_interrupted_wait(&base, timeout));
        assert_eq!(result, Some(What::READ | What::TIMEOUT), "{name}");
    }
    swap(Signal::SIGURG, &before);
}
