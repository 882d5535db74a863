/** The options of a proxy, and their checks. */

import { availableParallelism } from 'node:os'

import { NO_TIMEOUT, type native } from '../native.js'
import {
  checkCallback,
  checkInteger,
  checkObject,
  checkOptions,
  checkTimeout,
  outOfRange,
  ownProperties,
} from '../validate.js'
import { checkNumericTarget, checkTarget, formatHostAndPort, type Target } from './address.js'
import { checkBindOptions } from './bind.js'
import { adopt, type InheritedListener } from './listener.js'
import type { ProxyProblem } from './proxy-problem.js'
import { checkLimit, type RateLimit } from './rate-group.js'
import { HALF_CLOSE_TIMEOUT } from './relay.js'
import type { ListenTarget } from './socket.js'

/** A destination of a proxy. The host may be a name, which the proxy looks up. */
export type Upstream = Target & {
  /** The share of connections, relative to the weights of the other upstreams: 1 to 256. Default 1. */
  weight?: number | undefined
}

/** The conditions under which the proxy passes over a server to which connects fail. */
export interface HealthOptions {
  /** The number of consecutive failed connects after which the server is passed over, 1 or more. Default 3. */
  failures?: number | undefined
  /**
   * The first time for which the server is passed over, in milliseconds. After that time one connection probes the
   * server; each failed probe doubles the time. A failed look-up is retried at the same intervals, but not before 100
   * ms. Default 1000.
   */
  backoff?: number | undefined
  /**
   * The longest time for which the server is passed over, in milliseconds. Default 30 000, or `backoff` if that is
   * longer.
   */
  maxBackoff?: number | undefined
}

/** The options of {@link proxy}. */
export interface ProxyOptions {
  /**
   * The address of the listener, and the options for binding: a numeric host (or `'localhost'`: 127.0.0.1) and a port,
   * where 0 lets the system choose; a unix socket's path; or the descriptor of a listening socket, which the proxy then
   * owns.
   *
   * All threads accept from one socket, so no other socket can listen at the address (`EADDRINUSE`).
   *
   * With `reusePort`, on Linux, each thread has a socket of its own (`SO_REUSEPORT`), and the system distributes
   * connections over them. Any process of the same user can then bind the port too and receives a part of the
   * connections, and connections that wait in the queue of a socket that closes are reset (`socket(7)`).
   *
   * The proxy removes a path that it bound as soon as it stops accepting.
   */
  listen: (ListenTarget | InheritedListener) & {
    /** The maximum number of connections that a thread accepts in one pass of its loop. Default 16. */
    batch?: number | undefined
  }
  /** The upstreams to which the proxy forwards. */
  upstream: Upstream | readonly Upstream[]
  /** The number of native threads, 1 to 1024. Default: the number of processors. */
  threads?: number | undefined
  /**
   * How connections are spread over the servers. `'round-robin'` (the default) uses one server after the other;
   * `'least-connections'` uses the server with the fewest open connections. Both count over all threads, in proportion
   * to `weight`.
   */
  balance?: 'round-robin' | 'least-connections' | undefined
  /**
   * How several addresses of one name are used. `'all'` (the default): each address is a server with the upstream's
   * weight and its own health. `'one'`: all addresses together are one server, and each connect races them as RFC 8305
   * specifies, starting with the address of the last successful connect.
   */
  addresses?: 'all' | 'one' | undefined
  /**
   * Milliseconds between two look-ups of a name. With 0, a name is looked up again only after a failed look-up or a
   * failed connect to one of its addresses. Default 30 000.
   */
  lookupInterval?: number | undefined
  /**
   * Milliseconds that a connect to one server may take, including all addresses that it races; with 0, only the system
   * limits the time. A look-up that takes longer is reported as failed, but its answer is used when it arrives; with 0,
   * the limit for look-ups is 10 000. Default 10 000.
   */
  connectTimeout?: number | undefined
  /** Milliseconds without a byte in either direction after which a connection is closed. Default, and 0: never. */
  idleTimeout?: number | undefined
  /**
   * Milliseconds without a byte in either direction after which a connection is closed if one side has ended its stream,
   * or takes no bytes, which hides the end of the other side's stream. With 0, only `idleTimeout` closes such a
   * connection. Default 600 000.
   */
  halfCloseTimeout?: number | undefined
  /**
   * The maximum number of open connections, over all threads, including those that wait for a connect. At this number
   * the proxy accepts no more, and connections wait in the system's queue, whose length is `listen.backlog`. Default,
   * and 0: no limit but that of descriptors (`RLIMIT_NOFILE`), of which a connection uses two, and up to four more while
   * it splices.
   */
  maxConnections?: number | undefined
  /** The rate limit of each connection, for each direction. Default: no limit. */
  limit?: RateLimit | undefined
  /** The rate limit of all connections of all threads together, for each direction. Default: no limit. */
  totalLimit?: RateLimit | undefined
  /**
   * The version of HAProxy's PROXY protocol, whose header passes the client's address to upstreams. Default: no header.
   */
  proxyProtocol?: 1 | 2 | undefined
  /** The conditions under which a server is passed over. */
  health?: HealthOptions | undefined
  /** Called with each problem; the proxy continues. */
  onProblem?: ((problem: ProxyProblem) => void) | undefined
}

/** An upstream, in the form that the native layer takes. */
export type NativeUpstream = Parameters<typeof native.proxySetUpstreams>[1][number]

/** The options, in the form that the native layer takes. */
export type CheckedProxyOptions = Parameters<typeof native.proxyStart>[0]

/** The default of `connectTimeout`, in milliseconds. */
const CONNECT_TIMEOUT = 10_000
/** The default of `lookupInterval`, in milliseconds. */
const LOOKUP_INTERVAL = 30_000
/** The default of `listen.batch`. */
const ACCEPT_BATCH = 16
const MOST_CONNECTIONS = 0x7fff_ffff
const MOST_THREADS = 1024
/** The maximum number of upstreams. */
export const MOST_UPSTREAMS = 1024
/** The maximum weight of an upstream. */
export const MOST_WEIGHT = 256
/** The value that means no limit in the native layer. */
const UNLIMITED = Object.freeze({ rate: 0, burst: 0 })

/** The name of an upstream in statistics and problems: `host:port`, `[IPv6]:port`, or the path. */
function upstreamName({ hostOrPath, port }: NativeUpstream['target']): string {
  return port < 0 ? hostOrPath : formatHostAndPort({ host: hostOrPath, port })
}

/** Checks a list of upstreams. */
export function checkUpstreams(name: string, list: Upstream | readonly Upstream[]): NativeUpstream[] {
  const all = Array.isArray(list) ? (list as readonly Upstream[]) : [list as Upstream]
  if (all.length === 0) throw outOfRange(name, 'at least one upstream', 'none')
  if (all.length > MOST_UPSTREAMS) throw outOfRange(name, `at most ${MOST_UPSTREAMS} upstreams`, all.length)
  const checked = all.map((one, index) => {
    const each = all.length === 1 ? name : `${name}[${index}]`
    const upstream = checkObject(each, one)
    const target = checkTarget(each, upstream)
    if (target.hostOrPath === '') throw outOfRange(`${each}.host`, 'an address or a name', target.hostOrPath)
    const weight = checkInteger(`${each}.weight`, upstream.weight ?? 1, 1, MOST_WEIGHT)
    return { target, weight, name: upstreamName(target) }
  })
  const names = checked.map((upstream) => upstream.name)
  const twice = names.find((one, index) => names.indexOf(one) !== index)
  if (twice !== undefined) throw outOfRange(name, 'a list without repetitions; use a weight instead', twice)
  return checked
}

function checkListen(
  listen: ProxyOptions['listen'],
): Pick<CheckedProxyOptions, 'listen' | 'fd' | 'bind' | 'batch'> {
  const given = checkObject('options.listen', listen)
  const batch = checkInteger('options.listen.batch', given.batch ?? ACCEPT_BATCH, 1, 0x7fff_ffff)
  if ('fd' in given && given.fd !== undefined) {
    return {
      fd: adopt('options.listen', given),
      batch,
      bind: checkBindOptions('options.listen', checkOptions(undefined)),
    }
  }
  const target = given as ListenTarget
  return {
    listen: checkNumericTarget('options.listen', target),
    fd: -1,
    bind: checkBindOptions('options.listen', target),
    batch,
  }
}

function checkHealth(
  health: HealthOptions,
): Pick<CheckedProxyOptions, 'failures' | 'backoff' | 'maxBackoff'> {
  const failures = checkInteger('options.health.failures', health.failures ?? 3, 1, 0x7fff_ffff)
  const backoff = checkTimeout('options.health.backoff', health.backoff ?? 1000)
  const longest = health.maxBackoff ?? Math.max(30_000, backoff)
  const maxBackoff = checkTimeout('options.health.maxBackoff', longest)
  if (maxBackoff < backoff) throw outOfRange('options.health.maxBackoff', `>= ${backoff}`, maxBackoff)
  return { failures, backoff, maxBackoff }
}

/** Converts 0, which means no limit, to the number of the native layer. */
function orNone(timeout: number): number {
  return timeout === 0 ? NO_TIMEOUT : timeout
}

/** Checks the options. */
export function checkProxyOptions(options: ProxyOptions): CheckedProxyOptions {
  const given = checkObject('options', options)
  const {
    threads = availableParallelism(),
    balance = 'round-robin',
    addresses = 'all',
    lookupInterval = LOOKUP_INTERVAL,
    proxyProtocol,
    limit,
    totalLimit,
    onProblem,
  } = given
  if (balance !== 'round-robin' && balance !== 'least-connections') {
    throw outOfRange('options.balance', "'round-robin' or 'least-connections'", balance)
  }
  if (addresses !== 'all' && addresses !== 'one') {
    throw outOfRange('options.addresses', "'all' or 'one'", addresses)
  }
  if (proxyProtocol !== undefined && proxyProtocol !== 1 && proxyProtocol !== 2) {
    throw outOfRange('options.proxyProtocol', '1 or 2', proxyProtocol)
  }
  if (onProblem !== undefined) checkCallback('options.onProblem', onProblem)
  const one = limit === undefined ? UNLIMITED : checkLimit('options.limit', limit)
  const all = totalLimit === undefined ? UNLIMITED : checkLimit('options.totalLimit', totalLimit)
  // The native layer reads `listen`, which may be missing.
  return ownProperties({
    ...checkListen(given.listen),
    threads: checkInteger('options.threads', threads, 1, MOST_THREADS),
    upstreams: checkUpstreams('options.upstream', given.upstream),
    addressesAsOne: addresses === 'one',
    lookupInterval: orNone(checkTimeout('options.lookupInterval', lookupInterval)),
    leastConnections: balance === 'least-connections',
    connectTimeout: orNone(checkTimeout('options.connectTimeout', given.connectTimeout ?? CONNECT_TIMEOUT)),
    idleTimeout: orNone(checkTimeout('options.idleTimeout', given.idleTimeout ?? 0)),
    halfCloseTimeout: orNone(
      checkTimeout('options.halfCloseTimeout', given.halfCloseTimeout ?? HALF_CLOSE_TIMEOUT),
    ),
    maxConnections: checkInteger('options.maxConnections', given.maxConnections ?? 0, 0, MOST_CONNECTIONS),
    rate: one.rate,
    burst: one.burst,
    totalRate: all.rate,
    totalBurst: all.burst,
    proxyProtocol: proxyProtocol ?? 0,
    ...checkHealth(checkOptions(given.health, 'options.health')),
  })
}
