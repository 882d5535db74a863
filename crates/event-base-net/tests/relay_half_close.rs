//! The end of one direction is passed on behind its last byte, and the other direction continues.

mod support;

use std::io::{Read, Write};
use std::net::Shutdown;
use std::thread;
use std::time::Duration;

use event_base_net::{EndReason, RelayOptions};
use support::{each_method, pattern};

#[test]
fn a_reply_after_the_end_of_the_request_arrives() {
    each_method(|_, bed| {
        let (key, mut client, mut server) = bed.relay(RelayOptions::default());
        let request = pattern(400_000, 1);
        let reply = pattern(500_000, 2);
        let (sent, wanted) = (request.clone(), reply.clone());
        let asking = thread::spawn(move || {
            client.write_all(&sent).expect("the relay reads");
            client.shutdown(Shutdown::Write).expect("it is connected");
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).expect("the stream ends properly");
            assert!(answer == wanted);
        });
        let answering = thread::spawn(move || {
            let mut asked = Vec::new();
            server.read_to_end(&mut asked).expect("the half-close arrives");
            assert!(asked == request);
            server.write_all(&reply).expect("the other direction is open");
        });
        let end = bed.run_to_end(key);
        assert_eq!((end.reason, end.error), (EndReason::End, None));
        assert_eq!((end.bytes_a_to_b, end.bytes_b_to_a), (400_000, 500_000));
        asking.join().expect("the client does not panic");
        answering.join().expect("the server does not panic");
    });
}

#[test]
fn a_half_closed_relay_uses_no_processor_time() {
    each_method(|method, bed| {
        let (key, client, mut server) = bed.relay(RelayOptions::default());
        client.shutdown(Shutdown::Write).expect("it is connected");
        server.set_nonblocking(true).expect("it is a socket");
        bed.run_to(|_| matches!(server.read(&mut [0; 8]), Ok(0)));
        let busy = bed.run_at_rest(key, Duration::from_millis(400));
        assert!(busy < Duration::from_millis(100), "{method}: busy for {busy:?} with nothing to do");

        drop(server);
        assert_eq!(bed.run_to_end(key).reason, EndReason::End);
        drop(client);
    });
}

#[test]
fn the_answer_of_a_server_that_answers_early_and_closes_arrives() {
    each_method(|method, bed| {
        let (key, mut client, mut server) = bed.relay(RelayOptions::default());
        let asking = thread::spawn(move || {
            // Sends until the relay, whose server has closed, resets the connection.
            let mut writer = client.try_clone().expect("a descriptor is free");
            let sending = thread::spawn(move || {
                let block = [7; 65_536];
                let mut sent = 0_usize;
                while sent < 1 << 30 {
                    match writer.write(&block) {
                        Ok(count) => sent += count,
                        Err(_) => return,
                    }
                }
                panic!("the client was not stopped");
            });
            let mut answer = [0; 9];
            client.read_exact(&mut answer).expect("the answer arrives");
            assert_eq!(&answer, b"too large");
            drop(client);
            sending.join().expect("the sender was stopped");
        });
        let answering = thread::spawn(move || {
            server.read_exact(&mut [0; 1000]).expect("the request begins");
            server.write_all(b"too large").expect("the relay reads");
            // Closed with unread bytes: the kernel resets the connection.
        });
        let end = bed.run_to_end(key);
        assert_eq!(end.reason, EndReason::Error, "{method}");
        assert_eq!(end.bytes_b_to_a, 9, "{method}: the answer was lost");
        asking.join().expect("the client does not panic");
        answering.join().expect("the server does not panic");
    });
}
