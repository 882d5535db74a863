//! libevent's buffered events and listener, declared by hand and checked against the headers of 2.1.12.
#![expect(unsafe_code, reason = "libevent is a C library")]

use std::ffi::{c_int, c_short, c_uint, c_void};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{BorrowedFd, RawFd};
use std::ptr::{self, NonNull};

use event_base_conformance::Failure;
use event_base_conformance::libevent::raw::{
    EVENT_BASE_FLAG_NOLOCK, EventBase, event_base_loop, event_base_new_with_config, event_config_free,
    event_config_new, event_config_set_flag,
};

/// `struct bufferevent`.
#[repr(C)]
struct Bufferevent {
    opaque: [u8; 0],
}

/// `struct evbuffer`.
#[repr(C)]
struct Evbuffer {
    opaque: [u8; 0],
}

/// `struct evconnlistener`.
#[repr(C)]
struct Evconnlistener {
    opaque: [u8; 0],
}

type DataCallback = unsafe extern "C" fn(*mut Bufferevent, *mut c_void);
type EventCallback = unsafe extern "C" fn(*mut Bufferevent, c_short, *mut c_void);
type ListenerCallback =
    unsafe extern "C" fn(*mut Evconnlistener, c_int, *mut libc::sockaddr, c_int, *mut c_void);

const BEV_OPT_CLOSE_ON_FREE: c_int = 1;
const BEV_OPT_DEFER_CALLBACKS: c_int = 4;
const BEV_EVENT_CONNECTED: c_short = 0x80;
const LEV_OPT_CLOSE_ON_EXEC_FREE_REUSEABLE: c_uint = 0x02 | 0x04 | 0x08;
/// `EV_READ`.
pub(crate) const READ: c_short = 2;
/// `EV_WRITE`.
pub(crate) const WRITE: c_short = 4;

unsafe extern "C" {
    fn bufferevent_socket_new(base: *mut EventBase, fd: c_int, options: c_int) -> *mut Bufferevent;
    fn bufferevent_socket_connect(
        stream: *mut Bufferevent,
        address: *const libc::sockaddr,
        length: c_int,
    ) -> c_int;
    fn bufferevent_setcb(
        stream: *mut Bufferevent,
        read: Option<DataCallback>,
        write: Option<DataCallback>,
        event: Option<EventCallback>,
        argument: *mut c_void,
    );
    fn bufferevent_enable(stream: *mut Bufferevent, what: c_short) -> c_int;
    fn bufferevent_disable(stream: *mut Bufferevent, what: c_short) -> c_int;
    fn bufferevent_setwatermark(stream: *mut Bufferevent, what: c_short, low: usize, high: usize);
    fn bufferevent_get_input(stream: *mut Bufferevent) -> *mut Evbuffer;
    fn bufferevent_get_output(stream: *mut Bufferevent) -> *mut Evbuffer;
    fn bufferevent_free(stream: *mut Bufferevent);
    fn evbuffer_add_buffer(to: *mut Evbuffer, from: *mut Evbuffer) -> c_int;
    fn evbuffer_get_length(buffer: *const Evbuffer) -> usize;
    fn evbuffer_drain(buffer: *mut Evbuffer, bytes: usize) -> c_int;
    fn evconnlistener_new_bind(
        base: *mut EventBase,
        callback: ListenerCallback,
        argument: *mut c_void,
        flags: c_uint,
        backlog: c_int,
        address: *const libc::sockaddr,
        length: c_int,
    ) -> *mut Evconnlistener;
    fn evconnlistener_get_fd(listener: *mut Evconnlistener) -> c_int;
}

/// A base without locks that is never freed: it ends with the process.
#[derive(Clone, Copy)]
pub(crate) struct Base(NonNull<EventBase>);

/// One side of a connection. It must not be used after [`free`](Self::free), which the program has to see to, as
/// one in C has to.
#[derive(Clone, Copy)]
pub(crate) struct Stream(NonNull<Bufferevent>);

/// The callbacks of a stream. `partner` is the other side, if there is one.
pub(crate) trait Sides {
    /// The input has bytes.
    fn readable(stream: Stream, partner: Option<Stream>);
    /// The output is at or below its low watermark.
    fn drained(stream: Stream, partner: Option<Stream>);
    /// The stream ended, whether well or not.
    fn ended(stream: Stream, partner: Option<Stream>);
}

unsafe extern "C" fn readable<S: Sides>(stream: *mut Bufferevent, partner: *mut c_void) {
    if let Some(stream) = NonNull::new(stream) {
        S::readable(Stream(stream), NonNull::new(partner.cast()).map(Stream));
    }
}

unsafe extern "C" fn drained<S: Sides>(stream: *mut Bufferevent, partner: *mut c_void) {
    if let Some(stream) = NonNull::new(stream) {
        S::drained(Stream(stream), NonNull::new(partner.cast()).map(Stream));
    }
}

unsafe extern "C" fn ended<S: Sides>(stream: *mut Bufferevent, what: c_short, partner: *mut c_void) {
    if what & BEV_EVENT_CONNECTED != 0 {
        return;
    }
    if let Some(stream) = NonNull::new(stream) {
        S::ended(Stream(stream), NonNull::new(partner.cast()).map(Stream));
    }
}

fn loopback(port: u16) -> libc::sockaddr_in {
    let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
    libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: address.port().to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from(*address.ip()).to_be() },
        sin_zero: [0; 8],
    }
}

const ADDRESS_LENGTH: c_int = size_of::<libc::sockaddr_in>() as c_int;

impl Base {
    /// A base on the preferred backend.
    ///
    /// # Errors
    /// If libevent cannot make one.
    pub(crate) fn new() -> Result<Self, Failure> {
        let config = NonNull::new(event_config_new()).ok_or(Failure::Libevent("event_config_new"))?;
        // SAFETY: the configuration was just made.
        let set = unsafe { event_config_set_flag(config.as_ptr(), EVENT_BASE_FLAG_NOLOCK) };
        // SAFETY: as above.
        let base = unsafe { event_base_new_with_config(config.as_ptr()) };
        // SAFETY: nothing refers to the configuration any more.
        unsafe { event_config_free(config.as_ptr()) };
        if set != 0 {
            return Err(Failure::Libevent("event_config_set_flag"));
        }
        NonNull::new(base).map(Base).ok_or(Failure::Libevent("event_base_new_with_config"))
    }

    /// Listens on a port that the system chooses, until the process ends. `accept` receives the [`Accepting`].
    ///
    /// # Errors
    /// If it cannot listen.
    pub(crate) fn listen(self, accepting: Accepting) -> Result<BorrowedFd<'static>, Failure> {
        let address = loopback(0);
        let argument = Box::into_raw(Box::new(accepting));
        // SAFETY: the base lives as long as the process, and so does the argument; the address is read in the call.
        let listener = unsafe {
            evconnlistener_new_bind(
                self.0.as_ptr(),
                accepted,
                argument.cast(),
                LEV_OPT_CLOSE_ON_EXEC_FREE_REUSEABLE,
                4096,
                (&raw const address).cast(),
                ADDRESS_LENGTH,
            )
        };
        let listener = NonNull::new(listener).ok_or(Failure::Libevent("evconnlistener_new_bind"))?;
        // SAFETY: the listener was just made.
        let fd = unsafe { evconnlistener_get_fd(listener.as_ptr()) };
        // SAFETY: the listener is never freed, so its descriptor stays open.
        Ok(unsafe { BorrowedFd::borrow_raw(fd) })
    }

    /// Runs until nothing is left to wait for.
    ///
    /// # Errors
    /// If the loop fails.
    pub(crate) fn run(self) -> Result<(), Failure> {
        // SAFETY: the base is alive, and no callback enters the loop again.
        if unsafe { event_base_loop(self.0.as_ptr(), 0) } < 0 {
            return Err(Failure::Libevent("event_base_loop"));
        }
        Ok(())
    }

    /// A stream over a connection, which it closes when it is freed; without one, a stream that can connect.
    pub(crate) fn stream(self, fd: Option<RawFd>) -> Option<Stream> {
        let options = BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS;
        // SAFETY: the base is alive, and the descriptor is the stream's from here on.
        let stream = unsafe { bufferevent_socket_new(self.0.as_ptr(), fd.unwrap_or(-1), options) };
        NonNull::new(stream).map(Stream)
    }
}

/// How connections are handled.
pub(crate) struct Accepting {
    /// The base of the streams.
    pub(crate) base: Base,
    /// The port to forward to; 0 if connections are not forwarded.
    pub(crate) upstream: u16,
    /// Called for each connection.
    pub(crate) accept: fn(&Accepting, RawFd),
}

unsafe extern "C" fn accepted(
    _: *mut Evconnlistener,
    fd: c_int,
    _: *mut libc::sockaddr,
    _: c_int,
    accepting: *mut c_void,
) {
    // SAFETY: it is what `listen` gave away and never takes back.
    if let Some(accepting) = unsafe { accepting.cast::<Accepting>().as_ref() } {
        (accepting.accept)(accepting, fd);
    }
}

impl Stream {
    /// Sets the callbacks and the partner; [`Sides::drained`] only if requested.
    pub(crate) fn call<S: Sides>(self, partner: Option<Stream>, when_drained: bool) {
        let drained: Option<DataCallback> = if when_drained { Some(drained::<S>) } else { None };
        let partner = partner.map_or(ptr::null_mut(), |partner| partner.0.as_ptr());
        // SAFETY: the stream is alive, and the callbacks take what is given here.
        unsafe {
            bufferevent_setcb(
                self.0.as_ptr(),
                Some(readable::<S>),
                drained,
                Some(ended::<S>),
                partner.cast(),
            );
        }
    }

    /// Connects to a port of this machine. A failure is the stream's end.
    pub(crate) fn connect(self, port: u16) -> bool {
        let address = loopback(port);
        // SAFETY: the stream is alive; the address is read in the call.
        let done = unsafe {
            bufferevent_socket_connect(self.0.as_ptr(), (&raw const address).cast(), ADDRESS_LENGTH)
        };
        done == 0
    }

    /// Enables reading or writing.
    pub(crate) fn enable(self, what: c_short) {
        // SAFETY: the stream is alive.
        unsafe { bufferevent_enable(self.0.as_ptr(), what) };
    }

    /// Disables reading or writing.
    pub(crate) fn disable(self, what: c_short) {
        // SAFETY: the stream is alive.
        unsafe { bufferevent_disable(self.0.as_ptr(), what) };
    }

    /// The low watermark of the output, for [`Sides::drained`], and the high one.
    pub(crate) fn set_write_watermark(self, low: usize, high: usize) {
        // SAFETY: the stream is alive.
        unsafe { bufferevent_setwatermark(self.0.as_ptr(), WRITE, low, high) };
    }

    fn input(self) -> *mut Evbuffer {
        // SAFETY: the stream is alive.
        unsafe { bufferevent_get_input(self.0.as_ptr()) }
    }

    fn output(self) -> *mut Evbuffer {
        // SAFETY: the stream is alive.
        unsafe { bufferevent_get_output(self.0.as_ptr()) }
    }

    /// Bytes that wait to be written.
    pub(crate) fn unwritten(self) -> usize {
        // SAFETY: the stream's buffer lives as long as the stream.
        unsafe { evbuffer_get_length(self.output()) }
    }

    /// Moves the input to the output of a stream, which may be this one.
    pub(crate) fn move_input_to(self, other: Stream) {
        // SAFETY: both buffers live as long as their streams.
        unsafe { evbuffer_add_buffer(other.output(), self.input()) };
    }

    /// Discards the input.
    pub(crate) fn drop_input(self) {
        // SAFETY: the buffer lives as long as the stream; more bytes than there are means all of them.
        unsafe { evbuffer_drain(self.input(), usize::MAX) };
    }

    /// Closes it.
    pub(crate) fn free(self) {
        // SAFETY: the program does not use the stream afterwards.
        unsafe { bufferevent_free(self.0.as_ptr()) };
    }
}
