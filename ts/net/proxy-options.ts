/** How a threaded proxy is told what to do: the options, their checks, and the look-up of upstreams. */

import { lookup } from 'node:dns/promises'
import { availableParallelism } from 'node:os'

import { NO_TIMEOUT, type native } from '../native.js'
import {
  checkCallback,
  checkInteger,
  checkOptions,
  checkTimeout,
  outOfRange,
  wrongType,
} from '../validate.js'
import { checkNumericTarget, checkTarget, isNumeric, type Target } from './address.js'
import { checkBindOptions } from './bind.js'
import { adopt, type InheritedListener } from './listener.js'
import type { ProxyProblem } from './proxy-problem.js'
import { checkLimit, type RateLimit } from './rate-group.js'
import type { ListenTarget } from './socket.js'

/** A place to forward to. A host may be a name, which is looked up before the proxy hears of it. */
export type Upstream = Target & {
  /** How many connections it gets in proportion to the others: 1 to 256. Default 1. */
  weight?: number | undefined
}

/** When an upstream that cannot be connected to is passed over. */
export interface HealthOptions {
  /** After how many failed connects in a row. Default 3. */
  failures?: number | undefined
  /** Milliseconds at first. Then one connection tries it again; while those fail, the time doubles. Default 1000. */
  backoff?: number | undefined
  /** The most milliseconds it gets. Default 30 000, or `backoff` where that is more. */
  maxBackoff?: number | undefined
}

/** What a threaded proxy does. */
export interface ProxyOptions {
  /**
   * Where it accepts, and how it binds: a numeric host (or `'localhost'`: 127.0.0.1) and a port, 0 for any; a unix
   * socket's path; or the descriptor of a socket that listens, which is the proxy's from here on.
   *
   * On Linux each thread has a listener of its own at a host and port. Nobody else can listen there, unless
   * `reusePort` is set. At a path, or on a descriptor, all threads accept from one queue.
   */
  listen: (ListenTarget | InheritedListener) & {
    /** How many connections a thread accepts in one pass of its loop. Default 64. */
    batch?: number | undefined
  }
  /** Where it forwards to. */
  upstream: Upstream | readonly Upstream[]
  /** How many native threads, 1 to 1024. Default: as many as the machine has processors. */
  threads?: number | undefined
  /**
   * How connections are spread: each upstream in turn (the default), or whichever has the fewest connections open.
   * Both over all threads, and both by `weight`.
   */
  balance?: 'round-robin' | 'least-connections' | undefined
  /** Milliseconds a connect to one address may take; 0 for as long as the system tries. Default 10 000. */
  connectTimeout?: number | undefined
  /** Milliseconds without a byte in either direction that end a connection. Default, and 0: never. */
  idleTimeout?: number | undefined
  /** How fast bytes may move in a connection, each direction for itself. Default: as fast as they do. */
  limit?: RateLimit | undefined
  /** How fast bytes may move in all connections together, over all threads; each direction for itself. */
  totalLimit?: RateLimit | undefined
  /** Tells upstreams where connections come from: the version of HAProxy's PROXY protocol. */
  proxyProtocol?: 1 | 2 | undefined
  /** When an upstream is passed over. */
  health?: HealthOptions | undefined
  /** Called with what may be worth knowing; the proxy goes on. */
  onProblem?: ((problem: ProxyProblem) => void) | undefined
}

/** An upstream as the native layer takes it. */
export type NativeUpstream = Parameters<typeof native.proxySetUpstreams>[1][number]

type NativeOptions = Parameters<typeof native.proxyStart>[0]

/** The options of a proxy but for its upstreams, as the native layer takes them. */
export type CheckedProxyOptions = Omit<NativeOptions, 'upstreams'>

/** Milliseconds, unless told otherwise. */
export const CONNECT_TIMEOUT = 10_000
const MOST_THREADS = 1024
const MOST_WEIGHT = 256
/** As the native layer is told. */
const UNLIMITED = Object.freeze({ rate: 0, burst: 0 })

/** What an upstream is called in statistics and problems: `host:port`, `[IPv6]:port`, or the path. */
export function upstreamName(upstream: Upstream): string {
  if ('path' in upstream) return upstream.path
  const { host, port } = upstream
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** Checks a list of upstreams, and looks up the names in it. */
export async function resolveUpstreams(
  name: string,
  list: Upstream | readonly Upstream[],
): Promise<NativeUpstream[]> {
  const all = Array.isArray(list) ? (list as readonly Upstream[]) : [list as Upstream]
  if (all.length === 0) throw outOfRange(name, 'at least one upstream', 'none')
  const places = all.map((upstream, index) => {
    const each = all.length === 1 ? name : `${name}[${index}]`
    const place = checkTarget(each, upstream)
    const weight = checkInteger(`${each}.weight`, upstream.weight ?? 1, 1, MOST_WEIGHT)
    return { place, weight, name: upstreamName(upstream) }
  })
  const names = places.map((place) => place.name)
  const twice = names.find((one, index) => names.indexOf(one) !== index)
  if (twice !== undefined) throw outOfRange(name, 'a list without repetitions; a weight says the same', twice)
  return await Promise.all(
    places.map(async ({ place, ...rest }) => {
      if (isNumeric(place)) return { ...rest, addresses: [place] }
      const found = await lookup(place.place, { all: true })
      return { ...rest, addresses: found.map(({ address }) => ({ place: address, port: place.port })) }
    }),
  )
}

function checkListen(
  listen: ProxyOptions['listen'],
): Pick<NativeOptions, 'listen' | 'fd' | 'bind' | 'batch'> {
  if (typeof listen !== 'object' || listen === null)
    throw wrongType('options.listen', 'of type object', listen)
  const batch = checkInteger('options.listen.batch', listen.batch ?? 64, 1, 0x7fff_ffff)
  if ('fd' in listen && listen.fd !== undefined) {
    return { fd: adopt('options.listen', listen), batch, bind: checkBindOptions('options.listen', {}) }
  }
  const target = listen as ListenTarget
  return {
    listen: checkNumericTarget('options.listen', target),
    fd: -1,
    bind: checkBindOptions('options.listen', target),
    batch,
  }
}

function checkHealth(health: HealthOptions): Pick<NativeOptions, 'failures' | 'backoff' | 'maxBackoff'> {
  const failures = checkInteger('options.health.failures', health.failures ?? 3, 1, 0x7fff_ffff)
  const backoff = checkTimeout('options.health.backoff', health.backoff ?? 1000)
  const longest = health.maxBackoff ?? Math.max(30_000, backoff)
  const maxBackoff = checkTimeout('options.health.maxBackoff', longest)
  if (maxBackoff < backoff) throw outOfRange('options.health.maxBackoff', `>= ${backoff}`, maxBackoff)
  return { failures, backoff, maxBackoff }
}

/** No time stands for none. */
function orNone(timeout: number): number {
  return timeout === 0 ? NO_TIMEOUT : timeout
}

/** Checks everything but the upstreams, which need a look-up. */
export function checkProxyOptions(options: ProxyOptions): CheckedProxyOptions {
  if (typeof options !== 'object' || options === null) throw wrongType('options', 'of type object', options)
  const {
    threads = availableParallelism(),
    balance = 'round-robin',
    proxyProtocol,
    limit,
    totalLimit,
    onProblem,
  } = options
  if (balance !== 'round-robin' && balance !== 'least-connections') {
    throw outOfRange('options.balance', "'round-robin' or 'least-connections'", balance)
  }
  if (proxyProtocol !== undefined && proxyProtocol !== 1 && proxyProtocol !== 2) {
    throw outOfRange('options.proxyProtocol', '1 or 2', proxyProtocol)
  }
  if (onProblem !== undefined) checkCallback('options.onProblem', onProblem)
  const one = limit === undefined ? UNLIMITED : checkLimit('options.limit', limit)
  const all = totalLimit === undefined ? UNLIMITED : checkLimit('options.totalLimit', totalLimit)
  return {
    ...checkListen(options.listen),
    threads: checkInteger('options.threads', threads, 1, MOST_THREADS),
    leastConnections: balance === 'least-connections',
    connectTimeout: orNone(checkTimeout('options.connectTimeout', options.connectTimeout ?? CONNECT_TIMEOUT)),
    idleTimeout: orNone(checkTimeout('options.idleTimeout', options.idleTimeout ?? 0)),
    rate: one.rate,
    burst: one.burst,
    totalRate: all.rate,
    totalBurst: all.burst,
    proxyProtocol: proxyProtocol ?? 0,
    ...checkHealth(checkOptions(options.health) ?? {}),
  }
}
