//! Bytes that the relay's kernel has acknowledged arrive, however the connection they came from ends.

#![cfg(target_os = "linux")]
#![expect(unsafe_code, reason = "only an ioctl reports what a socket's peer has not acknowledged")]

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use event_base_net::{EndReason, RateGroup, RateLimit, RelayOptions, Transfer};
use nix::errno::Errno;
use socket2::SockRef;
use support::{Bed, connection, each_method, errno, pattern, read_to_reset};

const SIZE: usize = 200_000;

mod ioctl {
    nix::ioctl_read_bad!(
        /// `SIOCOUTQ`
        send_queue,
        nix::libc::TIOCOUTQ,
        nix::libc::c_int
    );
}

/// Bytes that the peer's kernel has not acknowledged.
fn unacknowledged(stream: &TcpStream) -> usize {
    let mut count = 0;
    // SAFETY: the call stores one `int`, and `count` is one that outlives the call.
    unsafe { ioctl::send_queue(stream.as_raw_fd(), &raw mut count) }.expect("it is a socket");
    usize::try_from(count).expect("a number of bytes")
}

/// A connection whose kernel buffers are small: for the net, and for a peer that reads slowly.
fn narrow_connection() -> (OwnedFd, TcpStream) {
    let (near, far) = connection();
    SockRef::from(&near).set_send_buffer_size(32_768).expect("it is a socket");
    SockRef::from(&far).set_recv_buffer_size(32_768).expect("it is a socket");
    (near, far)
}

fn reset(stream: TcpStream) {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("it is a socket");
}

/// Ways to limit and to prefix a relay, none of which may change what arrives.
fn variants() -> Vec<RelayOptions> {
    let limit = RateLimit { rate: 20_000_000, burst: 50_000 };
    let mut variants = Vec::new();
    for transfer in [Transfer::Copy, Transfer::Splice, Transfer::Adaptive] {
        let plain = RelayOptions { transfer, ..RelayOptions::default() };
        let group = RateGroup::new(limit).expect("neither is 0");
        variants.push(plain.clone());
        variants.push(RelayOptions { limit: Some(limit), group: Some(group), ..plain.clone() });
        variants.push(RelayOptions { prefix_a_to_b: b"first ".to_vec(), ..plain });
    }
    variants
}

/// Writes everything to a non-blocking source of a relay, which runs meanwhile.
fn send_all(bed: &mut Bed, mut source: impl Write, bytes: &[u8]) {
    let mut sent = 0;
    bed.run_to(|_| {
        while let Ok(count) = source.write(&bytes[sent..])
            && count > 0
        {
            sent += count;
        }
        sent == bytes.len()
    });
}

/// The source sends everything, which is acknowledged while the sink reads nothing, and resets. Then the sink reads.
fn deliver(method: &str, bed: &mut Bed, options: RelayOptions, forward: bool) {
    let what = format!("{method}, {:?}, forward {forward}", options.transfer);
    let prefix = if forward { options.prefix_a_to_b.clone() } else { Vec::new() };
    let (near_source, source) = connection();
    SockRef::from(&near_source).set_recv_buffer_size(1 << 20).expect("it is a socket");
    let (near_sink, mut sink) = narrow_connection();
    let (a, b) = if forward { (near_source, near_sink) } else { (near_sink, near_source) };
    let key = bed.net.relay(a, b, options).expect("both can be watched");
    let bytes = pattern(SIZE, 9);
    source.set_nonblocking(true).expect("it is a socket");
    send_all(bed, &source, &bytes);
    bed.run_to(|_| unacknowledged(&source) == 0);
    reset(source);
    bed.run_for(Duration::from_millis(20));

    let reading = thread::spawn(move || {
        let mut received = Vec::new();
        let mut part = [0; 20_000];
        loop {
            match sink.read(&mut part) {
                Ok(0) => panic!("the end of the stream after {} bytes", received.len()),
                Ok(count) => received.extend_from_slice(&part[..count]),
                Err(error) => return (received, error.kind()),
            }
        }
    });
    let end = bed.run_to_end(key);
    assert_eq!(end.reason, EndReason::Error, "{what}");
    assert_eq!(errno(&end.error.expect("it failed")), (Errno::ECONNRESET, "read"), "{what}");
    let (received, kind) = reading.join().expect("the sink reads");
    assert_eq!(received.len(), prefix.len() + SIZE, "{what}");
    assert!(received == [prefix, bytes].concat(), "{what}: bytes differ");
    assert_eq!(kind, ErrorKind::ConnectionReset, "{what}");
}

#[test]
fn a_reset_does_not_overtake_what_was_sent_before_it() {
    each_method(|method, bed| {
        for options in variants() {
            for forward in [true, false] {
                deliver(method, bed, options.clone(), forward);
            }
        }
    });
}

/// A unix socket that is closed with unread bytes fails with `ECONNRESET` on the other side, behind what it sent.
#[test]
fn the_reset_of_a_unix_socket_does_not_overtake_what_was_sent_before_it() {
    each_method(|method, bed| {
        for transfer in [Transfer::Copy, Transfer::Splice] {
            let (near_source, source) = UnixStream::pair().expect("a pair");
            let (near_sink, mut sink) = narrow_connection();
            let key = bed
                .net
                .relay(near_source.into(), near_sink, RelayOptions { transfer, ..RelayOptions::default() })
                .expect("both can be watched");
            sink.write_all(b"never read").expect("it is connected");
            bed.run_to(|bed| bed.net.stats(key).expect("it is running").bytes_b_to_a == 10);
            let bytes = pattern(SIZE, 7);
            source.set_nonblocking(true).expect("it is a socket");
            send_all(bed, &source, &bytes);
            drop(source);
            bed.run_for(Duration::from_millis(20));
            let reading = thread::spawn(move || read_to_reset(&mut sink));
            let end = bed.run_to_end(key);
            assert_eq!(errno(&end.error.expect("it failed")), (Errno::ECONNRESET, "read"), "{method}");
            assert!(reading.join().expect("the sink reads") == bytes, "{method}, {transfer:?}: bytes differ");
        }
    });
}

/// The client sends everything before it reads; the server reads a part of it, answers, and is closed.
#[test]
fn a_client_that_still_sends_receives_an_early_answer() {
    const UPLOAD: usize = 8 << 20;
    each_method(|method, bed| {
        for transfer in [Transfer::Copy, Transfer::Splice] {
            for unix in [false, true] {
                let what = format!("{method}, {transfer:?}, unix {unix}");
                let answer = pattern(20_000, 5);
                let (near_server, server): (OwnedFd, Server) = if unix {
                    let (near, far) = UnixStream::pair().expect("a pair");
                    (near.into(), Box::new(far))
                } else {
                    let (near, far) = connection();
                    (near, Box::new(far))
                };
                let (near_client, mut client) = connection();
                let options = RelayOptions { transfer, ..RelayOptions::default() };
                let key = bed.net.relay(near_client, near_server, options).expect("both can be watched");
                let expected = answer.clone();
                let uploading = thread::spawn(move || {
                    client.write_all(&pattern(UPLOAD, 4)).expect("the upload is read to its end");
                    let mut received = vec![0; expected.len()];
                    client.read_exact(&mut received).expect("the answer arrives");
                    assert!(received == expected, "bytes differ");
                });
                let answering = thread::spawn(move || {
                    let mut server = server;
                    server.read_exact(&mut [0; 1000]).expect("the upload begins");
                    server.write_all(&answer).expect("the relay reads");
                });
                let end = bed.run_to_end(key);
                assert_eq!((end.reason, end.bytes_b_to_a), (EndReason::Error, 20_000), "{what}");
                uploading.join().expect("the client does not panic");
                answering.join().expect("the server does not panic");
            }
        }
    });
}

trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}
type Server = Box<dyn Stream>;

/// The server ends its stream properly and is reset afterwards, when it is sent more.
#[test]
fn a_client_that_still_sends_receives_an_early_answer_and_its_end() {
    const UPLOAD: usize = 8 << 20;
    each_method(|method, bed| {
        let (key, mut client, mut server) = bed.relay(RelayOptions::default());
        let uploading = thread::spawn(move || {
            client.write_all(&pattern(UPLOAD, 4)).expect("the upload is read to its end");
            client.shutdown(Shutdown::Write).expect("it is connected");
            let mut received = Vec::new();
            client.read_to_end(&mut received).expect("the stream ends properly");
            received
        });
        server.write_all(b"too large").expect("the relay reads");
        server.shutdown(Shutdown::Write).expect("it is connected");
        bed.run_to(|bed| bed.net.stats(key).expect("it is running").bytes_b_to_a == 9);
        drop(server);
        let end = bed.run_to_end(key);
        assert_eq!((end.reason, end.bytes_b_to_a), (EndReason::Error, 9), "{method}");
        assert_eq!(uploading.join().expect("the client does not panic"), b"too large", "{method}");
    });
}

/// A unix server reads no more and stays open: what the client still sends is dropped.
#[test]
fn a_client_can_send_everything_before_the_answer_of_a_server_that_reads_no_more() {
    const UPLOAD: usize = 8 << 20;
    each_method(|method, bed| {
        let (near, mut server) = UnixStream::pair().expect("a pair");
        let (near_client, mut client) = connection();
        let key = bed.net.relay(near_client, near.into(), RelayOptions::default()).expect("both are watched");
        server.shutdown(Shutdown::Read).expect("it is connected");
        let uploading = thread::spawn(move || {
            client.write_all(&pattern(UPLOAD, 4)).expect("the upload is read to its end");
            client
        });
        bed.run_to(|_| uploading.is_finished());
        let mut client = uploading.join().expect("the client does not panic");
        server.write_all(b"an answer").expect("the relay reads");
        drop(server);
        let end = bed.run_to_end(key);
        assert_eq!(errno(&end.error.expect("it failed")), (Errno::EPIPE, "write"), "{method}");
        let mut received = Vec::new();
        client.read_to_end(&mut received).expect("the stream ends properly");
        assert_eq!(received, b"an answer", "{method}");
    });
}

/// A unix server answers and closes: the write to it is an `EPIPE`, and what it sent is still read.
#[test]
fn the_answer_of_a_unix_server_that_has_closed_is_read_after_epipe() {
    each_method(|method, bed| {
        let (near, mut server) = UnixStream::pair().expect("a pair");
        let (near_client, mut client) = connection();
        let key = bed.net.relay(near_client, near.into(), RelayOptions::default()).expect("both are watched");
        server.write_all(b"an answer").expect("the relay reads");
        drop(server);
        client.write_all(b"too late").expect("the relay reads");
        let reading = thread::spawn(move || {
            let mut received = Vec::new();
            client.read_to_end(&mut received).expect("the stream ends properly");
            received
        });
        let end = bed.run_to_end(key);
        assert_eq!(end.bytes_b_to_a, 9, "{method}");
        assert_eq!(errno(&end.error.expect("it failed")), (Errno::EPIPE, "write"), "{method}");
        assert_eq!(reading.join().expect("the client reads"), b"an answer", "{method}");
    });
}
