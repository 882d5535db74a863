//! The choice of a backend.

use std::process::Command;

use event_base::{Base, BaseFlags, Config, Error, Features, supported_methods};

fn method(config: &Config) -> Result<&'static str, Error> {
    Base::with_config(config).and_then(|base| base.method())
}

fn config() -> Config {
    Config::new().set_flags(BaseFlags::IGNORE_ENV)
}

#[cfg(all(target_os = "linux", not(feature = "libkqueue")))]
#[test]
fn linux_has_epoll_poll_and_select_in_this_order() {
    assert_eq!(supported_methods(), ["epoll", "poll", "select"]);
    let mut config = config();
    for name in supported_methods() {
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

#[cfg(any(target_vendor = "apple", target_os = "freebsd"))]
#[test]
fn the_bsds_have_kqueue_poll_and_select_in_this_order() {
    assert_eq!(supported_methods(), ["kqueue", "poll", "select"]);
    let mut config = config();
    for name in supported_methods() {
        assert_eq!(method(&config), Ok(name));
        config = config.avoid_method(name);
    }
    assert_eq!(method(&config), Err(Error::NoMethod));
}

#[test]
fn each_backend_has_the_features_it_has_in_libevent() {
    let early = if cfg!(target_os = "linux") { Features::EARLY_CLOSE } else { Features::empty() };
    let expected = [
        ("epoll", Features::ET | Features::O1 | Features::EARLY_CLOSE),
        ("poll", Features::FDS | early),
        ("select", Features::FDS),
    ];
    for (name, features) in expected {
        if supported_methods().contains(&name) {
            let base = Base::with_config(&only(name)).unwrap();
            assert_eq!((base.method(), base.features()), (Ok(name), Ok(features)));
        }
    }
}

fn only(name: &str) -> Config {
    supported_methods()
        .into_iter()
        .filter(|other| *other != name)
        .fold(config(), |config, other| config.avoid_method(other))
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
