/** A TCP proxy on native threads. */

import { AsyncResource } from 'node:async_hooks'

import { EventError } from '../errors.js'
import { showAs } from '../inspect.js'
import { native, NO_TIMEOUT } from '../native.js'
import { checkObject, checkOptions, checkTimeout } from '../validate.js'
import {
  at,
  formatAddress,
  toAddress,
  type HostAndPort,
  type InternetAddress,
  type SocketAddress,
  type UnixPath,
} from './address.js'
import {
  checkProxyOptions,
  checkUpstreams,
  type CheckedProxyOptions,
  type ProxyOptions,
  type Upstream,
} from './proxy-options.js'
import { problemFromNative, type ProxyProblem } from './proxy-problem.js'

/** The counters of a proxy, or of one of its threads. */
export interface ProxyTraffic {
  /** Accepted connections. */
  accepted: number
  /** Open connections, including those that wait for a connect to an upstream. */
  open: number
  /** Connections that ended before an upstream was connected: every connect failed, or the client closed first. */
  refused: number
  /** Connections to an upstream that ended with an error. */
  failed: number
  /** Connections to an upstream in which no byte moved for `idleTimeout`, or for `halfCloseTimeout`. */
  timedOut: number
  /** How often a thread stopped accepting because `maxConnections` connections were open. */
  acceptPauses: number
  /** Bytes from clients to upstreams. */
  bytesAToB: number
  /** Bytes from upstreams to clients. */
  bytesBToA: number
}

/** The counters of one upstream. */
export interface UpstreamStats {
  /** `host:port`, `[IPv6]:port`, or the path, as in the options. */
  name: string
  /** Its share of connections, relative to the weights of the other upstreams. */
  weight: number
  /**
   * Whether it receives connections. `'probing'`: it was passed over, and a connection probes it now or the next one
   * will.
   */
  state: 'up' | 'down' | 'probing'
  /** Milliseconds until it is probed or its name is looked up. Present only while it is down. */
  retryAfter?: number
  /** Connects that succeeded. */
  connected: number
  /** Open connections, including connects in progress. */
  open: number
  /** Connects that failed, even if a connect to another upstream then succeeded. */
  refused: number
  /** Connections that ended with an error. */
  failed: number
  /** Bytes from clients to it. */
  bytesAToB: number
  /** Bytes from it to clients. */
  bytesBToA: number
  /** The average duration of a successful connect, in milliseconds; 0 if there was none. */
  connectMs: number
  /** The longest duration of a successful connect, in milliseconds. */
  longestConnectMs: number
}

/** The statistics of a proxy. The counters are read one after the other while its threads run. */
export interface ProxyStats extends ProxyTraffic {
  /** The counters of each thread. */
  threads: ProxyTraffic[]
  /** The counters of each upstream, in the order of the current list. The sums include removed upstreams. */
  upstreams: UpstreamStats[]
}

type Owner = ReturnType<typeof native.proxyStart>

/** The interval of the timer that keeps the process alive, in milliseconds; the longest that Node supports. */
const LONG = 0x7fff_ffff

/** The proxies of this thread that have not ended. Their threads run even if no other code references them. */
const running: Set<TcpProxy> = new Set()

let listensForExit = false

/** A TCP proxy on native threads. Made by {@link proxy}. */
export class TcpProxy<Address extends SocketAddress = SocketAddress> implements AsyncDisposable {
  /** Settles when all threads have ended and every descriptor is closed. Rejected if a thread has failed. */
  readonly closed: Promise<void>
  readonly #owner: Owner
  readonly #address: Address
  /** The address as text, which the caller cannot change. */
  readonly #place: string
  readonly #threads: number
  readonly #onProblem: ProxyOptions['onProblem']
  readonly #context: AsyncResource = new AsyncResource('EventBaseProxy', { requireManualDestroy: true })
  readonly #alive: NodeJS.Timeout = setInterval(() => {}, LONG)
  /** What the native layer notifies: this proxy, until it has ended. */
  readonly #notified: { proxy: TcpProxy | undefined } = { proxy: this }
  #settle: (failure: Error | undefined) => void = () => {}
  #failure: Error | undefined
  #ending = false
  #over = false

  /** @internal */
  constructor(checked: CheckedProxyOptions, onProblem: ProxyOptions['onProblem']) {
    this.closed = new Promise((resolve, reject) => {
      this.#settle = (failure) => (failure === undefined ? resolve() : reject(failure))
    })
    // A failure that is not awaited is reported as a warning by `#finish`.
    this.closed.catch(() => {})
    this.#threads = checked.threads
    this.#onProblem = onProblem
    const start = (): Owner => native.proxyStart(checked, TcpProxy.#listener(this.#notified))
    try {
      this.#owner = checked.listen === undefined ? start() : at(checked.listen, start)
    } catch (error) {
      clearInterval(this.#alive)
      throw error
    }
    // The address has the same kind as the option `listen`.
    this.#address = toAddress(native.proxyAddress(this.#owner)) as Address
    this.#place = formatAddress(this.#address)
    running.add(this)
    if (listensForExit) return
    listensForExit = true
    // The threads must end before the process does. The end of a worker stops them too.
    process.on('exit', TcpProxy.#endAll)
  }

  /** The address of its listener, with the port that the system chose for port 0. */
  get address(): Address {
    return this.#address
  }

  /** The number of its native threads. */
  get threads(): number {
    return this.#threads
  }

  /** The current statistics. Reading them does not wait for its threads. */
  get stats(): ProxyStats {
    const { total, threads, upstreams } = native.proxyStats(this.#owner)
    return {
      ...total,
      threads,
      upstreams: upstreams.map(({ connectMs, retryAfter, ...rest }) => ({
        ...rest,
        ...(retryAfter < 0 ? {} : { retryAfter }),
        connectMs: rest.connected === 0 ? 0 : connectMs / rest.connected,
      })),
    }
  }

  /**
   * Forwards new connections to these upstreams. Open connections continue, also those to upstreams that are no longer
   * in the list. An upstream that stays keeps its statistics, its health and the addresses of its name.
   *
   * Names are looked up first. The proxy uses the old list until a server of the new list is known or the first look-up
   * of each name has ended. A failed look-up is reported to `onProblem`.
   *
   * @throws {EventError} as a rejection: `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`. The old list then stays in use.
   * @throws {SystemError} as a rejection: `EAGAIN` of `pthread_create`, for the thread that looks up names
   */
  async setUpstreams(list: Upstream | readonly Upstream[]): Promise<void> {
    native.proxySetUpstreams(this.#owner, checkUpstreams('list', list))
  }

  /**
   * Stops accepting, except for connections that are already in the system's queue; those that `maxConnections` leaves
   * no place for are reset. The proxy ends with its last open connection. A second call can only end the proxy sooner.
   *
   * @param options `timeout`: milliseconds after which the remaining connections are closed; default: no limit
   * @returns {@link closed}
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
   */
  drain(options?: { timeout?: number | undefined }): Promise<void> {
    const { timeout } = checkOptions(options)
    native.proxyDrain(
      this.#owner,
      timeout === undefined ? NO_TIMEOUT : checkTimeout('options.timeout', timeout),
    )
    this.#ending = true
    return this.closed
  }

  /**
   * Stops accepting, and closes all connections immediately. Idempotent.
   *
   * @returns {@link closed}
   */
  close(): Promise<void> {
    native.proxyStop(this.#owner)
    this.#ending = true
    return this.closed
  }

  /** {@link close}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Keeps the process alive until the proxy is closed. This is the initial state. */
  ref(): this {
    this.#alive.ref()
    return this
  }

  /** Lets the process end while the proxy runs. */
  unref(): this {
    this.#alive.unref()
    return this
  }

  /**
   * The function that the native layer calls, and refers to as long as the owner exists. A proxy that it referred to would
   * never be collected, so it refers to no more than `notified`.
   */
  static #listener(notified: { proxy: TcpProxy | undefined }): () => void {
    return () => {
      if (notified.proxy !== undefined) notified.proxy.#takeProblems()
    }
  }

  /** Called when there are problems, and when the last thread has ended. */
  #takeProblems(): void {
    if (this.#over) return
    // This is read first: a thread reports its problems before it ends.
    const isOver = native.proxyIsOver(this.#owner)
    for (const problem of native.proxyTake(this.#owner).map(problemFromNative)) {
      if (problem instanceof EventError) this.#failure ??= problem
      else this.#report(problem)
    }
    if (isOver) this.#finish()
  }

  #report(problem: ProxyProblem): void {
    if (this.#onProblem === undefined) return
    try {
      this.#context.runInAsyncScope(this.#onProblem, undefined, problem)
    } catch (error) {
      // The exception is thrown as uncaught after the remaining problems are reported.
      process.nextTick(() => {
        throw error
      })
    }
  }

  #finish(): void {
    this.#over = true
    this.#notified.proxy = undefined
    running.delete(this)
    clearInterval(this.#alive)
    this.#context.emitDestroy()
    if (this.#failure !== undefined) {
      process.emitWarning(`a proxy ended: ${this.#failure.message}`, 'EventBaseWarning')
    }
    this.#settle(this.#failure)
  }

  /** Called when the process or worker ends. Not a function of a constructor, which would refer to a proxy. */
  static #endAll(): void {
    for (const one of running) native.proxyEnd(one.#owner)
  }

  static {
    showAs(TcpProxy, 'TcpProxy', (self) => {
      const { accepted, open, refused, failed, timedOut, bytesAToB, bytesBToA, upstreams } = self.stats
      const ending = self.#ending ? 'ending' : 'running'
      return {
        address: self.#place,
        state: self.#over ? 'closed' : ending,
        threads: self.#threads,
        accepted,
        open,
        refused,
        failed,
        timedOut,
        bytesAToB,
        bytesBToA,
        upstreams: upstreams.map((one) => `${one.name} ${one.state}, ${one.open} open`),
      }
    })
  }
}

/**
 * Starts a TCP proxy on native threads. Each thread has an event base, and no JavaScript runs for a connection: the
 * proxy runs at full speed while this thread is busy, and this thread never waits for the proxy.
 *
 * ```ts server
 * import { proxy } from 'event-base/net'
 *
 * const running = await proxy({
 *   listen: { host: '127.0.0.1', port: Number(process.env['PORT'] ?? 8080) },
 *   upstream: [{ host: '127.0.0.1', port: Number(process.env['UPSTREAM_PORT'] ?? 9000) }],
 *   threads: 2,
 *   onProblem: (problem) => console.error(problem),
 * })
 * process.once('SIGINT', () => void running.drain({ timeout: 10_000 }))
 * console.log('listening at', running.address.port)
 * await running.closed
 * ```
 *
 * If a connect fails, the proxy tries the next server, each server once; if all connects fail, it closes the
 * connection. After `health.failures` consecutive failures it passes over a server for a time, which doubles with each
 * failed probe. If it passes over all servers, it tries them nevertheless. If the look-up of a name fails, the upstream
 * is down: the proxy calls `onProblem` and retries the look-up.
 *
 * @returns the proxy, after it is bound and its threads run. Connections wait in the system's queue until a server is
 *   known, or the first look-up of each name has ended
 * @throws {EventError} as a rejection: `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
 * @throws {SystemError} as a rejection: `EADDRINUSE`, `EADDRNOTAVAIL`, `EACCES` with `address` and `port`, `EMFILE`,
 *   `EAGAIN` of `pthread_create`, ...
 */
export function proxy(options: ProxyOptions & { listen: HostAndPort }): Promise<TcpProxy<InternetAddress>>
export function proxy(options: ProxyOptions & { listen: UnixPath }): Promise<TcpProxy<UnixPath>>
export function proxy(options: ProxyOptions): Promise<TcpProxy>
export async function proxy<Address extends SocketAddress>(
  options: ProxyOptions,
): Promise<TcpProxy<Address>> {
  const given = checkObject('options', options)
  return new TcpProxy(checkProxyOptions(given), given.onProblem)
}
