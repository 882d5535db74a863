//! A stream that was cut ends with a reset. A stream that its source has ended does not.

mod support;

use std::io::{Read, Write};
use std::net::Shutdown;
use std::thread;
use std::time::Duration;

use event_base_net::{EndReason, RelayOptions, SourceKey, Transfer};
use socket2::SockRef;
use support::{Bed, each_method, pattern, read_to_reset};

const SIZE: usize = 24 << 20;

/// A relay whose second peer reads nothing, and that holds bytes for it. The first peer has sent everything, and
/// ended its stream.
fn stuck(bed: &mut Bed, options: RelayOptions) -> (SourceKey, Peers) {
    let (key, mut client, server) = bed.relay(options);
    let sending = thread::spawn(move || {
        let sent = client.write_all(&pattern(SIZE, 1));
        let _ = client.shutdown(Shutdown::Write);
        drop(sent);
        client
    });
    (key, Peers { sending, server })
}

struct Peers {
    sending: thread::JoinHandle<std::net::TcpStream>,
    server: std::net::TcpStream,
}

impl Peers {
    fn check(mut self, what: &str) {
        let received = read_to_reset(&mut self.server);
        assert!(received.len() < SIZE, "{what}: everything arrived");
        assert!(pattern(SIZE, 1).starts_with(&received), "{what}: bytes differ");
        drop(self.sending.join().expect("the client does not panic"));
    }
}

#[test]
fn an_idle_timeout_cuts_a_stream_whose_reader_is_too_slow() {
    each_method(|method, bed| {
        for transfer in [Transfer::Copy, Transfer::Splice] {
            let idle_timeout = Some(Duration::from_millis(150));
            let (key, peers) = stuck(bed, RelayOptions { transfer, idle_timeout, ..RelayOptions::default() });
            assert_eq!(bed.run_to_end(key).reason, EndReason::Idle, "{method}");
            peers.check(method);
        }
    });
}

#[test]
fn closing_a_relay_cuts_a_stream_that_is_held() {
    each_method(|method, bed| {
        for transfer in [Transfer::Copy, Transfer::Splice] {
            let (key, peers) = stuck(bed, RelayOptions { transfer, ..RelayOptions::default() });
            bed.run_to(|bed| bed.net.stats(key).expect("it is running").held_a_to_b > 0);
            bed.net.close(key).expect("it is running");
            assert_eq!(bed.run_to_end(key).reason, EndReason::Closed, "{method}");
            peers.check(method);
        }
    });
}

#[test]
fn dropping_the_net_cuts_a_stream_that_is_held() {
    each_method(|method, bed| {
        let (key, peers) = stuck(bed, RelayOptions::default());
        bed.run_to(|bed| bed.net.stats(key).expect("it is running").held_a_to_b > 0);
        bed.net = event_base_net::Net::new(bed.base.clone());
        peers.check(method);
    });
}

#[test]
fn a_peer_that_got_its_whole_stream_is_not_reset() {
    each_method(|method, bed| {
        for end_by in [EndReason::Error, EndReason::Idle, EndReason::Closed] {
            let idle = (end_by == EndReason::Idle).then_some(Duration::from_millis(60));
            let (key, mut client, mut server) =
                bed.relay(RelayOptions { idle_timeout: idle, ..RelayOptions::default() });
            client.write_all(b"all of it").expect("the relay reads");
            client.shutdown(Shutdown::Write).expect("it is connected");
            server.set_nonblocking(true).expect("it is a socket");
            let mut received = Vec::new();
            bed.run_to(|_| server.read_to_end(&mut received).is_ok());
            match end_by {
                EndReason::Error => {
                    SockRef::from(&client).set_linger(Some(Duration::ZERO)).expect("it is a socket");
                    drop(client);
                    // Nothing is read from the client any more, so only a write finds out.
                    let more = server.write_all(b"an answer");
                    more.expect("the relay reads");
                }
                EndReason::Closed => bed.net.close(key).expect("it is running"),
                _ => {}
            }
            assert_eq!(bed.run_to_end(key).reason, end_by, "{method}");
            assert_eq!(received, b"all of it", "{method}, {end_by:?}");
            assert_eq!(server.read(&mut [0; 8]).expect("the stream has ended"), 0, "{method}, {end_by:?}");
            assert!(server.take_error().expect("it is a socket").is_none(), "{method}, {end_by:?}: reset");
        }
    });
}
