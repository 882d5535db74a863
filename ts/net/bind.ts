/** How a listening socket is bound: the options that have to be set before. */

import { native } from '../native.js'
import { checkBoolean, checkInteger, checkObject, checkTimeout } from '../validate.js'
import { at, checkNumericTarget, type Target } from './address.js'

/**
 * How to bind. An option that the address family lacks is refused with `EOPNOTSUPP`, one that the system lacks
 * with `ENOPROTOOPT`; none is passed over.
 */
export interface BindOptions {
  /**
   * How many connections may wait to be accepted, 0 to 2147483647. Default, and for -1: 4096. The system may
   * lower it, Linux to `net.core.somaxconn`.
   */
  backlog?: number | undefined
  /**
   * Lets other sockets listen at the same address and spreads the connections over them (`SO_REUSEPORT`). Not
   * for paths.
   */
  reusePort?: boolean | undefined
  /**
   * Keeps an IPv6 socket from taking IPv4 connections as well (`IPV6_V6ONLY`); IPv6 alone. By default `'::'` is
   * dual stack, whatever the system's default, and an IPv4 peer shows as `'::ffff:192.0.2.1'`.
   */
  ipv6Only?: boolean | undefined
  /**
   * Listens at addresses that are not this host's, for connections that a firewall diverts here
   * (`IP_TRANSPARENT`, `IPV6_TRANSPARENT`; Linux, `CAP_NET_ADMIN`, else `EPERM`). Not for paths.
   */
  transparent?: boolean | undefined
  /** Binds an address that this host does not have yet (`IP_FREEBIND`; Linux). Not for paths. */
  freeBind?: boolean | undefined
  /**
   * How many connections may wait that brought data in their first packet (`TCP_FASTOPEN`; Linux). 0, the
   * default, is none. Without the second bit of `net.ipv4.tcp_fastopen` the system ignores it.
   */
  fastOpen?: number | undefined
  /**
   * A connection is not reported before it brought data, or for this many milliseconds (`TCP_DEFER_ACCEPT`;
   * Linux, which rounds it up, to one of 1, 3, 7, 15, ... seconds). For protocols in which the client speaks
   * first. Not for paths.
   */
  deferAccept?: number | undefined
  /** Small writes of the connections are sent at once (`TCP_NODELAY`, inherited by each). Not for paths. */
  noDelay?: boolean | undefined
  /** The system probes connections that are silent (`SO_KEEPALIVE`, inherited by each). Not for paths. */
  keepAlive?: boolean | undefined
  /**
   * Milliseconds of silence before the first probe (`TCP_KEEPIDLE`, inherited by each connection), rounded up to
   * seconds. Default: the system's, two hours on Linux. Not for paths.
   */
  keepAliveIdle?: number | undefined
}

/** The options that mean nothing for a socket that somebody else has bound. */
export const BEFORE_BIND: readonly Exclude<keyof BindOptions, 'backlog'>[] = [
  'reusePort',
  'ipv6Only',
  'transparent',
  'freeBind',
  'fastOpen',
  'deferAccept',
  'noDelay',
  'keepAlive',
  'keepAliveIdle',
]

/** How many connections may wait to be accepted, unless told otherwise. */
const BACKLOG = 4096
/** No time, to the native layer. */
const NONE = -1
const MOST = 0x7fff_ffff

/** How many connections may wait. */
export function checkBacklog(name: string, value: number | undefined): number {
  return value === undefined || checkInteger(name, value, -1, MOST) === -1 ? BACKLOG : value
}

/** Checks how to bind, for the native layer. */
export function checkBindOptions(
  name: string,
  options: BindOptions,
): Parameters<typeof native.socketListen>[2] {
  const time = (key: 'deferAccept' | 'keepAliveIdle'): number => {
    const value = options[key]
    return value === undefined ? NONE : checkTimeout(`${name}.${key}`, value)
  }
  return {
    backlog: checkBacklog(`${name}.backlog`, options.backlog),
    reusePort: checkBoolean(`${name}.reusePort`, options.reusePort),
    ipv6Only: checkBoolean(`${name}.ipv6Only`, options.ipv6Only),
    transparent: checkBoolean(`${name}.transparent`, options.transparent),
    freeBind: checkBoolean(`${name}.freeBind`, options.freeBind),
    fastOpen: checkInteger(`${name}.fastOpen`, options.fastOpen ?? 0, 0, MOST),
    deferAccept: time('deferAccept'),
    noDelay: checkBoolean(`${name}.noDelay`, options.noDelay),
    keepAlive: checkBoolean(`${name}.keepAlive`, options.keepAlive),
    keepAliveIdle: time('keepAliveIdle'),
  }
}

/** Opens a listening socket. `name` is the name of the target in messages. */
export function listenAt(name: string, target: Target & BindOptions): number {
  const given = checkObject(name, target)
  const place = checkNumericTarget(name, given)
  const options = checkBindOptions(name, given)
  return at(place, () => native.socketListen(place.place, place.port, options))
}
