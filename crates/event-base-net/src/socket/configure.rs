//! Setting and reading options.
//!
//! An option that the system lacks fails with `ENOPROTOOPT`, the error that the kernel returns for an option that it
//! does not know (setsockopt(2)).

use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::time::Duration;

use event_base::Error;
use nix::errno::Errno;
use socket2::{Domain, SockRef, Socket, TcpKeepalive};

#[cfg(target_os = "linux")]
use super::linux;
use super::option::{OptionKind, OptionValue, SocketOption};
use crate::failure::{Result, from_io, system};

/// Sets `option`.
///
/// # Errors
/// * [`Error::OutOfRange`]: the value has another kind than the option, or the duration is too long.
/// * `setsockopt`: `ENOPROTOOPT`, `EOPNOTSUPP`, `EINVAL`, `EPERM`, `ENOTSOCK`, `EBADF`.
pub fn set_option(fd: impl AsFd, option: SocketOption, value: OptionValue) -> Result<()> {
    let fd = fd.as_fd();
    let socket = SockRef::from(&fd);
    let number = Some(fd.as_raw_fd());
    let done = match value {
        OptionValue::Switch(on) if option.kind() == OptionKind::Switch => set_switch(&socket, option, on),
        OptionValue::Count(count) if option.kind() == OptionKind::Count => set_count(&socket, option, count),
        OptionValue::Time(time) if option.kind() == OptionKind::Time => set_time(&socket, option, time)?,
        _ => return Err(Error::OutOfRange("value")),
    };
    done.map_err(|error| unsupported_or(&error, "setsockopt", number))
}

/// Makes closing a TCP socket a reset (`SO_LINGER` of 0, socket(7)), so that the peer does not take an incomplete stream
/// for a complete one. Without effect on other descriptors.
pub fn reset_on_close(fd: impl AsFd) {
    let _ = SockRef::from(&fd).set_linger(Some(Duration::ZERO));
}

/// Reads `option`.
///
/// # Errors
/// `getsockopt`: `ENOPROTOOPT`, `EOPNOTSUPP`, `ENOTSOCK`, `EBADF`.
pub fn get_option(fd: impl AsFd, option: SocketOption) -> Result<OptionValue> {
    let fd = fd.as_fd();
    let socket = SockRef::from(&fd);
    let value = match option.kind() {
        OptionKind::Switch => get_switch(&socket, option).map(OptionValue::Switch),
        OptionKind::Count => get_count(&socket, option).map(OptionValue::Count),
        OptionKind::Time => get_time(&socket, option).map(OptionValue::Time),
    };
    value.map_err(|error| unsupported_or(&error, "getsockopt", Some(fd.as_raw_fd())))
}

fn unsupported_or(error: &io::Error, syscall: &'static str, fd: Option<RawFd>) -> Error {
    match error.kind() {
        io::ErrorKind::Unsupported if error.raw_os_error().is_none() => {
            system(Errno::ENOPROTOOPT, syscall, fd)
        }
        _ => from_io(error, syscall, fd),
    }
}

/// The error for an option that this system does not have.
fn missing<T>() -> io::Result<T> {
    Err(io::ErrorKind::Unsupported.into())
}

fn set_switch(socket: &Socket, option: SocketOption, on: bool) -> io::Result<()> {
    match option {
        SocketOption::NoDelay => socket.set_tcp_nodelay(on),
        SocketOption::KeepAlive => socket.set_keepalive(on),
        SocketOption::ReuseAddress => socket.set_reuse_address(on),
        SocketOption::ReusePort => socket.set_reuse_port(on),
        SocketOption::OutOfBandInline => socket.set_out_of_band_inline(on),
        SocketOption::Ipv6Only => socket.set_only_v6(on),
        #[cfg(target_os = "linux")]
        SocketOption::QuickAck => socket.set_tcp_quickack(on),
        #[cfg(target_os = "linux")]
        SocketOption::Cork => socket.set_tcp_cork(on),
        // The level IPPROTO_IP sets this, and the next one, for IPv6 sockets too.
        #[cfg(target_os = "linux")]
        SocketOption::FreeBind => socket.set_freebind_v4(on),
        #[cfg(target_os = "linux")]
        SocketOption::Transparent => socket.set_ip_transparent_v4(on),
        #[cfg(target_os = "linux")]
        SocketOption::BindAddressNoPort => linux::set_bind_address_no_port(socket, on),
        _ => missing(),
    }
}

fn get_switch(socket: &Socket, option: SocketOption) -> io::Result<bool> {
    match option {
        SocketOption::NoDelay => socket.tcp_nodelay(),
        SocketOption::KeepAlive => socket.keepalive(),
        SocketOption::ReuseAddress => socket.reuse_address(),
        SocketOption::ReusePort => socket.reuse_port(),
        SocketOption::OutOfBandInline => socket.out_of_band_inline(),
        SocketOption::Ipv6Only => socket.only_v6(),
        #[cfg(target_os = "linux")]
        SocketOption::QuickAck => socket.tcp_quickack(),
        #[cfg(target_os = "linux")]
        SocketOption::Cork => socket.tcp_cork(),
        #[cfg(target_os = "linux")]
        SocketOption::FreeBind => socket.freebind_v4(),
        #[cfg(target_os = "linux")]
        SocketOption::Transparent => socket.ip_transparent_v4(),
        #[cfg(target_os = "linux")]
        SocketOption::BindAddressNoPort => linux::bind_address_no_port(socket),
        _ => missing(),
    }
}

fn set_count(socket: &Socket, option: SocketOption, count: u32) -> io::Result<()> {
    match option {
        SocketOption::KeepAliveCount => socket.set_tcp_keepalive(&TcpKeepalive::new().with_retries(count)),
        // The kernel reads a C int, and limits the value to less in any case.
        SocketOption::ReceiveBuffer => socket.set_recv_buffer_size(count.min(i32::MAX as u32) as usize),
        SocketOption::SendBuffer => socket.set_send_buffer_size(count.min(i32::MAX as u32) as usize),
        SocketOption::TimeToLive if is_v6(socket)? => socket.set_unicast_hops_v6(count),
        SocketOption::TimeToLive => socket.set_ttl_v4(count),
        #[cfg(target_os = "linux")]
        SocketOption::UnsentLimit => socket.set_tcp_notsent_lowat(count),
        #[cfg(target_os = "linux")]
        SocketOption::Mark => socket.set_mark(count),
        #[cfg(target_os = "linux")]
        SocketOption::FastOpen => linux::set_fast_open(socket, count),
        _ => missing(),
    }
}

fn get_count(socket: &Socket, option: SocketOption) -> io::Result<u32> {
    match option {
        SocketOption::KeepAliveCount => socket.tcp_keepalive_retries(),
        SocketOption::ReceiveBuffer => socket.recv_buffer_size().map(|bytes| bytes as u32),
        SocketOption::SendBuffer => socket.send_buffer_size().map(|bytes| bytes as u32),
        SocketOption::TimeToLive if is_v6(socket)? => socket.unicast_hops_v6(),
        SocketOption::TimeToLive => socket.ttl_v4(),
        #[cfg(target_os = "linux")]
        SocketOption::UnsentLimit => socket.tcp_notsent_lowat(),
        #[cfg(target_os = "linux")]
        SocketOption::Mark => socket.mark(),
        #[cfg(target_os = "linux")]
        SocketOption::FastOpen => linux::fast_open(socket),
        _ => missing(),
    }
}

fn set_time(socket: &Socket, option: SocketOption, time: Option<Duration>) -> Result<io::Result<()>> {
    let time = time.map(|time| whole_seconds(option, time)).transpose()?;
    Ok(match (option, time) {
        (SocketOption::Linger, time) => socket.set_linger(time),
        (SocketOption::KeepAliveIdle, Some(time)) => {
            socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(time))
        }
        (SocketOption::KeepAliveInterval, Some(time)) => {
            socket.set_tcp_keepalive(&TcpKeepalive::new().with_interval(time))
        }
        // These two cannot be turned off; `keepAlive` can.
        (SocketOption::KeepAliveIdle | SocketOption::KeepAliveInterval, None) => {
            return Err(Error::OutOfRange("value"));
        }
        #[cfg(target_os = "linux")]
        (SocketOption::UserTimeout, time) => socket.set_tcp_user_timeout(time),
        #[cfg(target_os = "linux")]
        (SocketOption::DeferAccept, time) => linux::set_defer_accept(socket, time),
        _ => missing(),
    })
}

fn get_time(socket: &Socket, option: SocketOption) -> io::Result<Option<Duration>> {
    match option {
        SocketOption::Linger => socket.linger(),
        SocketOption::KeepAliveIdle => socket.tcp_keepalive_time().map(Some),
        SocketOption::KeepAliveInterval => socket.tcp_keepalive_interval().map(Some),
        #[cfg(target_os = "linux")]
        SocketOption::UserTimeout => socket.tcp_user_timeout(),
        #[cfg(target_os = "linux")]
        SocketOption::DeferAccept => linux::defer_accept(socket),
        _ => missing(),
    }
}

/// The kernel counts these durations in seconds (one of them in milliseconds) in a C int. They are rounded up, so that
/// a short duration does not become 0, which means none. `SO_LINGER` has 16 bits on some systems.
fn whole_seconds(option: SocketOption, time: Duration) -> Result<Duration> {
    let (unit, most) = match option {
        SocketOption::UserTimeout => (Duration::from_millis(1), i32::MAX as u128),
        SocketOption::Linger => (Duration::from_secs(1), u128::from(u16::MAX)),
        _ => (Duration::from_secs(1), i32::MAX as u128),
    };
    let units = time.as_nanos().div_ceil(unit.as_nanos());
    if units > most {
        return Err(Error::OutOfRange("value"));
    }
    Ok(unit * units as u32)
}

fn is_v6(socket: &Socket) -> io::Result<bool> {
    // The local address, bound or not, has the family on every system; SO_DOMAIN does not exist on all.
    Ok(socket.local_addr()?.domain() == Domain::IPV6)
}
