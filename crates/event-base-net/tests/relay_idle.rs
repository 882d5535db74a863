//! The idle timeout ends a relay that moves no bytes, and no other one.

mod support;

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use event_base_net::{EndReason, RateLimit, RelayOptions};
use support::{Bed, alone, at_some_pace, each_method, read_to_reset};

const IDLE: Duration = Duration::from_millis(120);

fn idle() -> RelayOptions {
    RelayOptions { idle_timeout: Some(IDLE), ..RelayOptions::default() }
}

#[test]
fn a_relay_without_bytes_ends_after_the_idle_timeout() {
    each_method(|method, bed| {
        let start = Instant::now();
        let (key, mut client, _server) = bed.relay(idle());
        let end = bed.run_to_end(key);
        assert_eq!((end.reason, end.error), (EndReason::Idle, None), "{method}");
        assert!(start.elapsed() >= IDLE, "{method}: ended {:?} after its start", start.elapsed());
        assert!(end.duration >= IDLE && end.duration <= start.elapsed(), "{method}: {:?}", end.duration);
        assert!(read_to_reset(&mut client).is_empty(), "{method}");
    });
}

#[test]
fn bytes_in_one_direction_keep_both_alive() {
    let _turn = alone();
    at_some_pace(|pace| {
        let idle = IDLE * pace;
        let mut bed = Bed::new();
        let (key, _client, mut server) =
            bed.relay(RelayOptions { idle_timeout: Some(idle), ..RelayOptions::default() });
        let start = Instant::now();
        let mut last = start;
        while start.elapsed() < idle * 4 {
            server.write_all(b"still here").map_err(|error| error.to_string())?;
            last = Instant::now();
            if !bed.run_for(idle / 4).is_empty() {
                return Err(format!("ended {:?} after a byte", last.elapsed()));
            }
        }
        assert_eq!(bed.run_to_end(key).reason, EndReason::Idle);
        assert!(last.elapsed() >= idle - Duration::from_millis(1));
        Ok(())
    });
}

#[test]
fn a_relay_ends_one_idle_time_after_its_last_byte() {
    let _turn = alone();
    at_some_pace(|pace| {
        let idle = IDLE * pace;
        let mut bed = Bed::new();
        let (key, _client, mut server) =
            bed.relay(RelayOptions { idle_timeout: Some(idle), ..RelayOptions::default() });
        assert!(bed.run_for(idle / 2).is_empty());
        server.write_all(b"the last").expect("the relay reads");
        bed.run_to(|bed| bed.net.stats(key).is_ok_and(|stats| stats.bytes_b_to_a == 8));
        let last = Instant::now();
        assert_eq!(bed.run_to_end(key).reason, EndReason::Idle);
        if last.elapsed() < idle * 5 / 4 { Ok(()) } else { Err(format!("{:?} later", last.elapsed())) }
    });
}

#[test]
fn waiting_for_tokens_is_not_idle() {
    let _turn = alone();
    let mut bed = Bed::new();
    // One byte a second: the second byte moves long after the idle timeout.
    let limit = Some(RateLimit { rate: 1, burst: 1 });
    let (key, mut client, mut server) = bed.relay(RelayOptions { limit, ..idle() });
    client.write_all(b"ab").expect("the relay reads");
    let ended = bed.run_for(IDLE * 5);
    assert!(ended.is_empty(), "{ended:?}");
    server.read_exact(&mut [0; 1]).expect("the first byte is through");
    bed.net.close(key).expect("it is running");
    assert_eq!(bed.run_to_end(key).reason, EndReason::Closed);
}
