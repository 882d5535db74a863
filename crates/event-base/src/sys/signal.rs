//! Signals: what the process does on one, which a thread holds back, and what a handler may do.
//!
//! nix names the classic signals only; here a signal is any number the kernel knows, real-time ones too.
#![expect(unsafe_code, reason = "`sigaction` and its kin take any number in no safe form")]

use std::mem::MaybeUninit;
use std::os::fd::RawFd;
use std::ptr;

use libc::{c_int, c_void, siginfo_t};
use nix::errno::Errno;

/// The highest number a signal has.
#[cfg(linux_kernel)]
pub(crate) const HIGHEST: i32 = 64;
#[cfg(not(linux_kernel))]
pub(crate) const HIGHEST: i32 = 31;

/// What the kernel calls; only what is async-signal-safe may happen in it.
pub(crate) type Handler = extern "C" fn(c_int, *mut siginfo_t, *mut c_void);

/// What the process does on a signal.
#[derive(Clone, Copy)]
pub(crate) struct Disposition(libc::sigaction);

impl std::fmt::Debug for Disposition {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (action, flags) = (self.0.sa_sigaction, self.0.sa_flags);
        formatter.debug_struct("Disposition").field("action", &action).field("flags", &flags).finish()
    }
}

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

    /// Calls `handler` with every other signal held back. System calls go on where they can, and a thread that
    /// set aside a stack for handlers is called on it, as hosts with small stacks of their own need.
    pub(crate) fn handler(handler: Handler) -> Self {
        Self::new(handler as *const () as usize, libc::SA_SIGINFO | libc::SA_RESTART | libc::SA_ONSTACK)
    }

    /// Nothing happens.
    pub(crate) fn ignore() -> Self {
        Self::new(libc::SIG_IGN, 0)
    }

    /// What the kernel does when nobody asked for anything.
    pub(crate) fn default_action() -> Self {
        Self::new(libc::SIG_DFL, 0)
    }

    /// What the process does on `number` now.
    ///
    /// # Errors
    /// `EINVAL` for a number that is no signal, or one that the C library keeps to itself.
    pub(crate) fn current(number: i32) -> nix::Result<Self> {
        let mut current = MaybeUninit::uninit();
        // SAFETY: the out-pointer is valid, and nothing is changed.
        let result = unsafe { libc::sigaction(number, ptr::null(), current.as_mut_ptr()) };
        Errno::result(result)?;
        // SAFETY: written by the call, which succeeded.
        Ok(Disposition(unsafe { current.assume_init() }))
    }

    /// Lets the process do this on `number`.
    ///
    /// # Errors
    /// As [`current`](Self::current), and `EINVAL` for SIGKILL and SIGSTOP.
    pub(crate) fn install(&self, number: i32) -> nix::Result<()> {
        // SAFETY: the record is valid; its function is one of this module's callers', which are
        // async-signal-safe, or was the process's own before.
        let result = unsafe { libc::sigaction(number, &raw const self.0, ptr::null_mut()) };
        Errno::result(result).map(drop)
    }

    /// Whether both do the same.
    pub(crate) fn is(&self, other: &Disposition) -> bool {
        self.0.sa_sigaction == other.0.sa_sigaction
    }

    /// The function that is called, if it is one after which the program means to go on.
    ///
    /// A handler that is installed for one call is the last thing a program does before it dies of the signal,
    /// and one that interrupts system calls wants the program to stop what it does, or, in Node, is the
    /// debugger's. Neither is for a signal that somebody handles.
    pub(crate) fn function(&self) -> Option<Function> {
        let (action, flags) = (self.0.sa_sigaction, self.0.sa_flags);
        let goes_on = flags & libc::SA_RESTART != 0 && flags & libc::SA_RESETHAND == 0;
        let is_function = action != libc::SIG_DFL && action != libc::SIG_IGN;
        let takes_info = flags & libc::SA_SIGINFO != 0;
        (is_function && goes_on).then_some(Function { address: action, takes_info })
    }
}

/// Somebody else's handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Function {
    address: usize,
    takes_info: bool,
}

impl Function {
    /// Calls it as the kernel would. From a handler only, with the handler's arguments.
    pub(crate) fn call(self, number: c_int, info: *mut siginfo_t, context: *mut c_void) {
        if self.takes_info {
            // SAFETY: the kernel had this address for a function of this type.
            let function = unsafe { std::mem::transmute::<usize, Handler>(self.address) };
            function(number, info, context);
        } else {
            // SAFETY: as above.
            let function = unsafe { std::mem::transmute::<usize, extern "C" fn(c_int)>(self.address) };
            function(number);
        }
    }
}

/// Makes a notifier's descriptor readable, from a handler: `errno` is the interrupted code's and stays.
pub(crate) fn notify(fd: RawFd) {
    let errno = Errno::last_raw();
    let one = 1_u64.to_ne_bytes();
    // A full pipe is readable already, and nothing interrupts a handler that holds every signal back.
    // SAFETY: the bytes are valid; a descriptor that is closed is an error.
    _ = unsafe { libc::write(fd, one.as_ptr().cast(), one.len()) };
    Errno::set_raw(errno);
}

/// A number that no two running threads share; unlike a thread-local it costs a handler no memory.
pub(crate) fn current_thread() -> usize {
    // SAFETY: the call has no precondition.
    let thread = unsafe { libc::pthread_self() };
    thread as usize
}

/// Signals, each a bit.
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
            // SAFETY: the set is initialised; a number that is none of the kernel's is an error.
            _ = unsafe { libc::sigaddset(&raw mut set, number) };
        }
        set
    }
}

/// Lets this thread hold `set` back, or no longer; answers which of them it held back before.
#[cfg(linux_kernel)]
pub(crate) fn hold_back(set: SignalSet, hold: bool) -> SignalSet {
    let how = if hold { libc::SIG_BLOCK } else { libc::SIG_UNBLOCK };
    let wanted = set.to_c();
    let mut before = SignalSet::default().to_c();
    // SAFETY: both sets are initialised and this call's own. The one failure is for another `how`.
    _ = unsafe { libc::pthread_sigmask(how, &raw const wanted, &raw mut before) };
    let held = |number: &i32| {
        // SAFETY: the set is initialised.
        unsafe { libc::sigismember(&raw const before, *number) == 1 }
    };
    set.numbers().filter(held).fold(SignalSet::default(), SignalSet::with)
}

/// A descriptor that is read to take signals of `set`, or `existing` changed to that set.
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
    // SAFETY: the kernel made this descriptor just now, and nobody else knows of it.
    Ok(existing.is_none().then(|| unsafe { OwnedFd::from_raw_fd(number) }))
}
