//! Raw descriptors: one export for each function of `event_base_net::socket`, but for reading and writing,
//! which are among [the calls made for every event](crate::crossing).

use std::os::fd::{IntoRawFd, OwnedFd};
use std::time::Duration;

use event_base::Error;
use event_base_net::socket::{
    self, BindOptions, ConnectOptions, Direction, OptionKind, OptionValue, SocketOption,
};
use napi::Env;
use napi_derive::napi;

use crate::descriptor::{BindingAddress, address, borrow, take};
use crate::error::check;
use crate::handle::{duration, milliseconds};

/// What `read`, `write` and `accept` answer where the call would block.
pub(crate) const WOULD_BLOCK: i32 = -1;

pub(crate) fn hand_over(opened: Result<OwnedFd, Error>) -> Result<i32, Error> {
    opened.map(IntoRawFd::into_raw_fd)
}

/// How to bind and to listen.
#[napi(object)]
#[derive(Debug)]
pub struct BindingBindOptions {
    /// How many connections may wait.
    pub backlog: u32,
    /// `SO_REUSEPORT`.
    pub reuse_port: bool,
    /// `IPV6_V6ONLY`.
    pub ipv6_only: bool,
    /// `IP_TRANSPARENT`.
    pub transparent: bool,
    /// `IP_FREEBIND`.
    pub free_bind: bool,
    /// `TCP_FASTOPEN`; 0 means none.
    pub fast_open: u32,
    /// `TCP_DEFER_ACCEPT` in milliseconds; negative means none.
    pub defer_accept: f64,
    /// `TCP_NODELAY`.
    pub no_delay: bool,
    /// `SO_KEEPALIVE`.
    pub keep_alive: bool,
    /// `TCP_KEEPIDLE` in milliseconds; negative means the system's.
    pub keep_alive_idle: f64,
}

impl From<BindingBindOptions> for BindOptions {
    fn from(options: BindingBindOptions) -> Self {
        BindOptions {
            backlog: options.backlog,
            reuse_port: options.reuse_port,
            ipv6_only: options.ipv6_only,
            transparent: options.transparent,
            free_bind: options.free_bind,
            fast_open: options.fast_open,
            defer_accept: duration(options.defer_accept),
            no_delay: options.no_delay,
            keep_alive: options.keep_alive,
            keep_alive_idle: duration(options.keep_alive_idle),
        }
    }
}

/// A listening socket.
#[napi(catch_unwind)]
pub fn socket_listen(env: Env, place: String, port: i32, options: BindingBindOptions) -> napi::Result<i32> {
    let options = options.into();
    check(&env, address(place, port).and_then(|address| hand_over(socket::listen(&address, &options))))
}

/// Checks a listening socket from elsewhere, or makes it one where the backlog is not negative.
#[napi(catch_unwind)]
pub fn socket_check_listening(env: Env, fd: i32, backlog: i32) -> napi::Result<()> {
    let backlog = u32::try_from(backlog).ok();
    check(&env, borrow(fd, "getsockopt").and_then(|fd| socket::check_listening(fd, backlog)))
}

/// Closes the descriptor when another program takes this process's place. Fails with `EBADF` when it is not
/// open.
#[napi(catch_unwind)]
pub fn socket_set_close_on_exec(env: Env, fd: i32) -> napi::Result<()> {
    check(&env, borrow(fd, "fcntl").and_then(socket::set_close_on_exec))
}

/// The next connection, or -1.
#[napi(catch_unwind)]
pub fn socket_accept(env: Env, fd: i32) -> napi::Result<i32> {
    let accepted = borrow(fd, "accept").and_then(socket::accept);
    check(&env, accepted.map(|accepted| accepted.map_or(WOULD_BLOCK, |(fd, _)| fd.into_raw_fd())))
}

/// Where to connect from.
#[napi(object)]
#[derive(Debug)]
pub struct BindingConnectOptions {
    /// A numeric address, or nothing for any.
    pub local_address: String,
    /// A port, or 0 for any.
    pub local_port: u16,
    /// `IP_TRANSPARENT`.
    pub transparent: bool,
    /// `IP_FREEBIND`.
    pub free_bind: bool,
}

impl TryFrom<BindingConnectOptions> for ConnectOptions {
    type Error = Error;

    fn try_from(options: BindingConnectOptions) -> Result<Self, Error> {
        let BindingConnectOptions { local_address, local_port, transparent, free_bind } = options;
        let local_address = match local_address.as_str() {
            "" => None,
            text => Some(text.parse().map_err(|_| Error::OutOfRange("localAddress"))?),
        };
        Ok(ConnectOptions { local_address, local_port, transparent, free_bind })
    }
}

/// A socket that is connecting.
#[napi(catch_unwind)]
pub fn socket_connect(
    env: Env,
    place: String,
    port: i32,
    local: Option<BindingConnectOptions>,
) -> napi::Result<i32> {
    let begun = address(place, port).and_then(|address| {
        let options = local.map(ConnectOptions::try_from).transpose()?.unwrap_or_default();
        hand_over(socket::connect_with(&address, &options))
    });
    check(&env, begun)
}

fn both((first, second): (OwnedFd, OwnedFd)) -> Vec<i32> {
    vec![first.into_raw_fd(), second.into_raw_fd()]
}

/// Two connected sockets.
#[napi(catch_unwind)]
pub fn socket_pair(env: Env) -> napi::Result<Vec<i32>> {
    check(&env, socket::pair().map(both))
}

/// The ends of a pipe: to read, to write.
#[napi(catch_unwind)]
pub fn socket_pipe(env: Env) -> napi::Result<Vec<i32>> {
    check(&env, socket::pipe().map(both))
}

/// Ends a direction: 0 reading, 1 writing, 2 both.
#[napi(catch_unwind)]
pub fn socket_shutdown(env: Env, fd: i32, how: u32) -> napi::Result<()> {
    let direction = match how {
        0 => Direction::Read,
        1 => Direction::Write,
        _ => Direction::Both,
    };
    check(&env, borrow(fd, "shutdown").and_then(|fd| socket::shutdown(fd, direction)))
}

/// Closes a descriptor.
#[napi(catch_unwind)]
pub fn socket_close(env: Env, fd: i32) -> napi::Result<()> {
    check(&env, take(fd, "close").and_then(socket::close))
}

/// Where the socket is bound.
#[napi(catch_unwind)]
pub fn socket_address(env: Env, fd: i32) -> napi::Result<BindingAddress> {
    let address = borrow(fd, "getsockname").and_then(socket::address);
    check(&env, address.map(|address| BindingAddress::from(&address)))
}

/// Where its peer is.
#[napi(catch_unwind)]
pub fn socket_peer(env: Env, fd: i32) -> napi::Result<BindingAddress> {
    let address = borrow(fd, "getpeername").and_then(socket::peer);
    check(&env, address.map(|address| BindingAddress::from(&address)))
}

/// Takes the failure that waits on the socket: its positive number, or 0.
#[napi(catch_unwind)]
pub fn socket_error(env: Env, fd: i32) -> napi::Result<i32> {
    let failure = borrow(fd, "getsockopt").and_then(|fd| socket::error(fd, "connect"));
    check(&env, failure.map(|failure| failure.map_or(0, |failure| failure.errno)))
}

/// Makes the descriptor non-blocking or blocking.
#[napi(catch_unwind)]
pub fn socket_set_nonblocking(env: Env, fd: i32, nonblocking: bool) -> napi::Result<()> {
    check(&env, borrow(fd, "fcntl").and_then(|fd| socket::set_nonblocking(fd, nonblocking)))
}

/// The names of the options and, for each, the kind of its value: 0 a switch, 1 a count, 2 a time.
#[napi(catch_unwind)]
pub fn socket_options() -> Vec<(String, u32)> {
    let kind = |option: &SocketOption| match option.kind() {
        OptionKind::Switch => 0,
        OptionKind::Count => 1,
        OptionKind::Time => 2,
    };
    SocketOption::ALL.iter().map(|option| (option.name().to_owned(), kind(option))).collect()
}

fn option(name: &str) -> Result<SocketOption, Error> {
    SocketOption::from_name(name).ok_or(Error::OutOfRange("option"))
}

/// Sets an option. A switch is 0 or 1, a time is milliseconds, or negative for none.
#[napi(catch_unwind)]
pub fn socket_set_option(env: Env, fd: i32, name: String, value: f64) -> napi::Result<()> {
    let set = option(&name).and_then(|option| {
        let value = match option.kind() {
            OptionKind::Switch => OptionValue::Switch(value != 0.0),
            OptionKind::Count => OptionValue::Count(value as u32),
            OptionKind::Time => OptionValue::Time(duration(value)),
        };
        socket::set_option(borrow(fd, "setsockopt")?, option, value)
    });
    check(&env, set)
}

/// Reads an option, in the form of [`socket_set_option`].
#[napi(catch_unwind)]
pub fn socket_get_option(env: Env, fd: i32, name: String) -> napi::Result<f64> {
    let value = option(&name).and_then(|option| socket::get_option(borrow(fd, "getsockopt")?, option));
    check(&env, value).map(|value| match value {
        OptionValue::Switch(on) => f64::from(u8::from(on)),
        OptionValue::Count(count) => f64::from(count),
        OptionValue::Time(time) => time.map_or(-1.0, |time: Duration| milliseconds(time)),
    })
}
