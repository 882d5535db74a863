//! The engine compared with a simple model of it: vectors that are searched linearly.
//!
//! A program is a list of steps, some of them taken between loops and some in callbacks. Both sides run it in virtual
//! time, and must agree on what they dispatch, in which order, and what is pending afterwards.

#[path = "../support/mod.rs"]
mod support;

mod naive;
mod program;

use event_base::{Base, CountFlags, EventId, EventSpec, LoopFlags};
use proptest::prelude::*;

use naive::Naive;
use program::{COMMON, Kind, PRIORITIES, Program, Step, programs};
use support::{Bed, ms};

/// The engine's side of a program.
struct Engine {
    bed: Bed,
    ids: Vec<EventId>,
}

impl Engine {
    fn new(kinds: &[Kind]) -> Self {
        let bed = Bed::with(|config| config.set_priorities(PRIORITIES));
        let create = |(data, kind): (usize, &Kind)| {
            let spec = match kind.fd {
                Some(fd) => EventSpec::io(fd, kind.what),
                None => EventSpec::timer(),
            };
            let spec = if kind.persist { spec.persist() } else { spec };
            bed.base.create(spec.priority(kind.priority).data(data as u64)).unwrap()
        };
        let ids = kinds.iter().enumerate().map(create).collect();
        Engine { bed, ids }
    }

    /// Whether the step was accepted.
    fn step(&self, base: &Base, step: &Step) -> bool {
        let id = |event: &usize| self.ids[*event];
        match step {
            Step::Add(event, timeout) => base.add(id(event), timeout.map(ms)),
            Step::AddCommon(event, number) => {
                let common = base.common_timeout(ms(COMMON[*number])).unwrap();
                base.add_common(id(event), common)
            }
            Step::Del(event) => base.del(id(event)),
            Step::RemoveTimer(event) => base.remove_timer(id(event)),
            Step::Activate(event, what) => base.activate(id(event), *what).map(drop),
            Step::ActivateLater(event, what) => base.activate_later(id(event), *what).map(drop),
            Step::SetPriority(event, priority) => base.set_priority(id(event), *priority),
            Step::Break => base.loop_break(),
            Step::Continue => base.loop_continue(),
            Step::Exit(after) => base.loop_exit(after.map(ms)),
            Step::Pass(by) => {
                self.bed.clock.advance(ms(*by));
                Ok(())
            }
        }
        .is_ok()
    }

    fn run(&self, flags: LoopFlags, program: &Program, log: &mut Vec<naive::Entry>) -> bool {
        let mut handled = 0;
        let result = self
            .bed
            .base
            .run(flags, |base, ready| {
                log.push((ready.data as usize, ready.what, self.bed.elapsed()));
                handled += 1;
                if handled > naive::MOST_CALLBACKS {
                    base.loop_break().unwrap();
                    return;
                }
                for step in program.reaction(ready.data as usize, log.len()) {
                    self.step(base, step);
                }
            })
            .unwrap();
        result == event_base::LoopResult::Empty
    }
}

fn agree(program: &Program) -> Result<(), TestCaseError> {
    let engine = Engine::new(&program.kinds);
    let mut model = Naive::new(&program.kinds);
    let (mut log, mut expected) = (vec![], vec![]);
    for (number, round) in program.rounds.iter().enumerate() {
        for step in &round.steps {
            prop_assert_eq!(
                engine.step(&engine.bed.base, step),
                model.step(step),
                "{:?} in round {}",
                step,
                number
            );
        }
        for (after, ready) in &round.ready {
            engine.bed.script.then(ms(*after), ready);
            model.script(*after, ready);
        }
        // A loop that nothing ends would wait for ever.
        let flags = if model.can_wait() { round.flags } else { round.flags | LoopFlags::NONBLOCK };
        let empty = engine.run(flags, program, &mut log);
        prop_assert_eq!(empty, model.run(flags, program, &mut expected), "result of round {}", number);
        prop_assert_eq!(&log, &expected, "callbacks of round {}", number);
        prop_assert_eq!(engine.bed.elapsed(), model.elapsed());
        for (event, id) in engine.ids.iter().enumerate() {
            let base = &engine.bed.base;
            let pending = base.pending(*id, event_base::What::all()).unwrap();
            prop_assert_eq!(pending, model.pending(event), "event {} after round {}", event, number);
            prop_assert_eq!(base.priority(*id).unwrap(), model.priority(event));
            let now = base.now().unwrap() - engine.bed.elapsed();
            let deadline = base.expires_at(*id).unwrap().map(|at| at - now);
            prop_assert_eq!(deadline, model.deadline(event), "event {} after round {}", event, number);
        }
        for flags in [CountFlags::ACTIVE, CountFlags::ADDED] {
            let count = engine.bed.base.count_events(flags).unwrap();
            prop_assert_eq!(count, model.count(flags), "{:?} after round {}", flags, number);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_engine_agrees_with_the_model(program in programs()) {
        agree(&program)?;
    }
}
