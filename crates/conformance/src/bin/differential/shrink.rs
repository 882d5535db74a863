//! Reduces a program: removes parts as long as the sides still disagree.

use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::compare::{Divergence, run};
use crate::program::{Operation, Program};

/// The time limit of a reduction: a program whose loops spin takes long to run.
const PATIENCE: Duration = Duration::from_secs(20);

/// A program from which no operation can be removed, and its disagreement.
pub(crate) fn shrink(program: &Program, found: Divergence) -> (Program, Divergence) {
    let end = Instant::now() + PATIENCE;
    let mut smallest = Smallest { program: program.clone(), divergence: found, end };
    smallest.program.operations.truncate(smallest.divergence.step);
    loop {
        let before = smallest.size();
        smallest.shorten(|program| &mut program.operations);
        for list in 0..smallest.program.reactions.len() {
            smallest.shorten(|program| &mut program.reactions[list]);
        }
        if smallest.size() == before {
            return (smallest.program, smallest.divergence);
        }
    }
}

struct Smallest {
    program: Program,
    divergence: Divergence,
    end: Instant,
}

impl Smallest {
    fn size(&self) -> usize {
        self.program.operations.len() + self.program.reactions.iter().map(Vec::len).sum::<usize>()
    }

    /// Removes successively smaller runs of operations from a list.
    fn shorten(&mut self, list: impl Fn(&mut Program) -> &mut Vec<Operation>) {
        let mut length = list(&mut self.program).len();
        while length > 0 {
            let mut end = list(&mut self.program).len();
            while end > 0 && Instant::now() < self.end {
                let begin = end.saturating_sub(length);
                let mut candidate = self.program.clone();
                list(&mut candidate).drain(begin..end);
                if let (_, Some(divergence)) = run(&Rc::new(candidate.clone())) {
                    self.program = candidate;
                    self.divergence = divergence;
                    self.program.operations.truncate(self.divergence.step);
                }
                end = begin.min(list(&mut self.program).len());
            }
            length /= 2;
        }
    }
}
