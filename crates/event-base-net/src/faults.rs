//! Failures of system calls, injected by unit tests. Compiled for tests only.

use std::cell::RefCell;
use std::collections::VecDeque;

use nix::errno::Errno;

/// A system call that can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// Reading from one end of a relay.
    Receive,
    /// Writing to one end of a relay.
    Send,
    /// Starting a connect.
    Connect,
    /// Opening a pipe of the pool.
    #[cfg(target_os = "linux")]
    OpenPipe,
    /// Setting the size of a pipe.
    #[cfg(target_os = "linux")]
    ResizePipe,
    /// `splice` into a pipe.
    FillPipe,
    /// `splice` from a pipe.
    DrainPipe,
    /// Reading from a pipe.
    #[cfg(target_os = "linux")]
    ReadPipe,
    /// Accepting a connection.
    Accept,
    /// Registering a descriptor with the engine.
    Register,
    /// Reading the local address of a socket.
    Address,
    /// The loop of a thread of a proxy.
    Dispatch,
}

thread_local! {
    static QUEUE: RefCell<VecDeque<(Call, Errno)>> = const { RefCell::new(VecDeque::new()) };
}

/// Makes the next call of this kind on this thread fail with `errno`. Several injections for one kind apply in order.
pub(crate) fn inject(call: Call, errno: Errno) {
    QUEUE.with_borrow_mut(|queue| queue.push_back((call, errno)));
}

/// The failure for a call that is about to be made, if one was injected.
pub(crate) fn next(call: Call) -> Option<Errno> {
    QUEUE.with_borrow_mut(|queue| {
        let index = queue.iter().position(|(of, _)| *of == call)?;
        queue.remove(index).map(|(_, errno)| errno)
    })
}

/// The number of injected failures that no call has returned.
pub(crate) fn left() -> usize {
    QUEUE.with_borrow(VecDeque::len)
}
