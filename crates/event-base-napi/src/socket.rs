//! Raw descriptors: one export for each function of `event_base_net::socket`, except reading and writing, which are
//! exports of `crossing/transfer.rs`.

use std::cell::RefCell;
use std::os::fd::{IntoRawFd, OwnedFd};

use event_base::{Error, SystemError};
use event_base_net::socket::{
    self, BindOptions, BoundPath, ConnectOptions, Direction, OptionKind, OptionValue, SocketOption,
};
use napi::bindgen_prelude::External;
use napi_derive::napi;

use crate::address::{BindingAddress, address};
use crate::descriptor::borrow;
use crate::error::Outcome;
use crate::time::{duration, milliseconds};

/// What `read`, `write` and `accept` return when the call would block.
pub(crate) const WOULD_BLOCK: i32 = -1;

/// Passes the ownership of a descriptor to JavaScript.
pub(crate) fn into_number(opened: Result<OwnedFd, Error>) -> Result<i32, Error> {
    opened.map(IntoRawFd::into_raw_fd)
}

/// The options of a listening socket.
#[napi(object)]
#[derive(Debug)]
pub struct BindingBindOptions {
    /// Connections that may wait to be accepted.
    pub backlog: u32,
    /// `SO_REUSEPORT`.
    pub reuse_port: bool,
    /// `IPV6_V6ONLY`.
    pub ipv6_only: bool,
    /// `IP_TRANSPARENT`.
    pub transparent: bool,
    /// `IP_FREEBIND`.
    pub free_bind: bool,
    /// `TCP_FASTOPEN`: the length of the queue; 0 for none.
    pub fast_open: u32,
    /// `TCP_DEFER_ACCEPT` in milliseconds; negative for none.
    pub defer_accept: f64,
    /// `TCP_NODELAY`.
    pub no_delay: bool,
    /// `SO_KEEPALIVE`.
    pub keep_alive: bool,
    /// `TCP_KEEPIDLE` in milliseconds; negative for the default of the system.
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

/// Opens a listening socket. Returns the descriptor.
#[napi(catch_unwind)]
pub fn socket_listen(host_or_path: String, port: i32, options: BindingBindOptions) -> Outcome<i32> {
    let options = options.into();
    address(host_or_path, port).and_then(|address| into_number(socket::listen(&address, &options))).into()
}

/// The path of a bound socket, until it is removed. The path is also removed when JavaScript no longer references this,
/// and at the end of the environment.
#[derive(Debug)]
pub struct PathOwner(RefCell<Option<BoundPath>>);

/// The owner of the path of a socket that was just bound; `null` for a socket without a path in the file system.
#[napi(catch_unwind)]
pub fn path_of(fd: i32) -> Outcome<Option<External<PathOwner>>> {
    let path = borrow(fd, "getsockname").and_then(|fd| BoundPath::of(fd, &socket::address(fd)?));
    Outcome(path.map(|path| path.map(|path| External::new(PathOwner(RefCell::new(Some(path)))))))
}

/// Removes the path, unless it names another file. A second call does nothing.
#[napi(catch_unwind)]
pub fn path_remove(owner: &External<PathOwner>) -> Outcome<()> {
    owner.0.take().map_or(Ok(()), BoundPath::remove).into()
}

/// Checks that an inherited socket listens. A backlog that is not negative is set, which makes a bound socket listen.
#[napi(catch_unwind)]
pub fn socket_check_listening(fd: i32, backlog: i32) -> Outcome<()> {
    let backlog = u32::try_from(backlog).ok();
    borrow(fd, "getsockopt").and_then(|fd| socket::check_listening(fd, backlog)).into()
}

/// Sets `FD_CLOEXEC`. Fails with `EBADF` when the descriptor is not open.
#[napi(catch_unwind)]
pub fn socket_set_close_on_exec(fd: i32) -> Outcome<()> {
    borrow(fd, "fcntl").and_then(socket::set_close_on_exec).into()
}

/// Accepts a connection. Returns the descriptor, or -1 when none waits.
#[napi(catch_unwind)]
pub fn socket_accept(fd: i32) -> Outcome<i32> {
    let accepted = borrow(fd, "accept").and_then(socket::accept);
    accepted.map(|accepted| accepted.map_or(WOULD_BLOCK, |(fd, _)| fd.into_raw_fd())).into()
}

/// The local address of a connect.
#[napi(object)]
#[derive(Debug)]
pub struct BindingConnectOptions {
    /// A numeric address; empty for any.
    pub local_address: String,
    /// A port; 0 for any.
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

/// Starts to connect. Returns the descriptor.
#[napi(catch_unwind)]
pub fn socket_connect(host_or_path: String, port: i32, local: Option<BindingConnectOptions>) -> Outcome<i32> {
    let started = address(host_or_path, port).and_then(|address| {
        let options = local.map(ConnectOptions::try_from).transpose()?.unwrap_or_default();
        into_number(socket::connect_with(&address, &options))
    });
    started.into()
}

fn both((first, second): (OwnedFd, OwnedFd)) -> Vec<i32> {
    vec![first.into_raw_fd(), second.into_raw_fd()]
}

/// Makes two connected sockets. Returns both descriptors.
#[napi(catch_unwind)]
pub fn socket_pair() -> Outcome<Vec<i32>> {
    socket::pair().map(both).into()
}

/// Makes a pipe. Returns the end to read from, then the end to write to.
#[napi(catch_unwind)]
pub fn socket_pipe() -> Outcome<Vec<i32>> {
    socket::pipe().map(both).into()
}

/// Shuts a direction down: 0 reading, 1 writing, 2 both.
#[napi(catch_unwind)]
pub fn socket_shutdown(fd: i32, how: u32) -> Outcome<()> {
    let direction = match how {
        0 => Direction::Read,
        1 => Direction::Write,
        _ => Direction::Both,
    };
    borrow(fd, "shutdown").and_then(|fd| socket::shutdown(fd, direction)).into()
}

/// Closes a descriptor.
#[napi(catch_unwind)]
pub fn socket_close(fd: i32) -> Outcome<()> {
    // For a number that is not open the kernel returns EBADF.
    socket::close(fd).into()
}

/// The address that a socket is bound to.
#[napi(catch_unwind)]
pub fn socket_address(fd: i32) -> Outcome<BindingAddress> {
    let address = borrow(fd, "getsockname").and_then(socket::address);
    address.map(|address| BindingAddress::from(&address)).into()
}

/// The address of the peer of a socket.
#[napi(catch_unwind)]
pub fn socket_peer(fd: i32) -> Outcome<BindingAddress> {
    let address = borrow(fd, "getpeername").and_then(socket::peer);
    address.map(|address| BindingAddress::from(&address)).into()
}

/// Reads `SO_ERROR`, which resets it. Returns the positive error number, or 0; `ECONNREFUSED` for a stream that is
/// connected to itself, and `EINPROGRESS` for a socket that is not connected.
#[napi(catch_unwind)]
pub fn socket_error(fd: i32) -> Outcome<i32> {
    Outcome(match borrow(fd, "getsockopt").and_then(socket::connect_outcome) {
        Ok(()) => Ok(0),
        Err(Error::System(SystemError { errno, syscall: "connect", .. })) => Ok(errno),
        Err(error) => Err(error),
    })
}

/// Makes a descriptor non-blocking or blocking.
#[napi(catch_unwind)]
pub fn socket_set_nonblocking(fd: i32, nonblocking: bool) -> Outcome<()> {
    borrow(fd, "fcntl").and_then(|fd| socket::set_nonblocking(fd, nonblocking)).into()
}

/// The names of the options, each with the kind of its value: 0 a switch, 1 a count, 2 a time.
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

/// Sets an option. A switch is 0 or 1, a time is milliseconds; a negative time means none.
#[napi(catch_unwind)]
pub fn socket_set_option(fd: i32, name: String, value: f64) -> Outcome<()> {
    let set = option(&name).and_then(|option| {
        let value = match option.kind() {
            OptionKind::Switch => OptionValue::Switch(value != 0.0),
            OptionKind::Count => OptionValue::Count(value as u32),
            OptionKind::Time => OptionValue::Time(duration(value)),
        };
        socket::set_option(borrow(fd, "setsockopt")?, option, value)
    });
    set.into()
}

/// Reads an option, in the form that `socketSetOption` takes.
#[napi(catch_unwind)]
pub fn socket_get_option(fd: i32, name: String) -> Outcome<f64> {
    let value = option(&name).and_then(|option| socket::get_option(borrow(fd, "getsockopt")?, option));
    Outcome(value.map(|value| match value {
        OptionValue::Switch(on) => f64::from(u8::from(on)),
        OptionValue::Count(count) => f64::from(count),
        OptionValue::Time(time) => time.map_or(-1.0, milliseconds),
    }))
}
