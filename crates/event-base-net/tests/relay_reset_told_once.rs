//! The kernel tells of a reset once. Where a write is told of it, reading goes on as if the peer had ended its stream.

mod support;

use std::io::{ErrorKind, Read, Write};
use std::time::Duration;

use event_base_net::{EndReason, RelayOptions};
use nix::errno::Errno;
use socket2::SockRef;
use support::{each_method, errno};

#[test]
fn a_reset_that_a_write_was_told_of_is_not_passed_on_as_an_end() {
    each_method(|method, bed| {
        let (key, mut client, mut server) = bed.relay(RelayOptions::default());
        // The answer is there first, so that it is written to the connection before that is read.
        server.write_all(b"an answer").expect("it is connected");
        client.write_all(b"half a request").expect("it is connected");
        SockRef::from(&client).set_linger(Some(Duration::ZERO)).expect("it is a socket");
        drop(client);

        let end = bed.run_to_end(key);
        assert_eq!(end.reason, EndReason::Error, "{method}");
        assert_eq!(errno(&end.error.expect("it failed")).0, Errno::ECONNRESET, "{method}");
        let mut heard = Vec::new();
        let failure = server.read_to_end(&mut heard).expect_err("a reset is no end");
        assert_eq!(failure.kind(), ErrorKind::ConnectionReset, "{method}");
        assert!(b"half a request".starts_with(&heard), "{method}");
    });
}

#[test]
fn an_end_in_order_stays_one_where_a_write_fails_behind_it() {
    each_method(|method, bed| {
        let (key, mut client, mut server) = bed.relay(RelayOptions::default());
        client.write_all(b"a request").expect("it is connected");
        // Ended in order; that nothing more is taken shows only when something comes.
        drop(client);
        let mut heard = [0; 9];
        bed.run_to(|bed| bed.net.stats(key).expect("it runs").bytes_a_to_b == 9);
        server.read_exact(&mut heard).expect("it came");
        assert_eq!(&heard, b"a request", "{method}");
        for _ in 0..2 {
            server.write_all(b"an answer").expect("it is connected");
            let completions = bed.run_for(Duration::from_millis(10));
            if !completions.is_empty() {
                break;
            }
        }
        assert_eq!(server.read(&mut heard).expect("the stream ends in order"), 0, "{method}");
    });
}
