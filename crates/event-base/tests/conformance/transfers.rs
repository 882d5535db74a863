//! Bytes transferred through events: complete and unchanged.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

use event_base::{EventSpec, LoopResult, What};

use crate::support::{WAIT, base, fd, pair, run_watched};

/// One side: what it has left to write, and what it has read.
struct Side {
    socket: UnixStream,
    left: Vec<u8>,
    read: Vec<u8>,
}

const READ: u64 = 0;
const WRITE: u64 = 1;

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|place| (place * 7 % 251) as u8).collect()
}

/// Transfers in both directions at the same time until both sides are done. The data of an event is its side and its
/// direction.
fn transfer(lengths: [usize; 2], persistent: bool) {
    let base = base();
    let (a, b) = pair();
    let mut sides = [(a, lengths[0]), (b, lengths[1])].map(|(socket, length)| Side {
        socket,
        left: pattern(length),
        read: vec![],
    });
    for (number, side) in (0..).zip(&sides) {
        for (direction, what) in [(READ, What::READ), (WRITE, What::WRITE)] {
            let mode = if persistent { What::PERSIST } else { What::empty() };
            let spec = EventSpec::io(fd(&side.socket), what | mode).data(number * 2 + direction);
            base.create_and_add(spec, None).unwrap();
        }
    }
    let result = run_watched(&base, WAIT, |base, ready| {
        let side = &mut sides[ready.data as usize / 2];
        let go_on = if ready.data % 2 == READ {
            let mut buffer = [0; 1024];
            match side.socket.read(&mut buffer) {
                Ok(0) => false,
                Ok(size) => {
                    side.read.extend_from_slice(&buffer[..size]);
                    true
                }
                Err(error) => error.kind() == ErrorKind::WouldBlock,
            }
        } else {
            let size = side.left.len().min(700);
            let written = side.socket.write(&side.left[..size]).unwrap();
            side.left.drain(..written);
            if side.left.is_empty() {
                side.socket.shutdown(Shutdown::Write).unwrap();
            }
            !side.left.is_empty()
        };
        match (go_on, persistent) {
            (true, false) => base.add(ready.id, None).unwrap(),
            (false, true) => base.del(ready.id).unwrap(),
            _ => {}
        }
    });
    assert_eq!(result, LoopResult::Empty);
    assert!(sides[0].read == pattern(lengths[1]) && sides[1].read == pattern(lengths[0]));
}

#[test]
fn c_036_multiple() {
    transfer([4096, 0], false);
}

#[test]
fn c_037_persistent() {
    transfer([4096, 0], true);
}

#[test]
fn c_038_combined() {
    transfer([4096, 8192], false);
    transfer([8192, 4096], true);
}
