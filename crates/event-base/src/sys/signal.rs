//! Signals: dispositions, the signals that a thread blocks, and the calls that a handler may make.
//!
//! nix has the classic signals only. Here a signal is any number that the kernel accepts, real-time signals included.
#![expect(unsafe_code, reason = "no safe form of `sigaction` and its like takes any number")]

use std::mem::MaybeUninit;
use std::os::fd::RawFd;
use std::ptr;

use libc::{c_int, c_void, siginfo_t};
use nix::errno::Errno;

use super::notify::uninterrupted;

/// The highest number a signal has.
#[cfg(linux_kernel)]
pub(crate) const HIGHEST: i32 = 64;
#[cfg(not(linux_kernel))]
pub(crate) const HIGHEST: i32 = 31;

/// A signal handler. It may only do what is async-signal-safe (`signal-safety(7)`).
pub(crate) type Handler = extern "C" fn(c_int, *mut siginfo_t, *mut c_void);

/// The disposition of a signal.
#[derive(Clone, Copy)]
pub(crate) struct Disposition(libc::sigaction);

impl Disposition {
    fn new(action: usize, flags: c_int) -> Self {
        // SAFETY: every field is a number, a set of bits or an optional function, for which zero is a value.
        let mut disposition = Disposition(unsafe { std::mem::zeroed() });
        disposition.0.sa_sigaction = action;
        disposition.0.sa_flags = flags;
        // SAFETY: the set is this call's own.
        _ = unsafe { libc::sigfillset(&raw mut disposition.0.sa_mask) };
        disposition
    }

    /// The disposition that calls `handler`, with every other signal blocked. Interrupted system calls are restarted
    /// where possible (`SA_RESTART`). The handler runs on the alternate stack of a thread that has one (`SA_ONSTACK`),
    /// as hosts whose threads have small stacks need.
    pub(crate) fn handler(handler: Handler) -> Self {
        Self::new(handler as *const () as usize, libc::SA_SIGINFO | libc::SA_RESTART | libc::SA_ONSTACK)
    }

    /// The disposition that ignores the signal.
    pub(crate) fn ignore() -> Self {
        Self::new(libc::SIG_IGN, 0)
    }

    /// The default disposition.
    pub(crate) fn default_action() -> Self {
        Self::new(libc::SIG_DFL, 0)
    }

    /// The present disposition of `number`.
    ///
    /// # Errors
    /// `EINVAL` for a number that is no signal, or that the C library reserves.
    pub(crate) fn current(number: i32) -> nix::Result<Self> {
        let mut current = MaybeUninit::uninit();
        // SAFETY: the out-pointer is valid, and nothing is changed.
        let result = unsafe { libc::sigaction(number, ptr::null(), current.as_mut_ptr()) };
        Errno::result(result)?;
        // SAFETY: written by the call, which succeeded.
        Ok(Disposition(unsafe { current.assume_init() }))
    }

    /// Makes this the disposition of `number`.
    ///
    /// # Errors
    /// As [`current`](Self::current), and `EINVAL` for SIGKILL and SIGSTOP.
    pub(crate) fn install(&self, number: i32) -> nix::Result<()> {
        // SAFETY: the record is valid; its function is one of this module's callers', which are
        // async-signal-safe, or was the process's own before.
        let result = unsafe { libc::sigaction(number, &raw const self.0, ptr::null_mut()) };
        Errno::result(result).map(drop)
    }

    /// Whether both have the same effect or the same handler.
    pub(crate) fn is(&self, other: &Disposition) -> bool {
        self.0.sa_sigaction == other.0.sa_sigaction
    }

    /// Whether both are equal in every respect.
    pub(crate) fn equals(&self, other: &Disposition) -> bool {
        self.is(other) && self.0.sa_flags == other.0.sa_flags && self.mask() == other.mask()
    }

    /// The signals that are blocked while the handler runs.
    fn mask(&self) -> SignalSet {
        let is_in = |number: &i32| {
            // SAFETY: the set was initialised by the C library or the kernel.
            unsafe { libc::sigismember(&raw const self.0.sa_mask, *number) == 1 }
        };
        (1..=HIGHEST).filter(is_in).fold(SignalSet::default(), SignalSet::with)
    }

    /// What the kernel does with a signal.
    pub(crate) fn action(&self) -> Action {
        match self.0.sa_sigaction {
            libc::SIG_DFL => Action::Default,
            libc::SIG_IGN => Action::Ignore,
            address => {
                Action::Function(Function { address, takes_info: self.0.sa_flags & libc::SA_SIGINFO != 0 })
            }
        }
    }

    /// The disposition that the kernel leaves after it has acted on a signal: a handler for one call is replaced by the
    /// default (`SA_RESETHAND`).
    pub(crate) fn after_one_signal(self) -> Self {
        if self.0.sa_flags & libc::SA_RESETHAND == 0 { self } else { Self::default_action() }
    }

    /// The handler, if the program continues after it.
    ///
    /// A handler for one call (`SA_RESETHAND`) usually cleans up before the signal ends the program. A handler without
    /// `SA_RESTART` interrupts system calls so that the program stops what it does; Node's debugger installs such a
    /// handler too. Neither is to be called for a signal that a base handles.
    pub(crate) fn function(&self) -> Option<Function> {
        let goes_on = self.0.sa_flags & (libc::SA_RESTART | libc::SA_RESETHAND) == libc::SA_RESTART;
        match self.action() {
            Action::Function(function) if goes_on => Some(function),
            _ => None,
        }
    }
}

/// What the kernel does with a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// What `signal(7)` lists for the signal.
    Default,
    /// Nothing.
    Ignore,
    /// It calls a handler.
    Function(Function),
}

/// A handler of other code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Function {
    address: usize,
    takes_info: bool,
}

impl Function {
    /// Calls it as the kernel would. Only from a handler, with its arguments.
    pub(crate) fn call(self, number: c_int, info: *mut siginfo_t, context: *mut c_void) {
        if self.takes_info {
            // SAFETY: the kernel had this address as a function of this type.
            let function = unsafe { std::mem::transmute::<usize, Handler>(self.address) };
            function(number, info, context);
        } else {
            // SAFETY: as above.
            let function = unsafe { std::mem::transmute::<usize, extern "C" fn(c_int)>(self.address) };
            function(number);
        }
    }
}

/// Makes the descriptor of a notifier readable. Called by a signal handler. Preserves the `errno` of the interrupted
/// code.
pub(crate) fn notify(fd: RawFd) {
    let errno = Errno::last_raw();
    let one = 1_u64.to_ne_bytes();
    // A full pipe is readable already.
    _ = uninterrupted(|| {
        // SAFETY: the bytes are valid; a descriptor that is closed is an error.
        Errno::result(unsafe { libc::write(fd, one.as_ptr().cast(), one.len()) })
    });
    Errno::set_raw(errno);
}

/// Sends a signal to this thread. Async-signal-safe.
pub(crate) fn raise(number: c_int) {
    // SAFETY: the call has no precondition; a number that is no signal is an error.
    _ = unsafe { libc::raise(number) };
}

/// A number that no two running threads share. Not a thread-local, which may allocate memory when a handler first
/// accesses it.
pub(crate) fn current_thread() -> usize {
    // SAFETY: the call has no precondition.
    let thread = unsafe { libc::pthread_self() };
    thread as usize
}

/// A set of signals, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SignalSet(u64);

impl SignalSet {
    pub(crate) fn of(number: i32) -> Self {
        SignalSet(1 << (number - 1))
    }

    pub(crate) fn from_bits(bits: u64) -> Self {
        SignalSet(bits)
    }

    pub(crate) fn bits(self) -> u64 {
        self.0
    }

    pub(crate) fn contains(self, number: i32) -> bool {
        self.0 & Self::of(number).0 != 0
    }

    pub(crate) fn with(self, number: i32) -> Self {
        SignalSet(self.0 | Self::of(number).0)
    }

    pub(crate) fn without(self, number: i32) -> Self {
        SignalSet(self.0 & !Self::of(number).0)
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The numbers, ascending.
    pub(crate) fn numbers(self) -> impl Iterator<Item = i32> {
        (1..=HIGHEST).filter(move |number| self.contains(*number))
    }

    #[cfg(linux_kernel)]
    fn to_c(self) -> libc::sigset_t {
        let mut set = MaybeUninit::uninit();
        // SAFETY: the set is this call's own; the call initialises it.
        _ = unsafe { libc::sigemptyset(set.as_mut_ptr()) };
        // SAFETY: initialised just now.
        let mut set = unsafe { set.assume_init() };
        for number in self.numbers() {
            // SAFETY: the set is initialised; a number that the kernel does not have is an error.
            _ = unsafe { libc::sigaddset(&raw mut set, number) };
        }
        set
    }
}

/// Makes this thread block the signals of `set`, or unblock them. Returns which of them it blocked before.
#[cfg(linux_kernel)]
pub(crate) fn block(set: SignalSet, block: bool) -> SignalSet {
    let how = if block { libc::SIG_BLOCK } else { libc::SIG_UNBLOCK };
    let wanted = set.to_c();
    let mut before = SignalSet::default().to_c();
    // SAFETY: both sets are initialised and this call's own. The one failure is for another `how`.
    _ = unsafe { libc::pthread_sigmask(how, &raw const wanted, &raw mut before) };
    let was_blocked = |number: &i32| {
        // SAFETY: the set is initialised.
        unsafe { libc::sigismember(&raw const before, *number) == 1 }
    };
    set.numbers().filter(was_blocked).fold(SignalSet::default(), SignalSet::with)
}

/// Opens a signalfd for `set`, or changes `existing` to that set and returns `None`.
#[cfg(linux_kernel)]
pub(crate) fn signalfd(
    existing: Option<&std::os::fd::OwnedFd>,
    set: SignalSet,
) -> nix::Result<Option<std::os::fd::OwnedFd>> {
    use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
    let wanted = set.to_c();
    let number = existing.map_or(-1, AsRawFd::as_raw_fd);
    // SAFETY: the set is initialised, and the descriptor is a signalfd or -1.
    let result = unsafe { libc::signalfd(number, &raw const wanted, libc::SFD_NONBLOCK | libc::SFD_CLOEXEC) };
    let number = Errno::result(result)?;
    // SAFETY: the kernel made this descriptor just now, and nothing else owns it.
    Ok(existing.is_none().then(|| unsafe { OwnedFd::from_raw_fd(number) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_that_run_have_different_numbers() {
        let here = current_thread();
        let there = std::thread::spawn(current_thread).join().unwrap();
        assert_ne!(here, there);
        assert_eq!(here, current_thread());
        assert!(here != 0 && there != 0);
    }
}
