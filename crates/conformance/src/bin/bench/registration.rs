//! Descriptors that are registered and removed.
//!
//! `untouched` adds and deletes without a pass in between, so an engine that collects changes makes no system call; in
//! `passed` a pass after each call applies the change. Both run with the plain backends and with change lists.

use event_base::What;
use event_base_conformance::{Build, Failure, Pass, Peer};

use crate::activation::Count;
use crate::interleave::{Figure, Measure};
use crate::sockets::Pairs;
use crate::timed::{Timed, timed};

/// Descriptors, and so operations in a pass.
const DESCRIPTORS: usize = 100;

/// Repeats in a sample.
const REPEATS: usize = 200;

/// The measure.
pub(crate) struct Registration {
    pairs: Pairs,
    changelist: bool,
}

impl Registration {
    /// The measure.
    ///
    /// # Errors
    /// If the sockets cannot be opened.
    pub(crate) fn new(changelist: bool) -> Result<Self, Failure> {
        Ok(Self { pairs: Pairs::new(DESCRIPTORS)?, changelist })
    }

    fn figure(&self, name: &str) -> Figure {
        let subject = if self.changelist { "registration-changelist" } else { "registration" };
        Figure { name: format!("{subject}/{name}"), unit: "ns per add and delete", aim: None, steady: true }
    }
}

impl Measure for Registration {
    type Handler = Count;

    fn figures(&self) -> Vec<Figure> {
        vec![self.figure("untouched"), self.figure("passed")]
    }

    fn build(&self) -> Build {
        Build { changelist: self.changelist, ..Build::default() }
    }

    fn prepare<'a, P: Peer>(&mut self, peer: &'a P) -> Result<Vec<P::Event<'a>>, Failure> {
        (0..self.pairs.len()).map(|index| peer.io(self.pairs.reader(index), What::READ, index)).collect()
    }

    fn sample<'a, P: Peer>(&mut self, peer: &'a P, events: &[P::Event<'a>]) -> Result<Vec<Timed>, Failure> {
        let untouched = timed(|| -> Result<(), Failure> {
            for _ in 0..REPEATS {
                for &event in events {
                    peer.add(event, None)?;
                    peer.del(event)?;
                }
            }
            Ok(())
        })?;
        let passed = timed(|| -> Result<(), Failure> {
            for _ in 0..REPEATS {
                for &event in events {
                    peer.add(event, None)?;
                }
                peer.run(Pass::Poll)?;
                for &event in events {
                    peer.del(event)?;
                }
                peer.run(Pass::Poll)?;
            }
            Ok(())
        })?;
        Ok([untouched, passed].map(|timed| timed.per(REPEATS * DESCRIPTORS)).into())
    }
}
