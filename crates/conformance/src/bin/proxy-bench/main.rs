//! Programs of `npm run bench:proxy`: libevent's proxy, an echo server as the upstream, and clients that measure or check.
//!
//! A server prints `listening at 127.0.0.1:PORT` and serves until it is killed; a client prints one JSON document and ends.

mod bufferevent;
mod idle;
mod ping;
mod server;
mod verify;

use std::error::Error;
use std::process::ExitCode;
use std::str::FromStr;

const USAGE: &str = "\
usage: proxy-bench forward UPSTREAM_PORT            libevent's proxy
       proxy-bench echo                             sends back what it gets, through libevent
       proxy-bench ping DIRECT THROUGH RATE SECONDS round trips of 64 bytes on two ports in turns
       proxy-bench idle PORT CONNECTIONS            connections that are left open until the input ends
       proxy-bench verify PORT CONNECTIONS BYTES    whether all that is sent comes back, in its order
";

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments[..] {
        ["forward", upstream] => number(upstream).and_then(server::forward),
        ["echo"] => server::echo(),
        ["ping", direct, through, rate, seconds] => ping(direct, through, rate, seconds),
        ["idle", port, connections] => idle(port, connections),
        ["verify", port, connections, bytes] => verify(port, connections, bytes),
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("proxy-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn number<T: FromStr>(text: &str) -> Result<T, Box<dyn Error>> {
    text.parse().map_err(|_| format!("{text} is not a number of the kind wanted here").into())
}

fn ping(direct: &str, through: &str, rate: &str, seconds: &str) -> Outcome {
    ping::run([number(direct)?, number(through)?], number(rate)?, number(seconds)?)
}

fn idle(port: &str, connections: &str) -> Outcome {
    idle::run(number(port)?, number(connections)?)
}

fn verify(port: &str, connections: &str, bytes: &str) -> Outcome {
    verify::run(number(port)?, number(connections)?, number(bytes)?)
}
