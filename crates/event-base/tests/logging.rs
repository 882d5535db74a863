//! Messages: which are reported, where, and what a callback may do. The callback belongs to the process, so these tests
//! have a binary of their own, run one at a time, and in a child process if they read standard error.

mod support;

use std::os::unix::net::UnixStream;
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard};

use event_base::{
    Base, BaseFlags, Config, CountFlags, EventId, EventSpec, LogMessage, Severity, What, set_log_callback,
};

use support::{ONE_PASS, WAIT, duplicate_from, fd, ms, pair, replace, run, run_watched};

const CHILD: &str = "EVENT_BASE_LOGGING_CHILD";

/// A copy of a message.
#[derive(Clone, Debug)]
struct Received {
    severity: Severity,
    text: String,
    base: Option<u64>,
    method: Option<&'static str>,
}

type Messages = Arc<Mutex<Vec<Received>>>;

/// The callback of the process, which one test at a time uses and removes.
struct Callback(#[expect(dead_code, reason = "held until the test is over")] MutexGuard<'static, ()>);

impl Callback {
    fn take() -> Self {
        static IN_USE: Mutex<()> = Mutex::new(());
        Callback(IN_USE.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

impl Drop for Callback {
    fn drop(&mut self) {
        set_log_callback(None);
    }
}

fn listen() -> Messages {
    let messages = Messages::default();
    let received = Arc::clone(&messages);
    set_log_callback(Some(Arc::new(move |message| received.lock().unwrap().push(keep(message)))));
    messages
}

fn keep(message: &LogMessage<'_>) -> Received {
    let LogMessage { severity, text, base, method, .. } = *message;
    Received { severity, text: text.to_owned(), base, method }
}

/// Closes the descriptor of an event, and makes the base notice it.
fn orphan(base: &Base) -> (EventId, UnixStream) {
    let (ours, _peer) = pair();
    let (other, _) = pair();
    let old = base.create_and_add(EventSpec::io(fd(&ours), What::READ), None).unwrap();
    replace(&ours, &other);
    let new = base.create_and_add(EventSpec::io(fd(&ours), What::READ), None).unwrap();
    base.free(new).unwrap();
    (old, ours)
}

/// Runs the test `name` again, alone in a child process; returns what that wrote to standard error.
fn stderr_of(name: &str, environment: &[(&str, &str)]) -> Option<String> {
    if std::env::var_os(CHILD).is_some() {
        return None;
    }
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(CHILD, "1")
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    let text = String::from_utf8(child.stderr).unwrap();
    assert!(child.status.success(), "{text}");
    Some(text)
}

#[test]
fn a_descriptor_closed_under_its_event_is_a_warning_that_names_both() {
    let _callback = Callback::take();
    let messages = listen();
    let base = Base::new().unwrap();
    let (event, socket) = orphan(&base);
    let received = messages.lock().unwrap().clone();
    assert_eq!(received.len(), 1, "{received:?}");
    assert_eq!((received[0].severity, received[0].base), (Severity::Warning, Some(base.number())));
    let names = [format!("descriptor {} ", fd(&socket)), format!("event {:#x} ", event.to_bits())];
    assert!(names.iter().all(|name| received[0].text.contains(name)), "{received:?}");
}

#[test]
fn a_registration_stuck_in_the_kernel_is_a_warning_that_the_loop_reports() {
    let _callback = Callback::take();
    let messages = listen();
    let base = Base::new().unwrap();
    let (ours, mut peer) = pair();
    let (other, _) = pair();
    let event = base.create_and_add(EventSpec::io(fd(&ours), What::READ), None).unwrap();
    let _duplicate = duplicate_from(&ours, 740);
    replace(&ours, &other);
    base.free(event).unwrap();
    std::io::Write::write_all(&mut peer, b"x").unwrap();
    base.loop_exit(Some(ms(60))).unwrap();
    run_watched(&base, WAIT, |_, _| {});
    let received = messages.lock().unwrap().clone();
    assert_eq!(received.len(), 1, "{received:?}");
    assert!(received[0].text.contains("stayed registered"), "{received:?}");
    assert_eq!((received[0].severity, received[0].base), (Severity::Warning, Some(base.number())));
}

#[test]
fn the_method_is_logged_if_the_environment_requests_it() {
    if let Some(text) = stderr_of(
        "the_method_is_logged_if_the_environment_requests_it",
        &[("EVENT_SHOW_METHOD", ""), ("SHOWN", "")],
    ) {
        let method = Base::new().unwrap().method().unwrap();
        assert_eq!(text, format!("[msg] event-base using: {method}\n"));
        let text = stderr_of("the_method_is_logged_if_the_environment_requests_it", &[]);
        assert_eq!(text.as_deref(), Some(""));
        return;
    }
    // In the child the method is logged to standard error, then to a callback, then not at all.
    let method = Base::new().unwrap().method().unwrap();
    let messages = listen();
    _ = Base::new().unwrap();
    _ = Base::with_config(&Config::new().set_flags(BaseFlags::IGNORE_ENV)).unwrap();
    let received = messages.lock().unwrap().clone();
    assert_eq!(received.len(), usize::from(std::env::var_os("SHOWN").is_some()));
    for Received { severity, base, method: named, .. } in received {
        assert_eq!((severity, base, named), (Severity::Message, None, Some(method)));
    }
}

#[test]
fn without_a_callback_warnings_are_written_to_standard_error() {
    if let Some(text) = stderr_of("without_a_callback_warnings_are_written_to_standard_error", &[]) {
        let lines: Vec<_> = text.lines().collect();
        assert!(lines.len() == 1 && lines[0].starts_with("[warn] descriptor "), "{text}");
        return;
    }
    orphan(&Base::new().unwrap());
}

#[test]
fn a_callback_may_use_the_base_whose_message_it_is() {
    let _callback = Callback::take();
    let base = Base::new().unwrap();
    let counts = Arc::new(Mutex::new(vec![]));
    let (same, found) = (base.clone(), Arc::clone(&counts));
    set_log_callback(Some(Arc::new(move |_| {
        found.lock().unwrap().push(same.count_events(CountFlags::ADDED).unwrap());
    })));
    orphan(&base);
    assert_eq!(*counts.lock().unwrap(), [1], "the new event; the old one is in no list");
}

#[test]
fn a_callback_that_panics_does_not_affect_the_base() {
    if let Some(text) = stderr_of("a_callback_that_panics_does_not_affect_the_base", &[]) {
        assert!(text.contains("[warn] descriptor "), "{text}");
        return;
    }
    set_log_callback(Some(Arc::new(|_| panic!("expected"))));
    let base = Base::new().unwrap();
    orphan(&base);
    let timer = base.create_and_add(EventSpec::timer(), Some(ms(0))).unwrap();
    assert_eq!(run(&base, ONE_PASS).1, [(timer, What::TIMEOUT)]);
    // The callback is still set, and called again.
    let messages = listen();
    orphan(&base);
    assert_eq!(messages.lock().unwrap().len(), 1);
}

#[test]
fn a_message_logged_by_a_callback_is_not_reported_to_it() {
    if let Some(text) = stderr_of("a_message_logged_by_a_callback_is_not_reported_to_it", &[]) {
        assert_eq!(text.matches("[warn] descriptor ").count(), 1, "{text}");
        return;
    }
    let base = Base::new().unwrap();
    let calls = Arc::new(Mutex::new(0));
    let (same, counted) = (base.clone(), Arc::clone(&calls));
    set_log_callback(Some(Arc::new(move |_| {
        *counted.lock().unwrap() += 1;
        orphan(&same);
    })));
    orphan(&base);
    assert_eq!(*calls.lock().unwrap(), 1);
}

#[test]
fn a_callback_may_replace_itself() {
    let _callback = Callback::take();
    let messages = Messages::default();
    let received = Arc::clone(&messages);
    set_log_callback(Some(Arc::new(move |_| {
        let received = Arc::clone(&received);
        set_log_callback(Some(Arc::new(move |message| received.lock().unwrap().push(keep(message)))));
    })));
    let base = Base::new().unwrap();
    orphan(&base);
    assert_eq!(messages.lock().unwrap().len(), 0);
    orphan(&base);
    assert_eq!(messages.lock().unwrap().len(), 1);
}

#[test]
fn a_message_is_reported_on_the_thread_that_caused_it() {
    let _callback = Callback::take();
    let threads = Arc::new(Mutex::new(vec![]));
    let found = Arc::clone(&threads);
    set_log_callback(Some(Arc::new(move |_| found.lock().unwrap().push(std::thread::current().id()))));
    let base = Base::new().unwrap();
    let other = std::thread::scope(|scope| {
        let thread = scope.spawn(|| _ = orphan(&base));
        let id = thread.thread().id();
        thread.join().unwrap();
        id
    });
    assert_eq!(*threads.lock().unwrap(), [other]);
}

#[test]
fn numbers_of_bases_are_never_reused() {
    let numbers: Vec<_> = (0..5).map(|_| Base::new().unwrap().number()).collect();
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{numbers:?}");
}
