//! NOLOCK: the base belongs to the first thread that enters its loop.

use std::ops::ControlFlow;
use std::os::fd::AsFd;

use event_base::{
    Base, BaseFlags, CommonTimeout, Config, CountFlags, Error, EventId, EventSpec, HostWait, LoopResult,
    Step, Wait, WatcherId, What,
};

use crate::support::{POLL, WAIT, fd, ms, next_event, pair, run};

fn base() -> Base {
    Base::with_config(&Config::new().set_flags(BaseFlags::NOLOCK)).unwrap()
}

#[test]
fn it_works_like_any_other_on_its_thread() {
    let base = base();
    let timer = base.create_and_add(EventSpec::timer(), Some(ms(1))).unwrap();
    let (socket, _peer) = pair();
    let writer = base.create_and_add(EventSpec::io(fd(&socket), What::WRITE), None).unwrap();
    let (result, trace) = run(&base, WAIT);
    assert_eq!((result, trace), (LoopResult::Empty, vec![(writer, What::WRITE), (timer, What::TIMEOUT)]));
}

/// What the owning thread created, as arguments of calls.
struct Parts {
    id: EventId,
    common: CommonTimeout,
    watcher: WatcherId,
    wait: HostWait,
}

impl Parts {
    fn of(base: &Base) -> Self {
        Parts {
            id: base.create_and_add(EventSpec::timer(), Some(ms(1))).unwrap(),
            common: base.common_timeout(ms(5)).unwrap(),
            watcher: base.on_check(0).unwrap(),
            wait: base.start_wait().unwrap(),
        }
    }
}

/// Every call that can be refused, by name.
fn calls(base: &Base, parts: Parts) -> Vec<(&'static str, Result<(), Error>)> {
    let Parts { id, common, watcher, wait } = parts;
    let (socket, _peer) = pair();
    vec![
        ("add_common", base.add_common(id, common)),
        ("callback_ended", base.callback_ended()),
        ("common_timeout", base.common_timeout(ms(1)).map(drop)),
        ("create_and_add_common", base.create_and_add_common(EventSpec::timer(), common).map(drop)),
        ("dump", base.dump().map(drop)),
        ("finish_wait", base.finish_wait(wait)),
        ("for_each", base.for_each(|_| ControlFlow::<()>::Continue(())).map(drop)),
        ("info", base.info(id).map(drop)),
        ("on_check", base.on_check(0).map(drop)),
        ("on_prepare", base.on_prepare(0).map(drop)),
        ("remove_watcher", base.remove_watcher(watcher)),
        ("reset_stats", base.reset_stats().map(drop)),
        ("run_with_watchers", base.run_with_watchers(WAIT, |_, _| {}).map(drop)),
        ("start_wait", base.start_wait().map(drop)),
        ("stats", base.stats().map(drop)),
        ("activate", base.activate(id, What::READ).map(drop)),
        ("activate_by_fd", base.activate_by_fd(-1, What::TIMEOUT)),
        ("activate_later", base.activate_later(id, What::READ).map(drop)),
        ("activate_by_signal", base.activate_by_signal(1)),
        ("activate_signal", base.activate_signal(id, What::TIMEOUT, 1).map(drop)),
        ("add", base.add(id, None)),
        ("add_exclusive", base.add_exclusive(id).map(drop)),
        ("assign", base.assign(id, EventSpec::timer())),
        ("close", base.close().map(drop)),
        ("count_events", base.count_events(CountFlags::ADDED).map(drop)),
        ("create_and_activate", base.create_and_activate(EventSpec::user(), What::READ).map(drop)),
        ("create_and_defer", base.create_and_defer(EventSpec::user(), What::READ).map(drop)),
        ("create", base.create(EventSpec::timer()).map(drop)),
        ("create_and_add", base.create_and_add(EventSpec::timer(), None).map(drop)),
        ("defer", base.defer(id, What::READ).map(drop)),
        ("del", base.del(id)),
        ("del_block", base.del_block(id)),
        ("descriptor", base.descriptor().map(drop)),
        ("descriptor_epoch", base.descriptor_epoch().map(drop)),
        ("enter", base.enter(WAIT)),
        ("events", base.events().map(drop)),
        ("expires_at", base.expires_at(id).map(drop)),
        ("features", base.features().map(drop)),
        ("finalize", base.finalize(id)),
        ("finalize_keep", base.finalize_keep(id)),
        ("free", base.free(id)),
        ("free_block", base.free_block(id)),
        ("got_break", base.got_break().map(drop)),
        ("got_exit", base.got_exit().map(drop)),
        ("interrupt", base.interrupt()),
        ("is_debug", base.is_debug().map(drop)),
        ("is_idle", base.is_idle(id).map(drop)),
        ("keep", base.keep(id)),
        ("live_events", base.live_events().map(drop)),
        ("loop_break", base.loop_break()),
        ("loop_continue", base.loop_continue()),
        ("loop_exit", base.loop_exit(None)),
        ("max_events", base.max_events(CountFlags::ADDED, false).map(drop)),
        ("method", base.method().map(drop)),
        ("monotonic", base.monotonic().map(drop)),
        ("next", base.next(Wait::Never).map(drop)),
        ("now", base.now().map(drop)),
        ("once", base.once(-1, What::TIMEOUT, 0, None).map(drop)),
        ("pending", base.pending(id, What::all()).map(drop)),
        ("priorities", base.priorities().map(drop)),
        ("priority", base.priority(id).map(drop)),
        ("reinit", base.reinit()),
        ("release", base.release()),
        ("remove_timer", base.remove_timer(id)),
        ("retain", base.retain()),
        ("run", base.run(WAIT, |_, _| {}).map(drop)),
        ("running_event", base.running_event().map(drop)),
        ("set_priorities", base.set_priorities(1)),
        ("set_priority", base.set_priority(id, 0)),
        ("signal_method", base.signal_method().map(drop)),
        ("unwatch_host", base.unwatch_host()),
        ("update_cached_time", base.update_cached_time()),
        ("wake", base.wake()),
        ("watch_host", base.watch_host(socket.as_fd())),
    ]
}

/// Calls that cannot be refused.
const QUIET: [&str; 4] = ["has_lock", "is_closed", "leave", "number"];

#[test]
fn every_call_of_a_second_thread_is_refused_once_a_loop_was_entered() {
    let base = base();
    base.run(POLL, |_, _| {}).unwrap();
    let parts = Parts::of(&base);
    let id = parts.id;
    std::thread::scope(|scope| {
        let base = &base;
        scope.spawn(move || {
            for (name, result) in calls(base, parts) {
                assert_eq!(result, Err(Error::WrongThread), "{name}");
            }
            assert!(base.is_closed());
            assert!(!base.has_lock());
            base.leave();
        });
    });
    assert!(!base.is_closed());
    // The wait was not returned, so the loop cannot continue.
    assert_eq!(base.start_wait().map(drop), Err(Error::Reentrant));
    assert_eq!(base.pending(id, What::TIMEOUT), Ok(What::TIMEOUT));
}

fn sources_below(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { sources_below(&path) } else { vec![path] }).collect()
}

#[test]
fn the_table_of_calls_is_complete() {
    let base = base();
    let parts = Parts::of(&base);
    let mut tested: Vec<_> = calls(&base, parts).into_iter().map(|(name, _)| name).chain(QUIET).collect();
    tested.sort_unstable();
    let mut public = vec![];
    for source in sources_below(concat!(env!("CARGO_MANIFEST_DIR"), "/src/base").as_ref()) {
        let text = std::fs::read_to_string(source).unwrap();
        let blocks = text.split("\nimpl Base {\n").skip(1).filter_map(|rest| rest.split("\n}\n").next());
        // A long list of parameters is on lines of its own.
        let joined = blocks.collect::<String>().replace("(\n        &self", "(&self");
        public.extend(joined.split("    pub fn ").skip(1).filter_map(|rest| {
            let (name, parameters) = rest.split_once('(')?;
            let name = name.split('<').next()?;
            parameters.starts_with("&self").then(|| name.to_owned())
        }));
    }
    public.sort_unstable();
    assert_eq!(tested, public);
}

#[test]
fn it_may_be_set_up_on_one_thread_and_run_on_another() {
    let base = base();
    let (socket, _peer) = pair();
    let timer = base.create_and_add(EventSpec::timer(), Some(ms(1))).unwrap();
    let writer = base.create_and_add(EventSpec::io(fd(&socket), What::WRITE), None).unwrap();
    std::thread::scope(|scope| {
        let base = &base;
        let other = scope.spawn(move || {
            let user = base.create(EventSpec::user()).unwrap();
            base.activate(user, What::READ).unwrap();
            (user, run(base, WAIT).1)
        });
        let (user, trace) = other.join().unwrap();
        assert_eq!(trace, [(user, What::READ), (writer, What::WRITE), (timer, What::TIMEOUT)]);
    });
    assert_eq!(base.add(timer, None), Err(Error::WrongThread), "the loop belongs to the other thread");
}

#[test]
fn a_loop_that_was_entered_in_steps_pins_it_too() {
    let base = base();
    base.enter(WAIT).unwrap();
    base.leave();
    std::thread::scope(|scope| {
        let other = scope.spawn(|| base.create(EventSpec::user()));
        assert_eq!(other.join().unwrap(), Err(Error::WrongThread));
    });
    assert!(base.create(EventSpec::user()).is_ok());
}

/// Two threads that use it at the same time would be a data race, so one of them is refused.
#[test]
fn threads_that_set_it_up_at_the_same_time_lose_nothing_that_was_accepted() {
    let base = base();
    let create = || (0..5_000).filter(|_| base.create(EventSpec::user()).is_ok()).count();
    let accepted: usize = std::thread::scope(|scope| {
        let threads = [(); 3].map(|()| scope.spawn(create));
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(base.live_events(), Ok(accepted));
}

#[test]
fn a_clone_may_be_dropped_on_another_thread() {
    let base = base();
    base.create(EventSpec::user()).unwrap();
    let clone = base.clone();
    std::thread::spawn(move || drop(clone)).join().unwrap();
    assert_eq!(base.live_events().unwrap(), 1);
}

#[test]
fn a_host_can_drive_it() {
    let base = base();
    let timer = base.create_and_add(EventSpec::timer(), Some(ms(0))).unwrap();
    assert!(base.descriptor().unwrap().is_some());
    assert_eq!(base.descriptor(), base.descriptor());
    base.enter(WAIT).unwrap();
    assert_eq!(next_event(&base, Wait::Never).id, timer);
    assert_eq!(base.next(Wait::Never), Ok(Step::Done(LoopResult::Empty)));
    base.leave();
}
