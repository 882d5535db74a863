//! Which backend a base gets.

use nix::errno::Errno;

use super::Backend;
#[cfg(has_epoll)]
use super::epoll::{self, Epoll};
#[cfg(has_kqueue)]
use super::kqueue::{self, Kqueue};
use super::level::{Level, PollSet, SelectSet, Set};
#[cfg(feature = "test-util")]
use super::scripted::Scripted;
use crate::config::Config;
use crate::error::Error;
use crate::flags::{BaseFlags, Features};
use crate::log::{LogMessage, Severity, report};

/// One way to wait.
#[derive(Debug)]
struct Descriptor {
    name: &'static str,
    features: Features,
    open: fn(&Options) -> Result<Backend, Error>,
}

/// What a configuration says to one backend or another.
#[derive(Clone, Copy, Debug)]
struct Options {
    #[cfg_attr(not(has_epoll), expect(dead_code, reason = "only epoll has a choice of its own"))]
    with_changelist: bool,
}

/// Every backend of this build, in order of preference.
const BACKENDS: &[Descriptor] = &[
    #[cfg(has_epoll)]
    Descriptor {
        name: epoll::NAME,
        features: epoll::FEATURES,
        open: |options| Epoll::new(options.with_changelist).map(Backend::Epoll),
    },
    #[cfg(has_kqueue)]
    Descriptor {
        name: kqueue::NAME,
        features: kqueue::FEATURES,
        open: |_| Kqueue::new().map(Backend::Kqueue),
    },
    Descriptor {
        name: PollSet::NAME,
        features: PollSet::FEATURES,
        open: |_| Level::new().map(Backend::Poll),
    },
    Descriptor {
        name: SelectSet::NAME,
        features: SelectSet::FEATURES,
        open: |_| Level::new().map(Backend::Select),
    },
];

/// The names of the backends of this build, in order of preference (`event_get_supported_methods`).
#[must_use]
pub fn supported_methods() -> Vec<&'static str> {
    BACKENDS.iter().map(|backend| backend.name).collect()
}

impl Backend {
    /// The first backend that `config` and the environment allow (`event_base_new_with_config`).
    pub(crate) fn select(config: &Config) -> Result<Self, Error> {
        #[cfg(feature = "test-util")]
        if let Some(script) = &config.script {
            return Ok(Backend::Scripted(Scripted::new(script.clone())));
        }
        let options = Options {
            with_changelist: config.flags.contains(BaseFlags::EPOLL_USE_CHANGELIST)
                || config.is_set("EVENT_EPOLL_USE_CHANGELIST"),
        };
        let mut failure = Error::NoMethod;
        let candidates = BACKENDS
            .iter()
            .filter(|backend| !config.avoided.iter().any(|name| name == backend.name))
            .filter(|backend| backend.features.contains(config.features))
            .filter(|backend| !is_disabled(config, backend.name));
        for candidate in candidates {
            match (candidate.open)(&options) {
                Ok(backend) => {
                    if config.is_set("EVENT_SHOW_METHOD") {
                        let text = format!("event-base using: {}", backend.name());
                        let method = Some(backend.name());
                        report(&LogMessage { severity: Severity::Message, text: &text, base: None, method });
                    }
                    return Ok(backend);
                }
                Err(error) if is_missing(&error) => failure = error,
                Err(error) => return Err(error),
            }
        }
        Err(failure)
    }
}

/// Whether this kernel, or the sandbox around the process, does not have the system call at all. A shortage is
/// told instead: the next backend would do with less, and be slower without anybody knowing why.
fn is_missing(error: &Error) -> bool {
    const MISSING: [i32; 3] = [Errno::ENOSYS as i32, Errno::EPERM as i32, Errno::EACCES as i32];
    matches!(error, Error::System(error) if MISSING.contains(&error.errno))
}

/// `EVENT_NOEPOLL` and its like: the name in capitals, set to anything.
fn is_disabled(config: &Config, name: &str) -> bool {
    let variable: String = "EVENT_NO".chars().chain(name.chars().filter(char::is_ascii_alphabetic)).collect();
    config.is_set(&variable.to_ascii_uppercase())
}
