/** The options of a listening socket that are set before it is bound. */

import { native } from '../native.js'
import { checkBoolean, checkInteger, checkObject, checkTimeout } from '../validate.js'
import { at, checkNumericTarget, type Target } from './address.js'

/**
 * Options of a listening socket. No option is ignored: an option that the address family does not have fails with
 * `EOPNOTSUPP`, an option that the system does not have with `ENOPROTOOPT`.
 */
export interface BindOptions {
  /**
   * The number of connections that may wait to be accepted, 0 to 2147483647. The default is 4096, which -1 means too.
   * The system may lower the number; Linux lowers it to `net.core.somaxconn`.
   */
  backlog?: number | undefined
  /**
   * Lets other sockets listen at the same address; the system spreads the connections over the sockets
   * (`SO_REUSEPORT`). Not for paths.
   */
  reusePort?: boolean | undefined
  /**
   * Makes an IPv6 socket accept no IPv4 connections (`IPV6_V6ONLY`); IPv6 only. By default `'::'` is dual stack,
   * whatever the system's default is, and the address of an IPv4 peer is `'::ffff:192.0.2.1'`.
   */
  ipv6Only?: boolean | undefined
  /**
   * Allows addresses that this host does not have, for connections that a firewall diverts to the socket
   * (`IP_TRANSPARENT`; Linux). Without `CAP_NET_ADMIN` it fails with `EPERM`. Not for paths.
   */
  transparent?: boolean | undefined
  /** Allows an address that this host does not have yet (`IP_FREEBIND`; Linux). Not for paths. */
  freeBind?: boolean | undefined
  /**
   * The number of connections with data in their first packet that may wait (`TCP_FASTOPEN`; Linux). Default 0: no such
   * connections. If the second bit of `net.ipv4.tcp_fastopen` is not set, the system ignores the option.
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
   * Idle milliseconds before the first probe (`TCP_KEEPIDLE`, inherited by each connection), rounded up to seconds.
   * Default: that of the system, two hours on Linux. Not for paths.
   */
  keepAliveIdle?: number | undefined
}

/** The options that have no effect on a bound socket. */
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

/** The default number of connections that may wait to be accepted. */
const BACKLOG = 4096
/** The number that means no time in the native layer. */
const NONE = -1
const MOST = 0x7fff_ffff

/** Checks the number of connections that may wait, and returns it or the default. */
export function checkBacklog(name: string, value: number | undefined): number {
  return value === undefined || checkInteger(name, value, -1, MOST) === -1 ? BACKLOG : value
}

/** Checks the options, and returns them in the form that the native layer takes. */
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
