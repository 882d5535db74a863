//! Threads and a loop, in every possible interleaving.
//!
//! A model is the engine itself, with loom's lock and condition variable and a scripted backend and notifier. loom runs
//! each model once for every interleaving with up to three preemptions. A lost wake-up is a deadlock, which loom
//! reports.
//!
//! `npm run test:models` builds with `--cfg event_base_model`; without it this file is empty.
#![cfg(event_base_model)]

use std::sync::Arc;
use std::time::Duration;

use event_base::{
    Base, Clock, Config, Error, EventId, EventSpec, LoopFlags, LoopResult, ManualClock, Ready, Script, What,
};
use loom::cell::UnsafeCell;
use loom::thread;

const WAIT: LoopFlags = LoopFlags::empty();
const DEADLINE: Duration = Duration::from_millis(10);

/// Runs `model` in every interleaving.
fn check(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

fn base() -> (Base, Script) {
    let clock = Arc::new(ManualClock::at(1_000_000_000));
    let script = Script::new(Arc::clone(&clock));
    let config = Config::new().set_clock(clock as Arc<dyn Clock>).set_script(script.clone());
    (Base::with_config(&config).unwrap(), script)
}

fn user(base: &Base) -> EventId {
    base.create(EventSpec::user()).unwrap()
}

/// What the loop dispatches until it ends.
fn run(base: &Base) -> (LoopResult, Vec<Ready>) {
    let mut seen = vec![];
    let result = base.run(WAIT, |_, ready| seen.push(ready)).unwrap();
    (result, seen)
}

/// What a callback uses, and may use only until a blocking delete of its event has returned. loom finds concurrent uses.
struct Used(UnsafeCell<u32>);

#[expect(unsafe_code, reason = "the model checks that these uses exclude each other")]
mod used {
    use super::Used;

    // SAFETY: loom makes the model fail if there is a concurrent use.
    unsafe impl Sync for Used {}

    impl Used {
        pub(super) fn touch(&self) {
            self.0.with_mut(|value| {
                // SAFETY: loom has checked that there is no concurrent use.
                unsafe { *value += 1 };
            });
        }
    }
}

#[test]
fn an_activation_always_wakes_the_loop() {
    check(|| {
        let (base, _) = base();
        let event = user(&base);
        base.retain().unwrap();
        let other = thread::spawn({
            let base = base.clone();
            move || {
                base.activate(event, What::READ).unwrap();
                base.release().unwrap();
            }
        });
        let (result, seen) = run(&base);
        other.join().unwrap();
        assert_eq!(result, LoopResult::Empty);
        assert_eq!(
            seen.iter().map(|ready| (ready.id, ready.what)).collect::<Vec<_>>(),
            [(event, What::READ)]
        );
    });
}

#[test]
fn activations_of_two_threads_both_wake_the_loop() {
    check(|| {
        let (base, _) = base();
        let events = [user(&base), user(&base)];
        let others = events.map(|event| {
            base.retain().unwrap();
            let base = base.clone();
            thread::spawn(move || {
                base.activate(event, What::READ).unwrap();
                base.release().unwrap();
            })
        });
        let (result, mut seen) = run(&base);
        for other in others {
            other.join().unwrap();
        }
        assert_eq!(result, LoopResult::Empty);
        seen.sort_by_key(|ready| ready.id);
        assert_eq!(seen.iter().map(|ready| ready.id).collect::<Vec<_>>(), events);
    });
}

#[test]
fn an_earlier_deadline_shortens_the_sleep() {
    check(|| {
        let (base, script) = base();
        let late = base.create_and_add(EventSpec::timer(), Some(DEADLINE * 100)).unwrap();
        let timer = base.create(EventSpec::timer()).unwrap();
        let other = thread::spawn({
            let base = base.clone();
            move || {
                base.add(timer, Some(DEADLINE)).unwrap();
                script.pass(DEADLINE);
            }
        });
        let mut seen = vec![];
        base.run(WAIT, |base, ready| {
            seen.push(ready.id);
            base.del(late).unwrap();
        })
        .unwrap();
        other.join().unwrap();
        assert_eq!(seen, [timer]);
    });
}

#[test]
fn a_request_to_stop_ends_the_wait() {
    type Stop = fn(&Base);
    let stops: [Stop; 4] = [
        |base| base.loop_break().unwrap(),
        |base| base.loop_exit(None).unwrap(),
        |base| drop(base.close().unwrap()),
        |base| base.release().unwrap(),
    ];
    for stop in stops {
        check(move || {
            let (base, _) = base();
            base.retain().unwrap();
            let other = thread::spawn({
                let base = base.clone();
                move || stop(&base)
            });
            match base.run(WAIT, |_, _| {}) {
                Ok(_) | Err(Error::Closed) => {}
                Err(error) => panic!("{error}"),
            }
            other.join().unwrap();
        });
    }
}

/// The event fires for its deadline and for the activation, in one dispatch or in two.
#[test]
fn an_activation_during_a_timeout_loses_neither() {
    check(|| {
        let (base, script) = base();
        let timer = base.create_and_add(EventSpec::timer(), Some(DEADLINE)).unwrap();
        base.retain().unwrap();
        let time = thread::spawn(move || script.pass(DEADLINE));
        let other = thread::spawn({
            let base = base.clone();
            move || {
                base.activate(timer, What::READ).unwrap();
                base.release().unwrap();
            }
        });
        let (result, seen) = run(&base);
        time.join().unwrap();
        other.join().unwrap();
        assert_eq!(result, LoopResult::Empty);
        let what: Vec<_> = seen.iter().map(|ready| ready.what).collect();
        // A one-shot timer that is dispatched for the activation is deleted with its deadline.
        let allowed: [&[What]; 3] =
            [&[What::READ], &[What::READ | What::TIMEOUT], &[What::TIMEOUT, What::READ]];
        assert!(allowed.contains(&what.as_slice()), "{what:?}");
    });
}

#[test]
fn a_blocking_delete_and_a_callback_never_overlap() {
    check(|| {
        let (base, _) = base();
        let event = user(&base);
        base.activate(event, What::READ).unwrap();
        let used = Arc::new(Used(UnsafeCell::new(0)));
        let other = thread::spawn({
            let (base, used) = (base.clone(), Arc::clone(&used));
            move || {
                base.free_block(event).unwrap();
                used.touch();
            }
        });
        let result = base.run(WAIT, |_, _| used.touch());
        other.join().unwrap();
        assert_eq!(result, Ok(LoopResult::Empty));
    });
}

#[test]
fn two_blocking_deletes_both_return() {
    check(|| {
        let (base, _) = base();
        let event = user(&base);
        base.activate(event, What::READ).unwrap();
        let others = [(); 2].map(|()| {
            let base = base.clone();
            thread::spawn(move || base.del_block(event).unwrap())
        });
        let result = base.run(WAIT, |_, _| {});
        for other in others {
            other.join().unwrap();
        }
        assert_eq!(result, Ok(LoopResult::Empty));
    });
}

#[test]
fn a_blocking_delete_returns_when_the_base_is_closed() {
    check(|| {
        let (base, _) = base();
        let event = user(&base);
        base.activate(event, What::READ).unwrap();
        let deleter = thread::spawn({
            let base = base.clone();
            move || match base.del_block(event) {
                Ok(()) | Err(Error::Closed) => {}
                Err(error) => panic!("{error}"),
            }
        });
        let closer = thread::spawn({
            let base = base.clone();
            move || base.close().unwrap()
        });
        _ = base.run(WAIT, |_, _| {});
        deleter.join().unwrap();
        closer.join().unwrap();
    });
}

/// The callback waits for the thread that waits for the callback: only closing the base ends the wait.
#[test]
fn a_callback_that_closes_the_base_ends_waits_for_it() {
    check(|| {
        let (base, _) = base();
        let event = user(&base);
        base.activate(event, What::READ).unwrap();
        let mut deleter = Some(thread::spawn({
            let base = base.clone();
            move || match base.del_block(event) {
                Ok(()) | Err(Error::Closed) => {}
                Err(error) => panic!("{error}"),
            }
        }));
        _ = base.run(WAIT, |base, _| {
            base.close().unwrap();
            deleter.take().unwrap().join().unwrap();
        });
        if let Some(deleter) = deleter {
            deleter.join().unwrap();
        }
    });
}
