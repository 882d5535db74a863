//! Measures the engine and libevent, alternating in one process.
//!
//! Prints one JSON document on standard output and progress on standard
//! error. `bench --help` lists the options.

mod activation;
mod common_timeouts;
mod idle;
mod interleave;
mod memory;
mod options;
mod priorities;
mod registration;
mod report;
mod signals;
mod sockets;
mod statistics;
mod subjects;
mod throughput;
mod timed;
mod timers;
mod timers_rearm;
mod wake_up;
mod wake_up_threads;

use std::process::ExitCode;

use event_base_conformance::{Failure, random};

use options::{Command, Options};
use report::Report;

fn main() -> ExitCode {
    match options::parse(std::env::args().skip(1)) {
        Ok(Command::Help) => {
            print!("{}", options::help());
            ExitCode::SUCCESS
        }
        Ok(Command::List) => {
            subjects::names().for_each(|name| println!("{name}"));
            ExitCode::SUCCESS
        }
        Ok(Command::Run(options)) => match run(&options) {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                eprintln!("bench: {failure}");
                ExitCode::FAILURE
            }
        },
        Err(message) => {
            eprintln!("bench: {message}; try --help");
            ExitCode::from(2)
        }
    }
}

fn run(options: &Options) -> Result<(), Failure> {
    let mut report = Report::new(options);
    for subject in subjects::chosen(options) {
        eprintln!("# {}", subject.name);
        for row in subject.run(options)? {
            eprintln!("{}", row.line());
            report.rows.push(row);
        }
    }
    let text = serde_json::to_string_pretty(&report).map_err(|error| Failure::Wrong(error.to_string()))?;
    println!("{text}");
    Ok(())
}
