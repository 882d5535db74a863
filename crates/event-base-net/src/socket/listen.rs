//! Listening: binding with options, and sockets that somebody else bound.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{getsockopt, sockopt};
use socket2::SockRef;

use super::configure::set_option;
use super::open::open;
use super::option::{OptionValue, SocketOption};
use crate::address::Address;
use crate::failure::{Result, from_io, system};

/// The queue of connections that wait to be accepted, unless told otherwise. The kernel lowers it to its own
/// limit (`net.core.somaxconn` on Linux, where 4096 is the default).
pub const DEFAULT_BACKLOG: u32 = 4096;

/// How [`listen`] binds. Every option but the backlog and [`ipv6_only`](Self::ipv6_only) is one of
/// [`SocketOption`], set before the socket is bound; connections inherit the last three.
///
/// An option that the address family lacks is refused with `EOPNOTSUPP`, one that the system lacks with
/// `ENOPROTOOPT`; none is passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BindOptions {
    /// How many connections may wait to be accepted; what is beyond an `i32` counts as its greatest.
    pub backlog: u32,
    /// Lets other sockets of the same user listen at the same address, and spreads the connections over
    /// them (`SO_REUSEPORT`). Not for paths.
    pub reuse_port: bool,
    /// Keeps an IPv6 socket from taking IPv4 connections as well (`IPV6_V6ONLY`). IPv6 alone; without it
    /// `::` is dual stack, whatever the system's default.
    pub ipv6_only: bool,
    /// Listens at addresses that are not this host's, for connections that a firewall diverts here
    /// (`IP_TRANSPARENT`, `IPV6_TRANSPARENT`; Linux, privileged). Not for paths.
    pub transparent: bool,
    /// Binds an address that this host does not have yet (`IP_FREEBIND`; Linux). Not for paths.
    pub free_bind: bool,
    /// How many connections may wait that brought data in their first packet (`TCP_FASTOPEN`; Linux). 0 is
    /// none. It takes the second bit of `net.ipv4.tcp_fastopen` too, without which the kernel ignores it.
    pub fast_open: u32,
    /// A connection is not reported before it brought data, or for this long (`TCP_DEFER_ACCEPT`; Linux),
    /// which the kernel rounds to a number of its own repetitions.
    pub defer_accept: Option<Duration>,
    /// Small writes of the connections are sent at once (`TCP_NODELAY`).
    pub no_delay: bool,
    /// The kernel probes connections that are silent (`SO_KEEPALIVE`). Not for paths.
    pub keep_alive: bool,
    /// Silence before the first probe (`TCP_KEEPIDLE`); whole seconds, rounded up.
    pub keep_alive_idle: Option<Duration>,
}

impl Default for BindOptions {
    fn default() -> Self {
        BindOptions {
            backlog: DEFAULT_BACKLOG,
            reuse_port: false,
            ipv6_only: false,
            transparent: false,
            free_bind: false,
            fast_open: 0,
            defer_accept: None,
            no_delay: false,
            keep_alive: false,
            keep_alive_idle: None,
        }
    }
}

impl BindOptions {
    /// What was asked for beyond the defaults, for an internet socket.
    fn wanted(&self) -> impl Iterator<Item = (SocketOption, OptionValue)> {
        let switch = |option, on: bool| on.then_some((option, OptionValue::Switch(true)));
        let time = |option, time: Option<Duration>| time.map(|time| (option, OptionValue::Time(Some(time))));
        let fast_open =
            (self.fast_open > 0).then_some((SocketOption::FastOpen, OptionValue::Count(self.fast_open)));
        [
            switch(SocketOption::ReusePort, self.reuse_port),
            switch(SocketOption::Transparent, self.transparent),
            switch(SocketOption::FreeBind, self.free_bind),
            fast_open,
            time(SocketOption::DeferAccept, self.defer_accept),
            switch(SocketOption::NoDelay, self.no_delay),
            switch(SocketOption::KeepAlive, self.keep_alive),
            time(SocketOption::KeepAliveIdle, self.keep_alive_idle),
        ]
        .into_iter()
        .flatten()
    }
}

/// A socket that listens at `address`. Port 0 lets the kernel choose; see [`address`](super::address).
///
/// An internet socket is bound with `SO_REUSEADDR`, so a port left a moment ago can be used again. A path
/// must not exist yet, not even as the socket of a process that is gone, and stays when the socket is closed.
///
/// # Errors
/// `socket`, `setsockopt` (`EOPNOTSUPP`, `ENOPROTOOPT`, `EPERM` for `transparent`), `bind` (`EADDRINUSE`,
/// `EADDRNOTAVAIL`, `EACCES`, ...) or `listen`; [`Error::OutOfRange`](event_base::Error::OutOfRange) for a
/// time longer than the kernel counts.
pub fn listen(address: &Address, options: &BindOptions) -> Result<OwnedFd> {
    let kernel = address.to_kernel("bind")?;
    let is_internet = matches!(address, Address::Internet(_));
    let is_v6 = matches!(address, Address::Internet(address) if address.is_ipv6());
    // Asked here, since kernels differ in which of these they refuse and which they pass over.
    if (options.ipv6_only && !is_v6) || (!is_internet && options.wanted().next().is_some()) {
        return Err(system(Errno::EOPNOTSUPP, "setsockopt", None));
    }
    let socket = open(address)?;
    let fd = Some(socket.as_raw_fd());
    if is_internet {
        socket.set_reuse_address(true).map_err(|error| from_io(&error, "setsockopt", fd))?;
    }
    if is_v6 {
        // Written in both cases: the default differs between systems and can be configured.
        socket.set_only_v6(options.ipv6_only).map_err(|error| from_io(&error, "setsockopt", fd))?;
    }
    for (option, value) in options.wanted() {
        set_option(&socket, option, value)?;
    }
    socket.bind(&kernel).map_err(|error| from_io(&error, "bind", fd))?;
    begin(&socket, options.backlog)?;
    Ok(socket.into())
}

/// Checks a socket that somebody else bound: a service manager, a parent process. With a `backlog` it is made
/// to listen, or its queue is given that length; without one it has to be listening.
///
/// # Errors
/// * `getsockopt`: `EBADF`; `ENOTSOCK`; `EINVAL` where it does not listen.
/// * `listen`: `EINVAL` where it is not bound to a path or is connected, `EOPNOTSUPP` where its type has no
///   connections.
pub fn check_listening(fd: impl AsFd, backlog: Option<u32>) -> Result<()> {
    let fd = fd.as_fd();
    let listens = getsockopt(&fd, sockopt::AcceptConn);
    let listens = listens.map_err(|errno| system(errno, "getsockopt", Some(fd.as_raw_fd())))?;
    match backlog {
        Some(backlog) => begin(&fd, backlog),
        None if listens => Ok(()),
        None => Err(system(Errno::EINVAL, "getsockopt", Some(fd.as_raw_fd()))),
    }
}

fn begin(socket: &impl AsFd, backlog: u32) -> Result<()> {
    let fd = socket.as_fd();
    let backlog = i32::try_from(backlog).unwrap_or(i32::MAX);
    let listening = SockRef::from(&fd).listen(backlog);
    listening.map_err(|error| from_io(&error, "listen", Some(fd.as_raw_fd())))
}
