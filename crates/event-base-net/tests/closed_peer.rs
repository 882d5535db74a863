//! A write to a peer that has closed is an error and raises no signal, also in a process that does not ignore the
//! signal.

#![expect(unsafe_code, reason = "the default disposition of SIGPIPE has to be put back")]

mod support;

use event_base_net::{EndReason, RelayOptions, Transfer, socket};
use nix::errno::Errno;
use nix::sys::signal::{SigHandler, Signal, signal};
use support::{Bed, alone, errno};

fn restore_the_default_action() {
    // SAFETY: the default disposition runs no code of this program.
    unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) }.expect("the signal exists");
}

#[test]
fn writing_to_a_closed_peer_is_an_error() {
    let _turn = alone();
    restore_the_default_action();
    let (near, far) = socket::pair().expect("a pair");
    drop(far);
    let refused = socket::write(&near, b"x").expect_err("the peer has closed");
    assert_eq!(errno(&refused), (Errno::EPIPE, "write"));
}

#[test]
fn relaying_to_a_closed_peer_is_an_error() {
    let _turn = alone();
    restore_the_default_action();
    for transfer in [Transfer::Adaptive, Transfer::Splice] {
        relay_to_a_closed_peer(RelayOptions { transfer, ..RelayOptions::default() });
    }
}

fn relay_to_a_closed_peer(options: RelayOptions) {
    let mut bed = Bed::new();
    let ends = [socket::pair().expect("a pair"), socket::pair().expect("a pair")];
    let [(a, client), (b, server)] = ends;
    let key = bed.net.relay(a, b, options).expect("two sockets can be relayed");
    drop(server);
    // The client receives the end of the stream, and sends nevertheless.
    bed.run_to(|_| socket::read(&client, &mut [0; 4]) == Ok(Some(0)));
    assert_eq!(socket::write(&client, b"too late"), Ok(Some(8)));
    let end = bed.run_to_end(key);
    assert_eq!(end.reason, EndReason::Error);
    assert_eq!(errno(&end.error.expect("it failed")), (Errno::EPIPE, "write"));
    assert_eq!(end.bytes_a_to_b, 0);
}
