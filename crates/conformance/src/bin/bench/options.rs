//! The command line.

use crate::subjects;

/// The parsed command line.
pub(crate) enum Command {
    /// Print the help.
    Help,
    /// Print the subjects' names.
    List,
    /// Measure.
    Run(Options),
}

/// Options of a measurement.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    /// Bases with locks on both sides instead of without.
    pub(crate) locks: bool,
    /// Fewer rounds and a tenth of the timers.
    pub(crate) quick: bool,
    /// Only the subjects whose name starts with one of these; all when empty.
    pub(crate) only: Vec<String>,
    /// The sides that run; one alone for a profiler.
    pub(crate) sides: Sides,
    /// At least this many rounds, in place of the default.
    pub(crate) rounds: Option<usize>,
}

/// The sides that run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Sides {
    /// Both, in alternation.
    #[default]
    Both,
    /// libevent alone.
    Libevent,
    /// The engine alone.
    Engine,
}

/// The text of `--help`.
pub(crate) fn help() -> String {
    let names: Vec<_> = subjects::names().map(|name| format!("  {name}\n")).collect();
    format!(
        "Usage: bench [--locks] [--quick] [--only NAME]... [--side libevent|engine] [--rounds N]\n\
         \n\
         --locks   bases with locks: libevent with pthreads, the engine's shared base;\n\
         \u{20}         without it, libevent without threads and the engine's NOLOCK base\n\
         --quick   fewer rounds and smaller timer counts: a look, not a figure\n\
         --only    subjects whose name starts with NAME; may be repeated\n\
         --side    one side alone, for a profiler\n\
         --rounds  at least N rounds\n\
         --list    print the subjects' names\n\
         \n\
         Subjects:\n{}",
        names.concat()
    )
}

/// Reads the arguments after the program's name.
///
/// # Errors
/// A readable message.
pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Result<Command, String> {
    let mut options = Options::default();
    let mut arguments = arguments;
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "--help" | "-h" => return Ok(Command::Help),
            "--list" => return Ok(Command::List),
            "--locks" => options.locks = true,
            "--quick" => options.quick = true,
            "--only" => options.only.push(known(value()?)?),
            "--side" => options.sides = side(&value()?)?,
            "--rounds" => options.rounds = Some(count(&value()?)?),
            _ => return Err(format!("unknown argument {argument}")),
        }
    }
    Ok(Command::Run(options))
}

fn known(prefix: String) -> Result<String, String> {
    if subjects::names().any(|name| name.starts_with(&prefix)) {
        Ok(prefix)
    } else {
        Err(format!("no subject starts with {prefix}"))
    }
}

fn side(text: &str) -> Result<Sides, String> {
    match text {
        "libevent" => Ok(Sides::Libevent),
        "engine" => Ok(Sides::Engine),
        _ => Err(format!("no side is called {text}")),
    }
}

fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(rounds @ 1..=1000) => Ok(rounds),
        _ => Err(format!("{text} is not a number of rounds, 1 to 1000")),
    }
}
