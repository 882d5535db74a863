//! Configurations of a base.

use event_base::{Base, BaseFlags, Config, Error, Features, supported_methods};

#[test]
fn a_configuration_can_be_used_again() {
    let config = Config::new().set_priorities(7);
    for _ in 0..2 {
        assert_eq!(Base::with_config(&config).unwrap().priorities().unwrap(), 7);
    }
}

#[test]
fn avoiding_every_method_leaves_none() {
    let config =
        supported_methods().into_iter().fold(Config::new(), |config, name| config.avoid_method(name));
    assert_eq!(Base::with_config(&config).err(), Some(Error::NoMethod));
}

#[test]
fn avoiding_an_unknown_method_is_not_an_error() {
    let base = Base::with_config(
        &Config::new().set_flags(BaseFlags::IGNORE_ENV).avoid_method("EPOLL").avoid_method(""),
    )
    .unwrap();
    assert_eq!(base.method().unwrap(), supported_methods()[0]);
}

#[test]
fn a_base_has_all_required_features_or_is_refused() {
    for features in (0..16).map(Features::from_bits_truncate) {
        match Base::with_config(&Config::new().require_features(features)) {
            Ok(base) => assert!(base.features().unwrap().contains(features)),
            Err(error) => assert_eq!(error, Error::NoMethod, "{features:?}"),
        }
    }
}

#[test]
fn required_features_replace_those_before() {
    let config = Config::new().require_features(Features::all()).require_features(Features::empty());
    assert!(Base::with_config(&config).is_ok());
}

#[test]
fn every_flag_is_accepted() {
    for flag in BaseFlags::all() {
        let base = Base::with_config(&Config::new().set_flags(flag)).unwrap();
        assert_eq!(base.run(event_base::LoopFlags::empty(), |_, _| {}), Ok(event_base::LoopResult::Empty));
    }
}
