//! Connects to several addresses, on behalf of a client, and to themselves.

mod support;

use std::io::Write;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::time::Duration;

use event_base::Error;
use event_base_net::socket::ConnectOptions;
use event_base_net::{Address, Completion, ConnectRequest, Result, SourceKey, socket};
use nix::errno::Errno;
use support::{Bed, alone, closed_port, connection, each_method, errno, open_descriptors, silent_port};

const HOUR: Duration = Duration::from_secs(3600);

/// How a connect ended: the index of the address, and the failures of others.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Connected(usize, Vec<usize>),
    Failed(Errno, Vec<(usize, Errno)>),
    Abandoned,
}

fn end_of(bed: &mut Bed, connect: SourceKey) -> End {
    let mut end = None;
    bed.run_until(|_, completion| {
        end = Some(match completion {
            Completion::Connected { key, result: Ok(_), address, failures } if key == connect => {
                End::Connected(address, failures.into_iter().map(|(index, _)| index).collect())
            }
            Completion::Connected { key, result: Err(error), failures, .. } if key == connect => {
                let failures = failures.iter().map(|(index, error)| (*index, errno(error).0)).collect();
                End::Failed(errno(&error).0, failures)
            }
            Completion::ConnectAbandoned { key } if key == connect => End::Abandoned,
            other => panic!("unexpected: {other:?}"),
        });
        true
    });
    end.expect("it has ended")
}

fn begin(bed: &mut Bed, request: &ConnectRequest<'_>) -> SourceKey {
    bed.net.connect_request(request).expect("it begins")
}

fn listener() -> (TcpListener, Address) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = Address::Internet(listener.local_addr().expect("it is bound"));
    (listener, address)
}

#[test]
fn an_address_that_does_not_answer_delays_the_next_one_by_the_attempt_delay_only() {
    each_method(|method, bed| {
        let (_listener, silent, _waiting) = silent_port();
        let (_listener, address) = listener();
        let before = open_descriptors();
        let addresses = [silent, address];
        let attempt_delay = Duration::from_millis(20);
        let key = begin(bed, &ConnectRequest { attempt_delay, ..ConnectRequest::new(&addresses) });
        assert_eq!(end_of(bed, key), End::Connected(1, vec![]), "{method}");
        // The attempt that lost was closed too.
        assert_eq!(open_descriptors(), before, "{method}");
    });
}

#[test]
fn an_address_that_refuses_does_not_delay_the_next_one() {
    each_method(|method, bed| {
        let (_listener, port) = closed_port();
        let (_listener, address) = listener();
        let missing = Address::path("/nonexistent/path").expect("it is short");
        let addresses = [Address::Internet(port), missing, address];
        let key = begin(bed, &ConnectRequest { attempt_delay: HOUR, ..ConnectRequest::new(&addresses) });
        // The other family comes second.
        assert_eq!(end_of(bed, key), End::Connected(2, vec![0, 1]), "{method}");
    });
}

#[test]
fn the_caller_chooses_the_first_address() {
    each_method(|method, bed| {
        let (_first, one) = listener();
        let (_second, other) = listener();
        let addresses = [one, other];
        let request = ConnectRequest { first: 1, attempt_delay: HOUR, ..ConnectRequest::new(&addresses) };
        let key = begin(bed, &request);
        assert_eq!(end_of(bed, key), End::Connected(1, vec![]), "{method}");
    });
}

#[test]
fn if_every_address_fails_each_failure_is_reported() {
    each_method(|method, bed| {
        let before = open_descriptors();
        let (listener, port) = closed_port();
        let missing = Address::path("/nonexistent/path").expect("it is short");
        let addresses = [missing.clone(), Address::Internet(port)];
        let key = begin(bed, &ConnectRequest { attempt_delay: HOUR, ..ConnectRequest::new(&addresses) });
        let failures = vec![(0, Errno::ENOENT), (1, Errno::ECONNREFUSED)];
        assert_eq!(end_of(bed, key), End::Failed(Errno::ENOENT, failures), "{method}");

        // Also where none of them waits.
        let addresses = [missing.clone(), missing];
        let key = begin(bed, &ConnectRequest::new(&addresses));
        let failures = vec![(0, Errno::ENOENT), (1, Errno::ENOENT)];
        assert_eq!(end_of(bed, key), End::Failed(Errno::ENOENT, failures), "{method}");
        drop(listener);
        assert_eq!(open_descriptors(), before, "{method}");
    });
}

#[test]
fn the_timeout_covers_all_addresses_together() {
    each_method(|method, bed| {
        let (_listener, silent, _waiting) = silent_port();
        let (_listener, address) = listener();
        let before = open_descriptors();
        // With a timeout for each address the second one would be connected.
        let addresses = [silent, address];
        let timeout = Some(Duration::from_millis(30));
        let request = ConnectRequest { timeout, attempt_delay: HOUR, ..ConnectRequest::new(&addresses) };
        let key = begin(bed, &request);
        assert_eq!(end_of(bed, key), End::Failed(Errno::ETIMEDOUT, vec![]), "{method}");
        assert_eq!(open_descriptors(), before, "{method}");
    });
}

#[test]
fn a_race_that_is_closed_reports_nothing_and_leaves_nothing() {
    each_method(|method, bed| {
        let (_listener, silent, _waiting) = silent_port();
        let before = open_descriptors();
        let addresses = [silent.clone(), silent];
        let attempt_delay = Duration::from_millis(5);
        let key = begin(bed, &ConnectRequest { attempt_delay, ..ConnectRequest::new(&addresses) });
        bed.run_to(|_| open_descriptors() == before + 2);
        assert_eq!(bed.net.close(key), Ok(()), "{method}");
        assert_eq!(bed.net.close(key), Err(Error::Closed), "{method}");
        assert_eq!(open_descriptors(), before, "{method}");
        assert!(bed.run_for(Duration::from_millis(20)).is_empty(), "{method}");
    });
}

#[test]
fn a_request_without_an_address_is_refused() {
    each_method(|method, bed| {
        let refused = bed.net.connect_request(&ConnectRequest::new(&[]));
        assert_eq!(refused, Err(Error::OutOfRange("number of addresses")), "{method}");
    });
}

/// What a client sends.
const REQUEST: &[u8] = b"request";

/// Begins a connect that gets no answer on behalf of a new client, does `leave` with the client's end, and returns the
/// outcome; `None` where the connect goes on.
fn outcome_when(bed: &mut Bed, leave: impl FnOnce(TcpStream) -> Option<TcpStream>) -> Option<End> {
    let (_listener, silent, _waiting) = silent_port();
    let (near, far) = connection();
    let before = open_descriptors();
    let addresses = [silent];
    let attempt_delay = Duration::from_millis(5);
    let client = Some(near.as_fd());
    let key = begin(bed, &ConnectRequest { attempt_delay, client, ..ConnectRequest::new(&addresses) });
    let kept = leave(far);
    if kept.is_none() {
        let end = end_of(bed, key);
        // The client's descriptor is the caller's; its far end is closed.
        assert_eq!(open_descriptors(), before - 1);
        return Some(end);
    }
    assert!(bed.run_for(Duration::from_millis(50)).is_empty());
    bed.net.close(key).expect("it is in progress");
    // What the client has sent is left for the relay.
    let left = socket::peek(&near, &mut [0; 16]).expect("it is open");
    assert!(left.is_none_or(|count| count == REQUEST.len()), "{left:?}");
    None
}

fn reset(client: &TcpStream) {
    socket2::SockRef::from(client).set_linger(Some(Duration::ZERO)).expect("it is a socket");
}

#[test]
fn a_connect_ends_when_its_client_has_closed_the_connection() {
    each_method(|method, bed| {
        let closed = outcome_when(bed, |client| {
            drop(client);
            None
        });
        assert_eq!(closed, Some(End::Abandoned), "{method}");
        let aborted = outcome_when(bed, |mut client| {
            client.write_all(b"request").expect("it is connected");
            reset(&client);
            drop(client);
            None
        });
        assert_eq!(aborted, Some(End::Abandoned), "{method}");
    });
}

#[test]
fn a_connect_goes_on_for_a_client_that_has_sent_all_it_sends() {
    each_method(|method, bed| {
        let goes_on = outcome_when(bed, |mut client| {
            client.write_all(REQUEST).expect("it is connected");
            client.shutdown(Shutdown::Write).expect("it is connected");
            Some(client)
        });
        assert_eq!(goes_on, None, "{method}");
    });
}

#[test]
fn a_connect_goes_on_for_a_client_that_waits() {
    each_method(|method, bed| {
        assert_eq!(outcome_when(bed, Some), None, "{method}");
        let (_listener, silent, _waiting) = silent_port();
        let (near, _far) = socket::pair().expect("descriptors are free");
        let addresses = [silent];
        let attempt_delay = Duration::from_millis(5);
        let client = Some(near.as_fd());
        let key = begin(bed, &ConnectRequest { attempt_delay, client, ..ConnectRequest::new(&addresses) });
        assert!(bed.run_for(Duration::from_millis(50)).is_empty(), "{method}");
        bed.net.close(key).expect("it is in progress");
    });
}

/// A connect to a port that no socket listens on, from that port.
fn from_itself() -> (Address, ConnectOptions) {
    let (listener, port) = closed_port();
    drop(listener);
    (Address::Internet(port), ConnectOptions { local_port: port.port(), ..ConnectOptions::default() })
}

#[test]
fn a_connect_that_reaches_itself_is_refused_and_frees_its_port() {
    each_method(|method, bed| {
        let before = open_descriptors();
        let (address, options) = from_itself();
        let addresses = [address.clone()];
        let key = begin(bed, &ConnectRequest { options, ..ConnectRequest::new(&addresses) });
        let failures = vec![(0, Errno::ECONNREFUSED)];
        assert_eq!(end_of(bed, key), End::Failed(Errno::ECONNREFUSED, failures), "{method}");
        assert_eq!(open_descriptors(), before, "{method}");
        let Address::Internet(port) = address else { panic!("it is an internet address") };
        // Bound without SO_REUSEADDR, which a connection in TIME_WAIT would not allow.
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)
            .expect("a descriptor is free");
        socket.bind(&port.into()).expect("the port is free");
    });
}

#[test]
fn a_datagram_socket_may_be_connected_to_itself() {
    let _turn = alone();
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port is free");
    socket.connect(socket.local_addr().expect("it is bound")).expect("it can be connected");
    assert_eq!(socket::connect_outcome(&socket), Ok(()));
}

#[test]
fn a_raw_connect_that_reaches_itself_is_refused() {
    let _turn = alone();
    let (address, options) = from_itself();
    let fd = socket::connect_with(&address, &options).expect("it begins");
    let outcome: Result<()> = socket::connect_outcome(&fd);
    let refused = outcome.expect_err("no socket listens");
    assert_eq!(errno(&refused), (Errno::ECONNREFUSED, "connect"));
}
