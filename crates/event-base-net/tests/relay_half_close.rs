//! The end of one direction is passed on behind its last byte, and the other direction continues.

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use event_base::Features;
use event_base_net::{EndReason, RelayOptions, RelayStats, SourceKey};
use socket2::SockRef;
use support::{Bed, alone, at_some_pace, each_method, errno, open_descriptors, pattern, read_to_reset};

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

/// A relay whose client has ended its stream, and the end has arrived.
fn half_closed(bed: &mut Bed) -> (SourceKey, TcpStream, TcpStream) {
    let (key, client, mut server) = bed.relay(RelayOptions::default());
    client.shutdown(Shutdown::Write).expect("it is connected");
    server.set_nonblocking(true).expect("it is a socket");
    bed.run_to(|_| matches!(server.read(&mut [0; 8]), Ok(0)));
    (key, client, server)
}

#[test]
fn a_half_closed_relay_uses_no_processor_time() {
    each_method(|method, bed| {
        let (key, client, server) = half_closed(bed);
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

const TIMEOUT: Duration = Duration::from_millis(150);

fn half_close_timeout() -> RelayOptions {
    RelayOptions { half_close_timeout: Some(TIMEOUT), ..RelayOptions::default() }
}

#[test]
fn a_half_closed_relay_that_moves_no_byte_ends_after_the_half_close_timeout() {
    each_method(|method, bed| {
        for idle_timeout in [None, Some(Duration::from_secs(3600))] {
            let options = RelayOptions { idle_timeout, ..half_close_timeout() };
            let (key, mut client, mut server) = bed.relay(options);
            // Both directions are open: the timeout does not apply.
            assert!(bed.run_for(TIMEOUT * 2).is_empty(), "{method}");
            let begin = Instant::now();
            client.shutdown(Shutdown::Write).expect("it is connected");
            let end = bed.run_to_end(key);
            assert_eq!((end.reason, end.error), (EndReason::Idle, None), "{method}");
            assert!(begin.elapsed() >= TIMEOUT, "{method}: {:?}", begin.elapsed());
            // The server got the whole stream of the client, and the client not that of the server.
            assert_eq!(server.read(&mut [0]).expect("the stream is complete"), 0, "{method}");
            assert!(read_to_reset(&mut client).is_empty(), "{method}");
        }
    });
}

#[test]
fn an_idle_timeout_that_is_shorter_than_the_half_close_timeout_applies() {
    each_method(|method, bed| {
        let half_close_timeout = Some(Duration::from_secs(3600));
        let options =
            RelayOptions { idle_timeout: Some(TIMEOUT), half_close_timeout, ..RelayOptions::default() };
        let (key, client, _server) = bed.relay(options);
        client.shutdown(Shutdown::Write).expect("it is connected");
        assert_eq!(bed.run_to_end(key).reason, EndReason::Idle, "{method}");
    });
}

#[test]
fn a_relay_whose_upstream_reads_nothing_ends_although_the_end_of_the_client_cannot_arrive() {
    each_method(|method, bed| {
        let (key, mut client, server) = bed.relay(half_close_timeout());
        let filling = thread::spawn(move || {
            // More than all buffers hold. The relay resets the connection, so the rest is not written.
            let cut = client.write_all(&vec![7; 1 << 26]).expect_err("the server reads nothing");
            assert!(matches!(cut.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe));
        });
        let end = bed.run_to_end(key);
        assert_eq!((end.reason, end.error), (EndReason::Idle, None), "{method}");
        filling.join().expect("the client was reset");
        drop(server);
    });
}

#[test]
fn bytes_keep_a_half_closed_relay_alive() {
    let _turn = alone();
    at_some_pace(|pace| {
        let timeout = TIMEOUT * pace;
        let mut bed = Bed::new();
        let (key, client, mut server) =
            bed.relay(RelayOptions { half_close_timeout: Some(timeout), ..RelayOptions::default() });
        client.shutdown(Shutdown::Write).expect("it is connected");
        let begin = Instant::now();
        while begin.elapsed() < timeout * 4 {
            server.write_all(b"still here").map_err(|error| error.to_string())?;
            if !bed.run_for(timeout / 4).is_empty() {
                return Err("it ended".to_owned());
            }
        }
        assert_eq!(bed.run_to_end(key).reason, EndReason::Idle);
        Ok(())
    });
}

#[test]
fn a_relay_that_was_held_up_and_goes_on_is_not_ended() {
    const LENGTH: usize = 1 << 25;
    let _turn = alone();
    at_some_pace(|pace| {
        let timeout = TIMEOUT * pace;
        let mut bed = Bed::new();
        let (key, mut client, mut server) =
            bed.relay(RelayOptions { half_close_timeout: Some(timeout), ..RelayOptions::default() });
        let mut run_until = |reached: &dyn Fn(RelayStats) -> bool| loop {
            match bed.net.stats(key) {
                Ok(stats) if reached(stats) => return Ok(()),
                Ok(_) if bed.run_for(Duration::from_millis(1)).is_empty() => {}
                _ => return Err("it ended".to_owned()),
            }
        };
        let sending = thread::spawn(move || client.write_all(&vec![7; LENGTH]).map(|()| client));
        run_until(&|stats| stats.held_a_to_b > 0)?;
        let reading = thread::spawn(move || server.read_exact(&mut vec![0; LENGTH]).map(|()| server));
        run_until(&|stats| stats.bytes_a_to_b == LENGTH as u64)?;
        let client = sending.join().expect("it does not panic").map_err(|error| error.to_string())?;
        let server = reading.join().expect("it does not panic").map_err(|error| error.to_string())?;
        // Both directions are open and empty.
        assert!(bed.run_for(timeout * 3).is_empty());
        drop((client, server));
        Ok(())
    });
}

#[test]
fn without_a_half_close_timeout_a_half_closed_relay_stays() {
    each_method(|method, bed| {
        let (key, client, _server) =
            bed.relay(RelayOptions { half_close_timeout: None, ..RelayOptions::default() });
        client.shutdown(Shutdown::Write).expect("it is connected");
        assert!(bed.run_for(TIMEOUT * 2).is_empty(), "{method}");
        bed.net.close(key).expect("it is running");
        assert_eq!(bed.run_to_end(key).reason, EndReason::Closed, "{method}");
    });
}

/// Closes the connection with a reset.
fn reset(stream: TcpStream) {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("it is a socket");
}

/// Whether the backend reports a reset behind the end of a stream that was read.
fn reports_late_resets(bed: &Bed) -> bool {
    bed.base.features().expect("the base is open").contains(Features::ET)
}

#[test]
fn a_reset_after_the_end_of_a_stream_is_noticed_while_the_other_side_is_silent() {
    each_method(|method, bed| {
        if !reports_late_resets(bed) {
            return;
        }
        for half_close_timeout in [RelayOptions::default().half_close_timeout, None] {
            for is_client in [true, false] {
                let before = open_descriptors();
                let options = RelayOptions { half_close_timeout, ..RelayOptions::default() };
                let (key, client, server) = bed.relay(options);
                let (mut one, mut other) = if is_client { (client, server) } else { (server, client) };
                one.write_all(b"all").expect("the relay reads");
                one.shutdown(Shutdown::Write).expect("it is connected");
                other.set_nonblocking(true).expect("it is a socket");
                let mut received = Vec::new();
                bed.run_to(|_| other.read_to_end(&mut received).is_ok());
                assert_eq!(received, b"all");
                reset(one);
                let end = bed.run_to_end(key);
                assert_eq!(end.reason, EndReason::Error, "{method}");
                assert_eq!(errno(&end.error.expect("it failed")).1, "write", "{method}");
                drop(other);
                assert_eq!(open_descriptors(), before, "{method}");
            }
        }
    });
}

#[test]
fn a_reset_after_the_end_of_a_stream_is_noticed_after_the_other_stream_was_held_up() {
    each_method(|method, bed| {
        if !reports_late_resets(bed) {
            return;
        }
        let (key, mut client, server) = bed.relay(RelayOptions::default());
        client.shutdown(Shutdown::Write).expect("it is connected");
        server.set_nonblocking(true).expect("it is a socket");
        bed.run_to(|_| matches!((&server).read(&mut [0; 8]), Ok(0)));
        // The relay watches for a reset, then for a client that takes bytes, and then for a reset again.
        bed.run_for(Duration::from_millis(400));
        let mut sent = 0;
        bed.run_to(|bed| {
            sent += (&server).write(&[5; 65_536]).unwrap_or(0);
            bed.net.stats(key).expect("it is running").held_b_to_a > 0
        });
        client.set_nonblocking(true).expect("it is a socket");
        let mut received = 0;
        bed.run_to(|_| {
            received += client.read(&mut [0; 65_536]).unwrap_or(0);
            received == sent
        });
        reset(client);
        let end = bed.run_to_end(key);
        assert_eq!((end.reason, end.bytes_b_to_a), (EndReason::Error, sent as u64), "{method}");
    });
}

#[test]
fn a_relay_that_watches_for_a_reset_uses_no_processor_time() {
    each_method(|method, bed| {
        let (key, _client, _server) = half_closed(bed);
        bed.run_for(Duration::from_millis(400));
        let busy = bed.run_at_rest(key, Duration::from_millis(400));
        assert!(busy < Duration::from_millis(100), "{method}: busy for {busy:?} with nothing to do");
    });
}
