//! Checks that an upstream returns bytes unchanged.

use std::error::Error;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use event_base_conformance::Random;
use serde::Serialize;

use crate::Outcome;

const PIECE: usize = 64 * 1024;
const PATIENCE: Option<Duration> = Some(Duration::from_secs(20));

#[derive(Serialize)]
struct Report {
    bytes: usize,
}

/// A stream of bytes that its number determines.
struct Bytes(Random);

impl Bytes {
    fn of(number: usize) -> Self {
        Bytes(Random::new(number as u64))
    }

    fn fill(&mut self, piece: &mut [u8]) {
        for word in piece.chunks_mut(8) {
            let bits = self.0.bits().to_le_bytes();
            word.copy_from_slice(&bits[..word.len()]);
        }
    }
}

/// Sends `bytes` on each connection, all at the same time, and reads them back.
pub(crate) fn run(port: u16, connections: usize, bytes: usize) -> Outcome {
    let failures = std::thread::scope(|scope| {
        let running: Vec<_> =
            (0..connections).map(|number| scope.spawn(move || one(port, number, bytes))).collect();
        running
            .into_iter()
            .filter_map(|thread| thread.join().map_or(Some("a panic".into()), Result::err))
            .next()
    });
    match failures {
        Some(failure) => Err(failure.into()),
        None => {
            println!("{}", serde_json::to_string(&Report { bytes: connections * bytes })?);
            Ok(())
        }
    }
}

fn one(port: u16, number: usize, bytes: usize) -> Result<(), String> {
    let failed = |error: Box<dyn Error>| format!("connection {number}: {error}");
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).map_err(|error| failed(error.into()))?;
    std::thread::scope(|scope| {
        let sending = scope.spawn(|| send(&stream, number, bytes).map_err(|error| error.to_string()));
        receive(&stream, number, bytes).map_err(failed)?;
        sending.join().unwrap_or_else(|_| Err("a panic".into())).map_err(|error| failed(error.into()))
    })
}

fn send(mut stream: &TcpStream, number: usize, bytes: usize) -> std::io::Result<()> {
    stream.set_write_timeout(PATIENCE)?;
    let mut source = Bytes::of(number);
    let mut piece = vec![0; PIECE];
    let mut left = bytes;
    while left > 0 {
        let piece = &mut piece[..left.min(PIECE)];
        source.fill(piece);
        stream.write_all(piece)?;
        left -= piece.len();
    }
    Ok(())
}

fn receive(mut stream: &TcpStream, number: usize, bytes: usize) -> Outcome {
    stream.set_read_timeout(PATIENCE)?;
    let mut source = Bytes::of(number);
    let mut expected = vec![0; PIECE];
    let mut received = vec![0; PIECE];
    let mut left = bytes;
    while left > 0 {
        let size = left.min(PIECE);
        source.fill(&mut expected[..size]);
        stream.read_exact(&mut received[..size])?;
        if received[..size] != expected[..size] {
            return Err(format!("other bytes than were sent, after {} good ones", bytes - left).into());
        }
        left -= size;
    }
    Ok(())
}
