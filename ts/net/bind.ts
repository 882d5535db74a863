/** The options of a listening socket that are set before it is bound. */

import { native } from '../native.js'
import { checkBoolean, checkInteger, checkObject, checkTimeout } from '../validate.js'
import { at, checkNumericTarget, type Target } from './address.js'

/**
 * Options of a listening socket. An option that the address family does not have fails with `EOPNOTSUPP`, one that the
 * system does not have with `ENOPROTOOPT`; none is ignored.
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
   * Makes an IPv6 socket accept no IPv4 connections (`IPV6_V6ONLY`); IPv6 only. By default `'::'` is dual stack,
   * whatever the system's default is, and the address of an IPv4 peer is `'::ffff:192.0.2.1'`.
   */
  ipv6Only?: boolean | undefined
  /**
   * Allows addresses that this host does not have, for connections that a firewall diverts to it
   * (`IP_TRANSPARENT`, `IPV6_TRANSPARENT`; Linux, `CAP_NET_ADMIN`, else `EPERM`). Not for paths.
   */
  transparent?: boolean | undefined
  /** Allows an address that this host does not have yet (`IP_FREEBIND`; Linux). Not for paths. */
  freeBind?: boolean | undefined
  /**
   * How many connections with data in their first packet may wait (`TCP_FASTOPEN`; Linux). Default 0:
   * none. Without the second bit of `net.ipv4.tcp_fastopen` the system ignores it.
   */
  fastOpen?: number | undefined
  /**
   * Milliseconds for which a connection without data is not reported (`TCP_DEFER_ACCEPT`; Linux, which rounds them up
   * to one of 1, 3, 7, 15, ... seconds). For protocols in which the client sends first. Not for paths.
   */
  deferAccept?: number | undefined
  /** Sends small writes without delay (`TCP_NODELAY`, inherited by each connection). Not for paths. */
  noDelay?: boolean | undefined
  /** Probes idle connections (`SO_KEEPALIVE`, inherited by each connection). Not for paths. */
  keepAlive?: boolean | undefined
  /**
   * Idle milliseconds before the first probe (`TCP_KEEPIDLE`, inherited by each connection), rounded up to
   * seconds. Default: the system's, two hours on Linux. Not for paths.
   */
  keepAliveIdle?: number | undefined
}

/** The options that have no effect on a socket that is bound already. */
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

/** How many connections may wait to be accepted by default. */
const BACKLOG = 4096
/** The native layer's value for no time. */
const NONE = -1
const MOST = 0x7fff_ffff

/** How many connections may wait. */
export function checkBacklog(name: string, value: number | undefined): number {
  return value === undefined || checkInteger(name, value, -1, MOST) === -1 ? BACKLOG : value
}

/** Checks the options, and returns them as the native layer takes them. */
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
  const address = checkNumericTarget(name, given)
  const options = checkBindOptions(name, given)
  return at(address, () => native.socketListen(address.hostOrPath, address.port, options))
}
