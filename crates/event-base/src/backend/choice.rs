//! Which backends a build has, and which of them a base uses.

use nix::errno::Errno;

use super::level::{Level, PollSet, SelectSet};
use super::method::Method;
use crate::config::Config;
use crate::error::Error;
use crate::flags::Features;
use crate::log::{LogMessage, Severity, report};

/// Defines [`Kind`], [`Waiter`], [`CHOICES`] and `dispatch!` from one list. The first argument is a `$`, which
/// `dispatch!` needs for its own arguments.
macro_rules! backends {
    ($d:tt $($(#[$condition:meta])? $variant:ident($method:ty),)+) => {
        /// One of the backends of this build, which a [`Backend`](super::Backend) forwards to.
        #[derive(Debug)]
        pub(super) enum Kind {
            $($(#[$condition])? $variant($method),)+
        }

        /// The waiter of a [`Backend`](super::Backend).
        #[derive(Debug)]
        pub(crate) enum Waiter {
            $($(#[$condition])? $variant(<$method as Method>::Waiter),)+
        }

        /// Every backend of this build, in order of preference.
        const CHOICES: &[Choice] = &[$(
            $(#[$condition])?
            Choice {
                name: <$method as Method>::NAME,
                features: <$method as Method>::FEATURES,
                for_tests: <$method as Method>::FOR_TESTS,
                open: |config| <$method as Method>::open(config).map(Kind::$variant),
            },
        )+];

        impl Kind {
            /// See [`Method::start_wait`].
            #[inline]
            pub(super) fn start_wait(&mut self) -> Waiter {
                match self {
                    $($(#[$condition])? Kind::$variant(method) => Waiter::$variant(method.start_wait()),)+
                }
            }

            /// See [`Method::finish_wait`]. A waiter of another backend is dropped.
            #[inline]
            pub(super) fn finish_wait(&mut self, waiter: Waiter) {
                match (self, waiter) {
                    $(
                        $(#[$condition])?
                        (Kind::$variant(method), Waiter::$variant(waiter)) => method.finish_wait(waiter),
                    )+
                    _ => {}
                }
            }
        }

        /// Evaluates an expression for whichever variant a [`Kind`] or a [`Waiter`] is.
        macro_rules! dispatch {
            ($d value:expr, $d kind:ident, $d inner:ident => $d result:expr) => {
                match $d value {
                    $($(#[$condition])? $d kind::$variant($d inner) => $d result,)+
                }
            };
        }
        pub(super) use dispatch;
    };
}

backends! { $
    #[cfg(has_epoll)]
    Epoll(super::epoll::Epoll),
    #[cfg(has_kqueue)]
    Kqueue(super::kqueue::Kqueue),
    Poll(Level<PollSet>),
    Select(Level<SelectSet>),
    #[cfg(feature = "test-util")]
    Scripted(super::scripted::Scripted),
}

/// A backend that a base can use.
#[derive(Debug)]
struct Choice {
    name: &'static str,
    features: Features,
    for_tests: bool,
    open: fn(&Config) -> Result<Kind, Error>,
}

impl Choice {
    fn suits(&self, config: &Config) -> bool {
        self.for_tests == config.is_scripted()
            && !config.avoided.iter().any(|name| name == self.name)
            && self.features.contains(config.features)
            && !is_disabled(config, self.name)
    }
}

/// The names of the backends of this build, in order of preference (`event_get_supported_methods`).
#[must_use]
pub fn supported_methods() -> Vec<&'static str> {
    CHOICES.iter().filter(|choice| !choice.for_tests).map(|choice| choice.name).collect()
}

impl Kind {
    /// Opens the first backend that `config` and the environment allow (`event_base_new_with_config`).
    pub(super) fn select(config: &Config) -> Result<Self, Error> {
        let mut failure = Error::NoMethod;
        for choice in CHOICES.iter().filter(|choice| choice.suits(config)) {
            match (choice.open)(config) {
                Ok(kind) => {
                    if config.is_set("EVENT_SHOW_METHOD") {
                        let name = dispatch!(&kind, Kind, method => method.name());
                        let text = format!("event-base using: {name}");
                        let method = Some(name);
                        report(&LogMessage { severity: Severity::Message, text: &text, base: None, method });
                    }
                    return Ok(kind);
                }
                Err(error) if is_missing(&error) => failure = error,
                Err(error) => return Err(error),
            }
        }
        Err(failure)
    }
}

/// Whether the kernel does not have the system call, or a sandbox refuses it, so that the next backend is tried. A
/// shortage of descriptors or memory is returned to the caller instead: the next backend might need less of them, but
/// would be slower without notice.
fn is_missing(error: &Error) -> bool {
    const MISSING: [i32; 3] = [Errno::ENOSYS as i32, Errno::EPERM as i32, Errno::EACCES as i32];
    matches!(error, Error::System(error) if MISSING.contains(&error.errno))
}

/// Whether the environment disables the backend: the variable `EVENT_NO` followed by the letters of the name in
/// capitals, such as `EVENT_NOEPOLL`, is set to any value.
fn is_disabled(config: &Config, name: &str) -> bool {
    let variable: String = "EVENT_NO".chars().chain(name.chars().filter(char::is_ascii_alphabetic)).collect();
    config.is_set(&variable.to_ascii_uppercase())
}
