//! The engine against libevent: random programs of operations on both, in virtual time, compared step by step.
//!
//! `differential --help` lists the options. The exit code is 1 where the two disagreed.

mod adapt;
mod attempt;
mod calls;
mod compare;
mod descriptors;
mod engine;
mod event_struct;
mod evmap;
mod generate;
mod interpose;
mod level;
mod libevent;
mod library;
mod options;
mod order;
mod player;
mod program;
mod rules;
mod shrink;
mod side;
mod signals;
mod sockets;
mod time;
mod unnamed;

use std::process::ExitCode;
use std::rc::Rc;
use std::time::Instant;

use compare::Done;
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
    if let Err(message) = library::prepare() {
        eprintln!("differential: {message}");
        return ExitCode::from(2);
    }
    signals::prepare();
    run(&options)
}

/// The number of disagreements that are reduced before the run ends.
const MOST_FAILURES: usize = 3;

fn run(options: &Options) -> ExitCode {
    let start = Instant::now();
    let mut failures = Vec::new();
    let (mut passed, mut done) = (0, Done::default());
    let mut seed = options.seed;
    while done.operations < options.steps && failures.len() < MOST_FAILURES {
        library::note_seed(seed);
        let program = Rc::new(generate::program(seed, options.length));
        let (of_program, divergence) = compare::run(&program);
        done += of_program;
        match divergence {
            None => passed += 1,
            Some(found) => {
                eprintln!("seed {seed}: the two disagree after {} operations", found.step);
                let (smallest, mut found) = shrink::shrink(&program, found);
                if compare::run(&Rc::new(smallest.clone())).1.is_none() {
                    found.what += "It did not happen again when repeated.\n";
                }
                failures.push((smallest, found));
            }
        }
        seed += 1;
    }
    let seconds = start.elapsed().as_secs_f64();
    println!("{done}, {:.0} operations a second", done.operations as f64 / seconds);
    println!("rules, and how often they applied:");
    for ((rule, _, meaning), count) in rules::RULES.iter().zip(rules::counts()) {
        println!("{count:>10}  {:22} {meaning}", format!("{rule:?}"));
    }
    if !failures.is_empty() {
        println!("--- failed");
    }
    for (program, found) in &failures {
        print!("{program}{}", found.what);
    }
    println!("{passed} passed, {} failed", failures.len());
    if failures.is_empty() && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
