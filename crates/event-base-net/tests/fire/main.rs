//! Thousands of connections of random sizes through one net, with half-closes, resets, stalls, limits, idle timeouts,
//! and either side closing at any time. Every byte that arrives is compared with what was sent, and a stream that ends
//! properly has to be complete. Afterwards nothing is left.
//!
//! `EVENT_BASE_FIRE_SEED` and `EVENT_BASE_FIRE_CONNECTIONS` repeat a round, or make it longer.

mod census;
mod lane;
mod peer;
mod plan;
mod proxy;

use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Instant;

use lane::{Lane, Tally};
use plan::{POOL, Random, TIGHT, Terms};
use proxy::{Proxy, Route};
use socket2::SockRef;

/// The number of connections at a time.
const LANES: usize = 48;
/// The bytes by which the process may grow in the second round: memory that the allocators of the threads keep.
const GROWTH: usize = 16 << 20;
/// The number of pipes that an idle net may keep.
const PIPES_KEPT: usize = 64;

fn setting(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is to be a number, not {text:?}")),
        Err(_) => default,
    }
}

fn pool() -> Vec<u8> {
    let mut random = Random::new(1);
    (0..POOL / 8).flat_map(|_| random.next().to_le_bytes()).collect()
}

/// Runs `connections` through a new proxy.
fn round(seed: u64, connections: usize, pool: &[u8]) -> Tally {
    let lanes = LANES.min(connections);
    let (mut routes, mut ends) = (Vec::new(), Vec::new());
    let mut upstreams = Vec::new();
    for lane in 0..lanes {
        let upstream = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let is_tight = plan::is_tight(lane);
        if is_tight {
            SockRef::from(&upstream).set_recv_buffer_size(TIGHT).expect("it is a socket");
        }
        let (sender, receiver) = channel();
        let place = upstream.local_addr().expect("it is bound");
        routes.push(Route { terms: Terms::of_lane(lane), is_tight, upstream: place, ends: sender });
        ends.push(receiver);
        upstreams.push(upstream);
    }
    let (mut proxy, places) = Proxy::new(routes);
    let over = AtomicUsize::new(0);
    let mut tally = thread::scope(|scope| {
        let parts = places.into_iter().zip(upstreams).zip(ends).enumerate();
        let threads: Vec<_> = parts
            .map(|(index, ((proxy, upstream), ends))| {
                let (terms, is_tight) = (Terms::of_lane(index), plan::is_tight(index));
                let lane = Lane { terms, is_tight, proxy, upstream, ends, pool };
                let over = &over;
                scope.spawn(move || {
                    let tally = lane.run(seed, (index..connections).step_by(lanes));
                    over.fetch_add(1, Ordering::Release);
                    tally
                })
            })
            .collect();
        proxy.run(|| over.load(Ordering::Acquire) == lanes);
        let mut sum = Tally::default();
        for thread in threads {
            sum.add(thread.join().expect("a lane does not panic"));
        }
        sum
    });
    tally.failures.extend(proxy.leftovers());
    let pipes = census::descriptors().get("pipe").copied().unwrap_or(0);
    if pipes > 2 * PIPES_KEPT {
        tally.failures.push(format!("{pipes} ends of pipes are kept by an idle net"));
    }
    tally
}

#[test]
fn every_byte_arrives_under_load_and_nothing_is_left() {
    let seed = setting("EVENT_BASE_FIRE_SEED", 1);
    let connections = setting("EVENT_BASE_FIRE_CONNECTIONS", 10_000) as usize;
    let repeat = format!("repeat: npm run fire -- --rust --seed {seed} --connections {connections}");
    let start = Instant::now();
    let pool = pool();
    // The first round loads and allocates everything that is loaded and allocated once.
    let warm = round(seed.wrapping_add(1), (connections / 5).clamp(1, 2000), &pool);
    assert!(warm.failures.is_empty(), "warming up, {}\n{repeat}", warm.failures.join("\n"));
    let (descriptors, resident) = (census::descriptors(), census::resident());

    let tally = round(seed, connections, &pool);
    let [ended, broken, idle] = tally.ended;
    println!(
        "seed {seed}: {connections} connections, {} MiB, {ended} in order, {broken} broken off, {idle} idle, {:?}",
        tally.bytes >> 20,
        start.elapsed()
    );
    let failures = &tally.failures[..tally.failures.len().min(5)];
    assert!(failures.is_empty(), "{} failures\n{}\n{repeat}", tally.failures.len(), failures.join("\n"));
    assert_eq!(ended + broken + idle, connections, "{repeat}");
    assert_eq!(census::descriptors(), descriptors, "descriptors are left\n{repeat}");
    // AddressSanitizer keeps freed memory for a while, so the process grows in any case.
    let keeps_freed = std::env::var_os("ASAN_OPTIONS").is_some();
    if let (Some(before), Some(after)) = (resident, census::resident()) {
        println!("memory: {} KiB, then {} KiB", before >> 10, after >> 10);
        assert!(
            keeps_freed || after < before + GROWTH,
            "memory grew from {before} to {after} bytes\n{repeat}"
        );
    }
}
