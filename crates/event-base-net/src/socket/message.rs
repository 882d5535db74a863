//! Several messages in one system call: `recvmmsg` and `sendmmsg`, or a loop of `recvmsg` and `sendmsg` where the
//! system lacks them (Darwin).
//!
//! Linux has both calls (2.6.33, 3.0); on FreeBSD 11 and newer they are library functions. The
//! wrappers of nix are not used: for a message without a sender, as on a unix socket, they return memory that the
//! kernel did not write, and they pass the length of one message's sender as the capacity for the next one's.
#![expect(unsafe_code, reason = "the kernel takes pointers to the messages, and no safe call offers both")]

use std::io::{IoSlice, IoSliceMut};
use std::mem::{self, offset_of};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;
use nix::libc;
use socket2::SockAddr;

use super::datagram::{Datagram, MOST_DATAGRAMS};

/// The names of the calls, for errors.
pub(super) const RECEIVE: &str = if BATCHED { "recvmmsg" } else { "recvmsg" };
pub(super) const SEND: &str = if BATCHED { "sendmmsg" } else { "sendmsg" };

const BATCHED: bool = cfg!(has_mmsg);

#[cfg(has_mmsg)]
use libc::mmsghdr as Message;

/// The fields of `mmsghdr`, for systems that lack it.
#[cfg(not(has_mmsg))]
struct Message {
    msg_hdr: libc::msghdr,
    msg_len: libc::c_uint,
}

/// Memory for a sender: the larger kind of internet address. The kernel stores the beginning of a longer address, and
/// returns its whole length.
#[derive(Clone, Copy)]
struct Name(libc::sockaddr_in6);

const NAME: usize = size_of::<libc::sockaddr_in6>();

type Call = fn(BorrowedFd<'_>, &mut [Message], libc::c_int) -> nix::Result<usize>;

/// Receives at most one datagram for each of `parts` and `datagrams`.
pub(super) fn receive<'part>(
    fd: BorrowedFd<'_>,
    parts: impl Iterator<Item = &'part mut [u8]>,
    datagrams: &mut [Datagram],
) -> nix::Result<usize> {
    receive_by(receive_messages, fd, parts, datagrams)
}

fn receive_by<'part>(
    call: Call,
    fd: BorrowedFd<'_>,
    parts: impl Iterator<Item = &'part mut [u8]>,
    datagrams: &mut [Datagram],
) -> nix::Result<usize> {
    let mut names = [Name::EMPTY; MOST_DATAGRAMS];
    let mut messages = [const { empty() }; MOST_DATAGRAMS];
    let mut slices = [const { None }; MOST_DATAGRAMS];
    let mut count = 0;
    for ((((message, name), slice), part), _) in
        messages.iter_mut().zip(&mut names).zip(&mut slices).zip(parts).zip(&*datagrams)
    {
        let slice = slice.insert(IoSliceMut::new(part));
        message.msg_hdr.msg_name = (&raw mut name.0).cast();
        message.msg_hdr.msg_namelen = NAME as libc::socklen_t;
        // Layout: the standard library guarantees that an `IoSliceMut` has the layout of an `iovec`.
        message.msg_hdr.msg_iov = (slice as *mut IoSliceMut<'_>).cast();
        message.msg_hdr.msg_iovlen = 1;
        count += 1;
    }
    let received = call(fd, &mut messages[..count], libc::MSG_DONTWAIT)?;
    for ((message, name), datagram) in messages.iter().zip(&names).zip(datagrams).take(received) {
        *datagram = Datagram {
            length: message.msg_len as usize,
            truncated: message.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
            address: name.address(message.msg_hdr.msg_namelen),
        };
    }
    Ok(received)
}

/// Sends `datagrams` from `parts`, in order, until one is not accepted. Returns the number that were accepted, at least
/// one.
pub(super) fn send<'part>(
    fd: BorrowedFd<'_>,
    parts: impl Iterator<Item = &'part [u8]>,
    datagrams: &[Datagram],
) -> nix::Result<usize> {
    send_by(send_messages, fd, parts, datagrams)
}

fn send_by<'part>(
    call: Call,
    fd: BorrowedFd<'_>,
    parts: impl Iterator<Item = &'part [u8]>,
    datagrams: &[Datagram],
) -> nix::Result<usize> {
    let mut names = [const { None }; MOST_DATAGRAMS];
    let mut messages = [const { empty() }; MOST_DATAGRAMS];
    let mut slices = [const { None }; MOST_DATAGRAMS];
    let mut count = 0;
    for ((((message, name), slice), part), datagram) in
        messages.iter_mut().zip(&mut names).zip(&mut slices).zip(parts).zip(datagrams)
    {
        let slice = slice.insert(IoSlice::new(part));
        if let Some(address) = datagram.address {
            let name: &SockAddr = name.insert(SockAddr::from(address));
            message.msg_hdr.msg_name = name.as_ptr().cast_mut().cast();
            message.msg_hdr.msg_namelen = name.len();
        }
        // Layout: as above. The kernel only reads the bytes, although the field is a mutable pointer.
        message.msg_hdr.msg_iov = (slice as *mut IoSlice<'_>).cast();
        message.msg_hdr.msg_iovlen = 1;
        count += 1;
    }
    call(fd, &mut messages[..count], libc::MSG_DONTWAIT | QUIET)
}

/// Suppresses `SIGPIPE`, which the kernel raises for a connected unix socket whose peer has closed (send(2)).
#[cfg(not(target_vendor = "apple"))]
const QUIET: libc::c_int = libc::MSG_NOSIGNAL;
// Sockets on Darwin get SO_NOSIGPIPE when they are opened.
#[cfg(target_vendor = "apple")]
const QUIET: libc::c_int = 0;

const fn empty() -> Message {
    // SAFETY: every field is a number or a pointer, for which zero is valid. musl's structure has private padding, so
    // no literal can make one.
    unsafe { mem::zeroed() }
}

#[cfg(has_mmsg)]
fn receive_messages(fd: BorrowedFd<'_>, messages: &mut [Message], flags: libc::c_int) -> nix::Result<usize> {
    let (pointer, count) = (messages.as_mut_ptr(), messages.len());
    // SAFETY: `count` messages, each with pointers to a name and an `iovec` that outlive this call and that
    // no other code uses during it. No timeout is given.
    let received =
        unsafe { libc::recvmmsg(fd.as_raw_fd(), pointer, count as _, flags as _, std::ptr::null_mut()) };
    Errno::result(received).map(|received| received as usize)
}

#[cfg(has_mmsg)]
fn send_messages(fd: BorrowedFd<'_>, messages: &mut [Message], flags: libc::c_int) -> nix::Result<usize> {
    let (pointer, count) = (messages.as_mut_ptr(), messages.len());
    // SAFETY: as above.
    let sent = unsafe { libc::sendmmsg(fd.as_raw_fd(), pointer, count as _, flags as _) };
    Errno::result(sent).map(|sent| sent as usize)
}

#[cfg(not(has_mmsg))]
use self::{receive_one_by_one as receive_messages, send_one_by_one as send_messages};

/// `recvmmsg` by single calls. A failure after the first message is returned by the next call.
#[cfg(any(test, not(has_mmsg)))]
fn receive_one_by_one(
    fd: BorrowedFd<'_>,
    messages: &mut [Message],
    flags: libc::c_int,
) -> nix::Result<usize> {
    one_by_one(messages, |message| {
        // SAFETY: a message with pointers to a name and an `iovec` that outlive this call and that no other
        // code uses during it.
        unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut message.msg_hdr, flags) }
    })
}

/// `sendmmsg` by single calls.
#[cfg(any(test, not(has_mmsg)))]
fn send_one_by_one(fd: BorrowedFd<'_>, messages: &mut [Message], flags: libc::c_int) -> nix::Result<usize> {
    one_by_one(messages, |message| {
        // SAFETY: as above.
        unsafe { libc::sendmsg(fd.as_raw_fd(), &raw const message.msg_hdr, flags) }
    })
}

#[cfg(any(test, not(has_mmsg)))]
fn one_by_one(
    messages: &mut [Message],
    mut call: impl FnMut(&mut Message) -> libc::ssize_t,
) -> nix::Result<usize> {
    for (index, message) in messages.iter_mut().enumerate() {
        match Errno::result(call(message)) {
            Ok(length) => message.msg_len = length as _,
            Err(errno) if index == 0 => return Err(errno),
            Err(_) => return Ok(index),
        }
    }
    Ok(messages.len())
}

impl Name {
    // SAFETY: numbers only.
    const EMPTY: Self = Name(unsafe { mem::zeroed() });

    /// The internet address in it. `length` is the length that the kernel returned.
    fn address(&self, length: libc::socklen_t) -> Option<SocketAddr> {
        let length = length as usize;
        let family = i32::from(self.0.sin6_family);
        if length == NAME && family == libc::AF_INET6 {
            let port = u16::from_be(self.0.sin6_port);
            let host = self.0.sin6_addr.s6_addr.into();
            let (flow, scope) = (self.0.sin6_flowinfo, self.0.sin6_scope_id);
            return Some(SocketAddrV6::new(host, port, flow, scope).into());
        }
        if length != size_of::<libc::sockaddr_in>() || family != libc::AF_INET {
            return None;
        }
        const { assert!(offset_of!(libc::sockaddr_in, sin_family) == offset_of!(libc::sockaddr_in6, sin6_family)) };
        let name = (&raw const self.0).cast::<libc::sockaddr_in>();
        // SAFETY: the family means that the name is a `sockaddr_in`, whose size and alignment do not exceed those of a
        // `sockaddr_in6`.
        let name = unsafe { name.read() };
        let host = Ipv4Addr::from(u32::from_be(name.sin_addr.s_addr));
        Some(SocketAddrV4::new(host, u16::from_be(name.sin_port)).into())
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    use super::*;

    const RECEIVES: [Call; 2] = [receive_messages, receive_one_by_one];
    const SENDS: [Call; 2] = [send_messages, send_one_by_one];

    /// Waits until a datagram has arrived, which may be after the call that sent it has returned.
    fn await_readable(socket: &UdpSocket) {
        while socket.peek(&mut [0; 8]).is_err_and(|error| error.kind() == ErrorKind::Interrupted) {}
    }

    #[test]
    fn one_call_and_single_calls_do_the_same() {
        for (receive, send) in RECEIVES.into_iter().flat_map(|receive| SENDS.map(|send| (receive, send))) {
            let (near, far) =
                (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
            let parts: [&[u8]; 4] = [b"one", b"", b"three", b"four"];
            let to = Datagram { address: near.local_addr().ok(), ..Datagram::default() };
            let nowhere = Datagram::default();

            let sent = |to: &[Datagram]| send_by(send, far.as_fd(), parts.into_iter(), to);
            assert_eq!(sent(&[to, to, to, nowhere]), Ok(3), "the next call returns the failure");
            assert_eq!(sent(&[nowhere, to]), Err(Errno::EDESTADDRREQ));
            assert_eq!(sent(&[to]), Ok(1));

            let mut slots = [[0_u8; 4]; 6];
            let mut datagrams = [to; 6];
            let mut count = 0;
            while count < 4 {
                await_readable(&near);
                let parts = slots[count..].iter_mut().map(<[u8; 4]>::as_mut_slice);
                count += receive_by(receive, near.as_fd(), parts, &mut datagrams[count..]).unwrap();
            }
            let address = far.local_addr().ok();
            let expected = [(3, false), (0, false), (4, true), (3, false)];
            for (datagram, (length, truncated)) in datagrams.iter().zip(expected) {
                assert_eq!(*datagram, Datagram { length, truncated, address });
            }
            assert_eq!(&slots[2], b"thre");
            let parts = slots.iter_mut().map(<[u8; 4]>::as_mut_slice);
            assert_eq!(receive_by(receive, near.as_fd(), parts, &mut datagrams), Err(Errno::EAGAIN));
        }
    }
}
