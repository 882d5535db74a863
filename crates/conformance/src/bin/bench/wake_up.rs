//! From an activation on another thread to the callback on a sleeping loop.

use std::cell::{Cell, RefCell};
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use event_base::What;
use event_base_conformance::{Failure, Handler, Pass, Peer, Waker};

use crate::interleave::{Figure, Measure};
use crate::statistics::quantile;
use crate::timed::Timed;

/// Wake-ups in a sample.
const WAKE_UPS: usize = 500;

/// The pause of the other thread after a callback, so that the loop sleeps.
const PAUSE: Duration = Duration::from_micros(100);

/// The time of the activation, in nanoseconds since [`start`].
static ACTIVATED: AtomicU64 = AtomicU64::new(0);

/// The number of callbacks, which the other thread waits for.
static CALLBACKS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static START: Cell<Option<Instant>> = const { Cell::new(None) };
    static LATENCIES: RefCell<Vec<f64>> = const { RefCell::new(Vec::new()) };
}

/// Takes the time.
pub(crate) struct TakeTime;

impl Handler for TakeTime {
    fn ready(_index: usize, _fd: RawFd, _what: What) {
        let Some(start) = START.get() else { return };
        let now = start.elapsed().as_nanos() as u64;
        let latency = now - ACTIVATED.load(Ordering::Acquire);
        LATENCIES.with_borrow_mut(|latencies| latencies.push(latency as f64));
        CALLBACKS.fetch_add(1, Ordering::Release);
    }
}

/// The measure.
pub(crate) struct WakeUp;

impl Measure for WakeUp {
    type Handler = TakeTime;

    fn figures(&self) -> Vec<Figure> {
        ["median", "p99"]
            .map(|name| Figure {
                name: format!("wake-up/{name}"),
                unit: "ns from activate to callback",
                aim: None,
                steady: false,
            })
            .into()
    }

    fn prepare<'a, P: Peer>(&mut self, peer: &'a P) -> Result<Vec<P::Event<'a>>, Failure> {
        // A timer with a distant deadline keeps the loop from being empty.
        let timer = peer.timer(1)?;
        peer.add(timer, Some(Duration::from_secs(3600)))?;
        Ok(vec![peer.user(0)?])
    }

    fn sample<'a, P: Peer>(&mut self, peer: &'a P, events: &[P::Event<'a>]) -> Result<Vec<Timed>, Failure> {
        let waker = peer.waker(events[0])?;
        let start = Instant::now();
        START.set(Some(start));
        CALLBACKS.store(0, Ordering::Release);
        LATENCIES.with_borrow_mut(Vec::clear);
        thread::scope(|scope| -> Result<(), Failure> {
            let other = scope.spawn(move || wake_repeatedly(&waker, start));
            while LATENCIES.with_borrow(Vec::len) < WAKE_UPS {
                peer.run(Pass::Once)?;
            }
            other.join().map_err(|_| Failure::Wrong("the other thread panicked".into()))?
        })?;
        let mut latencies = LATENCIES.take();
        if latencies.len() != WAKE_UPS {
            return Err(Failure::Wrong(format!("{} wake-ups", latencies.len())));
        }
        latencies.sort_by(f64::total_cmp);
        let at = |share| Timed { nanoseconds: quantile(&latencies, share), allocations: 0 };
        Ok(vec![at(0.5), at(0.99)])
    }
}

fn wake_repeatedly(waker: &impl Waker, start: Instant) -> Result<(), Failure> {
    for done in 0..WAKE_UPS as u64 {
        while CALLBACKS.load(Ordering::Acquire) < done {
            thread::yield_now();
        }
        thread::sleep(PAUSE);
        ACTIVATED.store(start.elapsed().as_nanos() as u64, Ordering::Release);
        waker.wake()?;
    }
    Ok(())
}
