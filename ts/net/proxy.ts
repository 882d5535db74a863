/** A TCP proxy on native threads. */

import { AsyncResource } from 'node:async_hooks'

import { EventError } from '../errors.js'
import { native, NO_TIMEOUT } from '../native.js'
import { checkOptions, checkTimeout } from '../validate.js'
import { at, toAddress, type SocketAddress } from './address.js'
import {
  checkProxyOptions,
  checkUpstreams,
  type CheckedProxyOptions,
  type ProxyOptions,
  type Upstream,
} from './proxy-options.js'
import { problemFromNative, type ProxyProblem } from './proxy-problem.js'

/** What a proxy, or one thread of it, has done. */
export interface ProxyTraffic {
  /** Connections accepted. */
  accepted: number
  /** Connections under way, those still being made to an upstream included. */
  open: number
  /** Connections that no upstream took. */
  refused: number
  /** Connections that an upstream took and that ended by an error. */
  failed: number
  /** Bytes from clients to upstreams. */
  bytesAToB: number
  /** Bytes from upstreams to clients. */
  bytesBToA: number
}

/** What became of the connections to one upstream. */
export interface UpstreamStats {
  /** `host:port`, `[IPv6]:port`, or the path, as it was given. */
  name: string
  /** Its share. */
  weight: number
  /** Whether it gets connections; `'probing'`: it was passed over, and the next connection tries it. */
  state: 'up' | 'down' | 'probing'
  /** Milliseconds until it is tried again; only while it is down. */
  retryAfter?: number
  /** Connections it took. */
  connected: number
  /** Connections under way, those still being made included. */
  open: number
  /** Connects that failed. A connection that another upstream took then counts here all the same. */
  refused: number
  /** Connections that ended by an error. */
  failed: number
  /** Bytes from clients to it. */
  bytesAToB: number
  /** Bytes from it to clients. */
  bytesBToA: number
  /** Milliseconds that a connect took on average, of those that succeeded; 0 without any. */
  connectMs: number
  /** The longest of them. */
  longestConnectMs: number
}

/** What a proxy has done so far. The numbers are read one after the other while its threads go on. */
export interface ProxyStats extends ProxyTraffic {
  /** The same by thread. */
  threads: ProxyTraffic[]
  /** By upstream, in the order of the list in force. What those did that are no longer in it is in the sums. */
  upstreams: UpstreamStats[]
}

type Owner = ReturnType<typeof native.proxyStart>

/** What keeps a process with nothing else to do alive; it never fires. */
const LONG = 0x7fff_ffff

/** The proxies of this thread that have not ended: their threads go on whoever holds them. */
const running: Set<TcpProxy> = new Set()

let listensForExit = false

/** A proxy on native threads. Made by {@link proxy}. */
export class TcpProxy implements AsyncDisposable {
  /** Settles when all threads have ended and everything is closed; rejects when one of them failed. */
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
    // Whoever does not look at it has a warning, see below.
    this.closed.catch(() => {})
    this.#threads = checked.threads
    this.#onProblem = onProblem
    const start = (): Owner => native.proxyStart(checked, () => this.#hear())
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
    // The threads must not outlive what they use. Where an environment ends without this, its end stops them.
    process.on('exit', () => {
      for (const one of running) one.#end()
    })
  }

  /** Where it listens; after port 0, with the port that was chosen. */
  get address(): SocketAddress {
    return this.#address
  }

  /** How many native threads it was started with. */
  get threads(): number {
    return this.#threads
  }

  /** What it has done so far. Waits for none of its threads. */
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
   * Accepts no more, except for what waits in the system's queue, and lets the connections under way end.
   *
   * @param options `timeout`: milliseconds after which those that are left are ended; default: none
   * @returns {@link closed}
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
   */
  drain(options?: { timeout?: number | undefined }): Promise<void> {
    const { timeout } = checkOptions(options) ?? {}
    native.proxyDrain(
      this.#owner,
      timeout === undefined ? NO_TIMEOUT : checkTimeout('options.timeout', timeout),
    )
    return this.closed
  }

  /**
   * Ends everything at once. Idempotent.
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

  /** Keeps the process alive until it is closed, which is how it begins. */
  ref(): this {
    this.#alive.ref()
    return this
  }

  /** No longer keeps the process alive by itself. */
  unref(): this {
    this.#alive.unref()
    return this
  }

  /** The bell rang. */
  #hear(): void {
    if (this.#over) return
    // Asked first: what a thread told before it ended is there by now.
    const isOver = native.proxyIsOver(this.#owner)
    for (const problem of native.proxyTake(this.#owner).map(problemFromNative)) {
      if (problem instanceof EventError) this.#failure ??= problem
      else this.#tell(problem)
    }
    if (isOver) this.#finish()
  }

  #tell(problem: ProxyProblem): void {
    if (this.#onProblem === undefined) return
    try {
      this.#context.runInAsyncScope(this.#onProblem, undefined, problem)
    } catch (error) {
      // The next problem is told all the same.
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

  /** The environment ends. */
  #end(): void {
    native.proxyEnd(this.#owner)
  }
}

/**
 * Starts a TCP proxy on native threads. Each has an event base and a listener of its own, and no JavaScript is on the
 * path of a connection: the proxy works at full speed while this thread is busy, and this thread never waits for it.
 *
 * ```ts server
 * import { proxy } from 'event-base/net'
 *
 * const door = await proxy({
 *   listen: { host: '127.0.0.1', port: Number(process.env['PORT'] ?? 8080) },
 *   upstream: [{ host: '127.0.0.1', port: Number(process.env['UPSTREAM_PORT'] ?? 9000) }],
 *   threads: 2,
 *   onProblem: (problem) => console.error(problem),
 * })
 * process.once('SIGINT', () => void door.drain({ timeout: 10_000 }))
 * if ('port' in door.address) console.log('listening at', door.address.port)
 * await door.closed
 * ```
 *
 * A failed connect is repeated at the next server, at each one once; if all fail, the connection is closed. After some
 * consecutive failures a server is passed over for a time, which doubles while its probes fail; where all are passed
 * over, they are tried all the same. A name that cannot be looked up is an upstream that is down: `onProblem` is called,
 * and the look-up is retried.
 *
 * @returns the proxy, once it is bound and its threads run. Connections wait in the system's queue until a server is
 *   known, or the first look-up of each name has ended
 * @throws {EventError} as a rejection: `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
 * @throws {SystemError} as a rejection: `EADDRINUSE`, `EADDRNOTAVAIL`, `EACCES` with `address` and `port`, `EMFILE`,
 *   `EAGAIN` of `pthread_create`, ...
 */
export async function proxy(options: ProxyOptions): Promise<TcpProxy> {
  return new TcpProxy(checkProxyOptions(options), options.onProblem)
}
