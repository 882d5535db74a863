//! Options of Linux that `socket2` does not have. The kernel reads and writes a C int for each.

use std::io;
use std::time::Duration;

use nix::libc;
use nix::sys::socket::{getsockopt, setsockopt, sockopt};
use nix::{getsockopt_impl, setsockopt_impl, sockopt_impl};
use socket2::Socket;

sockopt_impl!(
    /// The length of the queue of connections whose first packet carries data.
    FastOpen, Both, libc::IPPROTO_TCP, libc::TCP_FASTOPEN, i32
);
sockopt_impl!(
    /// The number of seconds a connection may take to send data.
    DeferAccept, Both, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, i32
);

pub(super) fn set_fast_open(socket: &Socket, count: u32) -> io::Result<()> {
    // The kernel lowers a larger number to its own limit.
    Ok(setsockopt(socket, FastOpen, &i32::try_from(count).unwrap_or(i32::MAX))?)
}

pub(super) fn fast_open(socket: &Socket) -> io::Result<u32> {
    Ok(getsockopt(socket, FastOpen)?.unsigned_abs())
}

/// `time` is a whole number of seconds that fits a C int.
pub(super) fn set_defer_accept(socket: &Socket, time: Option<Duration>) -> io::Result<()> {
    let seconds = time.map_or(0, |time| time.as_secs());
    Ok(setsockopt(socket, DeferAccept, &i32::try_from(seconds).unwrap_or(i32::MAX))?)
}

pub(super) fn defer_accept(socket: &Socket) -> io::Result<Option<Duration>> {
    let seconds = getsockopt(socket, DeferAccept)?.unsigned_abs();
    Ok((seconds > 0).then(|| Duration::from_secs(seconds.into())))
}

pub(super) fn set_bind_address_no_port(socket: &Socket, on: bool) -> io::Result<()> {
    Ok(setsockopt(socket, sockopt::IpBindAddressNoPort, &on)?)
}

pub(super) fn bind_address_no_port(socket: &Socket) -> io::Result<bool> {
    Ok(getsockopt(socket, sockopt::IpBindAddressNoPort)?)
}
