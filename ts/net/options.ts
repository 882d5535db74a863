/** The names of socket options, and the kind of each value. */

import { checkInteger, checkTimeout, outOfRange, wrongType } from '../validate.js'

/** Options that are on or off. */
export type SwitchOption =
  /** Sends small writes without delay (`TCP_NODELAY`). */
  | 'noDelay'
  /** Probes an idle connection (`SO_KEEPALIVE`). */
  | 'keepAlive'
  /** Allows binding a port whose last connections are in TIME_WAIT (`SO_REUSEADDR`). */
  | 'reuseAddress'
  /** Allows several sockets at one address (`SO_REUSEPORT`). */
  | 'reusePort'
  /** Keeps urgent data in the stream (`SO_OOBINLINE`). */
  | 'outOfBandInline'
  /** Makes an IPv6 socket accept no IPv4 connections (`IPV6_V6ONLY`). Set it before the socket is bound. */
  | 'ipv6Only'
  /** Sends acknowledgements without delay, until the system resets it (`TCP_QUICKACK`; Linux). */
  | 'quickAck'
  /** Sends only full segments (`TCP_CORK`; Linux). */
  | 'cork'
  /** Allows binding an address that this host does not have yet (`IP_FREEBIND`; Linux). */
  | 'freeBind'
  /** Allows addresses that this host does not have (`IP_TRANSPARENT`; Linux, privileged). */
  | 'transparent'
  /**
   * Chooses the port of a socket that is bound to an address without a port when it connects, so that connections to
   * different addresses can share a port (`IP_BIND_ADDRESS_NO_PORT`; Linux).
   */
  | 'bindAddressNoPort'

/** Options whose value is a whole number. */
export type CountOption =
  /** Unanswered probes after which the connection fails (`TCP_KEEPCNT`). */
  | 'keepAliveCount'
  /** Bytes of the system's receive buffer (`SO_RCVBUF`). Linux limits and doubles the value: `socket(7)`. */
  | 'receiveBuffer'
  /** Bytes of the system's send buffer (`SO_SNDBUF`). Linux limits and doubles the value: `socket(7)`. */
  | 'sendBuffer'
  /** The hop limit of packets (`IP_TTL`, `IPV6_UNICAST_HOPS`). */
  | 'timeToLive'
  /** The number of unsent bytes below which the socket is writable (`TCP_NOTSENT_LOWAT`; Linux). */
  | 'unsentLimit'
  /**
   * The number of connections with data in their first packet that may wait, for a listening socket (`TCP_FASTOPEN`;
   * Linux).
   */
  | 'fastOpen'
  /** The routing mark of the socket's packets (`SO_MARK`; Linux, privileged). */
  | 'mark'

/** Options whose value is a time in milliseconds, rounded up to the system's unit, or `false` for no time. */
export type TimeOption =
  /** Idle time before the first probe (`TCP_KEEPIDLE`); whole seconds. */
  | 'keepAliveIdle'
  /** Time between probes (`TCP_KEEPINTVL`); whole seconds. */
  | 'keepAliveInterval'
  /** The time that sent data may stay unacknowledged (`TCP_USER_TIMEOUT`; Linux). */
  | 'userTimeout'
  /**
   * The time for which the system continues to send data after closing; 0 resets the connection (`SO_LINGER`); whole
   * seconds.
   */
  | 'linger'
  /**
   * The time for which a connection without data is not reported, for a listening socket (`TCP_DEFER_ACCEPT`; Linux,
   * which rounds the time up to the end of a retransmission).
   */
  | 'deferAccept'

/** Every option. */
export type SocketOption = SwitchOption | CountOption | TimeOption

type Kind = 'switch' | 'count' | 'time'

/** The kind of each option's value. */
export const OPTION_KINDS: Readonly<
  Record<SwitchOption, 'switch'> & Record<CountOption, 'count'> & Record<TimeOption, 'time'>
> = Object.freeze({
  noDelay: 'switch',
  keepAlive: 'switch',
  keepAliveIdle: 'time',
  keepAliveInterval: 'time',
  keepAliveCount: 'count',
  userTimeout: 'time',
  reuseAddress: 'switch',
  reusePort: 'switch',
  receiveBuffer: 'count',
  sendBuffer: 'count',
  linger: 'time',
  outOfBandInline: 'switch',
  ipv6Only: 'switch',
  timeToLive: 'count',
  quickAck: 'switch',
  cork: 'switch',
  unsentLimit: 'count',
  freeBind: 'switch',
  transparent: 'switch',
  fastOpen: 'count',
  deferAccept: 'time',
  bindAddressNoPort: 'switch',
  mark: 'count',
})

/** The number that means no time in the native layer. */
const NONE = -1

/** Checks the name of an option, and returns the kind of its value. */
export function checkOption(option: string): Kind {
  if (typeof option !== 'string') throw wrongType('option', 'of type string', option)
  if (!Object.hasOwn(OPTION_KINDS, option)) {
    throw outOfRange('option', `one of ${Object.keys(OPTION_KINDS).join(', ')}`, option)
  }
  return OPTION_KINDS[option as SocketOption]
}

/** Checks an option's value, and returns the number that the native layer takes. */
export function toNativeValue(kind: Kind, value: boolean | number): number {
  if (kind === 'switch') {
    if (typeof value !== 'boolean') throw wrongType('value', 'of type boolean', value)
    return value ? 1 : 0
  }
  if (kind === 'count') return checkInteger('value', value as number, 0, 0xffff_ffff)
  return value === false ? NONE : checkTimeout('value', value as number)
}

/** Converts an option's value from the native layer. */
export function fromNativeValue(kind: Kind, value: number): boolean | number {
  if (kind === 'switch') return value !== 0
  return kind === 'time' && value < 0 ? false : value
}
