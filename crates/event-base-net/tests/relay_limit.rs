//! The rate limit: after the burst bytes move at the rate, in each direction.

mod support;

use std::io::{Read, Write};
use std::net::Shutdown;
use std::thread;
use std::time::{Duration, Instant};

use event_base::Error;
use event_base_net::{Completion, EndReason, RateGroup, RateLimit, RelayOptions};
use support::{at_some_pace, busy_time, connection, each_method, open_descriptors, pattern};

#[test]
fn both_directions_move_at_their_own_full_rate() {
    each_method(|method, bed| {
        const SIZE: usize = 300_000;
        at_some_pace(|pace| {
            let limit = Some(RateLimit { rate: 1_000_000 / u64::from(pace), burst: 50_000 });
            let (key, client, server) = bed.relay(RelayOptions { limit, ..RelayOptions::default() });
            let start = Instant::now();
            let peers = [(client, 1, 2), (server, 2, 1)].map(|(mut end, own, other)| {
                thread::spawn(move || {
                    end.write_all(&pattern(SIZE, own)).expect("the relay reads");
                    end.shutdown(Shutdown::Write).expect("it is connected");
                    let mut received = Vec::new();
                    end.read_to_end(&mut received).expect("the stream ends properly");
                    assert!(received == pattern(SIZE, other));
                })
            });
            let busy = busy_time();
            let end = bed.run_to_end(key);
            assert_eq!((end.reason, end.error), (EndReason::End, None));
            for peer in peers {
                peer.join().expect("the peer does not panic");
            }
            // The burst of 50 000, then 250 000 at a million a second. With shared tokens it would take twice as long.
            let took = start.elapsed();
            assert!(took >= Duration::from_millis(245) * pace, "{method}: {took:?} is faster than the limit");
            let busy = busy_time() - busy;
            let slow = took >= Duration::from_millis(480) * pace || busy >= took / 2;
            if slow {
                Err(format!("{method}: {took:?} at {pace} times the pace, busy for {busy:?}"))
            } else {
                Ok(())
            }
        });
    });
}

/// Three connections at the same time: first each with its own limit, then all in a group with the sum of the limits.
#[test]
fn c_116_test_ratelim() {
    const BURST: u64 = 20_000;
    each_method(|method, bed| {
        for shared in [false, true] {
            at_some_pace(|pace| {
                let rate = 400_000 / u64::from(pace);
                // Three times the rate for three members: each gets the rate that it had alone.
                let limit = RateLimit { rate, burst: BURST };
                let whole = RateLimit { rate: rate * 3, burst: BURST * 3 };
                let group = RateGroup::new(whole).expect("neither is 0");
                let start = Instant::now();
                let mut threads = Vec::new();
                let keys = [0, 1, 2].map(|_| {
                    let mut options = RelayOptions { limit: Some(limit), ..RelayOptions::default() };
                    if shared {
                        options = RelayOptions { group: Some(group.clone()), ..RelayOptions::default() };
                    }
                    let (key, mut client, mut server) = bed.relay(options);
                    threads.push(thread::spawn(move || while client.write_all(&[7; 16_384]).is_ok() {}));
                    threads.push(thread::spawn(move || {
                        while server.read(&mut [0; 16_384]).is_ok_and(|count| count > 0) {}
                    }));
                    key
                });
                assert!(bed.run_for(Duration::from_millis(500) * pace).is_empty(), "{method}");
                let moved = keys.map(|key| bed.net.stats(key).expect("it is running").bytes_a_to_b);
                let took = start.elapsed();
                let most = BURST + (rate as f64 * took.as_secs_f64()) as u64 + 1;
                let is_kept = if shared {
                    moved.iter().sum::<u64>() <= most * 3
                } else {
                    moved.iter().all(|&bytes| bytes <= most)
                };
                assert!(is_kept, "{method}: {moved:?} in {took:?} at {rate} a second, shared: {shared}");
                keys.iter().for_each(|&key| bed.net.close(key).expect("it is running"));
                let mut ended = 0;
                bed.run_until(|_, completion| {
                    assert!(matches!(completion, Completion::RelayEnded { .. }), "{method}: {completion:?}");
                    ended += 1;
                    ended == keys.len()
                });
                threads.into_iter().for_each(|thread| thread.join().expect("the peer does not panic"));
                let least = (rate as f64 * took.as_secs_f64() * 0.8) as u64;
                let is_slow = moved.iter().any(|&bytes| bytes < least);
                let account = format!("{method}: {moved:?} in {took:?} at {rate} a second, shared: {shared}");
                if is_slow { Err(account) } else { Ok(()) }
            });
        }
    });
}

#[test]
fn a_limit_of_zero_is_refused_and_both_descriptors_are_closed() {
    each_method(|_, bed| {
        let before = open_descriptors();
        for (limit, what) in
            [(RateLimit { rate: 0, burst: 9 }, "rate"), (RateLimit { rate: 9, burst: 0 }, "burst")]
        {
            let (a, _client) = connection();
            let (b, _server) = connection();
            let options = RelayOptions { limit: Some(limit), ..RelayOptions::default() };
            assert_eq!(bed.net.relay(a, b, options), Err(Error::OutOfRange(what)));
        }
        assert_eq!(open_descriptors(), before);
    });
}
