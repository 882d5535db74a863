//! A base releases its descriptors and its memory. One test runs at a time, as both are counted for the whole process,
//! in `/proc`.
#![cfg(target_os = "linux")]

mod support;

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use event_base::{Base, BaseFlags, Config, Error, EventSpec, LoopResult, Step, Wait, What};
use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use support::{POLL, WAIT, base, fd, ms, open_descriptors, pair, run_watched};

fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The resident memory of this process, in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

const MEGABYTE: usize = 1 << 20;

#[test]
fn ten_thousand_bases_leak_no_descriptor_and_no_memory() {
    let _turn = alone();
    let (reader, mut writer) = pair();
    writer.write_all(b"x").unwrap();
    let life = |round: u32| {
        let flags = if round.is_multiple_of(3) { BaseFlags::NOLOCK } else { BaseFlags::empty() };
        let base = Base::with_config(&Config::new().set_flags(flags)).unwrap();
        base.create_and_add(EventSpec::io(fd(&reader), What::READ).persist(), None).unwrap();
        base.create_and_add(EventSpec::timer(), Some(ms(1_000))).unwrap();
        assert_eq!(base.run(POLL, |_, _| {}), Ok(LoopResult::Stopped));
        if round.is_multiple_of(5) {
            base.descriptor().unwrap();
            base.enter(WAIT).unwrap();
            assert!(matches!(base.next(Wait::Never), Ok(Step::Event(_))));
            base.leave();
        }
        if round.is_multiple_of(2) {
            base.close().unwrap();
        }
    };
    (0..100).for_each(life);
    let (descriptors, memory) = (open_descriptors(), resident());
    (0..10_000).for_each(life);
    assert_eq!(open_descriptors(), descriptors);
    let grown = resident().saturating_sub(memory);
    assert!(grown < 8 * MEGABYTE, "{grown} bytes more");
}

#[test]
fn closing_releases_the_descriptors_although_handles_remain() {
    let _turn = alone();
    let before = open_descriptors();
    let mut handles = vec![];
    for host in [false, true] {
        let base = Base::new().unwrap();
        if host {
            base.create_and_add(EventSpec::timer(), Some(ms(1_000))).unwrap();
            base.enter(WAIT).unwrap();
            assert_eq!(base.next(Wait::Never), Ok(Step::Idle));
            base.leave();
        }
        assert!(open_descriptors() > before);
        base.close().unwrap();
        assert_eq!(open_descriptors(), before);
        handles.push(base);
    }
}

#[test]
fn a_base_closed_under_a_loop_releases_its_descriptors_when_the_loop_ends() {
    let _turn = alone();
    let before = open_descriptors();
    let base = Base::new().unwrap();
    base.create_and_add(EventSpec::timer(), Some(ms(1))).unwrap();
    run_watched(&base, WAIT, |base, _| drop(base.close().unwrap()));
    assert_eq!(open_descriptors(), before);

    let base = Base::new().unwrap();
    base.create_and_add(EventSpec::timer(), Some(ms(3_600_000))).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(ms(30));
            base.close().unwrap();
        });
        assert_eq!(run_watched(&base, WAIT, |_, _| {}), LoopResult::Stopped);
    });
    assert_eq!(open_descriptors(), before);
}

#[test]
fn a_million_events_leave_the_memory_flat() {
    let _turn = alone();
    let base = Base::new().unwrap();
    let batch = || {
        let events: Vec<_> = (0..10_000)
            .map(|number| {
                let event = base.create(EventSpec::timer()).unwrap();
                base.add(event, Some(ms(1_000 + number % 100))).unwrap();
                event
            })
            .collect();
        for event in events {
            base.free(event).unwrap();
        }
    };
    (0..5).for_each(|_| batch());
    let before = resident();
    (0..100).for_each(|_| batch());
    let grown = resident().saturating_sub(before);
    assert!(grown < 8 * MEGABYTE, "{grown} bytes more");
    assert_eq!(base.live_events().unwrap(), 0);
}

#[test]
fn a_million_once_events_that_fire_leave_the_memory_flat() {
    let _turn = alone();
    let base = Base::new().unwrap();
    let batch = || {
        for _ in 0..10_000 {
            base.once(-1, What::TIMEOUT, 1, None).unwrap();
        }
        let mut fired = 0;
        assert_eq!(base.run(WAIT, |_, _| fired += 1), Ok(LoopResult::Empty));
        assert_eq!(fired, 10_000);
    };
    (0..5).for_each(|_| batch());
    let before = resident();
    (0..100).for_each(|_| batch());
    let grown = resident().saturating_sub(before);
    assert!(grown < 8 * MEGABYTE, "{grown} bytes more");
}

/// A program that this process starts must not inherit the kernel's objects.
#[test]
fn every_descriptor_of_a_base_is_closed_on_exec() {
    let _turn = alone();
    // The parent of this process may have passed some of its own.
    let inherited = || {
        let output = std::process::Command::new("ls").args(["-l", "/proc/self/fd"]).output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap().matches("anon_inode").count()
    };
    let before = inherited();
    let base = Base::new().unwrap();
    base.create_and_add(EventSpec::timer(), Some(ms(3_600_000))).unwrap();
    base.enter(WAIT).unwrap();
    assert_eq!(base.next(Wait::Never), Ok(Step::Idle));
    assert_eq!(inherited(), before);
    base.leave();
}

/// Limits this process to `room` more descriptors while `call` runs.
fn with_room_for<T>(room: u64, call: impl FnOnce() -> T) -> T {
    let listing = std::fs::read_dir("/proc/self/fd").unwrap();
    let number = |entry: std::fs::DirEntry| entry.file_name().to_str().unwrap().parse::<i32>().unwrap();
    let highest = listing.map(|entry| number(entry.unwrap())).max().unwrap();
    // The limit applies to numbers, so the unused ones below the highest are taken first.
    let null = File::open("/dev/null").unwrap();
    let fillers: Vec<File> = std::iter::repeat_with(|| null.try_clone().unwrap())
        .take_while(|filler| filler.as_raw_fd() < highest)
        .collect();
    let next = null.try_clone().unwrap().as_raw_fd() as u64;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, next + room, hard).unwrap();
    let result = call();
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
    drop(fillers);
    result
}

#[test]
fn a_base_without_a_free_descriptor_fails_and_leaks_none() {
    let _turn = alone();
    let before = open_descriptors();
    for room in [0, 1] {
        let result = with_room_for(room, || Base::new().map(|_| ()));
        let Err(Error::System(error)) = result else { panic!("{result:?}") };
        assert_eq!(error.errno, Errno::EMFILE as i32, "{error}");
        assert_eq!(open_descriptors(), before);
    }
    assert!(with_room_for(2, Base::new).is_ok());
}

/// A wait returns 4 096 descriptors at most, and a pass makes a few waits: the others must not be lost, since an edge is
/// reported once.
#[test]
fn no_edge_is_lost_however_many_descriptors_are_ready_at_once() {
    let _turn = alone();
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
    let count = (hard as usize - 300).min(17_000);
    let (socket, _peer) = pair();
    let names: Vec<_> = (0..count).map(|_| socket.try_clone().unwrap()).collect();
    let base = Base::new().unwrap();
    for (number, name) in names.iter().enumerate() {
        let spec = EventSpec::io(fd(name), What::WRITE | What::ET).persist().data(number as u64);
        base.create_and_add(spec, None).unwrap();
    }
    let mut dispatched = vec![0; count];
    for _ in 0..3 {
        base.run(POLL, |_, ready| dispatched[ready.data as usize] += 1).unwrap();
    }
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
    let lost = dispatched.iter().filter(|times| **times == 0).count();
    let doubled = dispatched.iter().filter(|times| **times > 1).count();
    assert_eq!((lost, doubled), (0, 0));
}

/// 2 000 connections, one after the other, with few descriptors available.
#[test]
fn c_113_test_fdleak() {
    let _turn = alone();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    with_room_for(10, || {
        let base = base();
        for _ in 0..2_000 {
            let client = TcpStream::connect(address).unwrap();
            let (server, _) = listener.accept().unwrap();
            client.set_nonblocking(true).unwrap();
            server.set_nonblocking(true).unwrap();
            (&client).write_all(b"e").unwrap();
            let read = base.create_and_add(EventSpec::io(server.as_raw_fd(), What::READ), None).unwrap();
            let echoed = base.create(EventSpec::io(client.as_raw_fd(), What::READ).persist()).unwrap();
            base.add(echoed, None).unwrap();
            base.run(WAIT, |base, ready| {
                if ready.id == read {
                    let mut byte = [0];
                    (&server).read_exact(&mut byte).unwrap();
                    (&server).write_all(&byte).unwrap();
                    base.free(read).unwrap();
                } else {
                    (&client).read_exact(&mut [0]).unwrap();
                    base.free(echoed).unwrap();
                }
            })
            .unwrap();
            assert_eq!(base.live_events().unwrap(), 0);
        }
    });
}
