// The errors that a correct program can receive from each system call, from the sections ERRORS of the man pages, and the
// transfers that may be shorter than requested.
import { constants } from 'node:os'

/** What the errors of a call mean for the call itself. */
export type Kind = 'fail' | 'fail afterwards' | 'reset' | 'short'

/** The kinds, in the order of their numbers in the control file. */
export const KINDS: readonly Kind[] = ['fail', 'fail afterwards', 'reset', 'short']

/** A call of the preloaded library's list. */
export interface Plausible {
  /** The man pages that list the errors. */
  readonly pages: string
  /** The call has no effect. */
  readonly fail?: readonly string[]
  /** The call has its effect, or has used up what it was made for: the descriptor is closed, the connection dropped. */
  readonly afterwards?: readonly string[]
  /** The connection fails, and the peer receives a reset. */
  readonly reset?: readonly string[]
  /** The call may transfer less than requested. */
  readonly short?: true
}

// Left out: errors of wrong arguments (EBADF, EFAULT, EINVAL, ENOTSOCK), EAGAIN, which a call returns only while its
// descriptor is not ready, and EPIPE, which the closed connections of the traffic cause.
export const PLAUSIBLE: Readonly<Record<string, Plausible>> = {
  accept4: {
    pages: 'accept(2)',
    fail: ['EINTR', 'EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM', 'EPERM'],
    // A connection that failed before it was accepted is removed from the queue.
    afterwards: ['ECONNABORTED', 'EPROTO', 'ENETDOWN', 'EHOSTUNREACH', 'ENETUNREACH'],
  },
  bind: {
    pages: 'bind(2), ip(7), unix(7)',
    fail: ['EACCES', 'EADDRINUSE', 'EADDRNOTAVAIL', 'ENOMEM', 'EROFS'],
  },
  // The descriptor is closed nevertheless: close(2), "Dealing with error returns from close()".
  close: { pages: 'close(2)', afterwards: ['EINTR', 'EIO'] },
  connect: {
    pages: 'connect(2), tcp(7), unix(7)',
    fail: ['EPERM', 'EADDRNOTAVAIL', 'ECONNREFUSED', 'ENETUNREACH', 'ETIMEDOUT'],
    // The connect continues.
    afterwards: ['EINTR'],
  },
  dup3: { pages: 'dup(2)', fail: ['EMFILE', 'EINTR', 'EBUSY'] },
  epoll_create1: { pages: 'epoll_create(2)', fail: ['EMFILE', 'ENFILE', 'ENOMEM'] },
  'epoll_ctl(EPOLL_CTL_ADD)': { pages: 'epoll_ctl(2)', fail: ['ENOMEM', 'ENOSPC'] },
  'epoll_ctl(EPOLL_CTL_MOD)': { pages: 'epoll_ctl(2)', fail: ['ENOMEM'] },
  // ENOSYS: before Linux 5.11. EPERM: a sandbox that does not know the call.
  epoll_pwait2: { pages: 'epoll_wait(2), seccomp(2)', fail: ['EINTR', 'ENOSYS', 'EPERM'] },
  epoll_wait: { pages: 'epoll_wait(2)', fail: ['EINTR'], short: true },
  eventfd: { pages: 'eventfd(2)', fail: ['EMFILE', 'ENFILE', 'ENOMEM'] },
  'fcntl(F_DUPFD_CLOEXEC)': { pages: 'fcntl(2)', fail: ['EMFILE'] },
  'fcntl(F_SETPIPE_SZ)': { pages: 'fcntl(2)', fail: ['EPERM', 'EBUSY', 'ENOMEM'] },
  fstat64: { pages: 'stat(2)', fail: ['ENOMEM'] },
  getaddrinfo: {
    pages: 'getaddrinfo(3)',
    fail: ['EAI_AGAIN', 'EAI_FAIL', 'EAI_MEMORY', 'EAI_NODATA', 'EAI_NONAME', 'EAI_SYSTEM'],
  },
  getpeername: { pages: 'getpeername(2)', fail: ['ENOBUFS'], reset: ['ENOTCONN'] },
  getsockname: { pages: 'getsockname(2)', fail: ['ENOBUFS'] },
  listen: { pages: 'listen(2)', fail: ['EADDRINUSE'] },
  lstat64: { pages: 'stat(2)', fail: ['EACCES', 'ENOENT', 'ENOMEM'] },
  open: { pages: 'open(2)', fail: ['EACCES', 'EINTR', 'EMFILE', 'ENFILE', 'ENOENT', 'ENOMEM'] },
  pipe2: { pages: 'pipe(2)', fail: ['EMFILE', 'ENFILE'] },
  poll: { pages: 'poll(2)', fail: ['EINTR', 'ENOMEM'] },
  ppoll: { pages: 'poll(2)', fail: ['EINTR', 'ENOMEM'] },
  pselect: { pages: 'select(2)', fail: ['EINTR', 'ENOMEM'] },
  pthread_create: { pages: 'pthread_create(3)', fail: ['EAGAIN'] },
  read: { pages: 'read(2)', fail: ['EINTR'], short: true },
  recv: {
    pages: 'recv(2), tcp(7), ip(7)',
    fail: ['EINTR', 'ENOMEM'],
    reset: ['ECONNRESET', 'ETIMEDOUT', 'EHOSTUNREACH'],
    short: true,
  },
  recvmmsg: { pages: 'recvmmsg(2), recv(2), udp(7)', fail: ['EINTR', 'ENOMEM', 'ECONNREFUSED'], short: true },
  send: {
    pages: 'send(2), tcp(7), ip(7)',
    fail: ['EINTR', 'ENOBUFS', 'ENOMEM'],
    reset: ['ECONNRESET', 'ETIMEDOUT', 'EHOSTUNREACH'],
    short: true,
  },
  sendmmsg: {
    pages: 'sendmmsg(2), send(2), udp(7)',
    fail: ['EINTR', 'ENOBUFS', 'ENOMEM', 'ECONNREFUSED'],
    short: true,
  },
  sendmsg: { pages: 'send(2)', fail: ['EINTR', 'ENOBUFS', 'ENOMEM'], reset: ['ECONNRESET'], short: true },
  // The peer has reset the connection.
  shutdown: { pages: 'shutdown(2)', afterwards: ['ENOTCONN'] },
  socket: {
    pages: 'socket(2)',
    fail: ['EACCES', 'EAFNOSUPPORT', 'EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM'],
  },
  socketpair: { pages: 'socketpair(2)', fail: ['EMFILE', 'ENFILE'] },
  // EINVAL: the descriptor does not support the call.
  'splice(from a socket)': {
    pages: 'splice(2), recv(2)',
    fail: ['EINVAL', 'ENOMEM'],
    reset: ['ECONNRESET'],
    short: true,
  },
  'splice(to a socket)': {
    pages: 'splice(2), send(2)',
    fail: ['EINVAL', 'ENOMEM', 'ENOBUFS'],
    reset: ['ECONNRESET', 'ETIMEDOUT'],
    short: true,
  },
  timerfd_create: { pages: 'timerfd_create(2)', fail: ['EMFILE', 'ENFILE', 'ENOMEM'] },
  unlink: { pages: 'unlink(2)', fail: ['EACCES', 'EBUSY', 'EIO', 'ENOENT', 'EPERM', 'EROFS'] },
  write: { pages: 'write(2)', fail: ['EINTR'] },
  writev: {
    pages: 'writev(2), send(2)',
    fail: ['EINTR', 'ENOBUFS', 'ENOMEM'],
    reset: ['ECONNRESET'],
    short: true,
  },
}

/** The absolute values of the codes of getaddrinfo(3), from glibc's `netdb.h`. */
const RESOLVER: Readonly<Record<string, number>> = {
  EAI_NONAME: 2,
  EAI_AGAIN: 3,
  EAI_FAIL: 4,
  EAI_NODATA: 5,
  EAI_MEMORY: 10,
  EAI_SYSTEM: 11,
}

/** A fault of a call: its error, or `short`. */
export interface Outcome {
  readonly kind: Kind
  /** The name of the error, or `short`. */
  readonly name: string
  /** The number of the error, or the bytes or messages of a short transfer. */
  readonly value: number
}

function numberOf(name: string): number {
  const number = RESOLVER[name] ?? (constants.errno as Readonly<Record<string, number>>)[name]
  if (number === undefined) throw new Error(`${name} is not an error of this system`)
  return number
}

function errorsOf(kind: Kind, names: readonly string[]): Outcome[] {
  return names.map((name) => ({ kind, name, value: numberOf(name) }))
}

/** The faults of a call. Empty for a call that has none. */
export function outcomesOf(call: string): Outcome[] {
  const { fail = [], afterwards = [], reset = [], short } = PLAUSIBLE[call] ?? {}
  return [
    ...errorsOf('fail', fail),
    ...errorsOf('fail afterwards', afterwards),
    ...errorsOf('reset', reset),
    ...(short === true ? [{ kind: 'short', name: 'short', value: 1 } as const] : []),
  ]
}
