//! The default action of a signal, once other code has restored the handler of a base that was closed.

use event_base::EventSpec;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, raise};
use nix::sys::wait::{WaitStatus, waitpid};

use crate::support::{base_from, config_by_handler};
use crate::{Child, one_at_a_time, swap};

#[test]
fn a_signal_ends_a_process_whose_handler_was_restored_after_the_last_base_was_closed() {
    const SIGNAL: Signal = Signal::SIGTERM;
    let _turn = one_at_a_time();
    let child = Child::fork(|| {
        let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
        swap(SIGNAL, &default);
        let base = base_from(&config_by_handler());
        base.create_and_add(EventSpec::signal(SIGNAL as i32), None).unwrap();
        let ours = swap(SIGNAL, &default);
        swap(SIGNAL, &ours);
        base.close().unwrap();
        swap(SIGNAL, &ours);
        raise(SIGNAL).unwrap();
    });
    assert_eq!(waitpid(child.0, None), Ok(WaitStatus::Signaled(child.0, SIGNAL, false)));
}
