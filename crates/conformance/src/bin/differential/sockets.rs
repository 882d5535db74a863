//! The descriptors of one side: the same numbers on both, apart from a constant.
#![expect(unsafe_code, reason = "descriptors are opened, moved and closed under their numbers")]

use std::ffi::c_int;
use std::io::{Read, Write};
use std::mem::ManuallyDrop;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::OnceLock;

use crate::program::{SLOTS, Socket};

/// The number of waits for the loopback device.
const PATIENCE: usize = 1_000_000;

/// One side's descriptors.
#[derive(Debug)]
pub(crate) struct Sockets {
    first: RawFd,
    slots: [Slot; SLOTS],
    opened: u32,
}

#[derive(Debug)]
struct Slot {
    own: Option<OwnedFd>,
    peer: Option<OwnedFd>,
    socket: Socket,
    /// Which file; a duplicate has the same.
    file: u32,
}

impl Sockets {
    /// Descriptors whose numbers begin with `first`; none is open.
    pub(crate) fn new(first: RawFd) -> Self {
        let slots = std::array::from_fn(|_| Slot { own: None, peer: None, socket: Socket::Unix, file: 0 });
        Sockets { first, slots, opened: 0 }
    }

    pub(crate) fn number(&self, slot: usize) -> RawFd {
        self.first + slot as RawFd
    }

    pub(crate) fn slot(&self, number: RawFd) -> Option<usize> {
        usize::try_from(number - self.first).ok().filter(|slot| *slot < SLOTS)
    }

    pub(crate) fn is_open(&self, slot: usize) -> bool {
        self.slots[slot].own.is_some()
    }

    /// Whether another descriptor names the same file.
    pub(crate) fn is_shared(&self, slot: usize) -> bool {
        let file = self.slots[slot].file;
        self.slots.iter().filter(|slot| slot.own.is_some() && slot.file == file).count() > 1
    }

    pub(crate) fn open(&mut self, slot: usize, socket: Socket) {
        let (own, peer) = pair(socket);
        let own = move_to(own, self.number(slot));
        self.opened += 1;
        self.slots[slot] = Slot { own: Some(own), peer, socket, file: self.opened };
    }

    /// TCP is excluded, because the close of the last descriptor is reported with a delay.
    pub(crate) fn may_duplicate(&self, from: usize, to: usize) -> bool {
        self.is_open(from) && !self.is_open(to) && self.slots[from].socket != Socket::Tcp
    }

    /// Duplicates the descriptor; the peer stays with the first number.
    pub(crate) fn duplicate(&mut self, from: usize, to: usize) {
        let Some(own) = &self.slots[from].own else { return };
        let Ok(copy) = own.try_clone() else { return };
        let own = move_to(copy, self.number(to));
        let (socket, file) = (self.slots[from].socket, self.slots[from].file);
        self.slots[to] = Slot { own: Some(own), peer: None, socket, file };
    }

    pub(crate) fn close(&mut self, slot: usize) {
        self.slots[slot].own = None;
        if self.slots[slot].socket == Socket::Tcp {
            self.slots[slot].peer = None;
        }
    }

    pub(crate) fn close_peer(&mut self, slot: usize) -> i64 {
        let Some(peer) = self.slots[slot].peer.take() else { return 0 };
        // With unread data, the peer receives a reset.
        let reset = unread(peer.as_raw_fd()) > 0;
        drop(peer);
        let end = if reset { 0 } else { libc::POLLRDHUP };
        self.settle(slot, true, end | libc::POLLHUP | libc::POLLERR);
        1
    }

    /// Closes the peer so that a reset is sent.
    pub(crate) fn reset(&mut self, slot: usize) -> i64 {
        let Some(peer) = &self.slots[slot].peer else { return 0 };
        reset_on_close(peer.as_raw_fd());
        self.slots[slot].peer = None;
        self.settle(slot, true, libc::POLLHUP | libc::POLLERR);
        1
    }

    pub(crate) fn shut_peer(&mut self, slot: usize) -> i64 {
        let Some(peer) = &self.slots[slot].peer else { return -1 };
        let done = shutdown(peer.as_raw_fd(), libc::SHUT_WR);
        self.settle(slot, done, libc::POLLRDHUP | libc::POLLHUP | libc::POLLERR);
        done.into()
    }

    pub(crate) fn shut_own(&mut self, slot: usize, reading: bool) -> i64 {
        let how = if reading { libc::SHUT_RD } else { libc::SHUT_WR };
        self.slots[slot].own.as_ref().is_some_and(|own| shutdown(own.as_raw_fd(), how)).into()
    }

    /// The peer writes. Returns the number of bytes, or the error.
    pub(crate) fn write(&mut self, slot: usize, count: usize) -> i64 {
        let Some(peer) = &self.slots[slot].peer else { return -1 };
        let before = self.unread(slot);
        let written = write(peer.as_raw_fd(), count);
        if written > 0 && self.slots[slot].socket == Socket::Tcp {
            for _ in 0..PATIENCE {
                let arrived = self.unread(slot) >= before + written;
                if arrived || self.ready(slot) & (libc::POLLHUP | libc::POLLERR) != 0 {
                    break;
                }
                std::thread::yield_now();
            }
        }
        written
    }

    pub(crate) fn read(&mut self, slot: usize, count: usize) -> i64 {
        self.slots[slot].own.as_ref().map_or(-1, |own| read(own.as_raw_fd(), count))
    }

    /// Writes until the buffer is full; on TCP, whose buffer is large, only once.
    pub(crate) fn fill(&mut self, slot: usize) -> i64 {
        let Some(own) = &self.slots[slot].own else { return -1 };
        if self.slots[slot].socket == Socket::Tcp {
            return self.write_one(slot, own.as_raw_fd());
        }
        loop {
            let written = write(own.as_raw_fd(), 4096);
            if written <= 0 {
                return written;
            }
        }
    }

    /// Writes a byte over TCP, and gives it time to arrive, or to be answered with a reset.
    fn write_one(&self, slot: usize, own: RawFd) -> i64 {
        let peer = self.slots[slot].peer.as_ref().map(AsRawFd::as_raw_fd);
        let before = peer.map_or(0, unread);
        let written = write(own, 1);
        match peer {
            None => self.settle(slot, written > 0, libc::POLLHUP | libc::POLLERR),
            Some(peer) if written > 0 => {
                _ = (0..PATIENCE).find(|_| {
                    std::thread::yield_now();
                    unread(peer) > before
                });
            }
            Some(_) => {}
        }
        written
    }

    /// The peer reads all bytes. Returns the result of the last read.
    pub(crate) fn drain(&mut self, slot: usize) -> i64 {
        let Some(peer) = &self.slots[slot].peer else { return -1 };
        loop {
            let count = read(peer.as_raw_fd(), 4096);
            if count <= 0 {
                return count;
            }
        }
    }

    /// Bytes that wait to be read.
    fn unread(&self, slot: usize) -> i64 {
        self.slots[slot].own.as_ref().map_or(0, |own| unread(own.as_raw_fd()))
    }

    /// Waits for the loopback device until `own` has one of these.
    fn settle(&self, slot: usize, changed: bool, events: i16) {
        if changed && self.slots[slot].socket == Socket::Tcp && self.is_open(slot) {
            for _ in 0..PATIENCE {
                if self.ready(slot) & events != 0 {
                    break;
                }
                std::thread::yield_now();
            }
        }
    }

    fn ready(&self, slot: usize) -> i16 {
        crate::level::ready(self.number(slot), libc::POLLRDHUP)
    }
}

fn unread(fd: RawFd) -> i64 {
    let mut count: c_int = 0;
    // SAFETY: the number lives across the call.
    unsafe { libc::ioctl(fd, libc::FIONREAD, &raw mut count) };
    count.into()
}

fn shutdown(fd: RawFd, how: c_int) -> bool {
    // SAFETY: the call takes any number.
    unsafe { libc::shutdown(fd, how) == 0 }
}

/// Closing sends a reset, and leaves no port waiting.
fn reset_on_close(fd: RawFd) {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    let size = size_of::<libc::linger>() as libc::socklen_t;
    // SAFETY: the value lives across the call.
    unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_LINGER, (&raw const linger).cast(), size) };
}

/// The number of bytes, or the error as a negative number.
fn outcome(result: std::io::Result<usize>) -> i64 {
    result.map_or_else(|error| -i64::from(error.raw_os_error().unwrap_or(i32::MAX)), |count| count as i64)
}

fn as_file(fd: RawFd) -> ManuallyDrop<std::fs::File> {
    // SAFETY: the descriptor is open, and is not closed by this.
    ManuallyDrop::new(unsafe { std::fs::File::from_raw_fd(fd) })
}

fn write(fd: RawFd, count: usize) -> i64 {
    outcome(as_file(fd).write(&[7; 4096][..count.min(4096)]))
}

fn read(fd: RawFd, count: usize) -> i64 {
    outcome(as_file(fd).read(&mut [0; 4096][..count.min(4096)]))
}

/// Gives the file another number, which is free.
fn move_to(fd: OwnedFd, number: RawFd) -> OwnedFd {
    // SAFETY: both numbers are this side's.
    let moved = unsafe { libc::dup3(fd.as_raw_fd(), number, libc::O_CLOEXEC) };
    assert_eq!(moved, number, "dup3: {}", std::io::Error::last_os_error());
    // SAFETY: it was just opened.
    unsafe { OwnedFd::from_raw_fd(moved) }
}

fn pair(socket: Socket) -> (OwnedFd, Option<OwnedFd>) {
    let opened = match socket {
        Socket::Unix => unix(),
        Socket::Tcp => tcp(),
        Socket::PipeReader => pipe().map(|(reader, writer)| (reader, Some(writer))),
        Socket::PipeWriter => pipe().map(|(reader, writer)| (writer, Some(reader))),
        Socket::File => std::fs::File::open("/dev/null").map(|file| (file.into(), None)),
    };
    opened.unwrap_or_else(|error| panic!("{socket:?}: {error}"))
}

fn unix() -> std::io::Result<(OwnedFd, Option<OwnedFd>)> {
    let (own, peer) = UnixStream::pair()?;
    own.set_nonblocking(true)?;
    peer.set_nonblocking(true)?;
    let room: c_int = 4608;
    let size = size_of::<c_int>() as libc::socklen_t;
    // SAFETY: the value lives across the call.
    unsafe {
        libc::setsockopt(own.as_raw_fd(), libc::SOL_SOCKET, libc::SO_SNDBUF, (&raw const room).cast(), size)
    };
    Ok((own.into(), Some(peer.into())))
}

fn tcp() -> std::io::Result<(OwnedFd, Option<OwnedFd>)> {
    static LISTENER: OnceLock<TcpListener> = OnceLock::new();
    let listener = match LISTENER.get() {
        Some(listener) => listener,
        None => {
            let listener = TcpListener::bind("127.0.0.1:0")?;
            LISTENER.get_or_init(|| listener)
        }
    };
    let own = TcpStream::connect(listener.local_addr()?)?;
    let (peer, _) = listener.accept()?;
    own.set_nonblocking(true)?;
    own.set_nodelay(true)?;
    reset_on_close(own.as_raw_fd());
    peer.set_nonblocking(true)?;
    peer.set_nodelay(true)?;
    Ok((own.into(), Some(peer.into())))
}

fn pipe() -> std::io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [0; 2];
    // SAFETY: there is room for both numbers.
    if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_NONBLOCK | libc::O_CLOEXEC) } != 0 {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: both were just opened.
    Ok(ends.map(|end| unsafe { OwnedFd::from_raw_fd(end) }).into())
}
