//! Round trips at a moderate rate, directly and through the proxy.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::Outcome;

const MESSAGE: usize = 64;
/// Round trips at the start that are not counted.
const WARM_UP: usize = 50;

#[derive(Serialize)]
struct Report {
    /// Without the proxy.
    direct: Spread,
    /// With it.
    through: Spread,
}

/// Nanoseconds.
#[derive(Serialize)]
struct Spread {
    samples: usize,
    p50: u64,
    p99: u64,
}

struct Path {
    stream: TcpStream,
    nanoseconds: Vec<u64>,
}

impl Path {
    fn connect(port: u16) -> Result<Self, Box<dyn std::error::Error>> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        Ok(Path { stream, nanoseconds: Vec::new() })
    }

    fn round_trip(&mut self, number: usize) -> Outcome {
        let sent = [number as u8; MESSAGE];
        let mut received = [!sent[0]; MESSAGE];
        let start = Instant::now();
        self.stream.write_all(&sent)?;
        self.stream.read_exact(&mut received)?;
        let elapsed = start.elapsed();
        if received != sent {
            return Err(format!("round trip {number} brought other bytes back than were sent").into());
        }
        if number >= WARM_UP {
            self.nanoseconds.push(elapsed.as_nanos() as u64);
        }
        Ok(())
    }

    fn spread(mut self) -> Spread {
        self.nanoseconds.sort_unstable();
        let last = self.nanoseconds.len() - 1;
        let at = |percent: usize| self.nanoseconds[last * percent / 100];
        Spread { samples: self.nanoseconds.len(), p50: at(50), p99: at(99) }
    }
}

/// Sends `rate` messages a second, alternately on the direct port and through the proxy.
pub(crate) fn run([direct, through]: [u16; 2], rate: u32, seconds: f64) -> Outcome {
    if rate == 0 || !(0.01..=3600.0).contains(&seconds) {
        return Err("a rate of at least 1 and 0.01 to 3600 seconds are wanted".into());
    }
    let mut paths = [Path::connect(direct)?, Path::connect(through)?];
    let period = Duration::from_secs(1) / rate;
    let rounds = WARM_UP + ((f64::from(rate) * seconds / 2.0) as usize).max(1);
    let start = Instant::now();
    for number in 0..rounds {
        for (index, path) in paths.iter_mut().enumerate() {
            let due = start + period * (2 * number + index) as u32;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            path.round_trip(number)?;
        }
    }
    let [direct, through] = paths.map(Path::spread);
    println!("{}", serde_json::to_string(&Report { direct, through })?);
    Ok(())
}
