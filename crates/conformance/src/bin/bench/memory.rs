//! Memory of a pending event: all that creating and adding it allocates, as the C library's allocator counts it, for both
//! sides.
#![expect(unsafe_code, reason = "mallinfo2 is a C function")]

use std::time::Duration;

use event_base::What;
use event_base_conformance::{Engine, Failure, Libevent, Pass, Peer};

use crate::activation::Count;
use crate::options::{Options, Sides};
use crate::report::{Row, Side};
use crate::sockets::Pairs;
use crate::statistics::Spread;

/// The number of descriptors, within the limit of open files.
const DESCRIPTORS: usize = 9900;

/// Bytes per idle read event, per pending timer and per idle connection.
///
/// # Errors
/// If a side fails.
pub(crate) fn rows(options: &Options) -> Result<Vec<Row>, Failure> {
    let timers = if options.quick { 100_000 } else { 1_000_000 };
    let pairs = Pairs::new(DESCRIPTORS)?;
    let name = |kind: &str, count| (format!("memory/{kind}-{count}"), "bytes per event");
    let connection = (format!("memory/connection-{DESCRIPTORS}"), "bytes per connection");
    Ok(vec![
        row(
            options,
            name("read", DESCRIPTORS),
            |peer| idle_readers(peer, &pairs),
            |peer| idle_readers(peer, &pairs),
        )?,
        row(
            options,
            name("timer", timers),
            |peer| pending_timers(peer, timers),
            |peer| pending_timers(peer, timers),
        )?,
        row(
            options,
            connection,
            |peer| idle_connections(peer, &pairs),
            |peer| idle_connections(peer, &pairs),
        )?,
    ])
}

fn row(
    options: &Options,
    (figure, unit): (String, &'static str),
    libevent: impl FnOnce(&Libevent<Count>) -> Result<f64, Failure>,
    engine: impl FnOnce(&Engine<Count>) -> Result<f64, Failure>,
) -> Result<Row, Failure> {
    let libevent = libevent(&Libevent::new(options.locks)?)?;
    let engine = engine(&Engine::new(options.locks)?)?;
    let shown = |side, bytes| (options.sides != side).then(|| Side::of(&[bytes]));
    Ok(Row {
        subject: "memory".to_owned(),
        figure,
        unit,
        libevent: shown(Sides::Engine, libevent),
        engine: shown(Sides::Libevent, engine),
        ratio: (options.sides == Sides::Both).then(|| Spread::of(&[engine / libevent])),
        aim: None,
        allocations: None,
    })
}

fn idle_readers<P: Peer>(peer: &P, pairs: &Pairs) -> Result<f64, Failure> {
    let before = in_use();
    for index in 0..pairs.len() {
        let event = peer.io(pairs.reader(index), What::READ, index)?;
        peer.add(event, None)?;
    }
    peer.run(Pass::Poll)?;
    Ok((in_use() - before) as f64 / pairs.len() as f64)
}

/// A connection of a server: a read event with a timeout, and a write event for later.
fn idle_connections<P: Peer>(peer: &P, pairs: &Pairs) -> Result<f64, Failure> {
    let before = in_use();
    for index in 0..pairs.len() {
        let reader = peer.io(pairs.reader(index), What::READ, index)?;
        peer.io(pairs.reader(index), What::WRITE, index)?;
        peer.add(reader, Some(Duration::from_micros(3_600_000_000 + index as u64)))?;
    }
    peer.run(Pass::Poll)?;
    Ok((in_use() - before) as f64 / pairs.len() as f64)
}

fn pending_timers<P: Peer>(peer: &P, count: usize) -> Result<f64, Failure> {
    let before = in_use();
    for index in 0..count {
        let event = peer.timer(index)?;
        peer.add(event, Some(Duration::from_micros(3_600_000_000 + index as u64)))?;
    }
    Ok((in_use() - before) as f64 / count as f64)
}

/// Bytes that `malloc` has allocated, including mapped blocks.
fn in_use() -> usize {
    // SAFETY: the function only reads the allocator's statistics.
    let info = unsafe { libc::mallinfo2() };
    info.uordblks + info.hblkhd
}
