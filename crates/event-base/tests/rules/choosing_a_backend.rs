//! The choice of a backend.

use std::process::Command;

use event_base::{Base, BaseFlags, Config, Error, Features, supported_methods};

use crate::support::only;

fn method(config: &Config) -> Result<&'static str, Error> {
    Base::with_config(config).and_then(|base| base.method())
}

fn config() -> Config {
    Config::new().set_flags(BaseFlags::IGNORE_ENV)
}

/// Every backend in order of preference: its name, whether this build has it, and the features that it has in libevent.
fn backends() -> [(&'static str, bool, Features); 4] {
    let early_close = if cfg!(target_os = "linux") { Features::EARLY_CLOSE } else { Features::empty() };
    let edge_triggered = Features::ET | Features::O1 | Features::EARLY_CLOSE;
    [
        ("epoll", cfg!(has_epoll), edge_triggered),
        ("kqueue", cfg!(has_kqueue), edge_triggered | Features::FDS),
        ("poll", true, Features::FDS | early_close),
        ("select", true, Features::FDS),
    ]
}

#[test]
fn the_backends_of_a_system_are_chosen_in_this_order() {
    let expected: Vec<_> = backends().iter().filter(|(_, is_here, _)| *is_here).map(|row| row.0).collect();
    assert_eq!(supported_methods(), expected);
    let mut config = config();
    for name in expected {
        assert_eq!(method(&config), Ok(name));
        config = config.avoid_method(name);
    }
    assert_eq!(method(&config), Err(Error::NoMethod));
}

#[cfg(all(target_os = "linux", not(feature = "libkqueue")))]
#[test]
fn required_features_select_the_first_backend_that_has_them_all() {
    let needing = |features| method(&config().require_features(features));
    assert_eq!(needing(Features::ET), Ok("epoll"));
    assert_eq!(needing(Features::FDS), Ok("poll"));
    assert_eq!(needing(Features::FDS | Features::EARLY_CLOSE), Ok("poll"));
    assert_eq!(needing(Features::ET | Features::FDS), Err(Error::NoMethod));
    let without_poll = config().avoid_method("poll");
    assert_eq!(method(&without_poll.clone().require_features(Features::FDS)), Ok("select"));
    let impossible = without_poll.require_features(Features::FDS | Features::EARLY_CLOSE);
    assert_eq!(method(&impossible), Err(Error::NoMethod));
}

#[test]
fn each_backend_has_the_features_it_has_in_libevent() {
    for (name, _, features) in backends().into_iter().filter(|(_, is_here, _)| *is_here) {
        let base = Base::with_config(&only(config(), name)).unwrap();
        assert_eq!((base.method(), base.features()), (Ok(name), Ok(features)));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn the_changelist_has_a_name_of_its_own_and_is_avoided_as_epoll() {
    let config = config().set_flags(BaseFlags::EPOLL_USE_CHANGELIST);
    assert_eq!(method(&config), Ok("epoll (with changelist)"));
    let avoided = config.clone().avoid_method("epoll (with changelist)");
    assert_eq!(method(&avoided), Ok("epoll (with changelist)"), "libevent compares with epoll's plain name");
    assert_ne!(method(&config.avoid_method("epoll")), Ok("epoll (with changelist)"));
    assert!(!supported_methods().contains(&"epoll (with changelist)"));
}

const CHILD: &str = "EVENT_BASE_CHOOSING_CHILD";

/// Runs this test again in a process with these variables, in which `Base::new` must choose `expected`.
fn in_an_environment(variables: &[&str], expected: &str) {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "choosing_a_backend::the_environment_excludes_backends"]).env(CHILD, expected);
    for name in ["EVENT_NOEPOLL", "EVENT_NOPOLL", "EVENT_NOSELECT", "EVENT_NOKQUEUE"] {
        child.env_remove(name);
    }
    child.env_remove("EVENT_EPOLL_USE_CHANGELIST");
    let output = child.envs(variables.iter().map(|name| (name, ""))).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{variables:?}: {text}");
}

#[test]
fn the_environment_excludes_backends() {
    if let Some(expected) = std::env::var_os(CHILD) {
        let found = method(&Config::new()).unwrap_or("none");
        assert_eq!(found, expected.to_str().unwrap());
        assert_eq!(method(&config()), Ok(supported_methods()[0]), "IGNORE_ENV");
        if cfg!(not(target_os = "linux")) {
            return;
        }
        let flagged = config().set_flags(BaseFlags::EPOLL_USE_CHANGELIST);
        assert_eq!(method(&flagged), Ok("epoll (with changelist)"));
        return;
    }
    in_an_environment(&[], supported_methods()[0]);
    if cfg!(not(target_os = "linux")) {
        in_an_environment(&["EVENT_NOKQUEUE"], "poll");
        in_an_environment(&["EVENT_NOKQUEUE", "EVENT_NOPOLL"], "select");
        in_an_environment(&["EVENT_NOKQUEUE", "EVENT_NOPOLL", "EVENT_NOSELECT"], "none");
        return;
    }
    in_an_environment(&["EVENT_NODEVPOLL", "EVENT_NOEPOLL (with changelist)"], "epoll");
    in_an_environment(&["EVENT_EPOLL_USE_CHANGELIST"], "epoll (with changelist)");
    in_an_environment(&["EVENT_NOEPOLL", "EVENT_NOKQUEUE"], "poll");
    in_an_environment(&["EVENT_NOEPOLL", "EVENT_NOKQUEUE", "EVENT_EPOLL_USE_CHANGELIST"], "poll");
    in_an_environment(&["EVENT_NOEPOLL", "EVENT_NOKQUEUE", "EVENT_NOPOLL"], "select");
    in_an_environment(&["EVENT_NOEPOLL", "EVENT_NOKQUEUE", "EVENT_NOPOLL", "EVENT_NOSELECT"], "none");
}
