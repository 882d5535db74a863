//! The kernel reports a reset once. After a write has returned it, reads return 0, as at the end of a stream.

mod support;

use std::io::{ErrorKind, Read, Write};
use std::time::Duration;

use event_base_net::{EndReason, RelayOptions};
use nix::errno::Errno;
use socket2::SockRef;
use support::{each_method, errno};

#[test]
fn a_reset_that_a_write_returned_is_not_passed_on_as_an_end() {
    each_method(|method, bed| {
        let (key, mut client, mut server) = bed.relay(RelayOptions::default());
        // The answer arrives first, so that the relay writes to the connection before it reads from it.
        server.write_all(b"an answer").expect("it is connected");
        client.write_all(b"half a request").expect("it is connected");
        SockRef::from(&client).set_linger(Some(Duration::ZERO)).expect("it is a socket");
        drop(client);

        let end = bed.run_to_end(key);
        assert_eq!(end.reason, EndReason::Error, "{method}");
        assert_eq!(errno(&end.error.expect("it failed")).0, Errno::ECONNRESET, "{method}");
        let mut received = Vec::new();
        let failure = server.read_to_end(&mut received).expect_err("a reset is not an end");
        assert_eq!(failure.kind(), ErrorKind::ConnectionReset, "{method}");
        assert!(b"half a request".starts_with(&received), "{method}");
    });
}

#[test]
fn a_stream_that_ended_properly_stays_complete_when_a_later_write_fails() {
    each_method(|method, bed| {
        let (key, mut client, mut server) = bed.relay(RelayOptions::default());
        client.write_all(b"a request").expect("it is connected");
        // A proper end. Only a write finds out that the peer accepts nothing more.
        drop(client);
        let mut received = [0; 9];
        bed.run_to(|bed| bed.net.stats(key).expect("it runs").bytes_a_to_b == 9);
        server.read_exact(&mut received).expect("it arrives");
        assert_eq!(&received, b"a request", "{method}");
        for _ in 0..2 {
            server.write_all(b"an answer").expect("it is connected");
            let completions = bed.run_for(Duration::from_millis(10));
            if !completions.is_empty() {
                break;
            }
        }
        assert_eq!(server.read(&mut received).expect("the stream ends properly"), 0, "{method}");
    });
}
