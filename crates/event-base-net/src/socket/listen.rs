//! Listening: binding with options, and sockets that another program has bound.

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

/// The default length of the queue of connections that wait to be accepted. The kernel lowers it to its own limit
/// (`net.core.somaxconn` on Linux, 4096 by default since Linux 5.4: listen(2)).
pub const DEFAULT_BACKLOG: u32 = 4096;

/// Options of [`listen`]. Each of them, except the backlog and [`ipv6_only`](Self::ipv6_only), is a [`SocketOption`]
/// that is set before the socket is bound. Connections inherit the last three.
///
/// An option that the address family lacks is refused with `EOPNOTSUPP`, one that the system lacks with
/// `ENOPROTOOPT`. No option is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BindOptions {
    /// The number of connections that may wait to be accepted. A number above `i32::MAX` is lowered to it.
    pub backlog: u32,
    /// Other sockets of the same user can listen at the same address, and the connections are distributed over them
    /// (`SO_REUSEPORT`). Not for paths.
    pub reuse_port: bool,
    /// An IPv6 socket does not accept IPv4 connections (`IPV6_V6ONLY`). For IPv6 only. Otherwise `::` accepts both,
    /// also where the system's default differs.
    pub ipv6_only: bool,
    /// Listens at addresses of other hosts, for connections that a firewall redirects to this host (`IP_TRANSPARENT`;
    /// Linux, privileged). Not for paths.
    pub transparent: bool,
    /// Binds an address that this host does not have yet (`IP_FREEBIND`; Linux). Not for paths.
    pub free_bind: bool,
    /// The number of connections with data in their first packet that may wait (`TCP_FASTOPEN`; Linux). 0: none. The
    /// kernel ignores it unless the second bit of `net.ipv4.tcp_fastopen` is set (`ip-sysctl.rst` of the kernel).
    pub fast_open: u32,
    /// A connection is not reported until it has data, or until this time has passed (`TCP_DEFER_ACCEPT`; Linux). The
    /// kernel rounds it to a number of retransmissions.
    pub defer_accept: Option<Duration>,
    /// Small writes of the connections are sent immediately (`TCP_NODELAY`).
    pub no_delay: bool,
    /// The kernel probes idle connections (`SO_KEEPALIVE`). Not for paths.
    pub keep_alive: bool,
    /// The idle time before the first probe (`TCP_KEEPIDLE`); rounded up to whole seconds.
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
    /// The options of an internet socket that differ from the defaults.
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
/// An internet socket is bound with `SO_REUSEADDR`, so that a port that was in use until recently can be used again. A
/// path must not exist yet: `EADDRINUSE` also for the socket of a process that has ended (unix(7)). The path remains
/// when the socket is closed.
///
/// # Errors
/// `socket`, `setsockopt` (`EOPNOTSUPP`, `ENOPROTOOPT`, `EPERM` for `transparent`), `bind` (`EADDRINUSE`,
/// `EADDRNOTAVAIL`, `EACCES`, ...) or `listen`; [`Error::OutOfRange`](event_base::Error::OutOfRange) for a
/// time longer than the kernel counts.
pub fn listen(address: &Address, options: &BindOptions) -> Result<OwnedFd> {
    let kernel = address.to_kernel("bind")?;
    let is_internet = matches!(address, Address::Internet(_));
    let is_v6 = matches!(address, Address::Internet(address) if address.is_ipv6());
    // Checked here because systems differ in which of these they refuse and which they ignore.
    if (options.ipv6_only && !is_v6) || (!is_internet && options.wanted().next().is_some()) {
        return Err(system(Errno::EOPNOTSUPP, "setsockopt", None));
    }
    let socket = open(address)?;
    let fd = Some(socket.as_raw_fd());
    if is_internet {
        socket.set_reuse_address(true).map_err(|error| from_io(&error, "setsockopt", fd))?;
    }
    if is_v6 {
        // Set in both cases: the default differs between systems and can be configured.
        socket.set_only_v6(options.ipv6_only).map_err(|error| from_io(&error, "setsockopt", fd))?;
    }
    for (option, value) in options.wanted() {
        set_option(&socket, option, value)?;
    }
    socket.bind(&kernel).map_err(|error| from_io(&error, "bind", fd))?;
    begin(&socket, options.backlog)?;
    Ok(socket.into())
}

/// Checks a socket that a service manager or a parent process has bound. With a `backlog`, makes it listen, or changes
/// the length of its queue. Without one, the socket must be listening already.
///
/// # Errors
/// * `getsockopt`: `EBADF`; `ENOTSOCK`; `EINVAL` where it does not listen.
/// * `listen`: `EINVAL` for a unix socket that is not bound and for a connected socket, `EOPNOTSUPP` if its type has no
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
