/** Options of sockets: their names, and what kind of value each takes. */

import { checkInteger, checkTimeout, outOfRange, wrongType } from '../validate.js'

/** Options that are on or off. */
export type SwitchOption =
  /** Small writes are sent at once (`TCP_NODELAY`). */
  | 'noDelay'
  /** The system probes a silent connection (`SO_KEEPALIVE`). */
  | 'keepAlive'
  /** A port left a moment ago can be bound again (`SO_REUSEADDR`). */
  | 'reuseAddress'
  /** Several sockets can be bound to one address (`SO_REUSEPORT`). */
  | 'reusePort'
  /** Urgent data stays in the stream (`SO_OOBINLINE`). */
  | 'outOfBandInline'
  /** An IPv6 socket takes no IPv4 connections (`IPV6_V6ONLY`); before it is bound. */
  | 'ipv6Only'
  /** Acknowledgements are not delayed for the moment (`TCP_QUICKACK`; Linux). */
  | 'quickAck'
  /** Only full segments are sent while it is on (`TCP_CORK`; Linux). */
  | 'cork'
  /** An address this host does not have yet can be bound (`IP_FREEBIND`; Linux). */
  | 'freeBind'
  /** Connections to foreign addresses can be taken (`IP_TRANSPARENT`; Linux, privileged). */
  | 'transparent'
  /**
   * The port of a socket that is bound to an address alone is chosen when it connects, so that connections to
   * different places can share one (`IP_BIND_ADDRESS_NO_PORT`; Linux).
   */
  | 'bindAddressNoPort'

/** Options that are a whole number. */
export type CountOption =
  /** Unanswered probes before the connection is given up (`TCP_KEEPCNT`). */
  | 'keepAliveCount'
  /** Bytes of the system's receive buffer (`SO_RCVBUF`). Linux doubles and limits what is set. */
  | 'receiveBuffer'
  /** Bytes of the system's send buffer (`SO_SNDBUF`). Linux doubles and limits what is set. */
  | 'sendBuffer'
  /** Hops a packet may travel (`IP_TTL`, `IPV6_UNICAST_HOPS`). */
  | 'timeToLive'
  /** Writable only while fewer bytes than this wait unsent (`TCP_NOTSENT_LOWAT`; Linux). */
  | 'unsentLimit'
  /**
   * How many connections may wait that brought data in their first packet; for a listening socket
   * (`TCP_FASTOPEN`; Linux).
   */
  | 'fastOpen'
  /** The routing mark of the socket's packets (`SO_MARK`; Linux, privileged). */
  | 'mark'

/** Options that are milliseconds, rounded up to what the system counts in, or `false` for none. */
export type TimeOption =
  /** Silence before the first probe (`TCP_KEEPIDLE`); whole seconds. */
  | 'keepAliveIdle'
  /** Time between probes (`TCP_KEEPINTVL`); whole seconds. */
  | 'keepAliveInterval'
  /** How long sent data may stay unacknowledged (`TCP_USER_TIMEOUT`; Linux). */
  | 'userTimeout'
  /** How long closing goes on sending; 0 resets the connection instead (`SO_LINGER`); whole seconds. */
  | 'linger'
  /**
   * A connection is not reported before it brought data, or for this long; for a listening socket
   * (`TCP_DEFER_ACCEPT`; Linux, which rounds it to a number of its own repetitions).
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

/** No time, to the native layer. */
const NONE = -1

/** The kind of an option's value. */
export function checkOption(option: string): Kind {
  if (typeof option !== 'string') throw wrongType('option', 'of type string', option)
  if (!Object.hasOwn(OPTION_KINDS, option)) {
    throw outOfRange('option', `one of ${Object.keys(OPTION_KINDS).join(', ')}`, option)
  }
  return OPTION_KINDS[option as SocketOption]
}

/** An option's value as the native layer takes it. */
export function toNativeValue(kind: Kind, value: boolean | number): number {
  if (kind === 'switch') {
    if (typeof value !== 'boolean') throw wrongType('value', 'of type boolean', value)
    return value ? 1 : 0
  }
  if (kind === 'count') return checkInteger('value', value as number, 0, 0xffff_ffff)
  return value === false ? NONE : checkTimeout('value', value as number)
}

/** An option's value from the native layer. */
export function fromNativeValue(kind: Kind, value: number): boolean | number {
  if (kind === 'switch') return value !== 0
  return kind === 'time' && value < 0 ? false : value
}
