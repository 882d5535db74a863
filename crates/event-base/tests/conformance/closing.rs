//! EV_CLOSED: eight ways in which a peer closes, and the events that report it.

use std::io::Write;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

use event_base::{EventSpec, Features, LoopResult, What};

use crate::support::{POLL, WAIT, base_with, fd, pair, run_watched};

fn close(peer: UnixStream) {
    drop(peer);
}

/// Otherwise keeps the peer open until the process ends.
fn shutdown(peer: UnixStream) {
    peer.shutdown(Shutdown::Write).unwrap();
    std::mem::forget(peer);
}

/// How the loop ends; the expected result is the same for every event that the backend supports.
fn simpleclose(leave: fn(UnixStream), modes: What, expected: LoopResult) {
    let edge = if modes.contains(What::ET) { Features::ET } else { Features::empty() };
    let Some(base) = base_with(Features::EARLY_CLOSE | edge) else { return };
    let (ours, mut peer) = pair();
    // Unread data does not hide the close.
    peer.write_all(b"unread").unwrap();
    let event = base.create_and_add(EventSpec::io(fd(&ours), What::CLOSED | modes), None).unwrap();
    assert_eq!(base.run(POLL, |_, ready| panic!("{ready:?}")), Ok(LoopResult::Stopped));
    leave(peer);
    let can_edge = base.features().unwrap().contains(Features::ET);
    let edge_persistent = modes.contains(What::PERSIST | What::ET);
    let flags = if modes == What::PERSIST { WAIT } else { POLL };
    let mut runs = 0;
    let result = run_watched(&base, flags, |base, ready| {
        runs += 1;
        let edge = if can_edge { modes & What::ET } else { What::empty() };
        assert_eq!((ready.id, ready.what), (event, What::CLOSED | edge));
        if modes.contains(What::PERSIST) && !edge_persistent {
            base.loop_exit(None).unwrap();
        }
    });
    assert_eq!(runs, 1);
    if edge_persistent && can_edge {
        assert_eq!(base.run(POLL, |_, ready| panic!("dispatched twice: {ready:?}")), Ok(LoopResult::Stopped));
    }
    assert_eq!(result, expected);
}

#[test]
fn c_028_simpleclose_close() {
    simpleclose(close, What::empty(), LoopResult::Empty);
}

#[test]
fn c_029_simpleclose_shutdown() {
    simpleclose(shutdown, What::empty(), LoopResult::Empty);
}

#[test]
fn c_030_simpleclose_close_persist() {
    simpleclose(close, What::PERSIST, LoopResult::Stopped);
}

#[test]
fn c_031_simpleclose_shutdown_persist() {
    simpleclose(shutdown, What::PERSIST, LoopResult::Stopped);
}

#[test]
fn c_032_simpleclose_close_et() {
    simpleclose(close, What::ET, LoopResult::Empty);
}

#[test]
fn c_033_simpleclose_shutdown_et() {
    simpleclose(shutdown, What::ET, LoopResult::Empty);
}

#[test]
fn c_034_simpleclose_close_persist_et() {
    simpleclose(close, What::PERSIST | What::ET, LoopResult::Stopped);
}

#[test]
fn c_035_simpleclose_shutdown_persist_et() {
    simpleclose(shutdown, What::PERSIST | What::ET, LoopResult::Stopped);
}
