//! A relay waits for a descriptor whose connect is still in progress.

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::thread;
use std::time::{Duration, Instant};

use event_base::Features;
use event_base_net::{Address, EndReason, RelayOptions, socket};
use nix::errno::Errno;
use socket2::SockRef;
use support::{closed_port, connection, each_method, errno, open_descriptors, silent_port};

fn within(connect_timeout: Duration) -> RelayOptions {
    RelayOptions { connect_timeout: Some(connect_timeout), ..RelayOptions::default() }
}

/// Whether the connection was reset.
fn is_reset(mut stream: TcpStream) -> bool {
    matches!(stream.read(&mut [0; 8]), Err(error) if error.kind() == ErrorKind::ConnectionReset)
}

#[test]
fn bytes_move_once_the_connect_is_done() {
    each_method(|method, bed| {
        for first in [true, false] {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
            let address = Address::Internet(listener.local_addr().expect("it is bound"));
            let there = socket::connect(&address).expect("it begins");
            let (near, mut client) = connection();
            client.write_all(b"a ").expect("it is connected");
            let (a, b) = if first { (there, near) } else { (near, there) };
            let options = RelayOptions {
                prefix_a_to_b: b"from a: ".to_vec(),
                prefix_b_to_a: b"from b: ".to_vec(),
                ..within(Duration::from_secs(60))
            };
            let key = bed.net.relay(a, b, options).expect("both can be watched");
            let serving = thread::spawn(move || {
                let (mut server, _) = listener.accept().expect("one connection comes");
                let mut asked = Vec::new();
                server.read_to_end(&mut asked).expect("the stream ends properly");
                server.write_all(b"an answer").expect("it is connected");
                asked
            });
            client.write_all(b"request").expect("it is connected");
            client.shutdown(Shutdown::Write).expect("it is connected");
            let end = bed.run_to_end(key);
            assert_eq!((end.reason, end.error), (EndReason::End, None), "{method}");
            let (to_server, to_client) = if first { ("b", "a") } else { ("a", "b") };
            let asked = serving.join().expect("the server does not panic");
            assert_eq!(String::from_utf8_lossy(&asked), format!("from {to_server}: a request"), "{method}");
            let mut answer = String::new();
            client.read_to_string(&mut answer).expect("the stream ends properly");
            assert_eq!(answer, format!("from {to_client}: an answer"), "{method}");
        }
    });
}

#[test]
fn a_refused_connect_ends_the_relay_and_the_other_end_receives_nothing() {
    each_method(|method, bed| {
        let (_door, port) = closed_port();
        let before = open_descriptors();
        for first in [true, false] {
            let there = socket::connect(&Address::Internet(port)).expect("it begins");
            let (near, mut client) = connection();
            client.write_all(b"hello").expect("it is connected");
            let (a, b) = if first { (there, near) } else { (near, there) };
            let options = RelayOptions {
                prefix_a_to_b: b"established".to_vec(),
                prefix_b_to_a: b"established".to_vec(),
                ..within(Duration::from_secs(60))
            };
            let key = bed.net.relay(a, b, options).expect("both can be watched");
            let end = bed.run_to_end(key);
            assert_eq!(end.reason, EndReason::Error, "{method}");
            assert_eq!(errno(&end.error.expect("it failed")), (Errno::ECONNREFUSED, "connect"), "{method}");
            assert_eq!((end.bytes_a_to_b, end.bytes_b_to_a), (0, 0), "{method}");
            assert!(is_reset(client), "{method}");
        }
        assert_eq!(open_descriptors(), before, "{method}");
    });
}

#[test]
fn a_connect_without_an_answer_times_out() {
    each_method(|method, bed| {
        let (_door, address, _waiting) = silent_port();
        let before = open_descriptors();
        let limit = Duration::from_millis(150);
        let start = Instant::now();
        let there = socket::connect(&address).expect("it begins");
        let (near, client) = connection();
        // The idle timeout is shorter, and is suspended during a connect with a timeout of its own.
        let options = RelayOptions { idle_timeout: Some(limit / 3), ..within(limit) };
        let key = bed.net.relay(near, there, options).expect("both can be watched");
        let end = bed.run_to_end(key);
        assert_eq!(end.reason, EndReason::Error, "{method}");
        assert_eq!(errno(&end.error.expect("it failed")), (Errno::ETIMEDOUT, "connect"), "{method}");
        assert!(start.elapsed() >= limit, "{method}: {:?}", start.elapsed());
        assert!(is_reset(client), "{method}");
        assert_eq!(open_descriptors(), before, "{method}");
    });
}

#[test]
fn the_idle_timeout_ends_a_connect_without_a_timeout() {
    each_method(|method, bed| {
        let (_door, address, _waiting) = silent_port();
        let there = socket::connect(&address).expect("it begins");
        let (near, _client) = connection();
        let options =
            RelayOptions { idle_timeout: Some(Duration::from_millis(50)), ..RelayOptions::default() };
        let key = bed.net.relay(near, there, options).expect("both can be watched");
        assert_eq!(bed.run_to_end(key).reason, EndReason::Idle, "{method}");
    });
}

#[test]
fn a_reset_by_the_client_during_the_connect_is_noticed() {
    each_method(|method, bed| {
        if !bed.base.features().expect("the base is open").contains(Features::EARLY_CLOSE) {
            return;
        }
        let (_door, address, _waiting) = silent_port();
        let there = socket::connect(&address).expect("it begins");
        let (near, client) = connection();
        let key = bed.net.relay(near, there, within(Duration::from_secs(60))).expect("both can be watched");
        SockRef::from(&client).set_linger(Some(Duration::ZERO)).expect("it is a socket");
        drop(client);
        let end = bed.run_to_end(key);
        assert_eq!(errno(&end.error.expect("it failed")), (Errno::ECONNRESET, "read"), "{method}");
    });
}

#[test]
fn closing_or_dropping_during_the_connect_releases_every_descriptor() {
    each_method(|method, bed| {
        let (_door, address, _waiting) = silent_port();
        let before = open_descriptors();
        let relay = |bed: &mut support::Bed| {
            let there = socket::connect(&address).expect("it begins");
            let (near, _client) = connection();
            bed.net.relay(near, there, within(Duration::from_secs(60))).expect("both can be watched")
        };
        let key = relay(bed);
        bed.net.pause(key).expect("it is there");
        bed.net.resume(key).expect("it is there");
        bed.net.close(key).expect("it is there");
        assert_eq!(bed.run_to_end(key).reason, EndReason::Closed, "{method}");
        relay(bed);
        bed.net = event_base_net::Net::new(bed.base.clone());
        assert_eq!(open_descriptors(), before, "{method}");
    });
}

/// A connection that was reset before the relay was created still has bytes to deliver.
#[test]
fn bytes_that_arrived_before_a_reset_are_passed_on() {
    each_method(|method, bed| {
        let (near, mut client): (OwnedFd, _) = connection();
        client.write_all(b"last words").expect("it is connected");
        SockRef::from(&client).set_linger(Some(Duration::ZERO)).expect("it is a socket");
        drop(client);
        let (other, mut server) = connection();
        let key = bed.net.relay(near, other, RelayOptions::default()).expect("both can be watched");
        let end = bed.run_to_end(key);
        assert_eq!(end.reason, EndReason::Error, "{method}");
        assert_eq!(errno(&end.error.expect("it failed")), (Errno::ECONNRESET, "read"), "{method}");
        assert_eq!(end.bytes_a_to_b, 10, "{method}");
        server.read_exact(&mut [0; 10]).expect("they were passed on");
        assert!(is_reset(server), "{method}");
    });
}
