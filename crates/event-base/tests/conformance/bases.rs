//! Creating bases, and their properties.

use std::ops::ControlFlow;
use std::process::Command;

use event_base::{
    Base, BaseFlags, Config, CountFlags, Error, EventSpec, Features, LoopResult, What, supported_methods,
};

use crate::support::{Bed, ONE_PASS, POLL, WAIT, base, drain, fd, ms, pair, run};

#[test]
fn c_001_methods() {
    let methods = supported_methods();
    let first = *methods.first().unwrap();
    let config = Config::new().set_flags(BaseFlags::IGNORE_ENV).avoid_method(first);
    match Base::with_config(&config) {
        Ok(base) => assert_ne!(base.method().unwrap(), first),
        Err(error) => assert_eq!((error, methods.len()), (Error::NoMethod, 1)),
    }
}

#[test]
fn c_003_base_features() {
    match Base::with_config(&Config::new().require_features(Features::ET)) {
        Ok(base) => assert!(base.features().unwrap().contains(Features::ET)),
        Err(error) => {
            assert_eq!(error, Error::NoMethod);
            assert!(!Base::new().unwrap().features().unwrap().contains(Features::ET));
        }
    }
}

const CHILD: &str = "EVENT_BASE_CONFORMANCE_CHILD";

/// The environment of a process must not be changed while other threads may read it, so a child process has its own.
#[test]
fn c_004_base_environ() {
    let default = Base::with_config(&Config::new().set_flags(BaseFlags::IGNORE_ENV)).unwrap();
    let default = default.method().unwrap();
    if std::env::var_os(CHILD).is_some() {
        match Base::new() {
            Ok(base) => assert_ne!(base.method().unwrap(), default),
            Err(error) => assert_eq!(error, Error::NoMethod),
        }
        return;
    }
    let plain = default.split(' ').next().unwrap();
    // The environment selects the changelist, and IGNORE_ENV ignores that with everything else.
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "bases::c_004_base_environ"])
        .env(CHILD, "1")
        .env("EVENT_EPOLL_USE_CHANGELIST", "1")
        .env(format!("EVENT_NO{}", plain.to_ascii_uppercase()), "1")
        .output()
        .unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
}

#[test]
fn c_005_event_base_new() {
    let base = base();
    let (reader, mut writer) = pair();
    std::io::Write::write_all(&mut writer, b"test string").unwrap();
    writer.shutdown(std::net::Shutdown::Write).unwrap();
    let event = base.create_and_add(EventSpec::io(fd(&reader), What::READ).persist(), None).unwrap();
    let mut sizes = vec![];
    let result = crate::support::run_watched(&base, WAIT, |base, ready| {
        assert_eq!((ready.id, ready.what), (event, What::READ));
        let size = std::io::Read::read(&mut &reader, &mut [0; 100]).unwrap();
        sizes.push(size);
        if size == 0 {
            base.del(event).unwrap();
            base.loop_exit(None).unwrap();
        }
    });
    assert_eq!((result, sizes), (LoopResult::Stopped, vec![11, 0]));
}

#[test]
fn c_006_free_active_base() {
    let (reader, _writer) = pair();
    for activate in [false, true] {
        for close in [false, true] {
            let base = base();
            let event = base.create_and_add(EventSpec::io(fd(&reader), What::READ), None).unwrap();
            if activate {
                base.activate(event, What::READ).unwrap();
            }
            if close {
                base.close().unwrap();
                assert_eq!(base.pending(event, What::READ), Err(Error::Closed));
            }
            drop(base);
        }
    }
    drain(&reader);
}

#[test]
fn c_010_event_base_get_num_events() {
    let bed = Bed::new();
    let count = |flags| bed.base.count_events(flags).unwrap();
    let (active, added, virtual_) = (CountFlags::ACTIVE, CountFlags::ADDED, CountFlags::VIRTUAL);
    let event = bed.io(3, What::READ);
    assert_eq!(count(CountFlags::all()), 0);
    bed.base.add(event, Some(ms(1))).unwrap();
    assert_eq!((count(active), count(added), count(active | added)), (0, 2, 2));
    bed.base.activate(event, What::READ).unwrap();
    assert_eq!((count(active), count(added), count(active | added)), (1, 3, 4));
    assert_eq!(bed.run(WAIT).0, LoopResult::Empty);
    assert_eq!((count(active), count(added), count(virtual_)), (0, 0, 0));
    bed.base.retain().unwrap();
    assert_eq!((count(virtual_), count(virtual_ | active | added)), (1, 1));
    bed.base.add(event, None).unwrap();
    assert_eq!(count(virtual_ | active | added), 2);
    bed.base.release().unwrap();
    assert_eq!(count(virtual_), 0);
}

#[test]
fn c_011_event_base_get_max_events() {
    let bed = Bed::new();
    let most = |flags, clear| bed.base.max_events(flags, clear).unwrap();
    let (active, added, virtual_) = (CountFlags::ACTIVE, CountFlags::ADDED, CountFlags::VIRTUAL);
    let events = [bed.io(3, What::READ), bed.io(3, What::READ)];
    for event in events {
        bed.base.add(event, Some(ms(1))).unwrap();
    }
    bed.base.del(events[1]).unwrap();
    assert_eq!((most(active, false), most(added, false), most(virtual_, false)), (0, 4, 0));
    bed.base.activate(events[0], What::READ).unwrap();
    assert_eq!((most(active, false), most(added, false), most(active | added, false)), (1, 4, 5));
    bed.run(WAIT);
    bed.base.retain().unwrap();
    bed.base.release().unwrap();
    assert_eq!(most(virtual_ | active | added, false), 6);
    assert_eq!((most(active, true), most(active, false)), (1, 0));
    assert_eq!((most(added, true), most(added, false)), (4, 0));
    assert_eq!((most(virtual_, true), most(virtual_, false)), (1, 0));
}

/// In libevent an exit is an event of the middle priority: with three priorities it keeps the low timer from running at
/// all, with two it lets it run once. Here an exit takes effect at the end of the pass, whatever the priorities.
#[test]
fn c_021_priorities() {
    for (count, expected) in [(1, [3, 3]), (2, [3, 0]), (3, [3, 0])] {
        let bed = Bed::with(|config| config.set_priorities(count));
        let timers =
            [0, count - 1].map(|priority| bed.base.create(EventSpec::timer().priority(priority)).unwrap());
        for timer in timers {
            bed.base.add(timer, Some(ms(0))).unwrap();
        }
        let mut runs = [0, 0];
        let result = bed.base.run(WAIT, |base, ready| {
            let place = usize::from(ready.id == timers[1]);
            runs[place] += 1;
            if runs[place] == 3 {
                base.loop_exit(None).unwrap();
            } else {
                base.add(ready.id, Some(ms(0))).unwrap();
            }
        });
        assert_eq!((result, runs), (Ok(LoopResult::Stopped), expected), "{count} priorities");
    }
}

#[test]
fn c_056_event_foreach() {
    let bed = Bed::new();
    let pending = bed.timer(ms(10));
    let both = bed.timer(ms(20));
    let active = bed.user();
    let idle = bed.user();
    bed.base.activate(both, What::TIMEOUT).unwrap();
    bed.base.activate(active, What::TIMEOUT).unwrap();
    let mut visited = bed.base.events().unwrap();
    assert_eq!(visited.len(), 3);
    assert!(visited.iter().all(|info| info.id != idle));
    for (id, what, is_active) in
        [(pending, What::TIMEOUT, false), (both, What::TIMEOUT, true), (active, What::empty(), true)]
    {
        let place = visited.iter().position(|info| info.id == id).unwrap();
        let info = visited.swap_remove(place);
        assert_eq!((info.pending, info.is_active), (what, is_active));
    }
    let mut visits = 0;
    let stopped = bed.base.for_each(|info| {
        visits += 1;
        if info.id == both { ControlFlow::Break(12) } else { ControlFlow::Continue(()) }
    });
    assert_eq!((stopped, visits), (Ok(ControlFlow::Break(12)), 2));
    let all = bed.base.for_each(|_| ControlFlow::<()>::Continue(()));
    assert_eq!(all, Ok(ControlFlow::Continue(())));
}

#[test]
fn c_107_test_init() {
    let base = base();
    let method = base.method().unwrap();
    assert!(supported_methods().contains(&method.split(' ').next().unwrap()));
    assert_eq!(run(&base, POLL), (LoopResult::Empty, vec![]));
    assert_eq!(run(&base, ONE_PASS), (LoopResult::Empty, vec![]));
}
