//! W18: the loop works in a sandbox that forbids a system call. Each test runs in a process of its own, since neither a
//! filter nor what the engine found out about the kernel can be undone.
#![cfg(target_os = "linux")]
#![expect(unsafe_code, reason = "installing a filter of system calls")]

mod support;

use std::os::unix::net::UnixStream;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use event_base::{
    Base, Clock, Config, CountFlags, Error, EventSpec, LoopResult, Severity, Step, SystemClock, Wait, What,
    set_log_callback, supported_methods,
};
use nix::errno::Errno;
use nix::libc;

use support::{CountingClock, ONE_PASS, WAIT, fd, ms, next_event, only, pair, run, run_watched};

const CHILD: &str = "EVENT_BASE_SANDBOXED_CHILD";

/// Makes `calls` fail with `errno` from now on, in this thread and in those that it starts.
fn refuse(calls: &[libc::c_long], errno: Errno) {
    let instruction = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
    // The number of the call is the first field of the filter's data.
    let mut program = vec![instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0)];
    for &call in calls {
        program.push(instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, call as u32));
        let answer = libc::SECCOMP_RET_ERRNO | errno as u32;
        program.push(instruction(libc::BPF_RET | libc::BPF_K, 0, 0, answer));
    }
    program.push(instruction(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW));
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: the call takes plain numbers.
    let result = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    assert_eq!(result, 0);
    // SAFETY: `filter` points to `program`, which the kernel copies.
    let result = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter) };
    assert_eq!(result, 0, "{}", Errno::last());
}

/// Runs the test `name` again, alone in a child process; returns whether this is the child.
fn in_a_process_of_its_own(name: &str) -> bool {
    if std::env::var_os(CHILD).is_some() {
        return true;
    }
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let text = [child.stdout, child.stderr].concat();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&text));
    false
}

fn the_loop_works() {
    let (base, clock) = CountingClock::base();
    let (reader, _writer) = pair();
    let writer = base.create_and_add(EventSpec::io(fd(&reader), What::WRITE), None).unwrap();
    assert_eq!(run(&base, WAIT), (LoopResult::Empty, vec![(writer, What::WRITE)]));
    // Milliseconds are rounded up: the wait is longer, never shorter, and the loop does not spin for the rest.
    for micros in [1, 400, 1_001, 4_700] {
        let after = Duration::from_micros(micros);
        let start = SystemClock.monotonic();
        let timer = base.create_and_add(EventSpec::timer(), Some(after)).unwrap();
        assert_eq!(run(&base, WAIT), (LoopResult::Empty, vec![(timer, What::TIMEOUT)]));
        assert!(Duration::from_nanos(SystemClock.monotonic() - start) >= after);
    }
    assert!(clock.reads() < 100, "{} readings of the clock", clock.reads());
    // A wait without a timeout, which another thread ends.
    base.retain().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(ms(20));
            base.release().unwrap();
        });
        assert_eq!(run_watched(&base, WAIT, |_, _| {}), LoopResult::Empty);
    });
}

#[test]
fn without_epoll_pwait2_waits_have_milliseconds() {
    if in_a_process_of_its_own("without_epoll_pwait2_waits_have_milliseconds") {
        let messages = Arc::new(Mutex::new(vec![]));
        let copy = Arc::clone(&messages);
        set_log_callback(Some(Arc::new(move |message| {
            copy.lock().unwrap().push((message.severity, message.method));
        })));
        refuse(&[libc::SYS_epoll_pwait2], Errno::ENOSYS);
        the_loop_works();
        assert_eq!(*messages.lock().unwrap(), [(Severity::Debug, Some("epoll"))], "once in a process");
    }
}

#[test]
fn in_a_sandbox_without_epoll_pwait2_waits_have_milliseconds() {
    if in_a_process_of_its_own("in_a_sandbox_without_epoll_pwait2_waits_have_milliseconds") {
        refuse(&[libc::SYS_epoll_pwait2], Errno::EPERM);
        the_loop_works();
    }
}

#[test]
fn a_sandbox_without_eventfd_is_woken_through_a_pipe() {
    if in_a_process_of_its_own("a_sandbox_without_eventfd_is_woken_through_a_pipe") {
        refuse(&[libc::SYS_eventfd2], Errno::EPERM);
        the_loop_works();
    }
}

/// Makes every system call that a backend waits with fail with `EIO`.
fn refuse_waits() {
    let waits = [
        libc::SYS_epoll_pwait2,
        libc::SYS_epoll_pwait,
        libc::SYS_ppoll,
        libc::SYS_pselect6,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_epoll_wait,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_poll,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_select,
    ];
    refuse(&waits, Errno::EIO);
}

/// A base on each backend, with an event for which a wait has found readiness.
fn bases_with_a_ready_event() -> Vec<(Base, UnixStream, UnixStream)> {
    let make = |name| {
        let base = Base::with_config(&only(Config::new(), name)).unwrap();
        let (socket, peer) = pair();
        let event = base.create_and_add(EventSpec::io(fd(&socket), What::WRITE).persist(), None).unwrap();
        assert_eq!(run(&base, ONE_PASS).1, [(event, What::WRITE)]);
        (base, socket, peer)
    };
    supported_methods().into_iter().map(make).collect()
}

#[test]
fn a_wait_that_fails_reports_nothing() {
    if in_a_process_of_its_own("a_wait_that_fails_reports_nothing") {
        let bases = bases_with_a_ready_event();
        refuse_waits();
        for (base, ..) in bases {
            for flags in [ONE_PASS, WAIT] {
                let result = base.run(flags, |_, ready| panic!("{ready:?}"));
                let Err(Error::System(error)) = result else { panic!("{result:?}") };
                assert_eq!(error.errno, Errno::EIO as i32);
                assert_eq!(
                    base.count_events(CountFlags::ACTIVE),
                    Ok(0),
                    "readiness that an earlier wait found"
                );
            }
            base.close().unwrap();
        }
    }
}

#[test]
fn a_wait_of_a_host_that_fails_reports_nothing() {
    if in_a_process_of_its_own("a_wait_of_a_host_that_fails_reports_nothing") {
        let bases = bases_with_a_ready_event();
        refuse_waits();
        for (base, ..) in bases {
            let mut wait = base.start_wait().unwrap();
            let result = wait.wait();
            let Err(Error::System(error)) = result else { panic!("{result:?}") };
            assert_eq!(error.errno, Errno::EIO as i32);
            base.finish_wait(wait).unwrap();
            assert_eq!(base.count_events(CountFlags::ACTIVE), Ok(0), "{:?}", base.method());
        }
    }
}

#[test]
fn without_epoll_the_backend_is_poll() {
    if in_a_process_of_its_own("without_epoll_the_backend_is_poll") {
        refuse(&[libc::SYS_epoll_create1], Errno::ENOSYS);
        let base = Base::new().unwrap();
        assert_eq!(base.method(), Ok("poll"));
        the_loop_works();
        refuse(&[libc::SYS_epoll_create1, libc::SYS_eventfd2], Errno::EPERM);
        the_loop_works();
        let config = ["poll", "select"].into_iter().fold(Config::new(), Config::avoid_method);
        let refused = Base::with_config(&config).map(|_| ());
        assert!(
            matches!(refused, Err(Error::System(error)) if error.syscall == "epoll_create1"),
            "{refused:?}"
        );
    }
}

/// A pipe that is never read is full after 65 536 wake-ups, and then may not become readable again.
#[test]
fn a_host_loses_no_wake_up_through_a_pipe() {
    if in_a_process_of_its_own("a_host_loses_no_wake_up_through_a_pipe") {
        refuse(&[libc::SYS_eventfd2], Errno::EPERM);
        let base = Base::new().unwrap();
        let user = base.create(EventSpec::user()).unwrap();
        base.retain().unwrap();
        base.enter(WAIT).unwrap();
        let readable = || {
            let info =
                std::fs::read_to_string(format!("/proc/self/fdinfo/{}", base.descriptor().unwrap().unwrap()))
                    .unwrap();
            assert!(info.contains("tfd:"), "{info}");
            let mut poll =
                libc::pollfd { fd: base.descriptor().unwrap().unwrap(), events: libc::POLLIN, revents: 0 };
            // SAFETY: one entry, which outlives the call.
            unsafe { libc::poll(&raw mut poll, 1, 0) == 1 }
        };
        for round in 0..70_000 {
            assert_eq!(base.next(Wait::Never), Ok(Step::Idle));
            base.activate(user, What::READ).unwrap();
            if round % 1_000 == 0 || round > 65_000 {
                assert!(readable(), "round {round}");
            }
            next_event(&base, Wait::Never);
        }
        base.leave();
    }
}
