//! Socket options: a value that was set is read back, and a value of the wrong kind is refused.

mod support;

use std::time::Duration;

use event_base::Error;
use event_base_net::socket;
use event_base_net::socket::{OptionKind, OptionValue, SocketOption, get_option, set_option};
use nix::errno::Errno;
use support::{connection, errno};

#[test]
fn every_option_has_a_unique_name() {
    for option in SocketOption::ALL {
        assert_eq!(SocketOption::from_name(option.name()), Some(*option));
    }
    assert_eq!(SocketOption::from_name("NODELAY"), None);
    assert_eq!(SocketOption::from_name(""), None);
}

#[test]
fn switches_can_be_set_and_cleared() {
    let (fd, _far) = connection();
    for option in [
        SocketOption::NoDelay,
        SocketOption::KeepAlive,
        SocketOption::ReuseAddress,
        SocketOption::ReusePort,
        SocketOption::OutOfBandInline,
        #[cfg(target_os = "linux")]
        SocketOption::Cork,
        #[cfg(target_os = "linux")]
        SocketOption::QuickAck,
        #[cfg(target_os = "linux")]
        SocketOption::FreeBind,
    ] {
        for on in [true, false] {
            set_option(&fd, option, OptionValue::Switch(on)).expect("the option exists");
            assert_eq!(get_option(&fd, option), Ok(OptionValue::Switch(on)), "{option:?}");
        }
    }
}

#[test]
fn counts_are_read_back() {
    let (fd, _far) = connection();
    for (option, count) in [(SocketOption::KeepAliveCount, 7), (SocketOption::TimeToLive, 33)] {
        set_option(&fd, option, OptionValue::Count(count)).expect("the option exists");
        assert_eq!(get_option(&fd, option), Ok(OptionValue::Count(count)), "{option:?}");
    }
    // Linux doubles it, for its own data (socket(7)).
    set_option(&fd, SocketOption::SendBuffer, OptionValue::Count(20_000)).expect("the option exists");
    let Ok(OptionValue::Count(bytes)) = get_option(&fd, SocketOption::SendBuffer) else { panic!("a count") };
    assert!(bytes == 20_000 || bytes == 40_000, "{bytes}");
    set_option(&fd, SocketOption::ReceiveBuffer, OptionValue::Count(u32::MAX)).expect("as much as allowed");
}

#[test]
fn times_are_rounded_up_to_the_units_of_the_kernel() {
    let (fd, _far) = connection();
    let seconds = |seconds| OptionValue::Time(Some(Duration::from_secs(seconds)));
    let millis = |millis| OptionValue::Time(Some(Duration::from_millis(millis)));
    for option in [SocketOption::KeepAliveIdle, SocketOption::KeepAliveInterval, SocketOption::Linger] {
        set_option(&fd, option, millis(1200)).expect("the option exists");
        assert_eq!(get_option(&fd, option), Ok(seconds(2)), "{option:?}");
    }
    set_option(&fd, SocketOption::Linger, millis(0)).expect("the option exists");
    assert_eq!(get_option(&fd, SocketOption::Linger), Ok(seconds(0)));
    set_option(&fd, SocketOption::Linger, OptionValue::Time(None)).expect("the option exists");
    assert_eq!(get_option(&fd, SocketOption::Linger), Ok(OptionValue::Time(None)));
    #[cfg(target_os = "linux")]
    {
        set_option(&fd, SocketOption::UserTimeout, OptionValue::Time(Some(Duration::from_micros(1500))))
            .expect("the option exists");
        assert_eq!(get_option(&fd, SocketOption::UserTimeout), Ok(millis(2)));
    }
}

#[test]
fn a_value_of_the_wrong_kind_or_size_is_refused() {
    let (fd, _far) = connection();
    for option in SocketOption::ALL {
        let wrong = match option.kind() {
            OptionKind::Switch => OptionValue::Count(1),
            OptionKind::Count => OptionValue::Time(None),
            OptionKind::Time => OptionValue::Switch(true),
        };
        assert_eq!(set_option(&fd, *option, wrong), Err(Error::OutOfRange("value")), "{option:?}");
    }
    for option in [SocketOption::Linger, SocketOption::KeepAliveIdle] {
        let forever = OptionValue::Time(Some(Duration::from_secs(u64::MAX)));
        assert_eq!(set_option(&fd, option, forever), Err(Error::OutOfRange("value")), "{option:?}");
    }
    let never = set_option(&fd, SocketOption::KeepAliveIdle, OptionValue::Time(None));
    assert_eq!(never, Err(Error::OutOfRange("value")));
}

#[test]
fn errors_of_the_kernel_are_returned() {
    let (unix, _far) = socket::pair().expect("a pair");
    let refused = set_option(&unix, SocketOption::NoDelay, OptionValue::Switch(true)).expect_err("not TCP");
    assert_eq!(errno(&refused), (Errno::EOPNOTSUPP, "setsockopt"));
    let (pipe, _far) = socket::pipe().expect("a pipe");
    let refused = get_option(&pipe, SocketOption::SendBuffer).expect_err("no socket");
    assert_eq!(errno(&refused), (Errno::ENOTSOCK, "getsockopt"));
}
