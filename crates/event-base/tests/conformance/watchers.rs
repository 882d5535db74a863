//! libevent's tests of `watch.h`.

use event_base::{EventSpec, LoopResult, Step, WatcherCall};

use crate::support::{Bed, WAIT, ms};

#[test]
fn c_094_watch_callback_ordering() {
    let bed = Bed::new();
    bed.base.on_check(10).unwrap();
    bed.base.on_prepare(1).unwrap();
    let freed_prepare = bed.base.on_prepare(2).unwrap();
    let freed_check = bed.base.on_check(20).unwrap();
    bed.base.create_and_add(EventSpec::timer().persist().data(100), Some(ms(1_000))).unwrap();
    let mut calls = vec![];
    let result = bed.base.run_with_watchers(WAIT, |base, step| match step {
        Step::Watcher(WatcherCall::Prepare { data, wait, .. }) => {
            assert_eq!(wait, Some(ms(1_000)));
            calls.push(data);
        }
        Step::Watcher(WatcherCall::Check { data, .. }) => calls.push(data),
        Step::Event(ready) => {
            calls.push(ready.data);
            if bed.elapsed() == ms(1_000) {
                base.remove_watcher(freed_prepare).unwrap();
                base.remove_watcher(freed_check).unwrap();
            } else {
                base.loop_break().unwrap();
            }
        }
        other => panic!("{other:?}"),
    });
    assert_eq!(result, Ok(LoopResult::Stopped));
    assert_eq!(calls, [1, 2, 10, 20, 100, 1, 10, 100]);
    // The remaining watchers are removed with the base.
    bed.base.close().unwrap();
}

/// libevent's test has no event either, so its callback never runs; here a second loop calls it.
#[test]
fn c_095_watch_timeout_unavailable() {
    let bed = Bed::new();
    bed.base.on_prepare(0).unwrap();
    let run = || {
        let mut waits = vec![];
        let result = bed.base.run_with_watchers(WAIT, |_, step| {
            if let Step::Watcher(WatcherCall::Prepare { wait, .. }) = step {
                waits.push(wait);
            }
        });
        (result, waits)
    };
    assert_eq!(run(), (Ok(LoopResult::Empty), vec![]));
    let reader = bed.io(3, event_base::What::READ);
    bed.base.add(reader, None).unwrap();
    bed.script.then(ms(5), &[(3, event_base::What::READ)]);
    assert_eq!(run(), (Ok(LoopResult::Empty), vec![None]));
}
