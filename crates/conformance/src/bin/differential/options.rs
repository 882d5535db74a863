//! The command line.

/// The parsed command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// The first program's seed; the next one's is one more.
    pub(crate) seed: u64,
    /// No program starts after this number of operations.
    pub(crate) steps: u64,
    /// Operations of a program outside callbacks.
    pub(crate) length: usize,
    /// Prints the first program instead of running it.
    pub(crate) print: bool,
}

/// The text of `--help`.
pub(crate) const HELP: &str = "\
Usage: differential [--seed S] [--steps N] [--length N] [--print]

Random programs on libevent and the engine, which must do the same.

--seed    the first program's seed; the next one's is one more (1)
--steps   no program begins after as many operations (200000)
--length  operations of a program outside callbacks (400)
--print   print the first program instead
";

/// Parses the arguments after the program's name. `None`: the help is requested.
///
/// # Errors
/// A readable message.
pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Result<Option<Options>, String> {
    let mut options = Options { seed: 1, steps: 200_000, length: 400, print: false };
    let mut arguments = arguments;
    while let Some(argument) = arguments.next() {
        let mut value = || {
            let text = arguments.next().ok_or_else(|| format!("{argument} needs a value"))?;
            text.parse::<u64>().map_err(|_| format!("{argument}: {text} is no number"))
        };
        match argument.as_str() {
            "--help" | "-h" => return Ok(None),
            "--seed" => options.seed = value()?,
            "--steps" => options.steps = value()?,
            "--length" => options.length = value()?.clamp(1, 1_000_000) as usize,
            "--print" => options.print = true,
            _ => return Err(format!("unknown argument {argument}")),
        }
    }
    Ok(Some(options))
}
