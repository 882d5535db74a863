//! Exclusive events: of several loops that wait for one file, the kernel wakes one.

#[cfg(target_os = "linux")]
use std::io::Read;
use std::io::Write;
#[cfg(target_os = "linux")]
use std::sync::mpsc::channel;

#[cfg(target_os = "linux")]
use event_base::{BaseFlags, LoopFlags};
use event_base::{Error, EventSpec, What};

use nix::libc;

use crate::support::{ONE_PASS, duplicate, fd, pair, replace, run, watch};

const READER: What = What::READ.union(What::PERSIST);

#[test]
fn an_exclusive_event_fires_after_it_is_added_again_and_after_a_reinit() {
    let base = crate::support::base();
    let (reader, mut writer) = pair();
    let event = base.create(EventSpec::io(fd(&reader), READER)).unwrap();
    let has_exclusive = base.method().unwrap().starts_with("epoll");
    assert_eq!(base.add_exclusive(event), Ok(has_exclusive));
    assert_eq!(base.add_exclusive(event), Err(Error::Active));
    assert_eq!(run(&base, ONE_PASS).1, []);
    writer.write_all(b"x").unwrap();
    for _ in 0..3 {
        assert_eq!(run(&base, ONE_PASS).1, [(event, What::READ)]);
        base.del(event).unwrap();
        assert_eq!(run(&base, ONE_PASS).1, []);
        base.add_exclusive(event).unwrap();
    }
    base.reinit().unwrap();
    assert_eq!(run(&base, ONE_PASS).1, [(event, What::READ)]);
    // An event is exclusive until it is deleted.
    base.del(event).unwrap();
    base.add(event, None).unwrap();
    let other = watch(&base, fd(&reader), What::WRITE);
    assert_eq!(run(&base, ONE_PASS).1, [(event, What::READ), (other, What::WRITE)]);
}

#[test]
fn an_exclusive_event_does_not_share_its_descriptor() {
    let base = crate::support::base();
    let (reader, mut writer) = pair();
    writer.write_all(b"x").unwrap();
    let add = |event, exclusive| {
        if exclusive { base.add_exclusive(event).map(drop) } else { base.add(event, None) }
    };
    for (first, second) in [(true, false), (false, true), (true, true)] {
        let one = base.create(EventSpec::io(fd(&reader), READER)).unwrap();
        let other = base.create(EventSpec::io(fd(&reader), READER)).unwrap();
        add(one, first).unwrap();
        for _ in 0..2 {
            assert!(matches!(add(other, second), Err(Error::BadFlags(_))));
            assert_eq!(base.pending(other, What::all()).unwrap(), What::empty());
            assert_eq!(run(&base, ONE_PASS).1, [(one, What::READ)]);
        }
        base.free(one).unwrap();
        add(other, second).unwrap();
        assert_eq!(run(&base, ONE_PASS).1, [(other, What::READ)]);
        base.free(other).unwrap();
    }
}

#[test]
fn an_event_that_cannot_be_exclusive_is_refused() {
    let base = crate::support::base();
    let (reader, _writer) = pair();
    let specs = [
        EventSpec::timer(),
        EventSpec::signal(libc::SIGUSR1),
        EventSpec::io(fd(&reader), What::CLOSED),
        EventSpec::io(fd(&reader), What::READ | What::CLOSED),
    ];
    for spec in specs {
        let event = base.create(spec).unwrap();
        assert!(matches!(base.add_exclusive(event), Err(Error::BadFlags(_))));
        assert_eq!(base.pending(event, What::all()).unwrap(), What::empty());
        base.free(event).unwrap();
    }
    let freed = base.create(EventSpec::timer()).unwrap();
    base.free(freed).unwrap();
    assert_eq!(base.add_exclusive(freed), Err(Error::Closed));
}

#[test]
fn an_exclusive_event_of_a_closed_descriptor_does_not_block_its_number() {
    let base = crate::support::base();
    let (ours, _old_peer) = pair();
    let (other, mut new_peer) = pair();
    let old = base.create(EventSpec::io(fd(&ours), READER)).unwrap();
    base.add_exclusive(old).unwrap();
    replace(&ours, &other);
    let new = base.create(EventSpec::io(fd(&ours), READER)).unwrap();
    base.add_exclusive(new).unwrap();
    assert_eq!(base.pending(old, What::READ).unwrap(), What::empty());
    new_peer.write_all(b"x").unwrap();
    assert_eq!(run(&base, ONE_PASS).1, [(new, What::READ)]);
}

/// A duplicate keeps the registration in the kernel after the number was closed.
#[test]
fn a_registration_that_the_kernel_kept_is_replaced_by_one_of_the_other_kind() {
    for (first, second) in [(true, false), (false, true), (true, true)] {
        let base = crate::support::base();
        let (ours, mut peer) = pair();
        let (other, _other_peer) = pair();
        let kept = duplicate(&ours);
        let event = base.create(EventSpec::io(fd(&ours), READER)).unwrap();
        let add =
            |exclusive| if exclusive { base.add_exclusive(event).map(drop) } else { base.add(event, None) };
        add(first).unwrap();
        replace(&ours, &other);
        base.del(event).unwrap();
        assert_eq!(run(&base, ONE_PASS).1, []);
        replace(&ours, &kept);
        add(second).unwrap();
        peer.write_all(b"x").unwrap();
        assert_eq!(run(&base, ONE_PASS).1, [(event, What::READ)]);
        // Nothing is left of the first registration.
        base.del(event).unwrap();
        assert_eq!(run(&base, ONE_PASS).1, []);
    }
}

/// An epoll instance cannot be watched exclusively.
#[cfg(target_os = "linux")]
#[test]
fn an_epoll_instance_is_watched_all_the_same() {
    let base = crate::support::base();
    let inner = event_base::Base::new().unwrap();
    let event = base.create(EventSpec::io(inner.descriptor().unwrap().unwrap(), READER)).unwrap();
    base.add_exclusive(event).unwrap();
    inner.wake().unwrap();
    assert_eq!(run(&base, ONE_PASS).1, [(event, What::READ)]);
}

/// Waits until a thread of this process sleeps.
#[cfg(target_os = "linux")]
fn until_asleep(thread: nix::unistd::Pid) {
    let give_up = std::time::Instant::now() + crate::support::PATIENCE;
    loop {
        let stat = std::fs::read_to_string(format!("/proc/self/task/{thread}/stat")).unwrap();
        // proc_pid_stat(5): the state follows the name in parentheses.
        if stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('S')) {
            return;
        }
        assert!(std::time::Instant::now() < give_up, "it does not sleep: {stat}");
        std::thread::yield_now();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn one_loop_wakes_for_each_byte_and_adding_the_event_again_moves_it_behind_the_others() {
    const LOOPS: usize = 3;
    for flags in [BaseFlags::empty(), BaseFlags::EPOLL_USE_CHANGELIST] {
        let (reader, mut writer) = pair();
        let (woken, wakes) = channel();
        let (started, threads) = channel();
        let config = event_base::Config::new().set_flags(flags | BaseFlags::IGNORE_ENV);
        let config = crate::support::only(config, "epoll");
        // The order of registration is the order of this loop.
        let loops: Vec<_> = (0..LOOPS)
            .map(|index| {
                let base = event_base::Base::with_config(&config).unwrap();
                let mut own = reader.try_clone().unwrap();
                let event = base.create(EventSpec::io(fd(&own), READER)).unwrap();
                assert_eq!(base.add_exclusive(event), Ok(true));
                let (handle, woken, started) = (base.clone(), woken.clone(), started.clone());
                let thread = std::thread::spawn(move || {
                    started.send(nix::unistd::gettid()).unwrap();
                    base.run(LoopFlags::NO_EXIT_ON_EMPTY, |base, _| {
                        let count = own.read(&mut [0; 8]).unwrap_or(0);
                        base.del(event).unwrap();
                        base.add_exclusive(event).unwrap();
                        woken.send((index, count)).unwrap();
                    })
                    .unwrap();
                });
                (handle, thread)
            })
            .collect();
        let threads: Vec<_> = threads.iter().take(LOOPS).collect();
        let mut order = Vec::new();
        for _ in 0..3 * LOOPS {
            threads.iter().for_each(|thread| until_asleep(*thread));
            writer.write_all(b"x").unwrap();
            order.push(wakes.recv_timeout(crate::support::PATIENCE).unwrap());
        }
        for (base, thread) in loops {
            base.loop_break().unwrap();
            thread.join().unwrap();
        }
        assert_eq!(wakes.try_recv().ok(), None, "a second loop woke");
        let expected: Vec<_> = (0..3 * LOOPS).map(|round| (round % LOOPS, 1)).collect();
        assert_eq!(order, expected);
    }
}
