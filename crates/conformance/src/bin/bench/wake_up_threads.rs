//! Wake-ups from several threads in parallel: each activates an event of its own when the previous one has been dispatched.

use std::os::fd::RawFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use event_base::What;
use event_base_conformance::{Failure, Handler, Pass, Peer, Waker};

use crate::interleave::{Figure, Measure};
use crate::timed::{Timed, timed};

/// Wake-ups in a sample, of all threads together.
const WAKE_UPS: u64 = 8000;

/// The maximum number of threads.
const THREADS: usize = 4;

/// The number of dispatched events of each thread.
static HANDED_OUT: [AtomicU64; THREADS] = [const { AtomicU64::new(0) }; THREADS];

/// Lets the thread continue.
pub(crate) struct GoOn;

impl Handler for GoOn {
    fn ready(index: usize, _fd: RawFd, _what: What) {
        if let Some(handed_out) = HANDED_OUT.get(index) {
            handed_out.fetch_add(1, Ordering::Release);
        }
    }
}

/// The measure for one number of threads.
pub(crate) struct WakeUpThreads {
    threads: usize,
}

impl WakeUpThreads {
    /// The measure with `threads`, at most 4.
    pub(crate) fn new(threads: usize) -> Self {
        Self { threads: threads.min(THREADS) }
    }

    fn each(&self) -> u64 {
        WAKE_UPS / self.threads as u64
    }
}

fn handed_out() -> u64 {
    HANDED_OUT.iter().map(|count| count.load(Ordering::Acquire)).sum()
}

impl Measure for WakeUpThreads {
    type Handler = GoOn;

    fn figures(&self) -> Vec<Figure> {
        let name = format!("wake-up-threads-{}", self.threads);
        vec![Figure { name, unit: "ns per wake-up", aim: None, steady: false }]
    }

    fn prepare<'a, P: Peer>(&mut self, peer: &'a P) -> Result<Vec<P::Event<'a>>, Failure> {
        // A timer with a distant deadline keeps the loop from being empty.
        let timer = peer.timer(THREADS)?;
        peer.add(timer, Some(Duration::from_secs(3600)))?;
        (0..self.threads).map(|index| peer.user(index)).collect()
    }

    fn sample<'a, P: Peer>(&mut self, peer: &'a P, events: &[P::Event<'a>]) -> Result<Vec<Timed>, Failure> {
        HANDED_OUT.iter().for_each(|count| count.store(0, Ordering::Release));
        let each = self.each();
        let all = each * self.threads as u64;
        let wakers: Result<Vec<_>, Failure> = events.iter().map(|&event| peer.waker(event)).collect();
        let wakers = wakers?;
        let whole = thread::scope(|scope| {
            let others: Vec<_> = wakers
                .into_iter()
                .enumerate()
                .map(|(index, waker)| scope.spawn(move || wake_repeatedly(&waker, &HANDED_OUT[index], each)))
                .collect();
            let whole = timed(|| -> Result<(), Failure> {
                while handed_out() < all {
                    peer.run(Pass::Once)?;
                }
                Ok(())
            })?;
            for other in others {
                other.join().map_err(|_| Failure::Wrong("another thread panicked".into()))??;
            }
            Ok::<_, Failure>(whole)
        })?;
        match handed_out() {
            got if got == all => Ok(vec![whole.per(all as usize)]),
            got => Err(Failure::Wrong(format!("{got} of {all} wake-ups"))),
        }
    }
}

fn wake_repeatedly(waker: &impl Waker, handed_out: &AtomicU64, each: u64) -> Result<(), Failure> {
    for done in 0..each {
        while handed_out.load(Ordering::Acquire) < done {
            thread::yield_now();
        }
        waker.wake()?;
    }
    Ok(())
}
