/** Moving bytes between two descriptors. */

import { AsyncResource } from 'node:async_hooks'

import type { EventBase } from '../event-base.js'
import { native, NO_TIMEOUT } from '../native.js'
import { checkCallback, checkFd, checkInteger, checkOptions, checkTimeout, outOfRange } from '../validate.js'
import { Sources, type Completion, type Source } from './sources.js'

/** How a relay works. */
export interface RelayOptions {
  /** Milliseconds without a byte in either direction that end the relay. Default, and 0: never. */
  idleTimeout?: number | undefined
  /** How fast bytes may move, each direction for itself. Default: as fast as they do. */
  limit?:
    | {
        /** Bytes a second in the long run; at least 1. */
        rate: number
        /** Bytes that may move at once after a rest; at least 1. Default `rate`. */
        burst?: number | undefined
      }
    | undefined
}

/** What a relay has done so far. */
export interface RelayStats {
  /** Bytes from `a` that `b` has taken. */
  bytesAToB: number
  /** Bytes from `b` that `a` has taken. */
  bytesBToA: number
  /** Bytes from `a` that wait for `b`. */
  heldAToB: number
  /** Bytes from `b` that wait for `a`. */
  heldBToA: number
  /** Milliseconds since its beginning, or from its beginning to its end. */
  durationMs: number
}

/** How a relay ended. */
export interface RelayEnd {
  /** Bytes from `a` that `b` took. */
  bytesAToB: number
  /** Bytes from `b` that `a` took. */
  bytesBToA: number
  /** Milliseconds from its beginning to its end. */
  durationMs: number
  /**
   * - `'end'`: both directions came to their end
   * - `'error'`: reading or writing failed, see `error`
   * - `'idle'`: nothing moved for the idle timeout
   * - `'closed'`: `close()` was called
   */
  reason: 'end' | 'error' | 'idle' | 'closed'
  /** What failed: a system error of `read` or `write`, with the descriptor's number, which is closed by now. */
  error?: Error
}

const MOST = Number.MAX_SAFE_INTEGER

/** Moves bytes between two descriptors in a base's loop. Made by {@link relay}. */
export class Relay implements Source {
  readonly #sources: Sources
  readonly #key: number
  readonly #onEnd: ((end: RelayEnd) => void) | undefined
  readonly #context: AsyncResource = new AsyncResource('EventBaseRelay', { requireManualDestroy: true })
  #last: RelayStats = { bytesAToB: 0, bytesBToA: 0, heldAToB: 0, heldBToA: 0, durationMs: 0 }
  #closed = false

  /** @internal */
  constructor(
    sources: Sources,
    ends: { a: number; b: number },
    options: RelayOptions,
    onEnd?: (end: RelayEnd) => void,
  ) {
    const { idleTimeout = 0, limit } = options
    checkTimeout('options.idleTimeout', idleTimeout)
    let [rate, burst] = [0, 0]
    if (limit !== undefined) {
      checkOptions(limit)
      rate = checkInteger('options.limit.rate', limit.rate, 1, MOST)
      burst = checkInteger('options.limit.burst', limit.burst ?? rate, 1, MOST)
    }
    const idle = idleTimeout === 0 ? NO_TIMEOUT : idleTimeout
    this.#sources = sources
    this.#onEnd = onEnd
    this.#key = native.netRelay(sources.core.handle, ends.a, ends.b, idle, rate, burst)
    sources.add(this.#key, this)
  }

  /** What it has done so far; once it has ended, what it did. */
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

  /**
   * Closes both descriptors. The end is told in the loop's next pass, with the reason `'closed'`. Idempotent.
   * Closing the base does the same, except that no end is told.
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
  tell(completion: Completion): void {
    if (completion.kind !== 'relayEnded') return
    const { bytesAToB, bytesBToA, durationMs, reason, error } = completion
    this.#sources.remove(this.#key)
    this.#closed = true
    this.#last = { bytesAToB, bytesBToA, durationMs, heldAToB: 0, heldBToA: 0 }
    this.#context.emitDestroy()
    if (this.#onEnd === undefined) return
    const end: RelayEnd = { bytesAToB, bytesBToA, durationMs, reason }
    if (error !== undefined) end.error = error
    this.#context.runInAsyncScope(this.#onEnd, undefined, end)
  }

  /** @internal */
  baseClosed(): void {
    this.#closed = true
    this.#context.emitDestroy()
  }
}

/**
 * Moves bytes between two connected descriptors, both ways, natively and never through JavaScript, until both
 * directions have ended. The end of one direction is passed on behind its last byte while the other goes on; a
 * slow reader slows its writer; a peer whose incoming stream breaks off because the other failed is reset.
 *
 * ```ts server
 * import { EventBase } from 'event-base'
 * import { connect, listen, relay } from 'event-base/net'
 *
 * const host = '127.0.0.1'
 * const upstream = { host, port: Number(process.env['UPSTREAM_PORT'] ?? 9000) }
 * const base = new EventBase()
 * const listener = listen(base, { host, port: Number(process.env['PORT'] ?? 8080) }, async (fd) => {
 *   const there = await connect(base, upstream, { timeout: 2000 })
 *   relay(base, fd, there, { idleTimeout: 60_000 }, (end) => console.log(end))
 * })
 * console.log('listening at', listener.address.port)
 * process.once('SIGINT', () => listener.close())
 * await base.run()
 * ```
 *
 * @param base whose loop moves the bytes
 * @param a a connected descriptor. Both are the relay's from here on, also when it throws a system error; with
 *   any other error they stay the caller's
 * @param b another one
 * @param options the idle timeout and the rate limit
 * @param onEnd called once, when both descriptors are closed
 * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_EVENT_CLOSED`
 * @throws {SystemError} `EBADF` when one of the two is not open, and neither is taken; `EPERM` for what cannot be
 *   waited for, like a regular file
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
  return new Relay(sources, { a, b }, checkOptions(options) ?? {}, onEnd)
}
