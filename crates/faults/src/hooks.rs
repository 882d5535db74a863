//! The functions that replace those of the C library: each counts the call, and makes it unless the driver selected it.

use libc::{
    addrinfo, c_char, c_int, c_long, c_uint, c_void, epoll_event, iovec, mmsghdr, msghdr, nfds_t, pollfd,
    pthread_attr_t, pthread_t, sigset_t, size_t, sockaddr, socklen_t, ssize_t, timespec,
};

use crate::control::{Fault, fault};

/// A function of the addon's table and the function that replaces it.
type Hook = (&'static str, *const c_void);

/// Fails with `errno`, in the way of a system call.
fn fail<T: From<i8>>(errno: c_int) -> T {
    // SAFETY: the C library returns the address of the thread's errno.
    let place = unsafe { libc::__errno_location() };
    // SAFETY: the address is valid for the life of the thread.
    unsafe { *place = errno };
    T::from(-1)
}

/// Resets a connection. The socket is afterwards in the state in which a reset by its peer leaves it, except that bytes
/// which were not read are lost: a read returns 0, and a write fails with `EPIPE`. Unix sockets are not changed.
fn reset(fd: c_int) {
    let unspecified = sockaddr { sa_family: libc::AF_UNSPEC as libc::sa_family_t, sa_data: [0; 14] };
    let length = size_of::<sockaddr>() as socklen_t;
    // SAFETY: the address is valid for the call. Linux disconnects a TCP socket with a reset (connect(2)).
    let result = unsafe { libc::connect(fd, &raw const unspecified, length) };
    if result == 0 {
        // SAFETY: the call takes no pointer.
        unsafe { libc::shutdown(fd, libc::SHUT_RDWR) };
    }
}

/// Closes a descriptor that a call has opened. The close of a connection resets it.
fn discard(fd: c_int) {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    let (address, length) = ((&raw const linger).cast::<c_void>(), size_of::<libc::linger>() as socklen_t);
    // SAFETY: the option is valid for the call; a descriptor that is no socket refuses it.
    unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_LINGER, address, length) };
    // SAFETY: the call that opened the descriptor reports a failure, so nothing else uses it.
    unsafe { libc::close(fd) };
}

/// Defines the functions and their names. After the result stands what the fault of a connection resets, what a short
/// transfer limits, and what closes the descriptor that a call returns.
macro_rules! hooks {
    ($(
        $name:ident($($argument:ident: $type:ty),*) -> $result:ty
            $(, resets $socket:ident)? $(, shortens $length:ident)? $(, opens $discard:ident)?;
    )*) => {
        /// The indices of the calls.
        #[expect(non_camel_case_types, reason = "they are the names of the calls")]
        #[derive(Clone, Copy)]
        enum Call { $($name,)* }

        $(
            #[allow(unused_mut, reason = "only a call with a length has an argument that changes")]
            unsafe extern "C" fn $name($(mut $argument: $type),*) -> $result {
                match fault(Call::$name as usize) {
                    None => {}
                    Some(Fault::Fail(errno)) => return fail(errno),
                    Some(Fault::FailAfterwards(errno)) => {
                        // SAFETY: the caller's arguments.
                        let _result = unsafe { libc::$name($($argument),*) };
                        $(if _result >= 0 {
                            $discard(_result);
                        })?
                        return fail(errno);
                    }
                    Some(Fault::Reset(errno)) => {
                        $(reset($socket);)?
                        return fail(errno);
                    }
                    Some(Fault::Short(_most)) => {
                        $($length = $length.min(_most as _);)?
                    }
                }
                // SAFETY: the caller's arguments, with a length that is not larger.
                unsafe { libc::$name($($argument),*) }
            }
        )*

        const PLAIN: &[&str] = &[$(stringify!($name),)*];
        const PLAIN_HOOKS: &[Hook] = &[$((stringify!($name), $name as *const c_void),)*];
    };
}

hooks! {
    accept4(fd: c_int, address: *mut sockaddr, length: *mut socklen_t, flags: c_int) -> c_int, opens discard;
    bind(fd: c_int, address: *const sockaddr, length: socklen_t) -> c_int;
    close(fd: c_int) -> c_int;
    connect(fd: c_int, address: *const sockaddr, length: socklen_t) -> c_int;
    dup3(from: c_int, to: c_int, flags: c_int) -> c_int;
    epoll_create1(flags: c_int) -> c_int;
    epoll_wait(fd: c_int, events: *mut epoll_event, most: c_int, timeout: c_int) -> c_int, shortens most;
    eventfd(initial: c_uint, flags: c_int) -> c_int;
    fstat64(fd: c_int, status: *mut libc::stat64) -> c_int;
    getpeername(fd: c_int, address: *mut sockaddr, length: *mut socklen_t) -> c_int, resets fd;
    getsockname(fd: c_int, address: *mut sockaddr, length: *mut socklen_t) -> c_int;
    listen(fd: c_int, backlog: c_int) -> c_int;
    lstat64(path: *const c_char, status: *mut libc::stat64) -> c_int;
    pipe2(ends: *mut c_int, flags: c_int) -> c_int;
    poll(list: *mut pollfd, count: nfds_t, timeout: c_int) -> c_int;
    ppoll(list: *mut pollfd, count: nfds_t, timeout: *const timespec, mask: *const sigset_t) -> c_int;
    pselect(
        count: c_int, reads: *mut libc::fd_set, writes: *mut libc::fd_set, others: *mut libc::fd_set,
        timeout: *const timespec, mask: *const sigset_t
    ) -> c_int;
    read(fd: c_int, buffer: *mut c_void, length: size_t) -> ssize_t, resets fd, shortens length;
    recv(fd: c_int, buffer: *mut c_void, length: size_t, flags: c_int) -> ssize_t, resets fd, shortens length;
    recvmmsg(
        fd: c_int, messages: *mut mmsghdr, count: c_uint, flags: c_int, timeout: *mut timespec
    ) -> c_int, shortens count;
    send(fd: c_int, buffer: *const c_void, length: size_t, flags: c_int) -> ssize_t, resets fd, shortens length;
    sendmmsg(fd: c_int, messages: *mut mmsghdr, count: c_uint, flags: c_int) -> c_int, shortens count;
    shutdown(fd: c_int, how: c_int) -> c_int;
    socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int;
    socketpair(domain: c_int, kind: c_int, protocol: c_int, ends: *mut c_int) -> c_int;
    timerfd_create(clock: c_int, flags: c_int) -> c_int;
    unlink(path: *const c_char) -> c_int;
    write(fd: c_int, buffer: *const c_void, length: size_t) -> ssize_t, resets fd, shortens length;
}

/// The calls whose name or failure depends on more than the function.
const OTHERS: &[&str] = &[
    "splice(from a socket)",
    "splice(to a socket)",
    "sendmsg",
    "writev",
    "epoll_ctl(EPOLL_CTL_ADD)",
    "epoll_ctl(EPOLL_CTL_MOD)",
    "epoll_pwait2",
    "fcntl(F_DUPFD_CLOEXEC)",
    "fcntl(F_SETPIPE_SZ)",
    "open",
    "pthread_create",
    "getaddrinfo",
];

const OTHER_HOOKS: &[Hook] = &[
    ("splice", splice as *const c_void),
    ("sendmsg", sendmsg as *const c_void),
    ("writev", writev as *const c_void),
    ("epoll_ctl", epoll_ctl as *const c_void),
    ("syscall", syscall as *const c_void),
    ("fcntl", fcntl as *const c_void),
    ("open64", open64 as *const c_void),
    ("pthread_create", pthread_create as *const c_void),
    ("getaddrinfo", getaddrinfo as *const c_void),
];

const fn joined<T: Copy, const N: usize>(first: &[T], second: &[T]) -> [T; N] {
    let mut all = [first[0]; N];
    let mut index = 0;
    while index < N {
        all[index] = if index < first.len() { first[index] } else { second[index - first.len()] };
        index += 1;
    }
    all
}

const COUNT: usize = PLAIN.len() + OTHERS.len();
const HOOK_COUNT: usize = PLAIN_HOOKS.len() + OTHER_HOOKS.len();

/// The names of the calls that can fail.
pub(crate) const NAMES: [&str; COUNT] = joined(PLAIN, OTHERS);

/// The functions that are replaced.
pub(crate) static HOOKS: Hooks = Hooks(joined(PLAIN_HOOKS, OTHER_HOOKS));

/// The functions, which are constant addresses.
pub(crate) struct Hooks([Hook; HOOK_COUNT]);

// SAFETY: the pointers are addresses of functions.
unsafe impl Sync for Hooks {}

impl Hooks {
    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Hook> {
        self.0.iter()
    }
}

/// The index of a name in `OTHERS`, computed by the compiler.
const fn index(name: &str) -> usize {
    let mut at = 0;
    while at < OTHERS.len() {
        if is_same(OTHERS[at].as_bytes(), name.as_bytes()) {
            return PLAIN.len() + at;
        }
        at += 1;
    }
    panic!("an unknown call")
}

const fn is_same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let mut at = 0;
    while at < one.len() {
        if one[at] != other[at] {
            return false;
        }
        at += 1;
    }
    true
}

/// The error of a call that is not made, if it was selected. The kinds of faults that the call does not have are plain
/// failures.
fn failure(call: usize) -> Option<c_int> {
    match fault(call)? {
        Fault::Fail(errno) | Fault::FailAfterwards(errno) | Fault::Reset(errno) => Some(errno),
        Fault::Short(_) => None,
    }
}

unsafe extern "C" fn splice(
    from: c_int,
    from_offset: *mut libc::loff_t,
    to: c_int,
    to_offset: *mut libc::loff_t,
    length: size_t,
    flags: c_uint,
) -> ssize_t {
    let mut status = std::mem::MaybeUninit::<libc::stat>::uninit();
    // SAFETY: the status is valid for writes.
    let result = unsafe { libc::fstat(from, status.as_mut_ptr()) };
    // SAFETY: the call has written it if it succeeded.
    let from_socket = result == 0 && unsafe { status.assume_init() }.st_mode & libc::S_IFMT == libc::S_IFSOCK;
    let call = if from_socket {
        const { index("splice(from a socket)") }
    } else {
        const { index("splice(to a socket)") }
    };
    let mut most = length;
    match fault(call) {
        None => {}
        Some(Fault::Fail(errno) | Fault::FailAfterwards(errno)) => return fail(errno),
        Some(Fault::Reset(errno)) => {
            reset(if from_socket { from } else { to });
            return fail(errno);
        }
        Some(Fault::Short(bytes)) => most = most.min(bytes),
    }
    // SAFETY: the caller's arguments, with a length that is not larger.
    unsafe { libc::splice(from, from_offset, to, to_offset, most, flags) }
}

unsafe extern "C" fn sendmsg(fd: c_int, message: *const msghdr, flags: c_int) -> ssize_t {
    match fault(const { index("sendmsg") }) {
        Some(Fault::Fail(errno) | Fault::FailAfterwards(errno)) => return fail(errno),
        Some(Fault::Reset(errno)) => {
            reset(fd);
            return fail(errno);
        }
        Some(Fault::Short(bytes)) => {
            // SAFETY: the caller passes a valid message.
            let message = unsafe { &*message };
            if message.msg_iovlen > 0 {
                // SAFETY: the message has at least one part.
                let first = unsafe { &*message.msg_iov };
                // SAFETY: a part is valid for its length, and the new length is not larger.
                return unsafe { libc::send(fd, first.iov_base, first.iov_len.min(bytes), flags) };
            }
        }
        None => {}
    }
    // SAFETY: the caller's arguments.
    unsafe { libc::sendmsg(fd, message, flags) }
}

unsafe extern "C" fn writev(fd: c_int, parts: *const iovec, count: c_int) -> ssize_t {
    match fault(const { index("writev") }) {
        Some(Fault::Fail(errno) | Fault::FailAfterwards(errno)) => return fail(errno),
        Some(Fault::Reset(errno)) => {
            reset(fd);
            return fail(errno);
        }
        Some(Fault::Short(bytes)) if count > 0 => {
            // SAFETY: the list has at least one part.
            let first = unsafe { &*parts };
            // SAFETY: a part is valid for its length, and the new length is not larger.
            return unsafe { libc::write(fd, first.iov_base, first.iov_len.min(bytes)) };
        }
        _ => {}
    }
    // SAFETY: the caller's arguments.
    unsafe { libc::writev(fd, parts, count) }
}

unsafe extern "C" fn epoll_ctl(epoll: c_int, operation: c_int, fd: c_int, event: *mut epoll_event) -> c_int {
    let call = match operation {
        libc::EPOLL_CTL_ADD => Some(const { index("epoll_ctl(EPOLL_CTL_ADD)") }),
        libc::EPOLL_CTL_MOD => Some(const { index("epoll_ctl(EPOLL_CTL_MOD)") }),
        _ => None,
    };
    if let Some(errno) = call.and_then(failure) {
        return fail(errno);
    }
    // SAFETY: the caller's arguments.
    unsafe { libc::epoll_ctl(epoll, operation, fd, event) }
}

/// `syscall` has variable arguments, which the calling conventions of Linux pass like fixed ones.
unsafe extern "C" fn syscall(
    number: c_long,
    a: usize,
    b: usize,
    c: usize,
    d: usize,
    e: usize,
    f: usize,
) -> c_long {
    if number == libc::SYS_epoll_pwait2
        && let Some(errno) = failure(const { index("epoll_pwait2") })
    {
        return fail(errno);
    }
    // SAFETY: the caller's arguments. Those that it did not pass are not used.
    unsafe { libc::syscall(number, a, b, c, d, e, f) }
}

/// `fcntl` has a variable argument, like `syscall`.
unsafe extern "C" fn fcntl(fd: c_int, operation: c_int, argument: usize) -> c_int {
    let call = match operation {
        libc::F_DUPFD_CLOEXEC => Some(const { index("fcntl(F_DUPFD_CLOEXEC)") }),
        libc::F_SETPIPE_SZ => Some(const { index("fcntl(F_SETPIPE_SZ)") }),
        _ => None,
    };
    if let Some(errno) = call.and_then(failure) {
        return fail(errno);
    }
    // SAFETY: the caller's arguments. One that it did not pass is not used.
    unsafe { libc::fcntl(fd, operation, argument) }
}

/// `open` has a variable argument, like `syscall`.
unsafe extern "C" fn open64(path: *const c_char, flags: c_int, mode: libc::mode_t) -> c_int {
    if let Some(errno) = failure(const { index("open") }) {
        return fail(errno);
    }
    // SAFETY: the caller's arguments. One that it did not pass is not used.
    unsafe { libc::open64(path, flags, mode) }
}

/// Returns its error, and does not set errno.
unsafe extern "C" fn pthread_create(
    thread: *mut pthread_t,
    attributes: *const pthread_attr_t,
    start: extern "C" fn(*mut c_void) -> *mut c_void,
    argument: *mut c_void,
) -> c_int {
    if let Some(errno) = failure(const { index("pthread_create") }) {
        return errno;
    }
    // SAFETY: the caller's arguments.
    unsafe { libc::pthread_create(thread, attributes, start, argument) }
}

/// Returns its error: one of the resolver's codes, which are negative. The driver passes their amount.
unsafe extern "C" fn getaddrinfo(
    node: *const c_char,
    service: *const c_char,
    hints: *const addrinfo,
    found: *mut *mut addrinfo,
) -> c_int {
    if let Some(code) = failure(const { index("getaddrinfo") }) {
        let _: c_int = fail(libc::EIO);
        return -code;
    }
    // SAFETY: the caller's arguments.
    unsafe { libc::getaddrinfo(node, service, hints, found) }
}
