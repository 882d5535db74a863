//! How the thread of a driver waits, and how it hears that JavaScript has looked.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use event_base::{Base, Error, HostWait, WaitEnder};
use event_base_net::socket;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd;
use parking_lot::Mutex;

use super::failed;

/// A wait on its way back from the thread.
type Returned = Arc<Mutex<Option<HostWait>>>;

/// JavaScript's half. The thread ends when it is dropped, or [ended](Self::end).
#[derive(Debug)]
pub(super) enum Waiting {
    /// One byte for each look.
    Descriptor { looked: OwnedFd },
    /// One wait for each look.
    Wait {
        send: Sender<HostWait>,
        returned: Returned,
        ender: Option<WaitEnder>,
        /// The thread has it.
        is_away: bool,
    },
}

/// The thread's half.
#[derive(Debug)]
pub(super) enum Watcher {
    Descriptor { watched: OwnedFd, looking: OwnedFd },
    Wait { receive: Receiver<HostWait>, returned: Returned },
}

/// What a thread that was told to end leaves behind, to be given back once it has.
#[derive(Debug)]
pub(super) struct Remains {
    returned: Option<Returned>,
}

impl Waiting {
    /// For a base with a descriptor, which is readable when the base wants a turn.
    pub(super) fn for_descriptor(watched: BorrowedFd<'_>) -> Result<(Self, Watcher), Error> {
        let refused = |error: std::io::Error| failed(error.raw_os_error().unwrap_or_default(), "fcntl");
        let watched = watched.try_clone_to_owned().map_err(refused)?;
        let (looking, looked) = socket::pipe()?;
        Ok((Waiting::Descriptor { looked }, Watcher::Descriptor { watched, looking }))
    }

    /// For a base without one.
    pub(super) fn with_the_bases_wait() -> (Self, Watcher) {
        let (send, receive) = channel();
        let returned = Returned::default();
        let waiting = Waiting::Wait { send, returned: Arc::clone(&returned), ender: None, is_away: false };
        (waiting, Watcher::Wait { receive, returned })
    }

    /// After a ring; answers whether the base may take a turn.
    pub(super) fn take_back(&mut self, base: &Base) -> bool {
        let Waiting::Wait { returned, is_away, .. } = self else { return true };
        if give_back(returned, base) {
            *is_away = false;
        }
        !*is_away
    }

    /// JavaScript has looked, and nothing is due.
    pub(super) fn go_on(&mut self, base: &Base) {
        match self {
            Waiting::Descriptor { looked } => _ = unistd::write(looked, &[1]),
            // Refused only if the base is closed, which ends the driver.
            Waiting::Wait { send, ender, is_away, .. } => {
                if let Ok(wait) = base.start_wait() {
                    *ender = Some(wait.ender());
                    *is_away = send.send(wait).is_ok();
                }
            }
        }
    }

    /// Ends the thread, which has to be joined before what it leaves is given back.
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
    pub(super) fn give_back(self, base: &Base) {
        if let Some(returned) = &self.returned {
            give_back(returned, base);
        }
    }
}

/// Answers whether there was a wait to be given back.
fn give_back(returned: &Returned, base: &Base) -> bool {
    let wait = returned.lock().take();
    // A closed base needs it no more.
    wait.map(|wait| base.finish_wait(wait)).is_some()
}

impl Watcher {
    /// Waits, rings, waits for the look, and so on until the other half is gone.
    pub(super) fn run(self, ring: impl Fn()) {
        match self {
            Watcher::Descriptor { watched, looking } => watch(&watched, &looking, ring),
            Watcher::Wait { receive, returned } => {
                // The first turn is due at once.
                ring();
                for mut wait in receive {
                    // A wait that fails is met by the next turn again, which can say so.
                    _ = wait.wait();
                    *returned.lock() = Some(wait);
                    ring();
                }
            }
        }
    }
}

fn watch(watched: &OwnedFd, looking: &OwnedFd, ring: impl Fn()) {
    loop {
        let mut fds = [
            PollFd::new(watched.as_fd(), PollFlags::POLLIN),
            PollFd::new(looking.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) => {}
            Err(Errno::EINTR) => continue,
            Err(_) => return,
        }
        if fds[0].any().unwrap_or(false) && !fds[1].any().unwrap_or(false) {
            ring();
        }
        let mut fds = [PollFd::new(looking.as_fd(), PollFlags::POLLIN)];
        while poll(&mut fds, PollTimeout::NONE) == Err(Errno::EINTR) {}
        let mut buffer = [0; 16];
        if matches!(unistd::read(looking, &mut buffer), Ok(0)) {
            return;
        }
    }
}
