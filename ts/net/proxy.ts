/** A TCP proxy on native threads. */

import { AsyncResource } from 'node:async_hooks'

import { EventError } from '../errors.js'
import { native, NO_TIMEOUT } from '../native.js'
import { checkObject, checkOptions, checkTimeout } from '../validate.js'
import { at, toAddress, type SocketAddress } from './address.js'
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
  /** Open connections, those that wait for a connect to an upstream included. */
  open: number
  /** Connections that ended before an upstream was connected: every connect failed, or the client closed first. */
  refused: number
  /** Connections to an upstream that ended with an error. */
  failed: number
  /** Bytes from clients to upstreams. */
  bytesAToB: number
  /** Bytes from upstreams to clients. */
  bytesBToA: number
}

/** The counters of one upstream. */
export interface UpstreamStats {
  /** `host:port`, `[IPv6]:port`, or the path, as in the options. */
  name: string
  /** Its share of connections, in proportion to the other upstreams. */
  weight: number
  /** Whether it gets connections; `'probing'`: it was passed over, and the next connection probes it, or does so now. */
  state: 'up' | 'down' | 'probing'
  /** Milliseconds until it is probed, or its name is looked up; only while it is down. */
  retryAfter?: number
  /** Connects that succeeded. */
  connected: number
  /** Open connections, connects in progress included. */
  open: number
  /** Connects that failed, also those after which another upstream was connected. */
  refused: number
  /** Connections that ended with an error. */
  failed: number
  /** Bytes from clients to it. */
  bytesAToB: number
  /** Bytes from it to clients. */
  bytesBToA: number
  /** The average duration of a successful connect, in milliseconds; 0 without any. */
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

/** The interval of the timer that keeps the process alive, in milliseconds; the longest that Node has. */
const LONG = 0x7fff_ffff

/** The proxies of this thread that have not ended. Their threads run also if no other code refers to them. */
const running: Set<TcpProxy> = new Set()

let listensForExit = false

/** A TCP proxy on native threads. Made by {@link proxy}. */
export class TcpProxy implements AsyncDisposable {
  /** Settles when all threads have ended and every descriptor is closed; rejects if a thread failed. */
  readonly closed: Promise<void>
  readonly #owner: Owner
  readonly #address: SocketAddress
  readonly #threads: number
  readonly #onProblem: ProxyOptions['onProblem']
  readonly #context: AsyncResource = new AsyncResource('EventBaseProxy', { requireManualDestroy: true })
  readonly #alive: NodeJS.Timeout = setInterval(() => {}, LONG)
  #settle: (failure: Error | undefined) => void = () => {}
  #failure: Error | undefined
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
    const start = (): Owner => native.proxyStart(checked, () => this.#takeProblems())
    try {
      this.#owner = checked.listen === undefined ? start() : at(checked.listen, start)
    } catch (error) {
      clearInterval(this.#alive)
      throw error
    }
    this.#address = toAddress(native.proxyAddress(this.#owner))
    running.add(this)
    if (listensForExit) return
    listensForExit = true
    // The threads must end before the process does. The end of a worker stops them too.
    process.on('exit', () => {
      for (const one of running) one.#end()
    })
  }

  /** The address of its listener, with the port that the system chose for port 0. */
  get address(): SocketAddress {
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
   * Names are looked up. The list is used from when a server is known or the first look-up of each name has ended; the
   * old list is used until then. A name that cannot be looked up is reported to `onProblem`.
   *
   * @throws {EventError} as a rejection: `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`. The old list stays then.
   * @throws {SystemError} as a rejection: `EAGAIN` of `pthread_create`, for the thread that looks names up
   */
  async setUpstreams(list: Upstream | readonly Upstream[]): Promise<void> {
    native.proxySetUpstreams(this.#owner, checkUpstreams('list', list))
  }

  /**
   * Stops accepting, except for connections in the system's queue, and ends with the last open connection. A second call
   * can only end it sooner.
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
    return this.closed
  }

  /**
   * Stops accepting, and closes all connections immediately. Idempotent.
   *
   * @returns {@link closed}
   */
  close(): Promise<void> {
    native.proxyStop(this.#owner)
    return this.closed
  }

  /** {@link close}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Keeps the process alive until it is closed. This is the initial state. */
  ref(): this {
    this.#alive.ref()
    return this
  }

  /** Does not keep the process alive. */
  unref(): this {
    this.#alive.unref()
    return this
  }

  /** Called when there are problems, and when the last thread has ended. */
  #takeProblems(): void {
    if (this.#over) return
    // Read first: a thread that has ended reported its problems before.
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
      // Uncaught, after the remaining problems are reported.
      process.nextTick(() => {
        throw error
      })
    }
  }

  #finish(): void {
    this.#over = true
    running.delete(this)
    clearInterval(this.#alive)
    this.#context.emitDestroy()
    if (this.#failure !== undefined) {
      process.emitWarning(`a proxy ended: ${this.#failure.message}`, 'EventBaseWarning')
    }
    this.#settle(this.#failure)
  }

  /** Called when the process or worker ends. */
  #end(): void {
    native.proxyEnd(this.#owner)
  }
}

/**
 * Starts a TCP proxy on native threads. Each has an event base, and no JavaScript is on the path of a connection: the
 * proxy runs at full speed while this thread is busy, and this thread never waits for it.
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
 * if ('port' in running.address) console.log('listening at', running.address.port)
 * await running.closed
 * ```
 *
 * A failed connect is repeated at the next server, at each one once; if all fail, the connection is closed. After some
 * consecutive failures a server is passed over for a time, which doubles while its probes fail; where all are passed
 * over, they are tried nevertheless. A name that cannot be looked up is an upstream that is down: `onProblem` is called,
 * and the look-up is retried.
 *
 * @returns the proxy, once it is bound and its threads run. Connections wait in the system's queue until a server is
 *   known, or the first look-up of each name has ended
 * @throws {EventError} as a rejection: `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
 * @throws {SystemError} as a rejection: `EADDRINUSE`, `EADDRNOTAVAIL`, `EACCES` with `address` and `port`, `EMFILE`,
 *   `EAGAIN` of `pthread_create`, ...
 */
export async function proxy(options: ProxyOptions): Promise<TcpProxy> {
  const given = checkObject('options', options)
  return new TcpProxy(checkProxyOptions(given), given.onProblem)
}
