//! A base on both sides of a fork.
//!
//! The tests run one after the other: a child has only the thread that forked, and locks that other threads held at the
//! fork stay locked in it.

#[path = "../support/mod.rs"]
mod support;

mod conformance;
mod default_actions;
mod deleted;
mod parent_and_child;
mod refused;
mod reinit;
mod stopped;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use event_base::Base;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid};

pub(crate) const HOURS: Duration = Duration::from_secs(10_000);

/// Lets one test run at a time, also after a test failed.
pub(crate) fn one_at_a_time() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A forked child that runs `body`. The caller must wait for it.
pub(crate) struct Child(Pid);

impl Child {
    #[expect(unsafe_code, reason = "a fork copies one thread of several")]
    pub(crate) fn fork(body: impl FnOnce()) -> Self {
        // SAFETY: the child uses what this thread owns, and the allocator, which the C library repairs.
        match unsafe { nix::unistd::fork() }.unwrap() {
            ForkResult::Parent { child } => Child(child),
            ForkResult::Child => {
                // The harness would capture what the child prints, and lose it with the child.
                std::panic::set_hook(Box::new(|panic| {
                    _ = nix::unistd::write(std::io::stderr(), format!("in the child: {panic}\n").as_bytes());
                }));
                // The kernel ends a child that hangs, and the parent receives its status.
                nix::unistd::alarm::set(30);
                let failed = catch_unwind(AssertUnwindSafe(body)).is_err();
                // SAFETY: nothing of the parent has to be cleaned up here.
                unsafe { libc::_exit(i32::from(failed)) }
            }
        }
    }

    pub(crate) fn join(self) {
        assert_eq!(waitpid(self.0, None).unwrap(), WaitStatus::Exited(self.0, 0));
    }
}

pub(crate) fn in_child(body: impl FnOnce()) {
    Child::fork(body).join();
}

/// Whether the descriptor that a host would watch is readable.
pub(crate) fn is_readable(base: &Base) -> bool {
    let number = base.descriptor().unwrap().unwrap();
    let mut found = false;
    with_descriptor(number, |descriptor| {
        let mut fds = [PollFd::new(descriptor, PollFlags::POLLIN)];
        found = poll(&mut fds, PollTimeout::ZERO).unwrap() == 1;
    });
    found
}

#[expect(unsafe_code, reason = "the engine returns its descriptor as a number")]
fn with_descriptor(number: i32, call: impl FnOnce(std::os::fd::BorrowedFd<'_>)) {
    // SAFETY: the base, which owns it, is open.
    call(unsafe { std::os::fd::BorrowedFd::borrow_raw(number) });
}

/// What a signal does in this process. The disposition is not changed.
pub(crate) fn disposition_of(signal: Signal) -> SigHandler {
    let current = swap(signal, &SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty()));
    swap(signal, &current);
    current.handler()
}

/// Changes the disposition of a signal, and returns the one before.
#[expect(unsafe_code, reason = "`sigaction` has no safe form")]
pub(crate) fn swap(signal: Signal, action: &SigAction) -> SigAction {
    // SAFETY: the new disposition ignores the signal, or was in effect before.
    unsafe { sigaction(signal, action) }.unwrap()
}
