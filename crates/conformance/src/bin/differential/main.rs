//! The engine against libevent: random programs of operations on both, in virtual time, compared step by step.
//!
//! `differential --help` lists the options. The exit code is 1 where the two disagreed.

mod attempt;
mod compare;
mod descriptors;
mod engine;
mod event_struct;
mod generate;
mod interpose;
mod libevent;
mod options;
mod player;
mod program;
mod rules;
mod shrink;
mod side;
mod sockets;
mod time;

use std::process::ExitCode;
use std::rc::Rc;
use std::time::Instant;

use options::Options;

fn main() -> ExitCode {
    let options = match options::parse(std::env::args().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => {
            print!("{}", options::HELP);
            return ExitCode::SUCCESS;
        }
        Err(message) => {
            eprintln!("differential: {message}; try --help");
            return ExitCode::from(2);
        }
    };
    if options.print {
        print!("{}", generate::program(options.seed, options.length));
        return ExitCode::SUCCESS;
    }
    if let Err(message) = libevent::prepare() {
        eprintln!("differential: {message}");
        return ExitCode::from(2);
    }
    run(&options)
}

fn run(options: &Options) -> ExitCode {
    let start = Instant::now();
    let (mut passed, mut failed, mut done) = (0, 0, 0);
    let mut seed = options.seed;
    while done < options.steps && failed < 3 {
        libevent::note_seed(seed);
        let program = Rc::new(generate::program(seed, options.length));
        let (operations, divergence) = compare::run(&program, false);
        done += operations;
        match divergence {
            None => passed += 1,
            Some(found) => {
                failed += 1;
                println!("seed {seed}: {}", found.what);
                let (smallest, found) = shrink::shrink(&program, found);
                println!("made smaller:\n{smallest}what libevent did:");
                compare::run(&Rc::new(smallest), true);
                println!("{}\n", found.what);
            }
        }
        seed += 1;
    }
    let seconds = start.elapsed().as_secs_f64();
    println!("{done} operations in {} programs, {:.0} a second", passed + failed, done as f64 / seconds);
    println!("rules, and how often they applied:");
    for ((rule, _, meaning), count) in rules::RULES.iter().zip(rules::counts()) {
        println!("{count:>10}  {:22} {meaning}", format!("{rule:?}"));
    }
    println!("{passed} passed, {failed} failed");
    if failed == 0 && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
