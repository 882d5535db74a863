/** Moving bytes between two descriptors. */

import { AsyncResource } from 'node:async_hooks'

import type { Core } from '../core.js'
import { EventError } from '../errors.js'
import type { EventBase } from '../event-base.js'
import { showAs } from '../inspect.js'
import { crossing, native, NO_TIMEOUT } from '../native.js'
import { checkBytes, checkCallback, checkFd, checkOptions, checkTimeout, outOfRange } from '../validate.js'
import { checkLimit, RateGroup, type RateLimit } from './rate-group.js'
import { Sources, type Completion, type Source } from './sources.js'

/** Options of a relay. */
export interface RelayOptions {
  /**
   * Milliseconds without a byte in either direction after which the relay ends. By default, and with 0, it never does.
   */
  idleTimeout?: number | undefined
  /**
   * Milliseconds without a byte in either direction after which the relay ends if one side has ended its stream, or
   * takes no bytes, which hides the end of the other side's stream. So a peer that neither reads nor ends its stream
   * does not hold two descriptors for ever. With 0, only `idleTimeout` ends such a relay. Default 600 000.
   */
  halfCloseTimeout?: number | undefined
  /**
   * Milliseconds to wait for a descriptor whose connect is in progress, such as `socket.connect` returns, after which
   * the relay ends with `ETIMEDOUT`. By default, and with 0, the limit of the system, which is minutes, or the idle
   * timeout applies.
   */
  connectTimeout?: number | undefined
  /** A rate limit for each direction. Default: no limit. */
  limit?: RateLimit | undefined
  /** A limit that the relay shares with other relays of the base, in addition to its own limit. */
  group?: RateGroup | undefined
  /**
   * Bytes to write before all others: bytes that the caller has already read, such as a ClientHello, or a message of
   * the caller, such as the response to an HTTP CONNECT. They are written once both descriptors are connected, count as
   * moved, and are not subject to limits. They are copied before the call returns.
   */
  prefix?:
    | {
        /** Bytes to write to `b`. */
        aToB?: Uint8Array | undefined
        /** Bytes to write to `a`. */
        bToA?: Uint8Array | undefined
      }
    | undefined
  /**
   * How bytes are moved: `'adaptive'` copies small pieces and splices large streams, if the system can splice; `'copy'`
   * and `'splice'` force one of the two, for measurements and for diagnosis. Default `'adaptive'`.
   */
  transfer?: 'adaptive' | 'copy' | 'splice' | undefined
}

/** The counters of a relay. */
export interface RelayStats {
  /** Bytes from `a` that were written to `b`. */
  bytesAToB: number
  /** Bytes from `b` that were written to `a`. */
  bytesBToA: number
  /** Bytes from `a` that are not written to `b` yet. */
  heldAToB: number
  /** Bytes from `b` that are not written to `a` yet. */
  heldBToA: number
  /** Bytes of both directions that were written by splicing, without a copy. */
  bytesSpliced: number
  /** Milliseconds since its start; once it has ended, from its start to its end. */
  durationMs: number
}

/** The result of a relay. */
export interface RelayEnd {
  /** Bytes from `a` that were written to `b`. */
  bytesAToB: number
  /** Bytes from `b` that were written to `a`. */
  bytesBToA: number
  /** Bytes of both directions that were written by splicing, without a copy. */
  bytesSpliced: number
  /** Milliseconds from its start to its end. */
  durationMs: number
  /**
   * - `'end'`: both directions have ended
   * - `'error'`: connecting, reading or writing failed: see `error`
   * - `'idle'`: no byte moved for the idle timeout, or for the half-close timeout
   * - `'closed'`: `close()` was called
   */
  reason: 'end' | 'error' | 'idle' | 'closed'
  /**
   * The system error of `connect`, `read` or `write`, with the number of the descriptor, which is closed. A relay whose
   * `connectTimeout` has expired ends with `ETIMEDOUT` of `connect`.
   */
  error?: Error
}

const NOTHING: RelayStats = {
  bytesAToB: 0,
  bytesBToA: 0,
  heldAToB: 0,
  heldBToA: 0,
  bytesSpliced: 0,
  durationMs: 0,
}

/** The default of `halfCloseTimeout`, in milliseconds. */
export const HALF_CLOSE_TIMEOUT = 600_000

const TRANSFERS = ['adaptive', 'copy', 'splice']

function checkPrefix(name: string, bytes: Uint8Array | undefined): Uint8Array | undefined {
  return bytes === undefined ? undefined : checkBytes(name, bytes)
}

type NativeOptions = Parameters<typeof native.netRelayWith>[3]

/** Checks a time, and returns the number that the native layer takes. */
function nativeTime(name: string, time: number | undefined): number {
  return time === undefined || checkTimeout(name, time) === 0 ? NO_TIMEOUT : time
}

/**
 * Checks the options, and returns them in the form that the native layer takes: a negative time and a rate of 0 mean no
 * limit.
 */
function nativeOptions(
  options: RelayOptions,
  times: Pick<NativeOptions, 'idleTimeout' | 'halfCloseTimeout' | 'connectTimeout'>,
): NativeOptions {
  const { limit, transfer = 'adaptive' } = options
  const way = TRANSFERS.indexOf(transfer)
  if (way === -1) throw outOfRange('options.transfer', "'adaptive', 'copy' or 'splice'", transfer)
  const { rate, burst } = limit === undefined ? { rate: 0, burst: 0 } : checkLimit('options.limit', limit)
  return { ...times, rate, burst, transfer: way }
}

/** Starts a native relay, and returns its key. */
function begin(core: Core, a: number, b: number, options: RelayOptions): number {
  const idleTimeout = nativeTime('options.idleTimeout', options.idleTimeout)
  const halfClose = options.halfCloseTimeout ?? HALF_CLOSE_TIMEOUT
  const halfCloseTimeout = nativeTime('options.halfCloseTimeout', halfClose)
  const connectTimeout = nativeTime('options.connectTimeout', options.connectTimeout)
  const { limit, group, prefix, transfer } = options
  if (limit === undefined && group === undefined && prefix === undefined && transfer === undefined) {
    return crossing.netRelay(core.handle, a, b, idleTimeout, halfCloseTimeout, connectTimeout)
  }
  const given = nativeOptions(options, { idleTimeout, halfCloseTimeout, connectTimeout })
  const { aToB, bToA } = checkOptions(prefix, 'options.prefix')
  const [there, back] = [checkPrefix('options.prefix.aToB', aToB), checkPrefix('options.prefix.bToA', bToA)]
  const nativeGroup = group === undefined ? undefined : RateGroup.nativeOf(group, core.owner)
  return native.netRelayWith(core.handle, a, b, given, nativeGroup, there, back)
}

/** Runs a call, and ignores its error if the relay has already ended natively and the end is not reported yet. */
function unlessEnded(call: () => void): void {
  try {
    call()
  } catch (error) {
    if (!(error instanceof EventError && error.code === 'ERR_EVENT_CLOSED')) throw error
  }
}

/** Moves bytes between two descriptors in a base's loop. Made by {@link relay}. */
export class Relay implements Source {
  readonly #sources: Sources
  readonly #key: number
  readonly #onEnd: ((end: RelayEnd) => void) | undefined
  readonly #context: AsyncResource | undefined
  #last: RelayStats = NOTHING
  /** The descriptors, as `a` and `b`. */
  readonly #ends: { readonly a: number; readonly b: number }
  #reason: RelayEnd['reason'] | undefined
  #closed = false
  #paused = false

  /** @internal */
  constructor(
    sources: Sources,
    ends: { a: number; b: number },
    options: RelayOptions,
    onEnd?: (end: RelayEnd) => void,
  ) {
    this.#sources = sources
    this.#ends = ends
    this.#onEnd = onEnd
    this.#key = begin(sources.core, ends.a, ends.b, options)
    // Only a callback needs a context.
    this.#context =
      onEnd === undefined ? undefined : new AsyncResource('EventBaseRelay', { requireManualDestroy: true })
    sources.add(this.#key, this)
  }

  /** The counters of the relay. They are final once it has ended. */
  get stats(): RelayStats {
    if (!this.#sources.core.closed) {
      this.#last = native.netStats(this.#sources.core.handle, this.#key) ?? this.#last
    }
    return { ...this.#last }
  }

  /** Whether both descriptors are closed. */
  get closed(): boolean {
    return this.#closed
  }

  /** Whether it is paused. */
  get paused(): boolean {
    return this.#paused
  }

  /**
   * Stops reading both descriptors. Bytes that were read already are still written. Flow control slows the peers, and
   * the idle timeout does not run. Idempotent. Has no effect on a relay that has ended.
   */
  pause(): void {
    if (this.#closed || this.#paused) return
    unlessEnded(() => native.netPause(this.#sources.core.handle, this.#key))
    this.#paused = true
  }

  /** Continues to read. The idle timeout restarts. Idempotent. Has no effect on a relay that has ended. */
  resume(): void {
    if (this.#closed || !this.#paused) return
    unlessEnded(() => native.netResume(this.#sources.core.handle, this.#key))
    this.#paused = false
  }

  /**
   * Closes both descriptors. `onEnd` is called in the loop's next pass, with the reason `'closed'`. Idempotent. Closing
   * the base does the same without calling `onEnd`.
   */
  close(): void {
    if (this.#closed) return
    this.#last = { ...this.stats, heldAToB: 0, heldBToA: 0 }
    this.#closed = true
    native.netClose(this.#sources.core.handle, this.#key)
  }

  /** {@link close}, for `using`. */
  [Symbol.dispose](): void {
    this.close()
  }

  /** @internal */
  complete(completion: Completion): void {
    if (completion.kind !== 'relayEnded') return
    const { bytesAToB, bytesBToA, bytesSpliced, durationMs, reason, error } = completion
    this.#sources.remove(this.#key)
    this.#closed = true
    this.#reason = reason
    this.#last = { bytesAToB, bytesBToA, heldAToB: 0, heldBToA: 0, bytesSpliced, durationMs }
    this.#context?.emitDestroy()
    if (this.#onEnd === undefined) return
    const end: RelayEnd = { bytesAToB, bytesBToA, bytesSpliced, durationMs, reason }
    if (error !== undefined) end.error = error
    this.#context?.runInAsyncScope(this.#onEnd, undefined, end)
  }

  /** @internal */
  baseClosed(): void {
    this.#closed = true
    this.#context?.emitDestroy()
  }

  static {
    showAs(Relay, 'Relay', (self) => {
      const state = self.#closed ? { reason: self.#reason } : { ...self.#ends, paused: self.#paused }
      return { ...state, closed: self.#closed, ...self.stats }
    })
  }
}

/**
 * Moves bytes between two connected descriptors in both directions, natively and never through JavaScript, until both
 * directions have ended. When one direction ends, the end is passed on after the last byte, and the other direction
 * continues. A slow reader slows its writer. If one descriptor fails, the other is reset if its incoming stream is
 * incomplete.
 *
 * A connect may be in progress on a descriptor, such as one that `socket.connect` returns. The relay waits for the
 * connect natively: a proxy whose upstream has a numeric address needs no callback between accepting and relaying.
 *
 * ```ts server
 * import { EventBase } from 'event-base'
 * import { connect, listen, relay, socket } from 'event-base/net'
 *
 * const host = '127.0.0.1'
 * const upstream = { host, port: Number(process.env['UPSTREAM_PORT'] ?? 9000) }
 * const base = new EventBase()
 * const listener = listen(base, { host, port: Number(process.env['PORT'] ?? 8080) }, async (fd) => {
 *   try {
 *     const there = await connect(base, upstream, { timeout: 2000 }).catch((error: unknown) => {
 *       socket.close(fd)
 *       throw error
 *     })
 *     relay(base, fd, there, { idleTimeout: 60_000 }, (end) => console.log(end))
 *   } catch (error) {
 *     console.error((error as Error).message) // the connection ends, the proxy goes on
 *   }
 * })
 * process.once('SIGINT', () => listener.close())
 * console.log('listening at', listener.address.port)
 * await base.run()
 * ```
 *
 * @param base the base whose loop moves the bytes
 * @param a a connected or connecting descriptor. The relay owns both descriptors, even if this function throws a system
 *   error; if it throws any other error, the caller continues to own them
 * @param b another connected or connecting descriptor
 * @param options timeouts, limits, and bytes to write first
 * @param onEnd called once, when both descriptors are closed
 * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_EVENT_CLOSED`
 * @throws {SystemError} `EBADF` if one of the two is not open, and the relay then owns neither; `EPERM` for a
 *   descriptor that cannot be polled, such as a regular file
 */
export function relay(
  base: EventBase,
  a: number,
  b: number,
  options?: RelayOptions,
  onEnd?: (end: RelayEnd) => void,
): Relay {
  const sources = Sources.of(base)
  checkFd('a', a)
  checkFd('b', b)
  if (a === b) throw outOfRange('b', 'another descriptor than "a"', b)
  if (onEnd !== undefined) checkCallback('onEnd', onEnd)
  return new Relay(sources, { a, b }, checkOptions(options), onEnd)
}
