//! A process that is stopped and continues: what arrived meanwhile is found before timers expire.

use std::io::Write;
use std::time::{Duration, Instant};

use event_base::{Base, Config, EventSpec, What, supported_methods};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};

use crate::support::{WAIT, fd, ms, only, pair, run_watched};
use crate::{Child, one_at_a_time};

/// Stops a child that waits for a descriptor until its deadline has passed. The child fails if its event only times
/// out. Returns whether the child was stopped before the deadline.
fn is_stopped_in_time(name: &'static str, timeout: Duration) -> bool {
    let (reader, mut writer) = pair();
    let start = Instant::now();
    let child = Child::fork(|| {
        let base = Base::with_config(&only(Config::new(), name)).unwrap();
        base.create_and_add(EventSpec::io(fd(&reader), What::READ), Some(timeout)).unwrap();
        let mut result = What::empty();
        run_watched(&base, WAIT, |_, ready| result = ready.what);
        assert!(result.contains(What::READ), "{name}: {result:?}");
    });
    // Until the child waits or is about to; the test passes in either case.
    std::thread::sleep(timeout / 4);
    kill(child.0, Signal::SIGSTOP).unwrap();
    let stopped = waitpid(child.0, Some(WaitPidFlag::WUNTRACED)).unwrap();
    let is_in_time = start.elapsed() < timeout;
    if stopped == WaitStatus::Stopped(child.0, Signal::SIGSTOP) {
        std::thread::sleep(timeout);
        writer.write_all(b"x").unwrap();
        kill(child.0, Signal::SIGCONT).unwrap();
        let ended = waitpid(child.0, None).unwrap();
        assert!(!is_in_time || ended == WaitStatus::Exited(child.0, 0), "{ended:?}");
    }
    is_in_time
}

#[test]
fn an_event_whose_bytes_arrived_while_the_process_was_stopped_does_not_only_time_out() {
    let _turn = one_at_a_time();
    for name in supported_methods() {
        // A busy machine may need longer than the first of these to stop the child.
        assert!([200, 2_000, 12_000].into_iter().any(|time| is_stopped_in_time(name, ms(time))), "{name}");
    }
}
