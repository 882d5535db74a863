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
import { checkNumericTarget, checkTarget, type Target } from './address.js'
import { checkBindOptions } from './bind.js'
import { adopt, type InheritedListener } from './listener.js'
import type { ProxyProblem } from './proxy-problem.js'
import { checkLimit, type RateLimit } from './rate-group.js'
import type { ListenTarget } from './socket.js'

/** Where a proxy forwards to. A host may be a name, which the proxy looks up. */
export type Upstream = Target & {
  /** The share of connections in proportion to the other upstreams: 1 to 256. Default 1. */
  weight?: number | undefined
}

/** When a server that cannot be connected to is passed over. */
export interface HealthOptions {
  /** The number of consecutive failed connects after which it is passed over. Default 3. */
  failures?: number | undefined
  /**
   * The first time for which it is passed over, in milliseconds. One connection then probes it; each failed probe
   * doubles the time. A failed look-up is retried at the same intervals, after 100 ms at the earliest. Default 1000.
   */
  backoff?: number | undefined
  /** The longest such time, in milliseconds. Default 30 000, or `backoff` if that is longer. */
  maxBackoff?: number | undefined
}

/** The options of {@link proxy}. */
export interface ProxyOptions {
  /**
   * Where it accepts, and how it binds: a numeric host (or `'localhost'`: 127.0.0.1) and a port, 0 for any; a unix
   * socket's path; or the descriptor of a listening socket, which the proxy owns from then on.
   *
   * On Linux each thread has a listener of its own at a host and port. With `threads` above 1 the listeners share the
   * port (`SO_REUSEPORT`), and a process of the same user that sets that option can share it too (`socket(7)`). A
   * proxy without `reusePort` does not start at an address in use (`EADDRINUSE`). At a path, or on a descriptor, all
   * threads accept from one queue. The proxy removes a path that it bound as soon as it stops accepting.
   */
  listen: (ListenTarget | InheritedListener) & {
    /** The number of connections that a thread accepts in one pass of its loop. Default 64. */
    batch?: number | undefined
  }
  /** Where it forwards to. */
  upstream: Upstream | readonly Upstream[]
  /** The number of native threads, 1 to 1024. Default: the number of processors. */
  threads?: number | undefined
  /**
   * How connections are spread over the servers: each in turn (the default), or the one with the fewest open
   * connections. Both are counted over all threads, in proportion to `weight`.
   */
  balance?: 'round-robin' | 'least-connections' | undefined
  /**
   * How several addresses of one name are used. `'all'` (the default): each address is a server with the upstream's
   * weight and a health of its own. `'one'`: together they are one server, and each connect races them as RFC 8305
   * specifies, beginning with the address that the last successful connect reached.
   */
  addresses?: 'all' | 'one' | undefined
  /**
   * Milliseconds between two look-ups of a name. 0: a name is looked up again only after a failed look-up, or a failed
   * connect to one of its addresses. Default 30 000.
   */
  lookupInterval?: number | undefined
  /**
   * Milliseconds that a connect to one server may take, all addresses that are raced included; 0 for as long as the
   * system tries. A look-up that takes longer is reported as failed, and its answer is used when it arrives (10 000
   * for look-ups where this is 0). Default 10 000.
   */
  connectTimeout?: number | undefined
  /** Milliseconds without a byte in either direction that end a connection. Default, and 0: never. */
  idleTimeout?: number | undefined
  /** The rate of each connection, for each direction. Default: no limit. */
  limit?: RateLimit | undefined
  /** The rate of all connections of all threads together, for each direction. Default: no limit. */
  totalLimit?: RateLimit | undefined
  /** The version of HAProxy's PROXY protocol whose header informs upstreams of the client's address. */
  proxyProtocol?: 1 | 2 | undefined
  /** When a server is passed over. */
  health?: HealthOptions | undefined
  /** Called with each problem; the proxy continues. */
  onProblem?: ((problem: ProxyProblem) => void) | undefined
}

/** An upstream as the native layer takes it. */
export type NativeUpstream = Parameters<typeof native.proxySetUpstreams>[1][number]

/** The options as the native layer takes them. */
export type CheckedProxyOptions = Parameters<typeof native.proxyStart>[0]

/** The default of `connectTimeout`, in milliseconds. */
const CONNECT_TIMEOUT = 10_000
/** The default of `lookupInterval`, in milliseconds. */
const LOOKUP_INTERVAL = 30_000
const MOST_THREADS = 1024
const MOST_WEIGHT = 256
/** No limit, as the native layer takes it. */
const UNLIMITED = Object.freeze({ rate: 0, burst: 0 })

/** The name of an upstream in statistics and problems: `host:port`, `[IPv6]:port`, or the path. */
export function upstreamName(upstream: Upstream): string {
  if ('path' in upstream) return upstream.path
  const { host, port } = upstream
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** Checks a list of upstreams. */
export function checkUpstreams(name: string, list: Upstream | readonly Upstream[]): NativeUpstream[] {
  const all = Array.isArray(list) ? (list as readonly Upstream[]) : [list as Upstream]
  if (all.length === 0) throw outOfRange(name, 'at least one upstream', 'none')
  const checked = all.map((one, index) => {
    const each = all.length === 1 ? name : `${name}[${index}]`
    const upstream = checkObject(each, one)
    const target = checkTarget(each, upstream)
    if (target.hostOrPath === '') throw outOfRange(`${each}.host`, 'an address or a name', target.hostOrPath)
    const weight = checkInteger(`${each}.weight`, upstream.weight ?? 1, 1, MOST_WEIGHT)
    return { target, weight, name: upstreamName(upstream) }
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
  const batch = checkInteger('options.listen.batch', given.batch ?? 64, 1, 0x7fff_ffff)
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

/** Converts 0, which means no time. */
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
    rate: one.rate,
    burst: one.burst,
    totalRate: all.rate,
    totalBurst: all.burst,
    proxyProtocol: proxyProtocol ?? 0,
    ...checkHealth(checkOptions(given.health, 'options.health')),
  })
}
