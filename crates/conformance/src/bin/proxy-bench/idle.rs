//! Connections that carry a message once and then stay open.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use serde::Serialize;

use crate::Outcome;

#[derive(Serialize)]
struct Report {
    open: usize,
}

/// Opens the connections one after the other, prints a line, and closes them when the standard input ends.
pub(crate) fn run(port: u16, connections: usize) -> Outcome {
    let mut open = Vec::with_capacity(connections);
    for number in 0..connections as u64 {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        stream.write_all(&number.to_le_bytes())?;
        let mut answer = [0; 8];
        stream.read_exact(&mut answer)?;
        if answer != number.to_le_bytes() {
            return Err(format!("connection {number} got another answer than its own").into());
        }
        open.push(stream);
    }
    println!("{}", serde_json::to_string(&Report { open: open.len() })?);
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
