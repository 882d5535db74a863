//! Socket options: a value that was set is read back, and a value of the wrong kind is refused.

mod support;

use std::time::Duration;

use event_base::Error;
use event_base_net::socket;
use event_base_net::socket::{OptionKind, OptionValue, SocketOption, get_option, set_option};
use nix::errno::Errno;
use socket2::{Domain, Socket, Type};
use support::{connection, errno};

#[test]
fn every_option_has_a_unique_name() {
    for option in SocketOption::ALL {
        assert_eq!(SocketOption::from_name(option.name()), Some(*option));
    }
    assert_eq!(SocketOption::from_name("NODELAY"), None);
    assert_eq!(SocketOption::from_name(""), None);
}

const LINUX_ONLY: [SocketOption; 10] = [
    SocketOption::UserTimeout,
    SocketOption::QuickAck,
    SocketOption::Cork,
    SocketOption::UnsentLimit,
    SocketOption::FreeBind,
    SocketOption::Transparent,
    SocketOption::FastOpen,
    SocketOption::DeferAccept,
    SocketOption::BindAddressNoPort,
    SocketOption::Mark,
];
const BUFFERS: [SocketOption; 2] = [SocketOption::ReceiveBuffer, SocketOption::SendBuffer];

/// Two values of an option that the kernel does not change.
fn values(option: SocketOption) -> [OptionValue; 2] {
    match option.kind() {
        OptionKind::Switch => [true, false].map(OptionValue::Switch),
        OptionKind::Count => [33, 44].map(OptionValue::Count),
        OptionKind::Time => [1, 3].map(|seconds| OptionValue::Time(Some(Duration::from_secs(seconds)))),
    }
}

#[test]
fn every_option_that_the_system_has_is_read_back_as_it_was_set_in_both_families() {
    for domain in [Domain::IPV4, Domain::IPV6] {
        let fd = Socket::new(domain, Type::STREAM, None).expect("a descriptor is free");
        for option in SocketOption::ALL.iter().copied().filter(|option| !BUFFERS.contains(option)) {
            for value in values(option) {
                let set = set_option(&fd, option, value).map_err(|error| errno(&error));
                if LINUX_ONLY.contains(&option) && !cfg!(target_os = "linux") {
                    assert_eq!(set, Err((Errno::ENOPROTOOPT, "setsockopt")), "{option:?}");
                    continue;
                }
                if option == SocketOption::Ipv6Only && domain == Domain::IPV4 {
                    assert!(set.is_err(), "IPv4 does not have it");
                    continue;
                }
                let is_privileged = matches!(option, SocketOption::Mark | SocketOption::Transparent);
                if is_privileged && set == Err((Errno::EPERM, "setsockopt")) {
                    continue;
                }
                assert_eq!(set, Ok(()), "{option:?}, {domain:?}");
                assert_eq!(get_option(&fd, option), Ok(value), "{option:?}, {domain:?}");
                if option == SocketOption::TimeToLive {
                    let is_v6 = domain == Domain::IPV6;
                    let hops = if is_v6 { fd.unicast_hops_v6() } else { fd.ttl_v4() };
                    assert_eq!(hops.map(OptionValue::Count).ok(), Some(value), "{domain:?}: another level");
                }
            }
        }
    }
}

#[test]
fn the_sizes_of_buffers_are_read_back_as_the_kernel_counts_them() {
    let (fd, _far) = connection();
    for option in BUFFERS {
        // Linux doubles it, for its own data (socket(7)).
        set_option(&fd, option, OptionValue::Count(20_000)).expect("the option exists");
        let Ok(OptionValue::Count(bytes)) = get_option(&fd, option) else { panic!("a count") };
        assert!(bytes == 20_000 || bytes == 40_000, "{option:?}: {bytes}");
        set_option(&fd, option, OptionValue::Count(u32::MAX)).expect("as much as allowed");
    }
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
