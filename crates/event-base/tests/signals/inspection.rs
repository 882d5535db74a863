//! Signal events in the counters and the list of events.

use event_base::{Base, BaseFlags, Config, CountFlags, Error, EventSpec, What};

use crate::support::{base, ms, pair};
use crate::{USR1, USR2, alone, handler_base, watch};

#[test]
fn the_method_is_a_handler_unless_another_was_requested() {
    let _turn = alone();
    let base = handler_base();
    let expected = if base.method() == Ok("kqueue") { "kqueue_signal" } else { "signal" };
    assert_eq!(base.signal_method(), Ok(expected));
    base.close().unwrap();
    assert_eq!(base.signal_method(), Err(Error::Closed));
}

#[test]
fn the_environment_selects_a_descriptor_unless_it_is_ignored() {
    const CHILD: &str = "EVENT_BASE_SIGNALS_CHILD";
    let method = |flags| Base::with_config(&Config::new().set_flags(flags)).unwrap().signal_method().unwrap();
    if std::env::var_os(CHILD).is_some() {
        assert_eq!(method(BaseFlags::empty()), method(BaseFlags::IGNORE_ENV | BaseFlags::USE_SIGNALFD));
        assert_eq!(method(BaseFlags::IGNORE_ENV), handler_base().signal_method().unwrap());
        return;
    }
    let name = "inspection::the_environment_selects_a_descriptor_unless_it_is_ignored";
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name])
        .env(CHILD, "1")
        .env("EVENT_USE_SIGNALFD", "1")
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && output.contains("1 passed"), "{output}");
}

#[test]
fn a_signal_event_counts_as_added_once_and_as_active_until_its_first_call() {
    let _alone = alone();
    let base = base();
    let event = watch(&base, USR1);
    assert_eq!(base.count_events(CountFlags::ADDED), Ok(1));
    base.activate_signal(event, What::SIGNAL, 3).unwrap();
    assert_eq!(base.count_events(CountFlags::ACTIVE), Ok(1));
    let mut active = Vec::new();
    base.run(crate::support::POLL, |base, _| active.push(base.count_events(CountFlags::ACTIVE).unwrap()))
        .unwrap();
    assert_eq!(active, [0, 0, 0]);
    base.del(event).unwrap();
    assert_eq!(base.count_events(CountFlags::all()), Ok(0));
}

#[test]
fn pending_and_the_list_of_events_report_signal() {
    let _alone = alone();
    let base = base();
    let (reader, _writer) = pair();
    let timer = base.create_and_add(EventSpec::timer(), Some(ms(60_000))).unwrap();
    let second = base.create_and_add(EventSpec::signal(USR2).data(7), Some(ms(60_000))).unwrap();
    let first = watch(&base, USR1);
    let read = base.create_and_add(EventSpec::io(crate::support::fd(&reader), What::READ), None).unwrap();
    assert_eq!(base.pending(first, What::all()), Ok(What::SIGNAL));
    assert_eq!(base.pending(first, What::READ), Ok(What::empty()));
    assert_eq!(base.pending(second, What::all()), Ok(What::SIGNAL | What::TIMEOUT));
    let events = base.events().unwrap();
    let dump = base.dump().unwrap();
    assert!(dump.contains(&format!("[sig {USR1}] Signal Persist")), "{dump}");
    let order: Vec<_> = events.iter().map(|event| event.id).collect();
    assert_eq!(order, [read, first, second, timer]);
    let listed = events[2];
    assert_eq!((listed.fd, listed.what), (USR2, What::SIGNAL | What::PERSIST));
    assert_eq!((listed.pending, listed.data), (What::SIGNAL | What::TIMEOUT, 7));
}
