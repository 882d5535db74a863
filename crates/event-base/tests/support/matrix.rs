//! The backend and the mode that the environment selects: `npm run conformance` runs the same tests once for each
//! combination.
//!
//! `EVENT_BASE_TEST_BACKEND` is a name of [`event_base::supported_methods`], `EVENT_BASE_TEST_MODE` one of
//! [`Mode`]'s. A test that is not applicable to a combination reports that with [`not_applicable`], or through a function
//! that returns `None`: to the file that `EVENT_BASE_TEST_REPORT` names, or to standard output.

use std::fs::OpenOptions;
use std::io::Write;

use event_base::{Base, BaseFlags, Config, Features, supported_methods};

/// How a base is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Without locks, for one thread.
    Plain,
    /// With locks, the default of a base.
    Shared,
    /// With locks and `Config::set_debug`.
    Debug,
    /// `EPOLL_USE_CHANGELIST`.
    Changelist,
    /// `PRECISE_TIMER`.
    Precise,
    /// `USE_SIGNALFD`.
    Signalfd,
}

impl Mode {
    pub(crate) fn wanted() -> Self {
        match variable("EVENT_BASE_TEST_MODE").as_deref() {
            None | Some("shared") => Mode::Shared,
            Some("plain") => Mode::Plain,
            Some("debug") => Mode::Debug,
            Some("changelist") => Mode::Changelist,
            Some("precise") => Mode::Precise,
            Some("signalfd") => Mode::Signalfd,
            Some(other) => panic!("EVENT_BASE_TEST_MODE={other} is not a mode"),
        }
    }

    fn flags(self) -> BaseFlags {
        match self {
            Mode::Plain => BaseFlags::NOLOCK,
            Mode::Shared | Mode::Debug => BaseFlags::empty(),
            Mode::Changelist => BaseFlags::EPOLL_USE_CHANGELIST,
            Mode::Precise => BaseFlags::PRECISE_TIMER,
            Mode::Signalfd => BaseFlags::USE_SIGNALFD,
        }
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The flags of this run's mode, for any backend.
pub(crate) fn in_mode() -> Config {
    with_flags(Mode::wanted().flags())
}

/// The same, but signals arrive through a handler, whatever the mode and the environment.
pub(crate) fn in_mode_by_handler() -> Config {
    with_flags((Mode::wanted().flags() - BaseFlags::USE_SIGNALFD) | BaseFlags::IGNORE_ENV)
}

fn with_flags(flags: BaseFlags) -> Config {
    Config::new().set_flags(flags).set_debug(Mode::wanted() == Mode::Debug)
}

/// Flags and backend of this run.
pub(crate) fn config() -> Config {
    on_the_backend(in_mode())
}

/// Flags and backend of this run, but signals arrive through a handler.
pub(crate) fn config_by_handler() -> Config {
    on_the_backend(in_mode_by_handler())
}

fn on_the_backend(config: Config) -> Config {
    let Some(wanted) = variable("EVENT_BASE_TEST_BACKEND") else { return config };
    only(config, &wanted)
}

/// `config`, with every backend but this one avoided. The environment cannot exclude the backend.
pub(crate) fn only(config: Config, name: &str) -> Config {
    let config = config.set_flags(BaseFlags::IGNORE_ENV);
    let others = supported_methods().into_iter().filter(|method| *method != name);
    others.fold(config, Config::avoid_method)
}

/// A base on the kernel.
pub(crate) fn base() -> Base {
    base_from(&config())
}

/// A base on the kernel, from a configuration that is based on [`config`].
pub(crate) fn base_from(config: &Config) -> Base {
    let base = Base::with_config(config).unwrap();
    if let Some(wanted) = variable("EVENT_BASE_TEST_BACKEND") {
        let method = base.method().unwrap();
        assert!(method == wanted || method.starts_with(&format!("{wanted} ")), "{method}, not {wanted}");
    }
    base
}

/// A base on the kernel whose backend has these features; without them the test is not applicable.
pub(crate) fn base_with(features: Features) -> Option<Base> {
    let base = base();
    let missing = features - base.features().unwrap();
    if missing.is_empty() {
        return Some(base);
    }
    not_applicable(&format!("{} has no {missing:?}", base.method().unwrap()));
    None
}

/// A base on the kernel whose backend lacks these features; with them the test is not applicable.
pub(crate) fn base_without(features: Features) -> Option<Base> {
    let base = base();
    let present = features & base.features().unwrap();
    if present.is_empty() {
        return Some(base);
    }
    not_applicable(&format!("{} has {present:?}", base.method().unwrap()));
    None
}

/// A base on the kernel that several threads may use; in a mode without locks the test is not applicable.
pub(crate) fn shared_base() -> Option<Base> {
    if Mode::wanted() != Mode::Plain {
        return Some(base());
    }
    not_applicable("a base without locks belongs to one thread");
    None
}

/// Reports that the calling test is not applicable to this combination.
pub(crate) fn not_applicable(why: &str) {
    let thread = std::thread::current();
    let line = format!("n/a\t{}\t{why}\n", thread.name().unwrap_or("a test"));
    match variable("EVENT_BASE_TEST_REPORT") {
        Some(file) => {
            let mut report = OpenOptions::new().append(true).create(true).open(file).unwrap();
            report.write_all(line.as_bytes()).unwrap();
        }
        // Not through `println`, which the harness captures.
        None => std::io::stdout().write_all(line.as_bytes()).unwrap(),
    }
}
