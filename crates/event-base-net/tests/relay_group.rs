//! Relays that share one limit: together they keep to it, and none is starved.

mod support;

use std::io::{Read, Write};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use event_base::Error;
use event_base_net::{EndReason, RateGroup, RateLimit, RelayOptions, SourceKey};
use support::{Bed, at_some_pace, connection, each_method, open_descriptors};

/// A relay in the group, with a client that sends as much as it can and a server that reads it.
fn greedy(bed: &mut Bed, options: RelayOptions) -> (SourceKey, [JoinHandle<()>; 2]) {
    let (key, mut client, mut server) = bed.relay(options);
    let peers = [
        thread::spawn(move || while client.write_all(&[7; 16_384]).is_ok() {}),
        thread::spawn(move || while server.read(&mut [0; 16_384]).is_ok_and(|count| count > 0) {}),
    ];
    (key, peers)
}

fn in_group(group: &RateGroup) -> RelayOptions {
    RelayOptions { group: Some(group.clone()), ..RelayOptions::default() }
}

fn moved(bed: &Bed, key: SourceKey) -> u64 {
    bed.net.stats(key).expect("it is running").bytes_a_to_b
}

fn close_all(bed: &mut Bed, relays: Vec<(SourceKey, [JoinHandle<()>; 2])>) {
    for (key, peers) in relays {
        bed.net.close(key).expect("it is running");
        assert_eq!(bed.run_to_end(key).reason, EndReason::Closed);
        for peer in peers {
            peer.join().expect("the peer does not panic");
        }
    }
}

#[test]
fn the_members_together_move_at_the_rate_and_each_gets_its_share() {
    each_method(|method, bed| {
        at_some_pace(|pace| {
            const BURST: u64 = 20_000;
            let rate = 1_000_000 / u64::from(pace);
            let group = RateGroup::new(RateLimit { rate, burst: BURST }).expect("neither is 0");
            let start = Instant::now();
            let relays: Vec<_> = (0..4).map(|_| greedy(bed, in_group(&group))).collect();
            assert_eq!(group.members(), 4);
            assert!(bed.run_for(Duration::from_millis(500) * pace).is_empty(), "{method}");
            let each: Vec<u64> = relays.iter().map(|relay| moved(bed, relay.0)).collect();
            let took = start.elapsed();
            close_all(bed, relays);
            assert_eq!(group.members(), 0, "{method}");
            let all: u64 = each.iter().sum();
            let most = BURST + (rate as f64 * took.as_secs_f64()) as u64 + 1;
            assert!(all <= most, "{method}: {each:?} in {took:?} at {rate} a second");
            let fair = (rate as f64 * took.as_secs_f64() / 4.0) as u64;
            let is_slow = all < most * 8 / 10 || each.iter().any(|one| *one < fair / 2);
            if is_slow { Err(format!("{method}: {each:?} in {took:?} at {rate} a second")) } else { Ok(()) }
        });
    });
}

#[test]
fn a_member_also_keeps_to_its_own_limit() {
    each_method(|method, bed| {
        let group = RateGroup::new(RateLimit { rate: 100_000_000, burst: 1_000_000 }).expect("neither is 0");
        let limit = RateLimit { rate: 100_000, burst: 1000 };
        let start = Instant::now();
        let slow = greedy(bed, RelayOptions { limit: Some(limit), ..in_group(&group) });
        bed.run_to(|bed| moved(bed, slow.0) >= 20_000);
        let most = 1000.0 + 100_000.0 * start.elapsed().as_secs_f64() + 1.0;
        assert!(moved(bed, slow.0) as f64 <= most, "{method}");
        close_all(bed, vec![slow]);
    });
}

#[test]
fn a_new_limit_and_the_end_of_the_group_reach_members_that_wait() {
    each_method(|method, bed| {
        let group = RateGroup::new(RateLimit { rate: 1, burst: 1 }).expect("neither is 0");
        let relay = greedy(bed, in_group(&group));
        bed.run_to(|bed| moved(bed, relay.0) > 0);
        assert!(moved(bed, relay.0) < 1000, "{method}");
        // At the old rate this would take a day.
        group.set_limit(RateLimit { rate: 10_000_000, burst: 100_000 }).expect("it is open");
        bed.run_to(|bed| moved(bed, relay.0) > 100_000);

        group.set_limit(RateLimit { rate: 1, burst: 1 }).expect("it is open");
        group.close();
        group.close();
        let before = moved(bed, relay.0);
        bed.run_to(|bed| moved(bed, relay.0) > before + 1_000_000);
        assert_eq!(group.members(), 1, "{method}");
        close_all(bed, vec![relay]);
        assert_eq!(group.members(), 0, "{method}");
    });
}

#[test]
fn a_closed_group_accepts_no_members() {
    each_method(|method, bed| {
        let before = open_descriptors();
        let group = RateGroup::new(RateLimit { rate: 1, burst: 1 }).expect("neither is 0");
        group.close();
        let (a, _client) = connection();
        let (b, _server) = connection();
        assert_eq!(bed.net.relay(a, b, in_group(&group)), Err(Error::Closed), "{method}");
        drop((_client, _server));
        assert_eq!(open_descriptors(), before, "{method}");
    });
}

/// A reservation that a member does not need any more is available to the others.
#[test]
fn a_member_that_leaves_returns_its_reservation() {
    each_method(|method, bed| {
        at_some_pace(|pace| {
            let rate = 200_000 / u64::from(pace);
            let group = RateGroup::new(RateLimit { rate, burst: 1000 }).expect("neither is 0");
            let stays = greedy(bed, in_group(&group));
            for _ in 0..20 {
                let leaves = greedy(bed, in_group(&group));
                bed.run_for(Duration::from_millis(3));
                close_all(bed, vec![leaves]);
            }
            let (before, start) = (moved(bed, stays.0), Instant::now());
            assert!(bed.run_for(Duration::from_millis(300) * pace).is_empty(), "{method}");
            let alone = (moved(bed, stays.0) - before) as f64;
            let took = start.elapsed();
            close_all(bed, vec![stays]);
            if alone < rate as f64 * took.as_secs_f64() * 0.8 {
                Err(format!("{method}: {alone} bytes in {took:?} at {rate} a second"))
            } else {
                Ok(())
            }
        });
    });
}
