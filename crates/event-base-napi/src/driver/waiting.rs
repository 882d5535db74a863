//! How the thread of a driver waits, and how JavaScript lets it continue.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use event_base::{Base, Error, HostWait, WaitEnder};
use event_base_net::socket;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd;
use parking_lot::Mutex;

use crate::descriptor::duplicate;

/// The pause before a wait that failed is repeated.
const PAUSE: Duration = Duration::from_millis(10);

/// A wait that the thread returns.
type Returned = Arc<Mutex<Option<HostWait>>>;

/// JavaScript's half. The thread ends when this is dropped, or [ended](Self::end).
#[derive(Debug)]
pub(super) enum Waiting {
    /// The base has a descriptor. One byte is written each time the thread may continue.
    Descriptor { proceed: OwnedFd },
    /// The base has none. One wait is sent each time the thread may continue.
    Wait {
        send: Sender<HostWait>,
        returned: Returned,
        ender: Option<WaitEnder>,
        /// Whether the thread has the wait.
        is_away: bool,
    },
}

/// The thread's half.
#[derive(Debug)]
pub(super) enum Watcher {
    Descriptor { watched: OwnedFd, proceed: OwnedFd },
    Wait { receive: Receiver<HostWait>, returned: Returned },
}

/// The wait of a thread that was ended, which is returned to the base once the thread has been joined.
#[derive(Debug)]
pub(super) struct Remains {
    returned: Option<Returned>,
}

impl Waiting {
    /// For a base with a descriptor, which is readable when a step is due.
    pub(super) fn for_descriptor(watched: BorrowedFd<'_>) -> Result<(Self, Watcher), Error> {
        let watched = duplicate(watched)?;
        let (read, write) = socket::pipe()?;
        Ok((Waiting::Descriptor { proceed: write }, Watcher::Descriptor { watched, proceed: read }))
    }

    /// For a base without one.
    pub(super) fn for_wait() -> (Self, Watcher) {
        let (send, receive) = channel();
        let returned = Returned::default();
        let waiting = Waiting::Wait { send, returned: Arc::clone(&returned), ender: None, is_away: false };
        (waiting, Watcher::Wait { receive, returned })
    }

    /// After a notification: returns whether the base can take steps.
    pub(super) fn take_back(&mut self, base: &Base) -> bool {
        let Waiting::Wait { returned, is_away, .. } = self else { return true };
        if return_wait(returned, base) {
            *is_away = false;
        }
        !*is_away
    }

    /// Lets the thread wait: JavaScript has run what was due.
    pub(super) fn proceed(&mut self, base: &Base) {
        match self {
            // Fails otherwise only if the pipe is full, which lets the thread continue too.
            Waiting::Descriptor { proceed } => while unistd::write(&*proceed, &[1]) == Err(Errno::EINTR) {},
            // Fails only if the base is closed, which ends the driver.
            Waiting::Wait { send, ender, is_away, .. } => {
                if let Ok(wait) = base.start_wait() {
                    *ender = Some(wait.ender());
                    *is_away = send.send(wait).is_ok();
                }
            }
        }
    }

    /// Ends the thread, which must be joined before its wait is returned to the base.
    pub(super) fn end(self) -> Remains {
        match self {
            Waiting::Descriptor { .. } => Remains { returned: None },
            Waiting::Wait { send, returned, ender, .. } => {
                drop(send);
                if let Some(ender) = ender {
                    ender.end();
                }
                Remains { returned: Some(returned) }
            }
        }
    }
}

impl Remains {
    pub(super) fn return_wait(self, base: &Base) {
        if let Some(returned) = &self.returned {
            return_wait(returned, base);
        }
    }
}

/// Returns to the base the wait that the thread has finished, if there is one.
fn return_wait(returned: &Returned, base: &Base) -> bool {
    let wait = returned.lock().take();
    // Fails if the base is closed, which needs no wait.
    wait.map(|wait| base.finish_wait(wait)).is_some()
}

impl Watcher {
    /// Waits, notifies, and waits until it may continue, until the other half is dropped.
    pub(super) fn run(self, notify: impl Fn()) {
        match self {
            Watcher::Descriptor { watched, proceed } => watch(&watched, &proceed, notify),
            Watcher::Wait { receive, returned } => {
                // The first step is due immediately.
                notify();
                for mut wait in receive {
                    // A failure is repeated by the wait of the next step, which reports it.
                    _ = wait.wait();
                    *returned.lock() = Some(wait);
                    notify();
                }
            }
        }
    }
}

fn watch(watched: &OwnedFd, proceed: &OwnedFd, notify: impl Fn()) {
    loop {
        let mut fds = [
            PollFd::new(watched.as_fd(), PollFlags::POLLIN),
            PollFd::new(proceed.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) => {}
            Err(Errno::EINTR) => continue,
            // `ENOMEM` of poll(2): the wait may succeed later.
            Err(_) => {
                thread::sleep(PAUSE);
                continue;
            }
        }
        if fds[0].any().unwrap_or(false) && !fds[1].any().unwrap_or(false) {
            notify();
        }
        let mut fds = [PollFd::new(proceed.as_fd(), PollFlags::POLLIN)];
        while let Err(errno) = poll(&mut fds, PollTimeout::NONE) {
            if errno != Errno::EINTR {
                thread::sleep(PAUSE);
            }
        }
        let mut buffer = [0; 16];
        if matches!(socket::read(proceed, &mut buffer), Ok(Some(0))) {
            return;
        }
    }
}
