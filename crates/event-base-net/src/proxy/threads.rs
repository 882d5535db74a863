//! Starting the threads of a proxy, and how each ends.

use std::any::Any;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, JoinHandle};

use nix::errno::Errno;
use nix::sys::signal::{SigSet, SigmaskHow, Signal};

use super::problem::Problem;
use super::shared::{Command, Shared};
use super::worker::Worker;
use crate::failure::{Result, system};

/// Starts a thread for each door. They accept once all of them are ready; if one cannot be, all end.
pub(super) fn start(shared: &Arc<Shared>, doors: Vec<OwnedFd>) -> Result<Vec<JoinHandle<()>>> {
    let (tell_ready, ready) = channel();
    let mut gates: Vec<Sender<()>> = Vec::new();
    let mut threads = Vec::new();
    let mut outcome = Ok(());
    let count = doors.len();
    let mask = SignalMask::block();
    for (index, door) in doors.into_iter().enumerate() {
        let (gate, open) = channel();
        let (shared, tell_ready) = (Arc::clone(shared), tell_ready.clone());
        let spawned = Builder::new()
            .name(format!("proxy {index}"))
            .spawn(move || live(&shared, index, door, &tell_ready, &open));
        match spawned {
            Ok(thread) => {
                gates.push(gate);
                threads.push(thread);
            }
            Err(error) => {
                let errno = error.raw_os_error().map_or(Errno::EAGAIN, Errno::from_raw);
                outcome = Err(system(errno, "pthread_create", None));
                break;
            }
        }
    }
    drop(mask);
    drop(tell_ready);
    // Each that was spawned says one thing.
    for made in ready.iter().take(count) {
        outcome = outcome.and(made);
    }
    if let Err(error) = outcome {
        // A gate that goes without a word ends its thread.
        drop(gates);
        for thread in threads {
            let _ = thread.join();
        }
        return Err(error);
    }
    for gate in gates {
        let _ = gate.send(());
    }
    Ok(threads)
}

/// The life of a thread.
fn live(
    shared: &Arc<Shared>,
    index: usize,
    door: OwnedFd,
    tell_ready: &Sender<Result<()>>,
    open: &Receiver<()>,
) {
    let lived = catch_unwind(AssertUnwindSafe(|| {
        let mut worker = match Worker::new(Arc::clone(shared), index, door) {
            Ok(worker) => worker,
            Err(error) => {
                let _ = tell_ready.send(Err(error));
                return Ok(());
            }
        };
        let _ = tell_ready.send(Ok(()));
        if open.recv().is_err() {
            return Ok(());
        }
        worker.run()
    }));
    let reason = match lived {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(panic) => Some(words(&*panic)),
    };
    if let Some(reason) = reason {
        shared.outbox.put(Problem::ThreadFailed { reason });
        shared.tell_all(Command::Stop);
    }
    // Its descriptors go with the base; handles outside keep only the shell.
    let _ = shared.threads[index].base.close();
    shared.thread_ended();
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("a thread of the proxy panicked: {}", text.unwrap_or("without words"))
}

/// Keeps signals from the threads that are made while it exists, so that handlers run where the program
/// expects them. Those by which the kernel tells a thread of its own fault stay.
struct SignalMask(Option<SigSet>);

impl SignalMask {
    fn block() -> Self {
        let mut signals = SigSet::all();
        for own in [Signal::SIGSEGV, Signal::SIGBUS, Signal::SIGFPE, Signal::SIGILL, Signal::SIGTRAP] {
            signals.remove(own);
        }
        SignalMask(signals.thread_swap_mask(SigmaskHow::SIG_BLOCK).ok())
    }
}

impl Drop for SignalMask {
    fn drop(&mut self) {
        if let Some(old) = &self.0 {
            let _ = old.thread_set_mask();
        }
    }
}
